"""Steps on a Ray cluster of two nodes of one core, beside the same work in bare Ray: ``python benchmarks/cluster.py``.

The nodes are network namespaces of this machine, which needs root and iproute2. Both ways read the same Parquet files and write
one Parquet file a part; seconds are those between the first task and the last result, without the start of Python and Ray.
"""

import json
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.clusters import cluster

PARTS, ROUNDS = 24, 2

WORK = '''
import polars as pl

def work(table):
    """About 0.4 s of one core."""
    for _ in range(REPEAT):
        table = table.with_columns(x=(pl.col("x") * 1.000001).sort())
    return table
'''

GRAPH = """
from pathlib import Path
import polars as pl
import penstock as ps
from work import work

file = ps.source("data/*.parquet")

@ps.step(each="file")
def part(file: Path) -> pl.DataFrame:
    return work(pl.read_parquet(file))
"""

BARE = """
import json, sys, time
from pathlib import Path
import polars as pl
import ray

sys.path.insert(0, ".")
ray.init(log_to_driver=False)

@ray.remote
def part(file, out):
    from work import work
    table = work(pl.read_parquet(file))
    table.write_parquet(out)

Path("out").mkdir(exist_ok=True)
files = sorted(Path("data").glob("*.parquet"))
here = str(Path.cwd())
ray.get([part.remote(str(file.resolve()), f"{here}/out/{file.name}") for file in files[:2]])
began = time.perf_counter()
ray.get([part.remote(str(file.resolve()), f"{here}/out/{file.name}") for file in files])
print(json.dumps(time.perf_counter() - began))
"""

SEARCHED = """
import penstock as ps

pipeline = ps.Pipeline(
    name="searched",
    ingest=ps.ingest.files("rows.parquet"),
    target=ps.binary("y"),
    train=ps.train.search(trials=8, budget="20m"),
)
"""

TIMED = """
import json, sys
from penstock.engine import Graph, run_graph
from penstock.store import open_store
sys.path.insert(0, ".")
import graph
done = run_graph(Graph.of(graph, "g"), open_store(sys.argv[1]), executor="ray")
done.raise_for_status()
import sqlite3
with sqlite3.connect(sys.argv[1] + "/catalog.db") as connection:
    (began, ended), = connection.execute("SELECT min(started), max(started + seconds) FROM steps WHERE name LIKE 'part[%'")
print(json.dumps(ended - began))
"""


def main():
    """Print a JSON line a figure."""
    _search()
    with tempfile.TemporaryDirectory() as name, cluster() as made:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "graph.py").write_text(GRAPH)
        (folder / "bare.py").write_text(BARE)
        (folder / "timed.py").write_text(TIMED)
        import polars as pl

        for number in range(PARTS):
            pl.DataFrame({"x": pl.int_range(200_000, eager=True).shuffle(seed=number) * 1.5}).write_parquet(
                folder / "data" / f"{number:03}.parquet"
            )
        for repeat in (0, 300):
            (folder / "work.py").write_text(WORK.replace("REPEAT", str(repeat)))
            for nodes in (2, 1) if repeat else (2,):
                if nodes == 1:
                    made.lose()
                found = {"penstock": [], "bare Ray": []}
                for round_ in range(ROUNDS):
                    found["penstock"].append(_run(made, folder, "timed.py", f"s{repeat}-{nodes}-{round_}"))
                    found["bare Ray"].append(_run(made, folder, "bare.py"))
                for what, took in found.items():
                    seconds = statistics.median(took)
                    print(json.dumps({"what": what, "repeat": repeat, "nodes": nodes, "s": round(seconds, 2),
                                      "ms_a_task": round(1000 * seconds / PARTS, 1), "all": took}), flush=True)  # fmt: skip


def _search():
    """Print the time of the same 8 trials at one node and at two, each pinned to a core, and whether all digests are equal."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    x = rng.normal(size=(10_000, 20))
    y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + 0.5 * x[:, 3] + rng.normal(size=len(x)) > 0
    table = pl.DataFrame({f"x{at}": x[:, at] for at in range(20)}).with_columns(y=y.astype(int))
    with tempfile.TemporaryDirectory() as name, cluster(pinned=True) as made:
        folder = Path(name)
        table.write_parquet(folder / "rows.parquet")
        (folder / "searched.py").write_text(SEARCHED)
        digests = []
        for nodes in (2, 1):
            if nodes == 1:
                made.lose()
            store = f"search-{nodes}"
            done = made.run(
                "-m", "penstock", "run", "searched.py", "--on", "ray", "--store", store, cwd=folder, limit=900
            )
            assert done.returncode == 0, done.stderr
            with sqlite3.connect(folder / store / "catalog.db") as connection:
                (seconds,) = connection.execute("SELECT seconds FROM steps WHERE name = 'trials'").fetchone()
                digests.append(connection.execute("SELECT name, digest FROM steps ORDER BY name").fetchall())
            print(json.dumps({"what": "search", "nodes": nodes, "s": round(seconds, 1)}), flush=True)
        print(json.dumps({"what": "search", "same digests": digests[0] == digests[1]}), flush=True)


def _run(made, folder, *words):
    done = made.run(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
