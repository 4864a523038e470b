"""Metrics on rows never seen, with intervals, against a baseline, by slice and by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.evaluate.dependence import Dependence
from penstock.evaluate.division import Shared, Shift
from penstock.evaluate.fairness import Fairness
from penstock.evaluate.importance import Importance
from penstock.evaluate.leaks import Leak
from penstock.evaluate.related import Related
from penstock.evaluate.resampling import Figures, resampled
from penstock.types.metrics import METRICS, Metric, metrics_for

Array = npt.NDArray[Any]
RESAMPLES = 500
_PASSED, _FEWEST_DRAWS = 2_000_000, 50
"""A metric that passes over all rows for each class gets fewer draws where rows times classes are more, and so many at least."""
_SLICE_ROWS, _OF_A_CLASS = 30, 5
"""Rows of a group, and of each class where a metric compares those of one with those of the other: of one row drawn anew it does not scatter."""


@dataclass(frozen=True)
class Interval:
    """A metric's value with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        Percentile bootstrap over rows, :data:`RESAMPLES` draws or fewer of a metric by class; see :func:`~penstock.evaluate.resampling.resampled`.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Slice:
    """A metric on the rows of one group."""

    column: str
    value: str
    rows: int
    metric: Interval


@dataclass(frozen=True)
class Decision:
    """What the answers cost a test row, on average; and what saying yes, or no, to all would."""

    threshold: float
    cost: float
    always: float
    never: float


@dataclass(frozen=True)
class Coverage:
    """What share of truths the intervals of a level held on the test rows, and how wide they were in the middle.

    Attributes
    ----------
    thirds : list of float
        The share held of the third of rows with the lowest answers, of the middle one, and of that with the highest.
    """

    level: str
    held: float
    width: float
    thirds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Early:
    """Features that look at truths which by the split's own gap are not known yet.

    Attributes
    ----------
    columns : list of str
        Their names.
    gap : str
        How long after its row a truth is known.
    """

    columns: list[str]
    gap: str


@dataclass(frozen=True)
class Evaluation:
    """How a model did on the test rows.

    Attributes
    ----------
    metric : str
        The one that decides.
    metrics : dict of str to Interval
        All of the task's.
    baseline : dict of str to float
        The baseline's, on the same rows.
    baseline_name : str
        What the baseline was.
    slices : list of Slice
        The decisive metric by group, worst first.
    importance : list of Importance
        Most important first.
    leaks : list of Leak
        Columns that predict the target too well by themselves.
    parts : list of str
        Columns that together give the target exactly.
    decision : Decision or None
        Of a binary target, what its answers cost where mistakes have costs.
    below : dict of str to float
        By quantile, the share of truths that lay below it.
    coverage : list of Coverage
        Of a number, what its intervals held.
    shared : Shared or None
        Test rows that are training rows too; None where there are none.
    related : Related or None
        Test rows that belong together with training rows; None where none are known to.
    early : Early or None
        Features that look at truths sooner than they are known; None where none does.
    shift : Shift or None
        How unlike training and test rows are.
    fairness : list of Fairness
        How alike the groups are treated that the gate names.
    dependence : list of Dependence
        What the answer does as one of the most important columns moves.
    """

    metric: str
    metrics: dict[str, Interval]
    baseline: dict[str, float]
    baseline_name: str
    rows: int
    slices: list[Slice] = field(default_factory=list)
    importance: list[Importance] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    decision: Decision | None = None
    coverage: list[Coverage] = field(default_factory=list)
    below: dict[str, float] = field(default_factory=dict)
    shared: Shared | None = None
    related: Related | None = None
    early: Early | None = None
    shift: Shift | None = None
    fairness: list[Fairness] = field(default_factory=list)
    dependence: list[Dependence] = field(default_factory=list)


