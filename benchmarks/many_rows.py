"""Millions of rows from CSV files to a judged model in the registry: seconds of each step, beside LightGBM on the same rows.

``--millions`` says how many rows, ``--budget`` how many seconds the search is given. LightGBM reads the same files with Polars,
learns from four fifths of the rows, by chance, with nothing set, and is judged on the rest; it makes no report, no gate, no service.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = """
import penstock as ps
pipeline = ps.Pipeline(
    "many", ingest=ps.ingest.files("many-*.csv"), target=ps.binary("y", positive="yes"),
    train=ps.train.search(budget="{budget}s"),
)
"""


def make(folder: Path, millions: int) -> None:
    """Write a million rows a file: twelve numbers, six categories, a running number."""
    import numpy as np
    import polars as pl

    random, n = np.random.default_rng(0), 1_000_000
    for number in range(millions):
        table = {f"x{i}": random.normal(size=n).astype(np.float32).round(4) for i in range(12)}
        table |= {f"c{i}": random.choice([f"level{j}" for j in range(5 * (i + 1))], n) for i in range(6)}
        table["at"] = np.arange(n) + number * n
        score = (
            table["x0"] * table["x1"]
            + np.sin(2 * table["x2"])
            + (table["c0"] == "level1")
            + 0.3 * (table["c5"] == "level7")
        )
        table["y"] = np.where(random.random(n) < 1 / (1 + np.exp(-score)), "yes", "no")
        pl.DataFrame(table).write_csv(folder / f"many-{number}.csv")


def ours(folder: Path, budget: int) -> dict[str, object]:
    """Run the pipeline in this process."""
    import penstock as ps
    from penstock.cli.common import load_pipeline

    file = folder / "many.py"
    file.write_text(PIPELINE.format(budget=budget))
    began = time.monotonic()
    store = ps.open_store(folder / "store")
    found = load_pipeline(str(file)).run(store)
    found.raise_for_status()
    took = time.monotonic() - began
    steps = {step.name: round(step.seconds, 1) for step in found.steps if step.seconds > 1}
    rows = found["trials"]["rows"]
    store.close()
    return {
        "seconds": round(took, 1),
        "roc_auc": round(found.metrics["roc_auc"].value, 4),
        "learnt_from": rows,
        "steps": steps,
    }


def plain(folder: Path) -> dict[str, object]:
    """LightGBM with nothing set, on four fifths of the rows, judged on the rest."""
    import lightgbm
    import numpy as np
    import polars as pl
    from sklearn.metrics import roc_auc_score

    began = time.monotonic()
    table = pl.concat([pl.read_csv(path) for path in sorted(folder.glob("many-*.csv"))])
    read = time.monotonic() - began
    names = [name for name in table.columns if name != "y"]
    codes = [
        table[name].cast(pl.Categorical).to_physical() if table[name].dtype == pl.String else table[name]
        for name in names
    ]
    matrix = np.column_stack([item.cast(pl.Float64).to_numpy() for item in codes])
    target, test = (table["y"] == "yes").to_numpy().astype(float), np.random.default_rng(1).random(table.height) < 0.2
    categories = [at for at, name in enumerate(names) if table[name].dtype == pl.String]
    del table
    learnt = lightgbm.Dataset(matrix[~test], target[~test], categorical_feature=categories)
    trees = lightgbm.train({"objective": "binary", "verbose": -1}, learnt)
    score = roc_auc_score(target[test], trees.predict(matrix[test]))
    return {"seconds": round(time.monotonic() - began, 1), "read": round(read, 1), "roc_auc": round(float(score), 4)}


def main() -> None:
    """Make the files; run each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, default=5)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--only", choices=["ours", "plain"])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.only is not None:
        found = ours(asked.folder, asked.budget) if asked.only == "ours" else plain(asked.folder)
        found["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
        print(json.dumps(found, indent=1))
        return
    with tempfile.TemporaryDirectory(prefix="penstock-many-") as made:
        make(Path(made), asked.millions)
        for who in ("ours", "plain"):
            print(who, flush=True)
            command = [sys.executable, __file__, "--only", who, "--folder", made, "--budget", str(asked.budget)]
            subprocess.run(command, check=True, timeout=3000)


if __name__ == "__main__":
    main()
