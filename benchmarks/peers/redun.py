"""redun on a SQLite database in memory."""

import json
import logging
import sys
import time

sys.path.pop(0)

from redun import Scheduler, task

logging.disable(logging.CRITICAL)
shape, count = sys.argv[1], int(sys.argv[2])
sys.setrecursionlimit(100_000)


@task(namespace="bench", version="1")
def step(before: int, number: int) -> int:
    return before + 1


@task(namespace="bench", version="1")
def main(count: int) -> list:
    if shape == "fan":
        return [step(0, index) for index in range(count)]
    found = 0
    for index in range(count):
        found = step(found, index)
    return [found]


scheduler = Scheduler()
scheduler.load()


def timed():
    began = time.perf_counter()
    scheduler.run(main(count))
    return (time.perf_counter() - began) / count * 1000


print(json.dumps({"cold ms/step": round(timed(), 3), "cached ms/step": round(timed(), 3)}))
