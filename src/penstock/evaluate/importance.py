"""Which columns the answers rest on: each is shuffled, of many only those that a quick look finds worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.types.metrics import METRICS

Array = npt.NDArray[Any]
Block = tuple[str, slice]
_TIMES, _MOST_ROWS, _LEAST_ROWS, _ALL_ROWS, _FEW_CLASSES = 5, 1000, 200, 60_000, 20
"""How often each column is shuffled, and on how many rows: fewer of many columns or classes, because each row is predicted each time."""
_MANY, _KEPT, _SCREENED_ROWS, _GROUPS = 100, 30, 100, 40
"""Of more than a hundred columns thirty are kept."""
_RAREST = 20


@dataclass(frozen=True)
class Importance:
    """By how much a metric worsens when a column is shuffled (Breiman 2001): mean and deviation."""

    column: str
    mean: float
    deviation: float


def importances(
    predict: Callable[[Array], Array],
    matrix: Array,
    blocks: Sequence[Block],
    metric: str,
    target: Array,
    seed: int,
    threshold: float = 0.5,
) -> list[Importance]:
    """Shuffle one column at a time and see by how much the metric worsens; the most important first.

    Parameters
    ----------
    predict : callable
        From encoded rows to predictions.
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded rows; at most 1,000 are looked at, of many columns or classes fewer. Shuffling these is shuffling the column, because each row is
        encoded by itself.
    blocks : sequence of (str, slice)
        Columns of the table, and where each stands in the matrix. Of more than a hundred, the thirty are taken that matter most on 100 rows:
        groups of columns are shuffled together, and the half that matters more is divided further.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(100, 2))
    >>> blocks = [("a", slice(0, 1)), ("b", slice(1, 2))]
    >>> found = importances(lambda matrix: matrix[:, 1], rows, blocks, "rmse", rows[:, 1], seed=0)
    >>> [item.column for item in found], found[1].mean
    (['b', 'a'], 0.0)
    """
    random = np.random.default_rng(seed)
    measure = METRICS[metric].at(threshold)

    def loss(rows: Array, truth: Array) -> Callable[[Sequence[Block]], float]:
        whole = measure.value(truth, predict(rows))
        shuffled = rows.copy()

        def of(group: Sequence[Block]) -> float:
            for _, block in group:
                shuffled[:, block] = rows[random.permutation(len(rows)), block]
            found = measure.gain(whole, measure.value(truth, predict(shuffled)))
            for _, block in group:
                shuffled[:, block] = rows[:, block]
            return float(found)

        return of

    if len(blocks) > _MANY:
        blocks = _screened(loss(*_some(matrix, target, _SCREENED_ROWS, random)), blocks)
    scores = np.atleast_2d(predict(matrix[:1])).shape[1]
    predicted = _TIMES * max(len(blocks), 1) * max(scores / _FEW_CLASSES, 1)
    rows = int(np.clip(_ALL_ROWS / predicted, _LEAST_ROWS, _MOST_ROWS))
    lost = loss(*_some(matrix, target, rows, random))
    found = []
    for block in blocks:
        losses = [lost([block]) for _ in range(_TIMES)]
        found.append(Importance(block[0], float(np.mean(losses)), float(np.std(losses))))
    return sorted(found, key=lambda item: (-item.mean, item.column))


def _some(matrix: Array, target: Array, most: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Return rows by chance, and of two values of the target twenty each at least: of one alone no ranking can be judged."""
    if len(matrix) <= most:
        return matrix, target
    order = random.permutation(len(matrix))
    rows, values = order[:most], np.unique(target)
    if len(values) == 2:
        rows = np.union1d(rows, np.concatenate([order[target[order] == value][:_RAREST] for value in values]))
    rows = np.sort(rows)
    return matrix[rows], target[rows]


def _screened(loss: Callable[[Sequence[Block]], float], blocks: Sequence[Block]) -> list[Block]:
    """Return the columns that matter most: successive halving of groups that are shuffled together."""
    groups = [list(blocks[start::_GROUPS]) for start in range(min(_GROUPS, len(blocks)))]
    while True:
        groups = sorted(groups, key=lambda group: -loss(group))
        if all(len(group) == 1 for group in groups):
            return [block for group in groups[:_KEPT] for block in group]
        halves = [half for group in groups[: _GROUPS // 2] for half in (group[::2], group[1::2])]
        groups = [half for half in halves if half]
