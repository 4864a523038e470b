"""Whether the division is honest: rows that stand on both sides, and how unlike the two sides are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.types.table import Table
from penstock.types.turns import one_thread

Array = npt.NDArray[Any]
TELLING = 0.65
"""ROC AUC from which training and test rows are named as unlike."""
_MOST_ROWS, _LEAST_ROWS, _TREES = 10_000, 100, 30


@dataclass(frozen=True)
class Shared:
    """Test rows that are, inputs and answer, also training rows.

    Attributes
    ----------
    rows : int
        How many.
    of : int
        Test rows in all.
    without : float or None
        The metric on the other test rows; None where it is not defined.
    apart : list of str
        Identifiers in which each of them differs from its training row all the same.
    """

    rows: int
    of: int
    without: float | None = None
    apart: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shift:
    """How well a model tells test rows from training rows: 0.5 where they are alike.

    Attributes
    ----------
    score : float
        ROC AUC, cross-validated (adversarial validation).
    columns : list of (str, float)
        What tells them apart, and each one's share in that, the largest first; at most five.
    p_value : float
        The chance of as high a score if they were alike (Mann and Whitney 1947).
    """

    score: float
    columns: list[tuple[str, float]] = field(default_factory=list)
    p_value: float = 1.0


def shared_rows(train: Table, test: pl.DataFrame, columns: Sequence[str]) -> Array:
    """Return which test rows equal a training row in all of `columns`.

    Examples
    --------
    >>> shared_rows(Table.of(pl.DataFrame({"a": [1, 2]})), pl.DataFrame({"a": [2, 3]}), ["a"])
    array([ True, False])
    """
    if not columns:
        return np.zeros(test.height, dtype=bool)
    asked = test.select(columns).hash_rows(seed=0)  # 64 bits a row: a table of many columns is not held
    known = [hashes.filter(hashes.is_in(asked.implode())).unique() for hashes in _hashes(train, columns)]
    return asked.is_in(pl.concat(known).implode()).to_numpy()


def _hashes(table: Table, columns: Sequence[str]) -> Iterator[pl.Series]:
    for _, part in table.frames(columns):
        yield part.select(columns).hash_rows(seed=0)


def shift_between(
    train: Array, test: Array, blocks: Sequence[tuple[str, slice]], seed: int, without: str | None = None
) -> Shift | None:
    """Train trees to tell the two sides apart, on at most 10,000 rows; None with fewer than 100 on a side.

    Parameters
    ----------
    train, test : array, shape (n_rows, n_matrix_columns)
        Encoded rows; NaN where missing.
    blocks : sequence of (str, slice)
        Columns, and where each stands in the matrix.
    without : str, optional
        A column that is not looked at: that by which the rows were divided tells them apart by itself.
    """
    if min(len(train), len(test)) < _LEAST_ROWS:
        return None
    import lightgbm

    from penstock.types.metrics import METRICS

    random = np.random.default_rng(seed)
    each = _MOST_ROWS // 2
    parts = [side[np.sort(random.permutation(len(side))[:each])] for side in (train, test)]
    matrix, side = np.vstack(parts), np.repeat([0.0, 1.0], [len(part) for part in parts])
    for name, block in blocks:
        if name == without:
            matrix[:, block] = 0.0
    options = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.15, "max_bin": 63, "verbose": -1, "num_threads": 1, "seed": seed,
        "deterministic": True,
    }  # fmt: skip
    folds, told, gains = random.integers(0, 3, len(matrix)), np.empty(len(matrix)), np.zeros(matrix.shape[1])
    with one_thread():
        both = lightgbm.Dataset(matrix, side, params=options).construct()
        for fold in range(3):
            learn = folds != fold
            trees = lightgbm.train(options, both.subset(np.flatnonzero(learn)), _TREES)
            told[~learn] = trees.predict(matrix[~learn], num_threads=1)
            gains += trees.feature_importance("gain")
    score = METRICS["roc_auc"].value(side, np.column_stack([1 - told, told]))
    total = gains.sum() or 1.0
    shares = sorted(((name, float(gains[block].sum() / total)) for name, block in blocks), key=lambda item: -item[1])
    error = score_error(*(len(part) for part in parts))
    chance = math.erfc((score - 0.5) / error / math.sqrt(2)) / 2
    return Shift(round(score, 6), [(name, round(share, 6)) for name, share in shares[:5] if share > 0.05], chance)


def score_error(one: int, other: int, score: float = 0.5) -> float:
    """Return the standard error of a score with so many rows on each side (Hanley and McNeil 1982, Radiology 143:29).

    Examples
    --------
    >>> round(score_error(300, 300), 4), round(score_error(300, 300, 0.95), 4)
    (0.0236, 0.0092)
    """
    first, second = score / (2 - score) - score**2, 2 * score**2 / (1 + score) - score**2
    return math.sqrt((score * (1 - score) + (one - 1) * first + (other - 1) * second) / (one * other))
