"""The lasso: a linear model most of whose weights are zero, for tables with many columns of which few matter.

Tibshirani 1996, and for classes logistic regression with the same penalty (Fan and others 2008, LIBLINEAR). Penalties are shares
of the smallest one under which every weight is zero, so that what suits a fold suits all rows too.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.train.learners import Matrix, Sample

PENALTIES = (0.7, 0.5, 0.35, 0.25, 0.18, 0.13, 0.09, 0.06, 0.04, 0.025, 0.015)
"""Tried in turn, with more and more weights."""
_FOLDS, _PATIENCE = 5, 3
_STEPS, _SURE = 1000, 14.0


def fit_lasso(
    sample: Sample, design: Any, seed: int, loss: Callable[[Matrix, Any, Matrix, str], float], end: float = math.inf
) -> Matrix:
    """Return weights, the intercept first, of shape (n_scores, 1 + n_design_columns), with the penalty that five inner folds ask for.

    The rows that judge a trial must not choose it: where nothing can be known they would say that something is.

    Parameters
    ----------
    design : array or sparse array, shape (n_rows, n_design_columns)
        Of the rows of `sample`, scaled, without gaps.
    loss : callable
        From weights, design rows, target and task to a loss.
    end : float
        When no weaker penalty is begun any more, by :func:`time.monotonic`.
    """
    order = np.random.default_rng(seed).permutation(len(sample.target))
    order = order[np.argsort(sample.target[order], kind="stable")]
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % _FOLDS
    parts = [
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(min(_FOLDS, len(order)))
    ]
    losses: list[float] = []
    for found in zip(*(lasso_path(sample, design, learn, PENALTIES, seed) for learn, _ in parts), strict=True):
        judged = zip(found, (judge for _, judge in parts), strict=True)
        each = [loss(weights, design[judge], sample.target[judge], sample.task) for weights, judge in judged]
        losses.append(float(np.mean(each)))
        if len(losses) - 1 - int(np.argmin(losses)) >= _PATIENCE or time.monotonic() > end:
            break
    best = int(np.argmin(losses))
    return next(lasso_path(sample, design, np.arange(len(order)), [PENALTIES[best]], seed))


def lasso_path(
    sample: Sample, design: Any, rows: npt.NDArray[np.int64], penalties: Sequence[float], seed: int
) -> Iterator[Matrix]:
    """Yield the weights that these rows give with each penalty, as :func:`fit_lasso` returns them."""
    target, cells = sample.target[rows], design[rows]
    weights = np.ones(len(rows)) if sample.weights is None else np.asarray(sample.weights, dtype=np.float64)[rows]
    if sample.task == "regression":
        yield from _numbers(target, weights, cells, penalties)
        return
    # Of many classes each is held against all others.
    codes = [1] if sample.task == "binary" else range(sample.classes)
    for each in penalties:
        yield np.vstack([_one_class(target == code, weights, cells, each, seed) for code in codes])


def _numbers(target: Matrix, weights: Matrix, design: Any, penalties: Sequence[float]) -> Iterator[Matrix]:
    from sklearn.linear_model import Lasso

    centre = float(weights @ target / weights.sum())
    spread = math.sqrt(float(weights @ (target - centre) ** 2) / float(weights.sum())) or 1.0
    scaled = (target - centre) / spread
    most = _largest(design, weights * scaled) / weights.sum()
    model = Lasso(max_iter=_STEPS, warm_start=True)
    for each in penalties:
        with _quiet():
            fitted = model.set_params(alpha=each * most).fit(design, scaled, sample_weight=weights)
        yield np.atleast_2d(np.r_[fitted.intercept_ * spread + centre, fitted.coef_ * spread])


def _one_class(yes: Matrix, weights: Matrix, design: Any, penalty: float, seed: int) -> Matrix:
    from sklearn.linear_model import LogisticRegression

    share = float(weights @ yes / weights.sum())
    if not 0 < share < 1:
        return np.append(-_SURE if share == 0 else _SURE, np.zeros(design.shape[1]))
    strength = 1.0 / (penalty * _largest(design, weights * (yes - share)))
    model = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", max_iter=_STEPS, random_state=seed)
    with _quiet():
        fitted = model.fit(design, yes, sample_weight=weights)
    found = fitted.coef_[0]
    return np.append(_intercept(design @ found, yes, weights, float(fitted.intercept_[0])), found)


def _intercept(scores: Matrix, yes: Matrix, weights: Matrix, start: float) -> float:
    """Return the intercept with which as much is said as came; LIBLINEAR keeps it small, as if it were a weight."""
    found = start
    for _ in range(25):
        said = 1.0 / (1.0 + np.exp(-np.clip(scores + found, -700, 700)))
        step = float(weights @ (said - yes)) / max(float(weights @ (said * (1 - said))), 1e-12)
        found -= float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-10:
            break
    return found


def _largest(design: Any, target: Matrix) -> float:
    return max(float(np.abs(design.T @ target).max(initial=0.0)), 1e-12)


def _quiet() -> Any:
    from sklearn.exceptions import ConvergenceWarning

    return warnings.catch_warnings(action="ignore", category=ConvergenceWarning)
