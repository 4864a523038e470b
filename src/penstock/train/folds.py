"""How training rows are divided for cross-validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LARGE = 100_000
"""From so many rows on, three folds are enough."""


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
        if task != "regression":  # an early part may know one class only
            found = [(a, b) for a, b in found if len(np.unique(target[a])) == len(np.unique(target))]
        return found or [(order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :])]
    fewest = 0 if task == "regression" else int(np.unique(target, return_counts=True)[1].min())
    if groups is not None and len(np.unique(groups)) >= count:
        kind, by = GroupKFold, {"groups": groups}
    elif fewest >= 2:
        kind, by, count = StratifiedKFold, {"y": target}, min(count, fewest)
    else:
        kind, by, count = KFold, {}, min(count, len(rows))
    divisions = [kind(count, shuffle=True, random_state=seed + repeat) for repeat in range(repeats)]
    return [part for division in divisions for part in division.split(rows, **by)]
