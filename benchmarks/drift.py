"""Drift between two tables: false alarms and what is found, beside Evidently and NannyML; the cost in rows a second; a very wide table.

alarms: windows drawn from the reference's own distribution, and windows of which one column is shifted; alarms of each system,
at its defaults. Half of the columns are numbers of several shapes, half are categories.
cost: the same two Parquet files, whole processes, time and peak memory; and one comparison of a process that goes on, such as a watcher.
wide: 3,000,000 rows of reference and 300,000 of current data, 1,000 columns, read from Parquet (Evidently #1526: six hours).
Run: python benchmarks/drift.py alarms|cost|wide [--evidently PYTHON] [--nannyml PYTHON] [--rows 3000000] [--columns 1000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

OURS = """
import sys, time
import penstock as ps
times = []
for _ in range(TIMES):
    began = time.perf_counter()
    found = ps.compare(sys.argv[1], sys.argv[2])
    times.append(time.perf_counter() - began)
print(sum(item.drifted for item in found.columns), len(found.columns), round(sorted(times)[len(times) // 2], 3))
"""

EVIDENTLY = """
import sys, time
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
times = []
for _ in range(TIMES):
    began = time.perf_counter()
    reference, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
    found = Report([DataDriftPreset()]).run(current, reference).dict()
    times.append(time.perf_counter() - began)
count = int(next(item["value"]["count"] for item in found["metrics"] if "DriftedColumnsCount" in str(item)))
print(count, reference.shape[1], round(sorted(times)[len(times) // 2], 3))
"""

EVIDENTLY_WINDOWS = """
import json, sys
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
reference = pd.read_parquet(sys.argv[1])
counts = []
for path in sys.argv[2:]:
    found = Report([DataDriftPreset()]).run(pd.read_parquet(path), reference).dict()
    counts.append(int(next(item["value"]["count"] for item in found["metrics"] if "DriftedColumnsCount" in str(item))))
print(json.dumps(counts))
"""

NANNYML_WINDOWS = """
import json, os, sys
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml, pandas as pd
def read(path):
    table = pd.read_parquet(path)
    return table.astype({name: "category" for name in table if not pd.api.types.is_numeric_dtype(table[name])})
reference, windows = read(sys.argv[1]), [read(path) for path in sys.argv[2:]]
texts = [name for name in reference if reference[name].dtype == "category"]
watch = nannyml.UnivariateDriftCalculator(list(reference), treat_as_categorical=texts, chunk_size=len(windows[0]))
watch.fit(reference)
counts = []
for window in windows:
    found = watch.calculate(window).filter(period="analysis").to_df()
    counts.append(int(found[[name for name in found if name[-1] == "alert"]].any().sum()))
print(json.dumps(counts))
"""


_DRAWN = 40


def table(random: np.random.Generator, rows: int, columns: int, shift: float = 0.0) -> pl.DataFrame:
    """Numbers of three shapes and categories; the first column is shifted by so many deviations."""
    made = {}
    for number in range(columns):
        kind = number % 4
        if kind == 0:
            values = random.normal(0, 1, rows) + (shift if number == 0 else 0.0)
        elif kind == 1:
            values = random.gamma(2, 1, rows).round(2)
        elif kind == 2:
            values = random.choice(["a", "b", "c", "d"], rows, p=[0.5, 0.3, 0.15, 0.05])
        else:
            values = random.integers(0, 2, rows).astype(str)
        made[f"c{number}"] = values
    return pl.DataFrame(made)


def alarms(peers: Mapping[str, tuple[str, str]], windows: int, most: int = 10) -> None:
    """Count windows in which a column is called drifted, without and with a shift; `peers` get the first few of them."""
    import penstock as ps

    for columns in (20, 200):
        for rows in (500, 5_000, 50_000):
            count = max(10, windows // 5) if columns == 200 and rows == 50000 else windows
            random = np.random.default_rng(columns + rows)
            reference = table(random, 20_000, columns)
            for shift in (0.0, 0.3, 0.5):
                many = count if shift == 0.0 else max(10, count // 5)
                figures: dict[str, object] = {"columns": columns, "rows": rows, "shift": shift, "windows": many}
                told = 0
                with tempfile.TemporaryDirectory() as folder:
                    paths = [Path(folder) / "reference.parquet"]
                    reference.write_parquet(paths[0])
                    for number in range(many):
                        current = table(random, rows, columns, shift)
                        told += ps.compare(reference, current).status == "drift"
                        if number < most:
                            paths.append(Path(folder) / f"{number}.parquet")
                            current.write_parquet(paths[-1])
                    figures["penstock"] = told
                    for name, (python, code) in peers.items():
                        done = subprocess.run(
                            [python, "-W", "ignore", "-c", code, *map(str, paths)], capture_output=True, text=True
                        )
                        counts = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
                        figures[name] = (
                            done.stderr[-200:]
                            if counts is None
                            else f"{sum(item > 0 for item in counts)} of {len(counts)}"
                        )
                print(json.dumps(figures), flush=True)


def run(python: str, code: str, *paths: Path, times: int = 1) -> dict[str, object]:
    """Run a comparison in a process of its own, so many times there."""
    code = code.replace("TIMES", str(times))
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run([python, "-W", "ignore", "-c", code, *map(str, paths)], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)  # of the largest child so far
    told = done.stdout.strip() if done.returncode == 0 else done.stderr[-200:]
    if times > 1:
        return {"seconds of one in a process that goes on": float(told.split()[-1])}
    return {"seconds": round(seconds, 1), "peak GB": round(peak / 1e6, 2), "drifted, columns, seconds": told}


def written(place: Path, rows: int, columns: int, shift: float, seed: int) -> Path:
    """Write a table in row groups of 100,000."""
    import pyarrow.parquet as pq

    random, writer = np.random.default_rng(seed), None
    for start in range(0, rows, 100_000):
        drawn = table(random, min(100_000, rows - start), min(columns, _DRAWN), shift)
        # Of a very wide table some columns are drawn, and stand under several names.
        wide = {f"c{number}": drawn[f"c{number % _DRAWN}"].alias(f"c{number}") for number in range(columns)}
        part = pl.DataFrame(list(wide.values())).to_arrow()
        writer = writer or pq.ParquetWriter(place, part.schema)
        writer.write_table(part)
    writer.close()
    return place


def cost(evidently: str | None) -> None:
    """Time the same files."""
    for rows, columns in ((100_000, 20), (300_000, 50)):
        with tempfile.TemporaryDirectory() as folder:
            one = written(Path(folder) / "reference.parquet", rows, columns, 0.0, 0)
            two = written(Path(folder) / "current.parquet", rows // 2, columns, 0.5, 1)
            for name, python, code in (("penstock", sys.executable, OURS), ("evidently", evidently, EVIDENTLY)):
                if python:
                    found = run(python, code, one, two) | run(python, code, one, two, times=5)
                    print(json.dumps({"rows": rows, "columns": columns, "system": name, **found}), flush=True)


def wide(rows: int, columns: int) -> None:
    """Time the wide table."""
    with tempfile.TemporaryDirectory() as folder:
        one = written(Path(folder) / "reference.parquet", rows, columns, 0.0, 0)
        two = written(Path(folder) / "current.parquet", rows // 10, columns, 0.5, 1)
        size = one.stat().st_size / 1e9
        print(
            json.dumps({"rows": rows, "columns": columns, "GB": round(size, 1), **run(sys.executable, OURS, one, two)}),
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["alarms", "cost", "wide"])
    parser.add_argument("--evidently", metavar="PYTHON")
    parser.add_argument("--nannyml", metavar="PYTHON")
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--columns", type=int, default=1_000)
    asked = parser.parse_args()
    if asked.what == "alarms":
        codes = {"evidently": EVIDENTLY_WINDOWS, "nannyml": NANNYML_WINDOWS}
        peers = {name: (getattr(asked, name), code) for name, code in codes.items() if getattr(asked, name)}
        alarms(peers, asked.windows)
    elif asked.what == "cost":
        cost(asked.evidently)
    else:
        wide(asked.rows, asked.columns)


if __name__ == "__main__":
    main()
