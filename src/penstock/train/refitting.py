"""From trials on some rows to the model on all: how long that takes, and for how many rows time and memory last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.train.searched import Trial
from penstock.train.workers import BATCHED, FROM_FILE

OVERHEAD = 1.5
"""Seconds that fitting the model takes beside the fits: workers, encoding."""
COPIES = {"linear": 4, "lightgbm": 3, "xgboost": 3, "catboost": 3, "extra_trees": 3, "neighbours": 3, "network": 4}
"""Of each learner, how many times the size of its matrix a fit takes, roughly."""
BOOSTED = ("lightgbm", "xgboost", "catboost")
_ROUNDS, _ROUND = 0.5, 0.8
"""Of boosting, the rounds that are best grow with the rows to about this power, and the time of a round to that (measured on five tables of
43,000 to 287,000 rows by benchmarks/rounds.py)."""
_BINNED_BY, _BINNED_ROW = 200_000, 48
"""Of LightGBM: the rows by which it chooses bins, which it holds twice, and the bytes that a row takes beside its bins (measured with 5 to
60 columns)."""
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


def growth(rows: int, searched: int) -> float:
    """Return how many times the rounds of boosting that are best for some rows are best for more, or fewer.

    Examples
    --------
    >>> growth(80_000, 20_000), growth(5_000, 20_000)
    (2.0, 0.5)
    """
    return float((rows / searched) ** _ROUNDS)


def lengthened(learner: str, seconds: float, times: float) -> float:
    """Return how long a fit takes on so many times the rows, with as many rounds.

    Examples
    --------
    >>> lengthened("linear", 1.0, 4.0)
    4.0
    """
    return float(seconds * times ** (_ROUND if learner in BOOSTED else 1.0))


def lasting(
    members: Sequence[Trial],
    seconds: Sequence[float],
    whole: int,
    searched: int,
    workers: int,
    left: float,
    budget: float | None,
) -> tuple[int, float]:
    """Return for how many rows the time lasts, all or at least as many as were searched, and for how many times the rounds.

    More rows with as many rounds are worth more than more rounds, so rows come first.

    Parameters
    ----------
    members : sequence of Trial
        Those that answer together.
    seconds : sequence of float
        What each takes on all rows, with one thread and as many rounds as were found best on fewer rows.
    whole, searched : int
        Rows to learn from, and those that the trials looked at.
    left : float
        Seconds of the budget that are not spent.
    budget : float or None
        Seconds; None where a number of trials was asked for, whatever they take.
    """
    if budget is None:
        return whole, growth(whole, searched)
    boosted = [item.learner in BOOSTED for item in members]
    # A single one is given all cores, if it gives the same bytes with any number of them.
    cores = workers if len(members) == 1 and members[0].learner == "lightgbm" else 1
    once = refitting(seconds, workers) / cores
    left = max(left - OVERHEAD, _LEAST_SHARE * budget)
    if once > left:
        return max(int(whole * (left / once) ** (1 / _ROUND if all(boosted) else 1.0)), searched), 1.0
    best = growth(whole, searched)
    grown = (
        refitting((each * (best if more else 1) for each, more in zip(seconds, boosted, strict=True)), workers) / cores
    )
    return whole, best if grown <= left else 1 + (best - 1) * (left - once) / (grown - once)


def holding(members: Sequence[Trial], columns: int, classes: int, workers: int, memory: int, disk: int | None) -> int:
    """Return for how many rows the memory lasts, divided among those that are fitted at once.

    Parameters
    ----------
    members : sequence of Trial
        Those that answer together.
    columns, classes : int
        Of the matrix, and of the target.
    workers : int
        How many are fitted at once.
    memory : int
        Bytes of all of them together.
    disk : int or None
        Bytes that a matrix may take on disk, from which LightGBM takes its bins; None where it is held in memory.

    Examples
    --------
    >>> trees = Trial("lightgbm", {}, "rmse", 1.0)
    >>> holding([trees], 20, 1, workers=2, memory=1_600_000_000, disk=None)
    2500000
    >>> holding([trees], 20, 1, workers=2, memory=1_600_000_000, disk=10**12)
    12387096
    """
    copies, row = max(COPIES[item.learner] for item in members), columns * 8
    each = memory // min(len(members), workers)
    held = each // (row * (1 + copies))
    if disk is None or any(item.learner not in BATCHED for item in members):
        return held
    binned = (each - _BINNED_BY * columns * 16) // (_BINNED_ROW + 3 * columns + 16 * max(classes, 1))
    return held if binned < FROM_FILE else max(held, min(binned, disk // row))
