"""Two models on the same rows: by how much one is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.evaluate.resampling import Figures, resampled
from penstock.types.metrics import METRICS

Array = npt.NDArray[Any]
RESAMPLES = 1000
_LEAST_ROWS = 30


@dataclass(frozen=True)
class Gain:
    """By how much one model is better than another on some rows, in the units of a metric.

    Attributes
    ----------
    value : float
        More than 0 where the first is better, whichever way the metric points.
    low, high : float
        95 % interval of the paired bootstrap.
    draws : array, shape (n_resamples,)
        The gain in each resample.
    """

    value: float
    low: float
    high: float
    draws: Array

    def sure(self, confidence: float) -> float:
        """Return what the gain reaches at least, in that share of the resamples."""
        return float(np.quantile(self.draws, 1.0 - confidence))


def paired_gain(
    metric: str, target: Array, one: Array, other: Array, seed: int, thresholds: tuple[float, float] = (0.5, 0.5)
) -> Gain:
    """Draw the same rows for both models, again and again (paired bootstrap; Efron and Tibshirani 1993, chapter 16).

    Parameters
    ----------
    target : array, shape (n_rows,)
        Class codes or numbers.
    one, other : array
        Probabilities of shape (n_rows, n_classes), or numbers.
    thresholds : tuple of float
        Above which each of the two says yes.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> gain = paired_gain("rmse", y, y + 0.1, y - 0.5, seed=0)
    >>> round(gain.value, 6), gain.low > 0
    (0.4, True)
    """
    measure = METRICS[metric]

    def bind(rows: Array | slice) -> Figures:
        first = measure.at(thresholds[0]).bind(target[rows], one[rows])
        second = measure.at(thresholds[1]).bind(target[rows], other[rows])
        return lambda weights: np.array([measure.gain(first(weights), second(weights))])

    whole, draws = resampled(bind, target, "regression" if one.ndim == 1 else "classes", RESAMPLES, seed)
    known = draws[~np.isnan(draws)]
    if not len(known):
        known = np.array([float("nan")])
    low, high = np.percentile(known, [2.5, 97.5])
    return Gain(float(whole[0]), float(low), float(high), known)


def slice_gains(
    metric: str,
    target: Array,
    one: Array,
    other: Array,
    groups: Sequence[tuple[str, str, Array]],
    seed: int,
    thresholds: tuple[float, float] = (0.5, 0.5),
) -> list[tuple[str, str, Gain]]:
    """Return the gain within each group, the worst first; groups of fewer than 30 rows say nothing and are left out.

    Parameters
    ----------
    groups : sequence of (str, str, array)
        A column, the group's name, and which rows are in it.
    """
    found = []
    for column, value, rows in groups:
        if int(rows.sum()) < _LEAST_ROWS:
            continue
        gain = paired_gain(metric, target[rows], one[rows], other[rows], seed, thresholds)
        if gain.value == gain.value:
            found.append((column, value, gain))
    return sorted(found, key=lambda item: item[2].value)
