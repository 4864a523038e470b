"""Penstock: every step fingerprinted, stored and recorded in the catalog."""

import json
import sys
import tempfile
import time

sys.path.pop(0)  # this file has the name of the package

from penstock.engine.graph import Graph
from penstock.engine.run import run_graph
from penstock.engine.step import Step
from penstock.store.store import open_store

shape, count = sys.argv[1], int(sys.argv[2])


def first(number: int = 0) -> int:
    return number


def more(before: int, number: int = 0) -> int:
    return before + 1 + number


def steps():
    yield Step("s0", first, parameters={"number": 0})
    for index in range(1, count):
        before = f"s{index - 1}" if shape == "chain" else "s0"
        yield Step(f"s{index}", more, inputs={"before": before}, parameters={"number": index})


def timed(store):
    graph = Graph.build("bench", steps())
    began = time.perf_counter()
    done = run_graph(graph, store)
    assert done.status == "succeeded"
    return (time.perf_counter() - began) / count * 1000


with tempfile.TemporaryDirectory() as folder:
    store = open_store(folder)
    cold = timed(store)
    cached = min(timed(store) for _ in range(3))
    print(json.dumps({"cold ms/step": round(cold, 3), "cached ms/step": round(cached, 3)}))
    store.close()
