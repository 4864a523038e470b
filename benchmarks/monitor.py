"""A look at a log of many answers: time and peak memory of `penstock monitor`, a whole process, by the length of the log.

The churn example is trained; its rows are answered by chance, so that the log can be as long as wanted; half of the answers have labels.
Run: python benchmarks/monitor.py [--answers 100000 1000000]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from penstock.monitor.log import log_folder

EXAMPLE = Path(__file__).parent.parent / "examples" / "churn"


def penstock(*words: str) -> str:
    """Run a command; return what it printed. Drift, exit code 3, is an answer too."""
    done = subprocess.run([sys.executable, "-m", "penstock", *words], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    return done.stdout


def write(folder: Path, answers: int) -> int:
    """Write a log of so many answers of version 1, over nearly a day; return its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = pl.read_csv(EXAMPLE / "telco.csv.gz", infer_schema_length=None).drop("Churn").to_dicts()
    now, draws = time.time(), random.Random(0)
    path = folder / f"{time.strftime('%Y%m%d', time.gmtime(now - 80_000))}-000000-bench.jsonl"
    with path.open("w") as file:
        for number, row in zip(range(answers), itertools.cycle(rows)):
            yes = draws.random()
            answer = {
                "id": f"bench-{number}", "at": now - 80_000 + number * 80_000 / answers, "version": 1, "row": row,
                "prediction": "Yes" if yes > 0.5 else "No", "probabilities": {"No": 1 - yes, "Yes": yes}, "took": 0.001,
            }  # fmt: skip
            file.write(json.dumps(answer, separators=(",", ":")) + "\n")
            if number % 2:
                label = {"id": answer["id"], "at": now, "label": "Yes" if draws.random() < yes else "No"}
                file.write(json.dumps(label, separators=(",", ":")) + "\n")
    return path.stat().st_size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, nargs="+", default=[100_000, 1_000_000])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        penstock("run", str(EXAMPLE / "churn.py"), "--store", str(store))
        for answers in asked.answers:
            size = write(log_folder(store, "churn"), answers)
            seconds = []
            for _ in range(2):  # the second look finds the index that the first has left
                began = time.perf_counter()
                found = json.loads(penstock("monitor", "churn", "--store", str(store), "--json"))
                seconds.append(round(time.perf_counter() - began, 1))
            print(json.dumps({
                "answers": answers, "MB": round(size / 1e6), "seconds": seconds, "window": found["window"],
                "peak GB of the largest so far": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6, 2),
            }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
