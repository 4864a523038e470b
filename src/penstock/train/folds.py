"""How training rows are divided for cross-validation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LARGE = 100_000
"""From so many rows on, three folds are enough."""
_LENT = 0.05
"""More rows than this share are not lent to a fold."""
_FEWEST = 5
"""Of a class, so many rows are among those that are looked at, where there are so many."""


def folds_of(
    target: Array,
    task: str,
    folds: int,
    seed: int,
    groups: Array | None,
    times: Array | None,
    gap: float = 0.0,
    repeats: int = 1,
) -> list[tuple[Array, Array]]:
    """Divide training rows for cross-validation: by time, by group, by class or by chance.

    Parameters
    ----------
    times : array, optional
        When each row happened; each fold judges rows later than it learns from.
    gap : float
        In the units of `times`: by how much later at least.
    repeats : int
        How many divisions by group, by class or by chance, one after the other.

    Returns
    -------
    list of (array, array)
        Positions of the rows to learn from and to judge by.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    count = min(folds, 3) if len(target) > LARGE else folds
    rows = np.arange(len(target))
    if times is not None:
        order = np.argsort(times, kind="stable")
        found = [(order[a], order[b]) for a, b in TimeSeriesSplit(count).split(rows)]
        if gap:
            found = [(a[times[a] <= times[b].min() - gap], b) for a, b in found]
            found = [(a, b) for a, b in found if len(a)]
        found = found or [(order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :])]
        if task == "regression" or (found := _knowing(found, target, task)):
            return found
    elif groups is not None and (several := len(np.unique(groups))) > 1:
        # With a fold for each group there is one division only.
        again = repeats if several > count else 1
        found = _repeated(GroupKFold, min(count, several), seed, again, rows, groups=groups)
        if task == "regression" or (found := _knowing(found, target, task)):
            return found
    if task == "regression":
        return _repeated(KFold, min(count, len(rows)), seed, repeats, rows)
    codes, counts = np.unique(target, return_counts=True)
    # A class of a single row can only be learnt; rows of any other lie in two parts or more, so that each fold knows it.
    alone = rows[np.isin(target, codes[counts == 1])]
    others = rows[np.isin(target, codes[counts > 1])]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        count = min(count, int(counts.min() if task == "binary" else counts.max()))
        found = _repeated(StratifiedKFold, count, seed, repeats, others, y=target[others])
    return [(np.concatenate([learnt, alone]), judged) for learnt, judged in found]


def spaced_rows(target: Array, task: str, count: int) -> Array:
    """Return the positions of so many rows, evenly spaced, and of further rows of classes that these have fewer than five of.

    Examples
    --------
    >>> spaced_rows(np.zeros(20), "binary", 8).tolist()
    [0, 3, 5, 8, 11, 14, 16, 19]
    >>> spaced_rows(np.array([0, 1, 0, 0, 1, 0] + [0] * 9), "binary", 8).tolist()
    [0, 1, 2, 4, 6, 8, 10, 12, 14]
    """
    rows = np.unique(np.linspace(0, len(target) - 1, count).round().astype(np.int64))
    if task == "regression":
        return rows
    classes, counts = np.unique(target[rows], return_counts=True)
    seldom = np.flatnonzero(~np.isin(target, classes[counts >= _FEWEST]))
    places = [seldom[target[seldom] == each][:_FEWEST] for each in np.unique(target[seldom])]
    return np.unique(np.concatenate([rows, *places]))


def _repeated(kind: Any, count: int, seed: int, repeats: int, rows: Array, **by: Array) -> list[tuple[Array, Array]]:
    divisions = [kind(count, shuffle=True, random_state=seed + repeat) for repeat in range(repeats)]
    return [(rows[a], rows[b]) for division in divisions for a, b in division.split(rows, **by)]


def _knowing(found: list[tuple[Array, Array]], target: Array, task: str) -> list[tuple[Array, Array]]:
    """Lend the folds the rows of classes that they would not know: no learner can answer with a class it never saw.

    A fold that much would have to be lent to is dropped, as an early part that knows few classes; of two classes, so is
    any, and any that judges by one class. None may be left of two classes: then only by chance can they be divided.
    """
    kept, lent = [], []
    for learnt, judged in found:
        unknown = np.flatnonzero(~np.isin(target, target[learnt]))
        lent = [(learnt, judged)]
        if len(unknown):
            lent = [(np.concatenate([learnt, unknown]), np.setdiff1d(judged, unknown))]
        if task == "binary" and len(np.unique(target[lent[0][1]])) < 2:
            lent = []
        elif len(unknown) <= (0 if task == "binary" else _LENT) * len(learnt):
            kept += lent
    return kept or lent
