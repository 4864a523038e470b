"""What it is worth that the model that answers learns from the rows too that judged the one before it.

Of each set and division, 25 % of the rows are held back. Penstock divides the others as it does, and both models that come of
one search answer what was held back: the one that was judged, and the one that answers. Sets are those of `models.py`.
Run: python benchmarks/refit.py --data FOLDER [--budget 10s] [--seeds 3] [--sets NAME ...]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import polars as pl
from models import SETS, Data, divide, judge, table_of

import penstock as ps
from penstock.model import Model

TARGETS = {"binary": ps.binary, "multiclass": ps.multiclass, "regression": ps.regression}


def loss(model: Model, test: pl.DataFrame, data: Data) -> float:
    """Return 1 - ROC AUC, log loss or RMSE of a model's answers to rows that it has not seen."""
    answers = model.predict_prepared(model.prepare(test.drop(data.target)))
    found = judge(test, data, answers, [str(name) for name in model.labels.names])
    return 1 - found["roc_auc"] if "roc_auc" in found else found.get("rmse", found.get("log_loss", float("nan")))


def ratio(train: pl.DataFrame, test: pl.DataFrame, data: Data, budget: str) -> float:
    """Return the loss of the model that answers over that of the one that was judged."""
    with tempfile.TemporaryDirectory() as folder:
        train.write_parquet(f"{folder}/rows.parquet")
        pipeline = ps.Pipeline(
            "refit",
            ingest=ps.ingest.files(f"{folder}/rows.parquet"),
            target=TARGETS[data.task](data.target),
            train=ps.train.search(budget=budget),
            split=ps.split.random() if data.task == "regression" else ps.split.stratified(),
            file=f"{folder}/pipeline.py",
        )
        run = pipeline.run(f"{folder}/store")
        run.raise_for_status()
        judged, answers = (loss(Model(run[step]), test, data) for step in ("trained", "refitted"))
    return answers / judged


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--budget", default="10s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=[name for name, data in SETS.items() if not data.order])
    asked = parser.parse_args()
    means = []
    for name in asked.sets:
        table = table_of(name, asked.data)
        if table is None:
            continue
        found = [ratio(*divide(table, SETS[name], seed), SETS[name], asked.budget) for seed in range(asked.seeds)]
        means.append(statistics.fmean(found))
        print(f"{name:24} {means[-1]:.3f}  each {' '.join(f'{one:.3f}' for one in found)}", flush=True)
    lower = sum(one < 1 for one in means)
    print(f"{len(means)} sets, lower on {lower}, median {statistics.median(means):.3f}")


if __name__ == "__main__":
    main()
