"""A graph of 100,000 steps over a catalog of 1,000,000 artifacts: how long a plan takes: ``python benchmarks/scale.py``.

The artifacts are written into the catalog as ten runs would have left them; no step is run. The steps form a tree, each
with its number as a parameter, so that each has a fingerprint of its own.
"""

import functools
import json
import resource
import sys
import tempfile
import time

from penstock.engine import Graph
from penstock.engine.plan import fingerprints_of, input_digests, make_plan
from penstock.engine.step import Ref, Step
from penstock.store import open_store
from penstock.store.schema import artifacts, runs, steps

STEPS, RUNS = (int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), 10


def work(before: int, number: int) -> int:
    """Stand for the work of a step."""
    return before + number


def begin(number: int) -> int:
    """Stand for the first step."""
    return number


def graph_with(first):
    """Return the graph; the first number is the first step's parameter."""
    made = [Step(name="s0", function=begin, parameters={"number": first})]
    made += [
        Step(name=f"s{at}", function=work, inputs={"before": f"s{(at - 1) // 2}"}, parameters={"number": at})
        for at in range(1, STEPS)
    ]
    return Graph.build("large", made)


def timed(what, call):
    """Call, and print how long it took."""
    began = time.perf_counter()
    found = call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"what": what, "s": round(time.perf_counter() - began, 2), "peak_mb": round(peak)}), flush=True)
    return found


def fill(store, graph):
    """Write what ten runs would have left; the last is that of this graph."""
    marks, refs = fingerprints_of(graph), {}
    for run in range(RUNS):
        name = f"run-{run}"
        rows, listed = [], []
        for position, step in enumerate(graph.steps.values()):
            ref = Ref(f"{run:02}{position:062}", "json", 2, b"{}")
            inputs = input_digests(step, refs) if run == RUNS - 1 else {}
            key = marks[step.name].key(inputs) if run == RUNS - 1 else f"k{run:02}{position:061}"
            refs[step.name] = ref
            parts = {**marks[step.name].parts, **{f"input:{argument}": digest for argument, digest in inputs.items()}}
            rows.append({"key": key, "digest": ref.digest, "format": "json", "size": 2, "value": b"{}", "pipeline": "large",
                         "step": step.name, "run": name, "parts": json.dumps(parts), "created": float(run)})  # fmt: skip
            listed.append(
                {
                    "run": name,
                    "position": position,
                    "name": step.name,
                    "status": "ran",
                    "key": key,
                    "digest": ref.digest,
                }
            )
        with store.catalog.begin() as connection:
            connection.execute(runs.insert(), [{"id": name, "pipeline": "large", "status": "succeeded", "started": float(run), "user": "u",
                                                "host": "h", "packages": "{}", "parameters": "{}", "seed": 0}])  # fmt: skip
            connection.execute(artifacts.insert(), rows)
            connection.execute(steps.insert(), listed)


def main():
    """Print a JSON line a figure."""
    graph = timed(f"graph of {STEPS:,} steps", functools.partial(graph_with, 0))
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        assert len(timed("plan, nothing ever ran", lambda: make_plan(graph, store)).stale) == STEPS
        timed(f"write {STEPS * RUNS:,} artifacts", lambda: fill(store, graph))
        assert not timed("plan, all cached", lambda: make_plan(graph, store)).stale
        changed = graph_with(1)
        found = timed("plan, the first step changed", lambda: make_plan(changed, store))
        assert len(found.stale) == STEPS
        assert found.steps[0].causes == ("number 0 -> 1",)
        assert found.steps[1].causes == ("after s0",)
        store.close()


if __name__ == "__main__":
    main()
