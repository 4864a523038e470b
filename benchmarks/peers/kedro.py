"""Kedro in memory: it keeps no cache."""

import json
import logging
import sys
import time

sys.path.pop(0)

from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner

logging.disable(logging.CRITICAL)
shape, count = sys.argv[1], int(sys.argv[2])
nodes = [node(lambda: 0, None, "s0", name="s0")]
for index in range(1, count):
    before = f"s{index - 1}" if shape == "chain" else "s0"
    nodes.append(node(lambda x: x + 1, before, f"s{index}", name=f"s{index}"))
made = pipeline(nodes)
began = time.perf_counter()
SequentialRunner().run(made, DataCatalog())
print(json.dumps({"cold ms/step": round((time.perf_counter() - began) / count * 1000, 3), "cached ms/step": None}))
