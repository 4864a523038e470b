"""The field's metrics, each as a function of row weights, so that a bootstrap resample is only a new weighting.

Definitions are those of scikit-learn's metrics with ``sample_weight`` (the tests hold them to that); what
depends on the rows alone, such as the order of the scores, is worked out once for all resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import InputError
from penstock.types.target import Task

Array = npt.NDArray[Any]
Weighted = Callable[[Array], float]
"""From weights of shape (n_rows,) to the metric's value; NaN where it is not defined."""

_SMALL = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : str
        As in options and reports.
    tasks : tuple of str
        Where it applies.
    higher : bool
        Whether more is better.
    bind : callable
        From targets and predictions to a function of weights. Targets are class codes, or numbers; predictions
        are probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,).
    """

    name: str
    tasks: tuple[Task, ...]
    higher: bool
    bind: Callable[[Array, Array], Weighted]
    decides: bool = False
    """Whether it looks at the class that is answered, not at the probability."""
    by_class: bool = False
    """Whether it passes over all rows for each class."""
    ranks: bool = False
    """Whether it compares rows of one class with those of the other."""
    problems: list[str] = field(default_factory=list)
    """What a metric that is a function raised last; filled as it is asked."""

    def at(self, threshold: float) -> Metric:
        """Return the metric for answers of yes above a threshold."""
        if not self.decides or threshold == 0.5:
            return self
        return replace(self, bind=lambda target, predicted: self.bind(target, moved(predicted, threshold)))

    def value(self, target: Array, predicted: Array) -> float:
        """Return the metric with equal weights."""
        return self.bind(target, predicted)(np.ones(len(target)))

    def gain(self, one: float, other: float) -> float:
        """Return by how much `one` is better than `other`."""
        return one - other if self.higher else other - one


def moved(predicted: Array, threshold: float) -> Array:
    """Move probabilities, shape (n_rows, 2), so that the threshold comes to lie at one half; their order stays.

    Examples
    --------
    >>> moved(np.array([[0.8, 0.2], [0.7, 0.3]]), 0.2).argmax(1)
    array([0, 1])
    """
    if predicted.ndim == 1 or predicted.shape[1] != 2:
        return predicted
    yes, no = predicted[:, 1] * (1 - threshold), predicted[:, 0] * threshold
    above = predicted[:, 1] > threshold  # said by comparison: rounding must not change an answer
    share = np.divide(yes, yes + no, out=np.full(len(yes), 0.5), where=yes + no > 0)
    share = np.where(above, np.maximum(share, np.nextafter(0.5, 1)), np.minimum(share, 0.5))
    return np.column_stack([1 - share, share])


def _dot(one: Array, other: Array) -> float:
    """Sum the products without BLAS, whose threads wait for each other where steps run side by side (4 times as slow)."""
    return float(np.einsum("i,i", one, other))


def _mean(losses: Array) -> Weighted:
    return lambda weights: _dot(weights, losses) / float(weights.sum())


def _roc_auc(target: Array, predicted: Array) -> Weighted:
    """Area under the ROC curve by ranks, ties counted half (Hanley and McNeil 1982)."""
    return _auc(target == 1, predicted[:, 1])


def _auc(yes: Array, score: Array) -> Weighted:
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    begins = np.r_[True, np.diff(ranked) > 0]
    bounds = np.r_[np.flatnonzero(begins), len(ranked)]
    places = np.flatnonzero(yes[order])
    ties = (np.cumsum(begins) - 1)[places]
    rows, low, high = order[places], bounds[ties], bounds[ties + 1]
    first, last = np.searchsorted(places, low), np.searchsorted(places, high)

    def value(weights: Array) -> float:
        # One pass over all rows, the rest over those that are yes: of many classes each has few.
        every, own = np.r_[0.0, np.cumsum(weights[order])], weights[rows]
        mine = np.r_[0.0, np.cumsum(own)]
        total = mine[-1] * (every[-1] - mine[-1])
        if total == 0:
            return float("nan")
        below = every[low] - mine[first]
        tied = every[high] - mine[last] - below
        return _dot(own, below + tied / 2) / float(total)

    return value


def _average_precision(target: Array, predicted: Array) -> Weighted:
    score = predicted[:, 1]
    order = np.argsort(-score, kind="stable")
    yes = (target[order] == 1).astype(np.float64)
    ends = np.flatnonzero(np.r_[np.diff(-score[order]) > 0, True])

    def value(weights: Array) -> float:
        sorted_weights = weights[order]
        hits, seen = np.cumsum(sorted_weights * yes)[ends], np.cumsum(sorted_weights)[ends]
        if hits[-1] == 0:
            return float("nan")
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        return float((np.diff(np.r_[0.0, hits]) * precision).sum() / hits[-1])

    return value


def _log_loss(target: Array, predicted: Array) -> Weighted:
    chosen = predicted[np.arange(len(target)), target.astype(np.int64)]
    return _mean(-np.log(np.clip(chosen, _SMALL, 1.0)))


def _brier(target: Array, predicted: Array) -> Weighted:
    return _mean((predicted[:, 1] - (target == 1)) ** 2)


def _calibration_error(target: Array, predicted: Array) -> Weighted:
    """Mean distance of what was said from what happened, over ten groups of equal size by what was said.

    The expected calibration error (Naeini, Cooper and Hauskrecht 2015): of the second of two classes, or of the likeliest.
    """
    two = predicted.shape[1] == 2
    said = predicted[:, 1] if two else predicted.max(1)
    came = ((target == 1) if two else (predicted.argmax(1) == target)).astype(np.float64)
    order = np.argsort(said, kind="stable")
    starts = np.unique(np.linspace(0, len(said), 11).astype(np.int64)[:-1])
    apart = (said - came)[order]

    def value(weights: Array) -> float:
        return float(np.abs(np.add.reduceat(weights[order] * apart, starts)).sum() / weights.sum())

    return value


def _accuracy(target: Array, predicted: Array) -> Weighted:
    return _mean((predicted.argmax(1) == target).astype(np.float64))


def _counts(target: Array, predicted: Array, code: int) -> Callable[[Array], tuple[float, float, float]]:
    said, is_ = predicted.argmax(1) == code, target == code
    both = (said & is_).astype(np.float64)
    said_, is__ = said.astype(np.float64), is_.astype(np.float64)
    return lambda weights: (_dot(weights, both), _dot(weights, said_), _dot(weights, is__))


def _precision(target: Array, predicted: Array) -> Weighted:
    counts = _counts(target, predicted, 1)

    def value(weights: Array) -> float:
        both, said, _ = counts(weights)
        return both / said if said else 0.0

    return value


def _recall(target: Array, predicted: Array) -> Weighted:
    counts = _counts(target, predicted, 1)

    def value(weights: Array) -> float:
        both, _, is_ = counts(weights)
        return both / is_ if is_ else 0.0

    return value


def _f1_of(target: Array, predicted: Array, code: int) -> Weighted:
    counts = _counts(target, predicted, code)

    def value(weights: Array) -> float:
        both, said, is_ = counts(weights)
        return 2 * both / (said + is_) if said + is_ else 0.0

    return value


def _f1(target: Array, predicted: Array) -> Weighted:
    return _f1_of(target, predicted, 1)


def _f1_macro(target: Array, predicted: Array) -> Weighted:
    said, is_ = predicted.argmax(1), target.astype(np.int64)
    count = max(predicted.shape[1], int(is_.max(initial=0)) + 1)
    present = np.union1d(is_, said)
    hits = said == is_

    def value(weights: Array) -> float:
        both = np.bincount(is_[hits], weights[hits], count)[present]
        either = (np.bincount(said, weights, count) + np.bincount(is_, weights, count))[present]
        return float(np.divide(2 * both, either, out=np.zeros(len(present)), where=either > 0).mean())

    return value


def _roc_auc_ovr(target: Array, predicted: Array) -> Weighted:
    parts = [_auc(target == code, predicted[:, code]) for code in range(predicted.shape[1])]

    def value(weights: Array) -> float:
        found = [part(weights) for part in parts]
        known = [item for item in found if item == item]
        return float(np.mean(known)) if known else float("nan")

    return value


def _rmse(target: Array, predicted: Array) -> Weighted:
    inner = _mean((target - predicted) ** 2)
    return lambda weights: float(np.sqrt(inner(weights)))


def _mae(target: Array, predicted: Array) -> Weighted:
    return _mean(np.abs(target - predicted))


def _r2(target: Array, predicted: Array) -> Weighted:
    errors = (target - predicted) ** 2

    def value(weights: Array) -> float:
        mean = _dot(weights, target) / weights.sum()
        spread = _dot(weights, (target - mean) ** 2)
        return 1.0 - _dot(weights, errors) / spread if spread > 0 else float("nan")

    return value


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", ("binary",), True, _roc_auc, ranks=True),
        Metric("average_precision", ("binary",), True, _average_precision, ranks=True),
        Metric("log_loss", ("binary", "multiclass"), False, _log_loss),
        Metric("brier", ("binary",), False, _brier),
        Metric("calibration_error", ("binary", "multiclass"), False, _calibration_error),
        Metric("accuracy", ("binary", "multiclass"), True, _accuracy, True),
        Metric("f1", ("binary",), True, _f1, True),
        Metric("precision", ("binary",), True, _precision, True),
        Metric("recall", ("binary",), True, _recall, True),
        Metric("f1_macro", ("multiclass",), True, _f1_macro, True),
        Metric("roc_auc_ovr", ("multiclass",), True, _roc_auc_ovr, by_class=True),
        Metric("rmse", ("regression",), False, _rmse),
        Metric("mae", ("regression",), False, _mae),
        Metric("r2", ("regression",), True, _r2),
    )
}

PRIMARY: dict[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
"""The metric that decides when the author names none."""


def metric_of(function: Callable[[Array, Array], float], task: Task, higher: bool) -> Metric:
    """Make a metric of a function; where it raises, the metric is not defined, and :attr:`Metric.problems` says why.

    Examples
    --------
    >>> def bias(target, predicted):
    ...     return abs(predicted.mean() - target.mean())
    >>> metric_of(bias, "regression", False).value(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    0.5
    """
    problems: list[str] = []

    def bind(target: Array, predicted: Array) -> Weighted:
        def value(weights: Array) -> float:
            rows = np.repeat(np.arange(len(target)), weights.astype(np.int64))
            try:
                return float(function(target[rows], predicted[rows]))
            except Exception as problem:
                problems[:] = [f"{type(problem).__name__}: {problem}"]
                return float("nan")

        return value

    name = getattr(function, "__name__", type(function).__name__)
    return Metric(name, (task,), higher, bind, problems=problems)


def metrics_for(task: Task) -> list[Metric]:
    """Return the metrics of a task.

    Examples
    --------
    >>> [metric.name for metric in metrics_for("regression")]
    ['rmse', 'mae', 'r2']
    """
    return [metric for metric in METRICS.values() if task in metric.tasks]


def metric_named(name: str, task: Task, who: str) -> Metric:
    """Return a metric by name.

    Raises
    ------
    InputError
        When it is not one, or not of this task, with those that are.
    """
    metric = METRICS.get(name)
    if metric is None or task not in metric.tasks:
        known = ", ".join(item.name for item in metrics_for(task))
        raise InputError(f"{who}: {name!r} is not a metric of a {task} target; those are {known}")
    return metric
