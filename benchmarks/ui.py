"""How long the pages of ``penstock ui`` take with many runs in the catalog: ``python benchmarks/ui.py [RUNS]``."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from starlette.testclient import TestClient

import penstock as ps
from penstock.store.schema import runs, steps
from penstock.store.store import open_store
from penstock.ui.access import Access
from penstock.ui.application import application

EXAMPLE = Path(__file__).parent.parent / "examples" / "churn" / "churn.py"


def many(store, run, count):
    """Copy a run `count` times, over 20 pipelines."""
    with store.catalog.read() as connection:
        row = dict(connection.execute(sa.select(runs).where(runs.c.id == run)).one()._mapping)
        listed = [dict(item._mapping) for item in connection.execute(sa.select(steps).where(steps.c.run == run))]
    for begin in range(0, count, 500):
        some = range(begin, min(begin + 500, count))
        with store.catalog.begin() as connection:
            connection.execute(
                runs.insert(),
                [
                    {**row, "id": f"copy-{at:06}", "pipeline": f"pipeline {at % 20}", "started": row["started"] + at}
                    for at in some
                ],
            )
            connection.execute(steps.insert(), [{**item, "run": f"copy-{at:06}"} for at in some for item in listed])


def main():
    """Print the median and slowest of 20 requests for each page, rendered, without the network."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    sys.path.insert(0, str(EXAMPLE.parent))
    from churn import pipeline

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        done = pipeline.run(store)
        many(store, done.run, count)
        client = TestClient(application(store, Access({}, b"x" * 32, frozenset({"testserver"}))))
        found = {}
        for path in (
            "/", "/runs", "/runs?page=150", "/runs?pipeline=churn", f"/runs/{done.run}", f"/runs/{done.run}/steps/featured",
            f"/compare?one=copy-000001&other={done.run}", "/search?q=train", "/models/churn", "/models/churn/features",
            "/models/churn/traffic", "/models/churn/monitoring",
        ):  # fmt: skip
            took = []
            for _ in range(20):
                began = time.perf_counter()
                assert client.get(path).status_code == 200, path
                took.append(1000 * (time.perf_counter() - began))
            name = path.replace(done.run, "RUN")
            found[name] = [round(statistics.median(took), 1), round(max(took), 1)]
            print(f"{name:40} median {found[name][0]:7.1f} ms   slowest {found[name][1]:7.1f} ms")
        print(json.dumps({"runs": count, "penstock": ps.__version__, "ms": found}))


main()
