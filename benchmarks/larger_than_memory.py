"""A CSV file larger than the memory allowed, to a training set with ten window features: time and peak of each step.

``--learn`` goes on to a model, judged and told of in a report; without windows, for whose answers a service must hold the past.

``--gb`` says how large the file is, ``--limit-mb`` how much memory the run may use: it is put into a control group
with that limit (Linux, as root); elsewhere only the resident peak is recorded. ``--keep`` names a folder on a disk with
about three times the file's size free.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GROUP = Path("/sys/fs/cgroup/memory/penstock-benchmark")
NEW_GROUP = Path("/sys/fs/cgroup/penstock-benchmark")


def make(path: Path, size: float) -> int:
    """Write card payments of about 190 bytes a row, in order of time."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    rows, chunk = 0, 500_000
    cities = ["Oslo", "Rome", "Paris", "São Paulo", "New York", "Łódź"]
    with path.open("wb") as file:
        while file.tell() < size:
            start = 1_600_000_000_000_000 + rows * 1_000_000
            when = start + np.sort(random.integers(0, chunk * 1_000_000, chunk))
            amount = random.gamma(2, 50, chunk).round(2)
            pl.DataFrame({
                "payment": np.arange(rows, rows + chunk), "card": random.integers(0, 2_000_000, chunk),
                "when": pl.Series(when).cast(pl.Datetime("us")), "amount": amount,
                "city": random.choice(cities, chunk), "shop": random.integers(0, 50_000, chunk),
                "terminal": random.integers(10**9, 10**10, chunk), "x": random.normal(size=chunk).round(9),
                "y": random.normal(size=chunk).round(9), "z": random.normal(size=chunk).round(9),
                "kind": random.choice(["card present", "online order", "refund, partial", "telephone"], chunk),
                "note": random.choice(["the goods were handed over", "to be sent by post", "held for collection"], chunk),
                "code": random.integers(10**8, 10**9, chunk), "points": random.integers(0, 100, chunk),
                "member": random.choice(["yes", "no"], chunk), "fraud": np.where(amount * random.random(chunk) > 100, "yes", "no"),
            }).write_csv(file, include_header=not rows)  # fmt: skip
            rows += chunk
    return rows


def run(path: Path, store: Path, learn: bool) -> None:
    import polars as pl

    import penstock as ps
    from penstock.engine.graph import Graph
    from penstock.engine.run import run_graph

    amount = pl.col("amount")
    pipeline = ps.Pipeline(
        "payments", ingest=ps.ingest.files(str(path), time="when"), target=ps.binary("fraud"),
        features=[] if learn else [ps.features.window(
            by="card", over="30d", payments=pl.len(), total=amount.sum(), mean=amount.mean(), spread=amount.std(),
            most=amount.max(), least=amount.min(), last=amount.last(), mean_x=pl.col("x").mean(), most_y=pl.col("y").max(),
            since=ps.features.time_since(),
        )],
        train=ps.train.search(budget="60s", learners=["lightgbm"]), file=str(path.with_suffix(".py")),  # the schema file lies beside it
    )  # fmt: skip
    if learn:
        opened = ps.open_store(store)
        _tell(found := pipeline.run(opened, workers=1))
        trials = found["trials"]
        print(json.dumps({"learnt from": trials["rows"] or "all", "roc_auc": round(found.metrics["roc_auc"].value, 4)}))
        return
    graph = pipeline.graph()
    wanted = ("read", "snapshot", "inferred", "prepared", "featured")
    sources = [item for item in graph.sources.values() if item.name.startswith("files")]
    steps = [step for step in graph.steps.values() if step.name in wanted]
    done = run_graph(Graph.build("payments", steps, sources), ps.open_store(store), workers=1)
    _tell(done)


def _tell(done: Any) -> None:
    done.raise_for_status()
    for step in done.steps:
        figures = {"step": step.name, "seconds": round(step.seconds, 1), "peak MB": step.peak_bytes >> 20}
        print(json.dumps({**figures, "out MB": step.bytes_out >> 20}), flush=True)


def limited(megabytes: int) -> Path | None:
    """Make a control group with a limit; None where that cannot be."""
    for group, name in ((GROUP, "memory.limit_in_bytes"), (NEW_GROUP, "memory.max")):
        try:
            group.mkdir(exist_ok=True)
            (group / name).write_text(str(megabytes << 20))
        except OSError:
            continue
        return group / "cgroup.procs"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--limit-mb", type=int, default=1000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--run", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--learn", action="store_true")
    given = parser.parse_args()
    if given.run:
        run(*given.run, given.learn)
        return
    with tempfile.TemporaryDirectory(dir=given.keep) as folder:
        path = Path(folder) / "payments.csv"
        rows = make(path, given.gb * 1e9)
        group = limited(given.limit_mb)

        def enter() -> None:
            if group is not None:
                group.write_text(str(os.getpid()))

        began = time.perf_counter()
        command = [
            sys.executable,
            __file__,
            "--run",
            str(path),
            str(Path(folder) / "store"),
            *["--learn"][: given.learn],
        ]
        process = subprocess.Popen(command, preexec_fn=enter, env={**os.environ, "TMPDIR": folder})  # noqa: PLW1509
        _, status, usage = os.wait4(process.pid, 0)
        print(json.dumps({
            "GB": round(path.stat().st_size / 1e9, 1), "rows": rows, "limit MB": given.limit_mb if group else None,
            "seconds": round(time.perf_counter() - began, 1), "peak MB": usage.ru_maxrss >> 10, "exit": os.waitstatus_to_exitcode(status),
        }))  # fmt: skip
        sys.exit(os.waitstatus_to_exitcode(status) != 0)


if __name__ == "__main__":
    main()
