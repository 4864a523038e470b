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
"""More rows than this share are not lent to a fold by time."""


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
        if task == "regression":
            return found
        whole = [_with_each_class(learnt, judged, target) for learnt, judged in found]
        # An early part may know few classes only: what would have to be lent to it is then too much.
        kept = [new for new, (learnt, _) in zip(whole, found, strict=True) if len(new[0]) <= (1 + _LENT) * len(learnt)]
        return kept or whole[-1:]
    if groups is not None and len(np.unique(groups)) >= count:
        found = _repeated(GroupKFold, count, seed, repeats, rows, groups=groups)
        return found if task == "regression" else [_with_each_class(a, b, target) for a, b in found]
    if task == "regression":
        return _repeated(KFold, min(count, len(rows)), seed, repeats, rows)
    codes, counts = np.unique(target, return_counts=True)
    # A class of a single row can only be learnt; rows of any other lie in two parts or more, so that each fold knows it.
    alone = rows[np.isin(target, codes[counts == 1])]
    others = rows[np.isin(target, codes[counts > 1])]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        found = _repeated(
            StratifiedKFold,
            min(count, int(counts.min() if task == "binary" else counts.max())),
            seed,
            repeats,
            others,
            y=target[others],
        )
    return [(np.concatenate([learnt, alone]), judged) for learnt, judged in found]


def spaced_rows(target: Array, task: str, count: int) -> Array:
    """Return the positions of so many rows, evenly spaced, and of a row of each class that these lack.

    Examples
    --------
    >>> spaced_rows(np.array([0, 0, 1, 0, 0, 0]), "binary", 3).tolist()
    [0, 2, 5]
    >>> spaced_rows(np.array([0, 1, 0, 0, 0, 0]), "binary", 3).tolist()
    [0, 1, 2, 5]
    """
    rows = np.unique(np.linspace(0, len(target) - 1, count).round().astype(np.int64))
    if task == "regression":
        return rows
    classes, first = np.unique(target, return_index=True)
    return np.union1d(rows, first[~np.isin(classes, target[rows])])


def _repeated(kind: Any, count: int, seed: int, repeats: int, rows: Array, **by: Array) -> list[tuple[Array, Array]]:
    divisions = [kind(count, shuffle=True, random_state=seed + repeat) for repeat in range(repeats)]
    return [(rows[a], rows[b]) for division in divisions for a, b in division.split(rows, **by)]


def _with_each_class(learnt: Array, judged: Array, target: Array) -> tuple[Array, Array]:
    """Lend a fold the rows of classes that it would not know: no learner can answer with a class it never saw."""
    lent = np.flatnonzero(~np.isin(target, target[learnt]))
    return (np.concatenate([learnt, lent]), np.setdiff1d(judged, lent)) if len(lent) else (learnt, judged)
