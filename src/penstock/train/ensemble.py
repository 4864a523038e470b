"""Which trials answer together, with what weights, and how sharp: all from predictions on rows that they did not learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.train.learners.blend import sharpened
from penstock.types.metrics import Metric

Array = npt.NDArray[Any]
_STEPS, MEMBERS = 25, 5
_LEAST = 0.04
"""A member with less weight than this is left out: it costs more time than it gives."""


def chosen_weights(
    predicted: Sequence[Array],
    target: Array,
    metric: Metric,
    members: int = MEMBERS,
    costs: Sequence[tuple[float, float]] | None = None,
    limits: tuple[float, float] = (np.inf, np.inf),
) -> list[float]:
    """Weigh trials by greedy selection with replacement (Caruana et al. 2004, doi:10.1145/1015330.1015432).

    Parameters
    ----------
    predicted : sequence of array
        Of each trial, its answers to rows that it did not learn from.
    target : array, shape (n_rows,)
        The truth.
    members : int
        Most trials that take part.
    costs, limits
        Of each trial what it costs, and how much all that take part may cost together.

    Returns
    -------
    list of float
        One a trial; they sum to 1, and most are 0.

    Examples
    --------
    >>> from penstock.types.metrics import METRICS
    >>> truth = np.array([1.0, 2.0, 3.0])
    >>> chosen_weights([truth + 1, truth - 1, truth * 9], truth, METRICS["rmse"])
    [0.5, 0.5, 0.0]
    """
    prices = np.array(costs if costs is not None else [(0.0, 0.0)] * len(predicted))
    sign = 1.0 if metric.higher else -1.0
    total, counts = np.zeros_like(predicted[0]), np.zeros(len(predicted))
    best, kept = -np.inf, counts
    for step in range(1, _STEPS + 1):
        full = np.count_nonzero(counts) >= members
        spent = prices[counts > 0].sum(0)
        fits = (counts > 0) | ((not full) & (spent + prices <= limits).all(1) | (step == 1))
        scores = [
            sign * metric.value(target, (total + item) / step) if fits[number] else -np.inf
            for number, item in enumerate(predicted)
        ]
        scores = [-np.inf if score != score else score for score in scores]
        at = int(np.argmax(scores))
        total, counts = total + predicted[at], counts.copy()
        counts[at] += 1
        if scores[at] > best + 1e-12:
            best, kept = scores[at], counts.copy()
    if not kept.any():
        kept[0] = 1
    weights = kept / kept.sum()
    weights[weights < _LEAST] = 0.0
    return [float(weight) for weight in weights / weights.sum()]


def mixed(predicted: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return the weighted mean of answers."""
    return np.asarray(sum(weight * item for item, weight in zip(predicted, weights, strict=True) if weight))


def fitted_sharpness(predicted: Array, target: Array, seed: int) -> float | None:
    """Find the power that makes probabilities calibrated, or None where it does not help.

    It must lower the log loss on halves of the rows that it was not fitted on, in both, by a thousandth.

    Parameters
    ----------
    predicted : array, shape (n_rows, n_classes)
        Probabilities of rows that were not learnt from.
    """
    from scipy.optimize import minimize_scalar

    codes = target.astype(np.int64)

    def loss(rows: Array, power: float) -> float:
        shares = sharpened(predicted[rows], power)
        return float(-np.log(np.maximum(shares[np.arange(len(rows)), codes[rows]], 1e-15)).mean())

    def best(rows: Array) -> float:
        found = minimize_scalar(lambda log: loss(rows, float(np.exp(log))), bounds=(-1.5, 1.5), method="bounded")
        return float(np.exp(found.x))

    order = np.random.default_rng(seed).permutation(len(codes))
    halves = order[::2], order[1::2]
    if min(map(len, halves)) < 100:
        return None
    for fit, judge in (halves, halves[::-1]):
        if loss(judge, best(fit)) > loss(judge, 1.0) * 0.999:
            return None
    return round(best(order), 6)


def best_threshold(predicted: Array, target: Array, metric: Metric) -> float:
    """Return the probability above which yes is best answered, among 99 quantiles of what was said.

    Parameters
    ----------
    predicted : array, shape (n_rows, 2)
        Probabilities of rows that were not learnt from.
    target : array, shape (n_rows,)
        Class codes.
    metric : Metric
        One that looks at answers, such as F1.
    """
    candidates = np.unique(np.clip(np.quantile(predicted[:, 1], np.linspace(0.01, 0.99, 99)), 0.01, 0.99).round(4))
    scores = [metric.at(float(at)).value(target, predicted) * (1 if metric.higher else -1) for at in candidates]
    return float(candidates[int(np.argmax(scores))])
