"""Dagster in process: it keeps no cache of ops."""

import json
import logging
import sys
import time

sys.path.pop(0)

from dagster import graph, op

logging.disable(logging.CRITICAL)
shape, count = sys.argv[1], int(sys.argv[2])


@op
def first() -> int:
    return 0


@op
def more(before: int) -> int:
    return before + 1


@graph
def bench():
    start = found = first()
    for index in range(1, count):
        found = more.alias(f"s{index}")(start if shape == "fan" else found)


began = time.perf_counter()
done = bench.execute_in_process()
assert done.success
print(json.dumps({"cold ms/step": round((time.perf_counter() - began) / count * 1000, 3), "cached ms/step": None}))
