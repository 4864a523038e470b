"""How far windows of time lie from all training rows though nothing is wrong: seasons, weekdays, slow swings.

Rows of one week are never like those of a year. Training rows are cut into windows and compared as later ones will be, and so are
the test rows that came after them; a later window has drifted when it is further off than those were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.monitor.distances import homogeneity, smirnov_chance
from penstock.monitor.options import Drift
from penstock.monitor.profile import ColumnProfile, Profile

Array = npt.NDArray[np.float64]
_CUTS = (256, 128, 64, 32, 16, 8, 4)
"""Into so many windows of one length the training rows are cut; each length holds a whole number of the one before."""
_STEPS = 256
MOST_IN_GROUPS = 30
"""So many columns, those that matter most to the answers, are compared group by group."""
_SIGNIFICANCE = Drift().significance / 4  # as monitoring asks columns alone


class Usual(msgspec.Struct, frozen=True):
    """What is usual for windows of one length.

    Attributes
    ----------
    seconds : float
        Their length.
    windows : int
        How many there were.
    effects : dict of str to float
        Of columns that move from window to window: the second largest effect of a window that was surely not chance. What
        came but once is not usual.
    """

    seconds: float
    windows: int
    effects: dict[str, float]


class UsualInGroup(msgspec.Struct, frozen=True):
    """What is usual for windows of the rows of one group alone.

    Attributes
    ----------
    by, group : str
        Those whose column `by` is `group`.
    usual : list of Usual
        As :func:`usual_of` says it of them.
    """

    by: str
    group: str
    usual: list[Usual]


def usual_in_groups(
    reference: Profile,
    train: pl.DataFrame,
    test: pl.DataFrame,
    times: tuple[Array, Array],
    groups: Sequence[tuple[str, str]],
) -> list[UsualInGroup]:
    """Do :func:`usual_of` for the rows of each group, for columns that move there move less among all rows.

    Parameters
    ----------
    groups : sequence of (str, str)
        Column and value, as text; those of no row are left out.
    """
    found = []
    for by, group in groups:
        then, now = ((table[by].cast(pl.String) == group).fill_null(value=False).to_numpy() for table in (train, test))
        others = Profile([column for column in reference.columns if column.name != by])
        usual = usual_of(others, train.filter(then), test.filter(now), (times[0][then], times[1][now]))
        if any(item.effects for item in usual):
            found.append(UsualInGroup(by, group, usual))
    return found


def usual_of(reference: Profile, train: pl.DataFrame, test: pl.DataFrame, times: tuple[Array, Array]) -> list[Usual]:
    """Compare windows of the training rows with the other training rows, and windows of later rows with all of them.

    Parameters
    ----------
    reference : Profile
        Of the training rows: the columns to compare.
    train, test : DataFrame
        Rows, of which `test` has none where they did not come after `train`.
    times : pair of array
        When they were, in seconds; NaN where that is not known.

    Returns
    -------
    list of Usual
        The shortest windows first. None where all training rows are of one time.
    """
    known = times[0][~np.isnan(times[0])]
    if not len(known) or not np.ptp(known):
        return []
    first, span = float(known.min()), float(np.ptp(known))
    before = _windows(times[0], first, span, span)
    after = _windows(times[1], first + span, span, np.inf)
    counts = {
        column.name: (*_counts(column, train[column.name], before), _counts(column, test[column.name], after)[0])
        for column in reference.columns
    }
    found = []
    for cuts in _CUTS:
        effects, windows = {}, 0
        for column in reference.columns:
            then, ordered, later = counts[column.name]
            seen = _effects(_joined(then, cuts), _joined(later, cuts), ordered, _SIGNIFICANCE / len(counts))
            windows = max(windows, len(seen))
            if len(seen) > 1 and (usual := float(np.sort(seen)[-2])) > 0:
                effects[column.name] = usual
        found.append(Usual(span / cuts, windows, effects))
    return found


def usual_within(found: Sequence[Usual], seconds: float | None) -> Mapping[str, float]:
    """Return by column what is usual for a window so long: as of the next shorter ones, which differ more, else the shortest.

    Nothing is usual for one as long as all training rows, or of unknown length.
    """
    if not found or seconds is None or seconds >= found[-1].seconds * _CUTS[-1]:
        return {}
    shorter = [item for item in found if item.seconds <= seconds and item.windows > 1]
    chosen = shorter[-1] if shorter else next((item for item in found if item.windows > 1), found[0])
    return chosen.effects


def beyond(usual: float, effect: float) -> float:
    """Return the least effect that counts where windows move by `usual` anyway: `effect` of what is left to 1.

    Examples
    --------
    >>> beyond(0.0, 0.1), beyond(0.5, 0.1)
    (0.1, 0.55)
    """
    return usual + (1 - usual) * effect


def _windows(times: Array, first: float, span: float, last: float) -> npt.NDArray[np.int64]:
    """Return the number of the shortest window that each row falls in; -1 where its time is not known or out of `last`."""
    since = times - first
    inside = (since >= 0) & (since <= last)
    number = np.where(inside, since / span * _CUTS[0], 0).astype(np.int64)
    if np.isfinite(last):
        number = np.minimum(number, _CUTS[0] - 1)
    # Of rows that come later no more windows count than of those before.
    return np.where(inside & (number < _CUTS[0]), number, -1)


def _counts(reference: ColumnProfile, values: pl.Series, windows: npt.NDArray[np.int64]) -> tuple[Array, bool]:
    """Count the values of each window, a row a window: in steps of a number, or by category, and last those missing."""
    ordered = reference.kind == "number"
    if ordered:
        grid = np.unique(np.array(reference.quantiles, dtype=np.float64))
        grid = grid[np.linspace(0, len(grid) - 1, min(len(grid), _STEPS)).astype(np.int64)]
        numbers = values.to_physical().cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        codes = np.where(np.isnan(numbers), len(grid) + 1, np.searchsorted(grid, numbers, "left"))
        size = len(grid) + 2
    else:
        levels = {name: number for number, (name, _) in enumerate(reference.counts)}
        text = values.cast(pl.String)
        size = len(levels) + 2
        places = text.replace_strict(levels, default=len(levels), return_dtype=pl.Int64)
        codes = places.set(text.is_null(), size - 1).to_numpy()
    inside = windows >= 0
    cells = np.bincount(windows[inside] * size + codes[inside], minlength=_CUTS[0] * size)
    return cells.reshape(_CUTS[0], size).astype(np.float64), ordered


def _joined(counts: Array, cuts: int) -> Array:
    """Put neighbouring windows together."""
    joined: Array = counts.reshape(cuts, -1, counts.shape[1]).sum(1)
    return joined


def _effects(train: Array, test: Array, ordered: bool, significance: float) -> Array:
    """Return how far each window with enough rows is off; 0 where that may be chance."""
    whole = train.sum(0)
    least = Drift().least
    inner, outer = train[train.sum(1) >= least], test[test.sum(1) >= least]
    now = np.vstack([inner, outer])
    then = np.vstack([whole - inner, np.broadcast_to(whole, outer.shape)])
    if not len(now):
        return np.empty(0)
    missing, its_chance = _unlike(_split(now), _split(then))
    moved, chance = (_apart if ordered else _unlike)(now[:, :-1], then[:, :-1])
    worse = missing > moved
    effect, chance = np.where(worse, missing, moved), np.where(worse, its_chance, chance)
    sure: Array = np.where(chance <= significance, effect, 0.0)
    return sure


def _split(counts: Array) -> Array:
    """Present, and missing."""
    return np.column_stack([counts[:, :-1].sum(1), counts[:, -1]])


def _apart(now: Array, then: Array) -> tuple[Array, Array]:
    """Compare steps of numbers; return effects and p-values."""
    rows, others = now.sum(1), then.sum(1)
    shares = now.cumsum(1) / np.maximum(rows, 1)[:, None] - then.cumsum(1) / np.maximum(others, 1)[:, None]
    gap = np.where((rows > 0) & (others > 0), np.abs(shares).max(1), 0.0)
    return gap, smirnov_chance(gap, rows, others)


def _unlike(now: Array, then: Array) -> tuple[Array, Array]:
    """Compare categories; return effects and p-values."""
    rows, others = now.sum(1), then.sum(1)
    shares = now / np.maximum(rows, 1)[:, None] - then / np.maximum(others, 1)[:, None]
    distance = np.where((rows > 0) & (others > 0), np.abs(shares).sum(1) / 2, 0.0)
    return distance, homogeneity(now, then)[1]