def intervals(
    task: str, target: Array, predicted: Array, seed: int, names: Sequence[str] | None = None, threshold: float = 0.5
) -> dict[str, Interval]:
    """Return every metric of a task with its interval.

    Parameters
    ----------
    target : array, shape (n_rows,)
        Class codes or numbers.
    predicted : array
        Probabilities of shape (n_rows, n_classes), or numbers.
    """
    metrics = [
        metric.at(threshold)
        for metric in metrics_for(task)  # type: ignore[arg-type]
        if names is None or metric.name in names
    ]

    few = max(_FEWEST_DRAWS, min(RESAMPLES, RESAMPLES * _PASSED // max(predicted.size, 1)))
    found: dict[str, Interval] = {}
    for count in sorted({RESAMPLES, few}, reverse=True):
        some = [metric for metric in metrics if count == (few if metric.by_class else RESAMPLES)]
        if some:
            found |= _intervals(some, target, predicted, task, count, seed)
    return {metric.name: found[metric.name] for metric in metrics}


def _intervals(
    metrics: Sequence[Metric], target: Array, predicted: Array, task: str, count: int, seed: int
) -> dict[str, Interval]:
    def bind(rows: Array | slice) -> Figures:
        bound = [metric.bind(target[rows], predicted[rows]) for metric in metrics]
        return lambda weights: np.array([value(weights) for value in bound])

    whole, draws = resampled(bind, target, task, count, seed)
    found = {}
    for metric, value, drawn in zip(metrics, whole, draws.T, strict=True):
        known = drawn[~np.isnan(drawn)]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (float("nan"), float("nan"))
        found[metric.name] = Interval(float(value), float(low), float(high))
    return found


def baseline_predictions(
    kind: str, task: str, learnt: Array, judged: Array, n_classes: int, times: tuple[Array, Array] | None = None
) -> Array:
    """Predict without looking at any column: class frequencies, the mean, or the last value that was known.

    Parameters
    ----------
    kind : {"prior", "last value"}
        What to predict.
    learnt, judged : array
        Targets of the training rows, and of the test rows.
    times : tuple of array, optional
        Of the same rows. Known is what came strictly before a row: not what happens at the same time elsewhere. Without
        them, the rows are in order of time.
    """
    if kind == "last value":
        if times is not None:  # what came before the last one before all that are judged is never the last value
            earlier = times[0][times[0] < times[1].min()]
            late = times[0] >= earlier.max(initial=-np.inf)
            learnt, times = learnt[late], (times[0][late], times[1])
        when = np.arange(len(learnt) + len(judged)) if times is None else np.concatenate(times)
        order = np.argsort(when, kind="stable")
        before = order[np.maximum(np.searchsorted(when, when[len(learnt) :], sorter=order) - 1, 0)]
        before = np.concatenate([learnt, judged])[before]
        return before if task == "regression" else np.asarray(np.eye(n_classes)[before.astype(np.int64)])
    if task == "regression":
        return np.full(len(judged), float(learnt.mean()))
    shares = np.bincount(learnt.astype(np.int64), minlength=n_classes) / len(learnt)
    return np.tile(shares, (len(judged), 1))


def point_metrics(task: str, target: Array, predicted: Array, threshold: float = 0.5) -> dict[str, float]:
    """Return every metric of a task, without intervals."""
    return {metric.name: metric.at(threshold).value(target, predicted) for metric in metrics_for(task)}  # type: ignore[arg-type]


def decision_of(costs: tuple[float, float], threshold: float, target: Array, said: Array) -> Decision:
    """Return what the answers cost.

    Parameters
    ----------
    costs : tuple of float
        Of a yes that was missed, and of a false alarm.
    target, said : array of bool, shape (n_rows,)
        Whether each row is yes, and whether the model says so.

    Examples
    --------
    >>> yes = np.array([True, True, False, False])
    >>> decision_of((5.0, 1.0), 1 / 6, yes, np.array([True, False, True, False])).cost
    1.5
    """
    missed, alarm = costs
    n = len(target)
    cost = (missed * float((target & ~said).sum()) + alarm * float((~target & said).sum())) / n
    return Decision(threshold, cost, alarm * float((~target).mean()), missed * float(target.mean()))


def slices_of(
    table: pl.DataFrame,
    columns: Sequence[str],
    metric: str,
    task: str,
    target: Array,
    predicted: Array,
    seed: int,
    threshold: float = 0.5,
) -> list[Slice]:
    """Return the metric for the groups of each column, worst first; numbers are cut into four equal groups, and groups of few rows are left out."""
    found = []
    for name, value, rows in groups_of(table, columns):
        count = int(rows.sum())
        if count < _SLICE_ROWS or not telling(metric, target[rows]):
            continue
        one = intervals(task, target[rows], predicted[rows], seed, [metric], threshold)[metric]
        if one.value == one.value:
            found.append(Slice(name, value, count, one))
    sign = 1 if METRICS[metric].higher else -1
    return sorted(found, key=lambda item: (sign * item.metric.value, item.column, item.value))


def telling(metric: str, target: Array) -> bool:
    """Whether there are rows enough of both classes for a metric that compares one with the other.

    Examples
    --------
    >>> telling("roc_auc", np.array([0, 0, 0, 0, 0, 1])), telling("log_loss", np.array([0, 0, 0, 0, 0, 1]))
    (False, True)
    """
    return not METRICS[metric].ranks or int(np.bincount(target.astype(np.int64), minlength=2).min()) >= _OF_A_CLASS


def groups_of(table: pl.DataFrame, columns: Sequence[str]) -> list[tuple[str, str, Array]]:
    """Return column, name and rows of every group; numbers are cut into four equal groups.

    Examples
    --------
    >>> groups_of(pl.DataFrame({"city": ["Rome", "Oslo", None]}), ["city"])[0]
    ('city', 'Oslo', array([False,  True, False]))
    """
    return [
        (name, str(value), (groups == value).fill_null(value=False).to_numpy())
        for name in columns
        for groups in [_groups(table[name])]
        for value in groups.drop_nulls().unique().sort().to_list()
    ]


def _groups(values: pl.Series) -> pl.Series:
    if not values.dtype.is_numeric() or values.n_unique() <= 6:
        return values.cast(pl.String)
    cuts = sorted({float(cut) for share in (0.25, 0.5, 0.75) if (cut := values.quantile(share)) is not None})
    plain = values.cast(pl.Float64).to_numpy()
    names = [f"{cut:.4g}" for cut in cuts]
    texts = [f"1: up to {names[0]}"]
    texts += [f"{i + 2}: {names[i]} to {names[i + 1]}" for i in range(len(names) - 1)] + [
        f"{len(names) + 1}: over {names[-1]}"
    ]
    which = np.searchsorted(cuts, plain, side="left")
    return pl.Series(
        values.name,
        [None if value != value else texts[at] for value, at in zip(plain, which, strict=True)],
        pl.String,
    )


def sliceable(table: pl.DataFrame, columns: Sequence[str], most: int = 6) -> list[str]:
    """Choose columns whose groups people would ask about: few values, most of them common."""
    found = []
    for name in columns:
        values = table[name]
        if (values.dtype in (pl.String, pl.Boolean)) and 2 <= values.drop_nulls().n_unique() <= 12:
            found.append(name)
    return found[:most]
