"""What labels say of answers: the deciding metric then and now, group by group, and whether probabilities still hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.deploy.registry import ModelVersion
from penstock.evaluate.measure import intervals, telling
from penstock.model import Model
from penstock.observed import LEAST_LABELS, Known
from penstock.types.metrics import METRICS
from penstock.types.writing import figure

Array = npt.NDArray[Any]
_HALF = 1.96
"""Half the width of a 95 % interval, in standard errors."""
_BLOCKS = 4
"""In fewer blocks of test rows nothing is usual."""


@dataclass(frozen=True)
class Performance:
    """The deciding metric on rows whose truth is known by now.

    Attributes
    ----------
    metric : str
        Its name.
    value, low, high : float
        With a 95 % interval.
    reference : float
        On the test rows of training.
    reference_low, reference_high : float
        Its interval there.
    decayed : bool
        Whether both intervals lie apart, on the worse side, and it is worse than usual.
    labels : int
        Rows whose truth is known.
    usual : float or None
        The second worst that as many test rows in a row had; None where nothing tells their order, or they are too few.
    """

    metric: str
    value: float
    low: float
    high: float
    reference: float
    reference_low: float
    reference_high: float
    decayed: bool
    labels: int
    usual: float | None = None


@dataclass(frozen=True)
class Group:
    """The deciding metric on the rows of one group, such as one city.

    Attributes
    ----------
    column, group : str
        Which rows.
    metric : str
        Its name.
    labels : int
        Those whose truth is known.
    value, reference : float
        Of the metric, now and on the test rows of training.
    p_value : float
        The chance of as large a difference on the worse side, if nothing had changed: of the difference in its standard
        errors, which are taken from both intervals.
    worse : bool
        Whether that is below the significance divided by the number of groups (Bonferroni).
    """

    column: str
    group: str
    metric: str
    labels: int
    value: float
    reference: float
    p_value: float
    worse: bool


@dataclass(frozen=True)
class Calibration:
    """Whether a class comes as often as the probabilities say.

    Attributes
    ----------
    label : str
        The class for which that holds least.
    said, seen : float
        Its mean probability, and the share of rows that had it.
    then : float
        By how much more it was seen than said on the test rows of training.
    p_value : float
        The chance of as large a change of that gap, if nothing had changed (Welch's test).
    off : bool
        Whether that is below the significance divided by the number of classes, and the gap is wider by half the effect,
        and than usual.
    """

    label: str
    said: float
    seen: float
    then: float
    p_value: float
    off: bool


def performance_of(
    model: Model, version: ModelVersion, known: Known, outcomes: Mapping[str, Any] | None = None
) -> Performance | None:
    """Return the deciding metric, then and now; None where it is not defined, as ROC AUC is of one class alone.

    Where errors come together, as on days of storm, the interval of all test rows is too narrow for those of a day: what
    blocks of as many test rows in a row came to is no decay either.

    Parameters
    ----------
    outcomes : mapping, optional
        Of the run's evaluation: ``target`` and ``predicted`` of the test rows, and their ``order`` where that is known.
    """
    metric = str(version.evaluation["metric"])
    now = intervals(model.task, known.target, known.predicted, 0, [metric], model.labels.threshold)[metric]
    before = version.evaluation["metrics"][metric]
    if now.value != now.value:
        return None
    score, higher = METRICS[metric].at(model.labels.threshold).value, METRICS[metric].higher
    target, predicted = (np.empty(0), np.empty(0)) if outcomes is None else _judged(outcomes)
    values = [score(target[rows], predicted[rows]) for rows in _blocks(outcomes, len(known.target))]
    usual = _second([value for value in values if value == value], highest=not higher)
    decayed = now.high < before["low"] if higher else now.low > before["high"]
    if usual is not None:
        decayed = decayed and (now.value < usual if higher else now.value > usual)
    return Performance(
        metric, now.value, now.low, now.high, before["value"], before["low"], before["high"], bool(decayed), len(known.target),
        usual,
    )  # fmt: skip


def performance_in_words(seen: Performance) -> str:
    """Say what the metric is, and what it was.

    Examples
    --------
    >>> performance_in_words(Performance("rmse", 3.2, 3.0, 3.4, 2.5, 2.4, 2.6, False, 300, 3.3))
    'rmse 3.2 (3 to 3.4) on 300 rows with labels; at training 2.5 (2.4 to 2.6), where as many rows in a row twice had 3.3 or worse'
    """
    usual = "" if seen.usual is None else f", where as many rows in a row twice had {figure(seen.usual)} or worse"
    return (
        f"{seen.metric} {figure(seen.value)} ({figure(seen.low)} to {figure(seen.high)}) on {seen.labels:,} rows with labels; "
        f"at training {figure(seen.reference)} ({figure(seen.reference_low)} to {figure(seen.reference_high)}){usual}"
    )


def _judged(outcomes: Mapping[str, Any]) -> tuple[Array, Array]:
    return np.asarray(outcomes["target"]), np.asarray(outcomes["predicted"])


def _blocks(outcomes: Mapping[str, Any] | None, size: int) -> list[Array]:
    """Return the places of test rows in order of time, so many at once; none where that gives few blocks."""
    order = np.asarray([] if outcomes is None else outcomes.get("order", []), dtype=np.int64)
    count = len(order) // size
    return [] if count < _BLOCKS else list(order[len(order) - count * size :].reshape(count, size))


def _second(values: Sequence[float], *, highest: bool) -> float | None:
    """Return the second highest or lowest: what came but once is not usual."""
    return sorted(values, reverse=highest)[1] if len(values) >= _BLOCKS else None


def groups_of(
    model: Model,
    table: pl.DataFrame,
    known: Known,
    metric: str,
    judged: Sequence[Mapping[str, Any]],
    significance: float,
) -> list[Group]:
    """Return how the groups fare that the report of the training names, those that are worse first.

    Parameters
    ----------
    table : DataFrame
        Prepared rows that were looked at.
    judged : sequence of mapping
        The slices of the run's evaluation; those of numbers, cut into ranges, are left out.
    significance : float
        Chance of a false alarm, all groups together.
    """
    from scipy.stats import norm

    found: list[Group] = []
    some = table[known.rows.tolist()]
    sign = 1.0 if METRICS[metric].higher else -1.0
    for item in judged:
        name, group, then = str(item["column"]), str(item["value"]), item["metric"]
        if name not in some.columns or some[name].dtype not in (pl.String, pl.Boolean):
            continue
        rows = (some[name].cast(pl.String) == group).fill_null(value=False).to_numpy()
        if rows.sum() < LEAST_LABELS or not telling(metric, known.target[rows]):
            continue
        now = intervals(model.task, known.target[rows], known.predicted[rows], 0, [metric], model.labels.threshold)[
            metric
        ]
        if now.value != now.value or None in (then["low"], then["high"]):
            continue
        errors = np.hypot(now.high - now.low, then["high"] - then["low"]) / (2 * _HALF)
        lost = sign * (then["value"] - now.value)
        chance = float(norm.sf(lost / errors)) if errors else float(lost <= 0)
        found.append(Group(name, group, metric, int(rows.sum()), now.value, float(then["value"]), chance, worse=False))
    least = significance / max(len(found), 1)
    told = [Group(**{**vars(item), "worse": item.p_value < least}) for item in found]
    return sorted(told, key=lambda item: item.p_value)


def calibration_of(
    model: Model, known: Known, outcomes: Mapping[str, Any], significance: float, effect: float
) -> Calibration | None:
    """Compare what the probabilities said with what came, against the same on the test rows of training.

    Parameters
    ----------
    outcomes : mapping
        As for :func:`performance_of`.
    significance, effect : float
        Of :func:`penstock.monitor.drift`.
    """
    from scipy.stats import norm

    if known.predicted.ndim != 2:
        return None
    names, worst = model.labels.names, None
    target, predicted = _judged(outcomes)
    blocks = _blocks(outcomes, len(known.target))
    for code, label in enumerate(names):
        now = (known.target == code) - known.predicted[:, code]
        then = (target == code) - predicted[:, code]
        error = float(np.sqrt(now.var() / len(now) + then.var() / len(then)))
        moved = abs(float(now.mean() - then.mean()))
        chance = float(2 * norm.sf(moved / error)) if error else float(moved == 0)
        if worst is None or chance < worst.p_value:
            # A gap that has closed since training is a change too, and no harm.
            wider = abs(float(now.mean())) - abs(float(then.mean()))
            usual = _second([abs(float(then[rows].mean())) for rows in blocks], highest=True)
            off = chance < significance / len(names) and wider >= effect / 2 and abs(float(now.mean())) > (usual or 0.0)
            said, seen = float(known.predicted[:, code].mean()), float((known.target == code).mean())
            worst = Calibration(label, said, seen, float(then.mean()), chance, off)
    return worst


def group_in_words(group: Group) -> str:
    """Say what was seen of a group.

    Examples
    --------
    >>> group_in_words(Group("city", "Rome", "roc_auc", 80, 0.61, 0.83, 1e-6, True))
    'city Rome: roc_auc 0.61 on 80 rows with labels, at training 0.83'
    """
    return (
        f"{group.column} {group.group}: {group.metric} {figure(group.value)} on {group.labels:,} rows with labels, "
        f"at training {figure(group.reference)}"
    )


def calibration_in_words(item: Calibration) -> str:
    """Say what was seen of the probabilities.

    Examples
    --------
    >>> calibration_in_words(Calibration("Yes", 0.26, 0.41, 0.004, 1e-9, True))
    'probabilities say Yes for 26.0 % of the rows, it came in 41.0 %'
    """
    return f"probabilities say {item.label} for {100 * item.said:.1f} % of the rows, it came in {100 * item.seen:.1f} %"
