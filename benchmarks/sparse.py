"""Tables of many columns of which few matter: the lasso beside a ridge, trees, and scikit-learn's own choice of a lasso's penalty.

Ten made tables a setting; the weights of the columns that matter are drawn, the others are zero. ROC AUC on rows not learnt from.
Run: python benchmarks/sparse.py
"""

from __future__ import annotations

import json
import time
import warnings

import numpy as np

from penstock.train.learners import Sample, Watch, fit_learner, read_predictor
from penstock.types.metrics import METRICS

LEARNT, JUDGED, TABLES = 400, 1000, 10
WAYS = {
    "ridge": ("linear", {}),
    "lasso": ("linear", {"lasso": True}),
    "trees": ("lightgbm", {"extra_trees": True, "learning_rate": 0.03, "num_leaves": 31, "feature_fraction": 0.3}),
}


def scikit_learns(sample: Sample, later: np.ndarray) -> np.ndarray:
    """Return what scikit-learn's cross-validated logistic regression with an L1 penalty says."""
    from sklearn.linear_model import LogisticRegressionCV

    with warnings.catch_warnings(action="ignore"):
        model = LogisticRegressionCV(Cs=8, l1_ratios=(1.0,), solver="liblinear", scoring="neg_log_loss", random_state=0)
        return model.fit(sample.matrix, sample.target).predict_proba(later)[:, 1]


def main() -> None:
    """Print a line a setting."""
    for columns, matter in ((200, 10), (2000, 30), (2000, 2000)):
        scores, seconds = {}, {}
        for seed in range(TABLES):
            random = np.random.default_rng(seed)
            matrix = random.normal(size=(LEARNT + JUDGED, columns))
            weights = np.zeros(columns)
            weights[random.permutation(columns)[:matter]] = random.normal(size=matter)
            signal = matrix @ weights
            target = (signal / signal.std() + 0.7 * random.normal(size=len(signal)) > 0).astype(float)
            sample = Sample(matrix[:LEARNT], target[:LEARNT], "binary", 2, [0] * columns)
            inner = sample._replace(matrix=matrix[:320], target=target[:320])
            watch = Watch(matrix[320:LEARNT], target[320:LEARNT])
            for name in (*WAYS, "scikit-learn's lasso"):
                began = time.perf_counter()
                if name in WAYS:
                    learner, parameters = WAYS[name]
                    made = fit_learner(learner, inner, parameters, 0, watch)
                    said = read_predictor(made.written, made.files).predict(matrix[LEARNT:])[:, 1]
                else:
                    said = scikit_learns(inner, matrix[LEARNT:])
                seconds.setdefault(name, []).append(time.perf_counter() - began)
                score = METRICS["roc_auc"].value(target[LEARNT:], np.column_stack([1 - said, said]))
                scores.setdefault(name, []).append(score)
        print(json.dumps({
            "columns": columns, "that matter": matter, "roc auc": {name: round(float(np.mean(each)), 3) for name, each in scores.items()},
            "seconds": {name: round(float(np.median(each)), 2) for name, each in seconds.items()},
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
