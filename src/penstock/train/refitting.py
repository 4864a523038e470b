"""From trials on some rows to the model on all: how long that takes, and for how many rows time and memory last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.train.searched import Trial

OVERHEAD = 1.5
"""Seconds that fitting the model takes beside the fits: workers, encoding."""
COPIES = {"linear": 4, "lightgbm": 3, "xgboost": 3, "catboost": 3, "extra_trees": 3, "neighbours": 3, "network": 4}
"""Of each learner, how many times the size of its matrix a fit takes, roughly."""
_LEAST_SHARE = 0.2
"""Of a budget that the trials have spent, the model itself is still given this share."""


def refitting(seconds: Iterable[float], workers: int) -> float:
    """Return how long the fits of some trials take together, each begun when a worker is free.

    Examples
    --------
    >>> refitting([3.0, 2.0, 2.0], workers=2)
    4.0
    """
    busy = [0.0] * workers
    for each in seconds:
        free = busy.index(min(busy))
        busy[free] += each
    return max(busy)


def lasting(
    members: Sequence[Trial],
    seconds: Sequence[float],
    whole: int,
    searched: int,
    workers: int,
    left: float,
    budget: float | None,
) -> int:
    """Return for how many rows the time lasts, all or at least as many as were searched.

    Parameters
    ----------
    members : sequence of Trial
        Those that answer together.
    seconds : sequence of float
        What each takes on all rows, with one thread.
    whole, searched : int
        Rows to learn from, and those that the trials looked at.
    left : float
        Seconds of the budget that are not spent.
    budget : float or None
        Seconds; None where a number of trials was asked for, whatever they take.
    """
    if budget is None:
        return whole
    # A single one is given all cores, if it gives the same bytes with any number of them.
    alone = len(members) == 1 and members[0].learner == "lightgbm"
    once = refitting(seconds, workers) / (workers if alone else 1)
    left = max(left - OVERHEAD, _LEAST_SHARE * budget)
    return whole if once <= left else max(int(whole * left / once), searched)


def holding(members: Sequence[Trial], row_bytes: int, workers: int, memory: int) -> int:
    """Return for how many rows of so many bytes the memory lasts, divided among those that are fitted at once.

    Examples
    --------
    >>> holding([Trial("lightgbm", {}, "rmse", 1.0)], row_bytes=100, workers=2, memory=400_000_000)
    1000000
    """
    copies = max(COPIES[item.learner] for item in members)
    return memory // min(len(members), workers) // (row_bytes * (1 + copies))
