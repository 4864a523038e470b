"""What the trials of a search gave, and which of them answer best together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.train.ensemble import MEMBERS, chosen_weights, mixed
from penstock.train.options import Search
from penstock.train.searched import Option, Trial
from penstock.types.metrics import Metric

Array = npt.NDArray[Any]
_WEIGHED_ROWS, _WEIGHED_TRIALS = 20_000, 30
_SPARED = 0.05
"""Share of the noise of the best score: trials that add less are not worth their size and time."""


def skewness(target: Array) -> float:
    """Return the third standardised moment; 0 where all are equal.

    Examples
    --------
    >>> skewness(np.array([0.0, 0.0, 3.0])) > 0.5 > skewness(np.array([1.0, 2.0, 3.0]))
    True
    """
    centred = target - target.mean()
    spread = float(target.std())
    return float((centred**3).mean() / spread**3) if spread else 0.0


class Tried:
    """Trials by their number.

    Parameters
    ----------
    metric : Metric
        What counts.
    how : Search
        With its limits of latency and size.
    rows : int
        Of the table: more were judged where it was divided several times.

    Attributes
    ----------
    trials : dict of int to Trial
        Those that came to their end.
    latency : dict of int to float
        Seconds in which each answers one row.
    predicted : dict of int to array
        Answers of each to the rows that judge, fold after fold.
    targets : list of array
        The truth of each fold.
    """

    def __init__(self, metric: Metric, how: Search, rows: int) -> None:
        self.metric, self.how, self.rows = metric, how, rows
        self.trials: dict[int, Trial] = {}
        self.latency: dict[int, float] = {}
        self.predicted: dict[int, Array] = {}
        self.targets: list[Array] = []

    @property
    def sign(self) -> float:
        """1 where more of the metric is better, else -1."""
        return 1.0 if self.metric.higher else -1.0

    def best(self, most: int) -> list[int]:
        """Return the numbers of the best trials, so many at most."""
        return sorted(self.trials, key=lambda number: -self.sign * self.trials[number].score)[:most]

    def logarithms_lose(self) -> bool:
        """Whether a learner was worse with logarithms of the target than without."""
        plain = {key: score for key, with_log, score in self._told() if not with_log}
        return any(with_log and score < plain.get(key, -math.inf) for key, with_log, score in self._told())

    def _told(self) -> Iterator[tuple[str, bool, float]]:
        """Yield of each trial what was tried but for logarithms, whether with them, and what it was worth."""
        for item in self.trials.values():
            own = sorted((name, value) for name, value in item.parameters.items() if name not in ("target", "rounds"))
            yield f"{item.learner} {own}", "target" in item.parameters, self.sign * item.score

    def noise(self) -> float:
        """Standard error of the best trial's score over the folds; too small where rows were divided several times."""
        if not self.trials:
            return 0.0
        folds = self.trials[self.best(1)[0]].folds
        return float(np.std(folds)) / math.sqrt(len(folds))

    def together(self, members: int | None = None) -> tuple[dict[int, float], float | None]:
        """Return the weights of the trials, and the score of all together."""
        best = self.best(_WEIGHED_TRIALS)
        best = sorted(number for number in best if self.allowed(number)) or best[:1]
        if not best:
            return {}, None
        truth = np.concatenate(self.targets)
        some = slice(None, None, -(-len(truth) // _WEIGHED_ROWS))
        costs = [(self.latency[number], self.trials[number].size) for number in best]
        weights = chosen_weights(
            [self.predicted[number][some] for number in best], truth[some], self.metric, members or MEMBERS, costs,
            (self.how.latency, self.how.size),
        )  # fmt: skip
        score = self.metric.value(truth, mixed([self.predicted[number] for number in best], weights))
        return dict(zip(best, weights, strict=True)), float(score)

    def allowed(self, number: int) -> bool:
        """Whether a trial keeps the limits by itself."""
        return self.latency[number] <= self.how.latency and self.trials[number].size <= self.how.size

    def frontier(self) -> list[tuple[Option, dict[int, float]]]:
        """Return what one, two, and more trials together are worth, with their weights."""
        found: list[tuple[Option, dict[int, float]]] = []
        for members in range(1, MEMBERS + 1):
            weights, score = self.together(members)
            taking = [number for number, weight in weights.items() if weight]
            if score is None or (found and len(taking) <= found[-1][0].members):
                continue
            size, latency = (
                sum(self.trials[number].size for number in taking),
                sum(self.latency[number] for number in taking),
            )
            found.append((Option(len(taking), round(score, 10), size), weights))
            cost = f"{1e6 * latency:.0f} us a row, {size / 1e3:.0f} kB"
            print(f"{len(taking)} together: {self.metric.name} {score:.5f}, {cost}", flush=True)  # noqa: T201
        return found

    def enough(self, frontier: list[tuple[Option, dict[int, float]]]) -> tuple[Option, dict[int, float]]:
        """Return the fewest trials that are as good as the best number of them, but for less than luck."""
        worth = [self.sign * option.score for option, _ in frontier]
        return next(
            item for item, value in zip(frontier, worth, strict=True) if value >= max(worth) - _SPARED * self.noise()
        )
