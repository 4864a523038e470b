"""Would more rows help? The metric on the same test rows, learnt from an eighth, a quarter, a half and all of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.evaluate.measure import Interval, intervals
from penstock.evaluate.paired import paired_gain
from penstock.types.writing import figure

Array = npt.NDArray[Any]
_SHARES = (8, 4, 2, 1)
_LEAST_ROWS = 50


@dataclass(frozen=True)
class Point:
    """The metric of a learner that saw so many rows."""

    rows: int
    metric: Interval


@dataclass(frozen=True)
class Curve:
    """How a learner gets better with rows.

    Attributes
    ----------
    learner : str
        Which: that of the largest weight.
    points : list of Point
        From few rows to all.
    gain : Interval or None
        What the last doubling gave, on the same test rows; None with fewer than two points.
    """

    learner: str
    points: list[Point] = field(default_factory=list)
    gain: Interval | None = None

    def words(self, metric: str) -> str:
        """Say whether more rows would help."""
        if self.gain is None:
            return "There are too few rows to tell whether more would help."
        gained = f"The last doubling of the rows gained {figure(self.gain.value)} of {metric} (95 % interval {figure(self.gain.low)} to {figure(self.gain.high)})"  # fmt: skip
        if self.gain.low > 0:
            return f"{gained}: more rows would likely help."
        return f"{gained}: more rows alone are unlikely to help much; better columns may."


def learning_curve(
    learner: str,
    fit: Callable[[Array], Array | None],
    n_rows: int,
    task: str,
    metric: str,
    target: Array,
    seed: int,
    ordered: bool = False,
    threshold: float = 0.5,
) -> Curve:
    """Fit on growing parts of the training rows and judge each on the same test rows.

    Parameters
    ----------
    fit : callable
        From positions of training rows to the answers to the test rows; None where these rows cannot be learnt from.
    n_rows : int
        Training rows.
    target : array, shape (n_test_rows,)
        The truth of the test rows.
    ordered : bool
        Whether rows are in time order: the parts are then the latest rows, else rows by chance.
    """
    order = np.arange(n_rows)[::-1] if ordered else np.random.default_rng(seed).permutation(n_rows)
    points, answers = [], []
    for share in _SHARES:
        rows = np.sort(order[: n_rows // share])
        if len(rows) < _LEAST_ROWS:
            continue
        found = fit(rows)
        if found is None:
            continue
        answers.append(found)
        points.append(Point(len(rows), intervals(task, target, answers[-1], seed, [metric], threshold)[metric]))
    if len(points) < 2:
        return Curve(learner, points)
    gain = paired_gain(metric, target, answers[-1], answers[-2], seed, (threshold, threshold))
    return Curve(learner, points, Interval(gain.value, gain.low, gain.high))


def drawn(points: Sequence[Point]) -> list[tuple[str, float, float, float]]:
    """Return the points as a plot of ranges takes them."""
    return [(f"{item.rows:,} rows", item.metric.value, item.metric.low, item.metric.high) for item in points]
