"""Prefect with results kept and a cache by inputs, on its own temporary server."""

import json
import logging
import os
import sys
import tempfile
import time

sys.path.pop(0)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp()
os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE

logging.disable(logging.CRITICAL)
shape, count = sys.argv[1], int(sys.argv[2])


@task(cache_policy=INPUTS + TASK_SOURCE, persist_result=True)
def step(before: int, number: int) -> int:
    return before + 1


@flow
def bench():
    found = 0
    for index in range(count):
        made = step(found if shape == "chain" else 0, index)
        found = made


bench.with_options(name="warm")
times = []
for _ in range(2):
    began = time.perf_counter()
    bench()
    times.append((time.perf_counter() - began) / count * 1000)
print(json.dumps({"cold ms/step": round(times[0], 3), "cached ms/step": round(times[1], 3)}))
