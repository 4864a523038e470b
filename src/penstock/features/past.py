"""Aggregates over windows of events, for all rows of a table at once.

The bounds of a window are found once and shared by all its aggregates. What answers one row of a request is
:mod:`penstock.features.recent`; both give the same value bit for bit, which fixes how sums are taken here: over the
window's own values in order, missing ones as zero, by NumPy's ``reduceat``. Prefix sums would be faster where windows
are long, but their last bits depend on how much of the past is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from penstock.features.events import Aggregate, Array, Events, Ints, Span, Values, moments

_CHUNK = 4_000_000
"""Events that are laid out at once by aggregates that need each window's values side by side."""


def segments(values: Array, low: Ints, high: Ints, operation: np.ufunc) -> Array:
    """Reduce ``values[low:high]`` for each pair; where they are equal the result means nothing.

    `values` has one element more than there are events. O(events in all windows).
    """
    if not len(low):
        return np.zeros(0)
    pairs = np.empty(2 * len(low), np.int64)
    pairs[::2], pairs[1::2] = low, high
    return np.asarray(operation.reduceat(values, pairs)[::2])


def _laid_out(low: Ints, high: Ints) -> Iterator[tuple[slice, Ints, Ints]]:
    """Yield rows in chunks, with the places of their events side by side and the row of each."""
    lengths = np.maximum(high - low, 0)
    ends = np.cumsum(lengths)
    start = 0
    while start < len(low):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK, "right")))
        some = lengths[start:stop]
        row = np.repeat(np.arange(stop - start), some)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(some) - some, some)
        yield slice(start, stop), np.repeat(low[start:stop], some) + offset, row
        start = stop


def aggregate(made: Aggregate, events: Events, low: Ints, high: Ints, times: Ints) -> pl.Series:
    """Compute one aggregate for all rows.

    Parameters
    ----------
    low, high : array of int64, shape (n_rows,)
        From :meth:`Events.bounds`, in any order; sorted ones are faster.
    times : array of int64, shape (n_rows,)
        Of the rows.

    Returns
    -------
    Series, shape (n_rows,)
        Null where nothing is known. Counts and sums of no events are zero.
    """
    number = high - low
    if made.function == "len":
        return pl.Series(made.name, number)
    if made.function == "rate":
        return pl.Series(made.name, number / made.argument)
    if made.function == "since":
        last = events.times[np.maximum(high - 1, 0)] if len(events.scaled) else times
        return _with_nulls(made.name, (times - last) / made.argument, number == 0)
    values = events.values(made.value)
    if made.function in ("first", "last", "nth"):
        back = int(made.argument) if made.function == "nth" else 1
        at = low if made.function == "first" else high - back
        return _gathered(made.name, values, np.where((number > 0) & (at >= low), at, -1))
    if made.function in ("first_known", "last_known"):
        there = np.flatnonzero(np.diff(values.present))
        found = values.present[high] > values.present[low]
        at = values.present[low] if made.function == "first_known" else values.present[high] - 1
        return _gathered(made.name, values, np.where(found, there[np.where(found, at, 0)] if len(there) else -1, -1))
    if made.function == "n_unique":
        return pl.Series(made.name, _different(values.codes, low, high))
    present = values.present[high] - values.present[low]
    if made.function == "count":
        return pl.Series(made.name, present)
    if made.function == "sum":
        return pl.Series(made.name, np.where(number == 0, 0.0, segments(values.filled, low, high, np.add)))
    if made.function in ("min", "max"):
        return _extreme(made, values, low, high, present)
    if made.function in ("quantile", "nearest"):
        return _with_nulls(made.name, _quantile(values, low, high, made), present == 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = segments(values.filled, low, high, np.add) / present
        if made.function == "mean":
            return _with_nulls(made.name, mean, present == 0)
        squares = _squares(values, low, high, mean)
        variance = squares / (present - made.argument)
    found = np.sqrt(variance) if made.function == "std" else variance
    return _with_nulls(made.name, found, present <= made.argument)


def _with_nulls(name: str, values: Array, missing: Array) -> pl.Series:
    return pl.Series(name, np.where(missing, np.nan, values)).fill_nan(None)


def _gathered(name: str, values: Values, at: Ints) -> pl.Series:
    if values.numbers is not None and values.series.dtype != pl.Boolean:
        return _with_nulls(name, np.r_[values.numbers, np.nan][at], at < 0)
    places = pl.Series(at).replace_strict({-1: None}, default=pl.first(), return_dtype=pl.Int64)
    return values.series.gather(places).alias(name)


def _extreme(made: Aggregate, values: Values, low: Ints, high: Ints, present: Ints) -> pl.Series:
    assert values.numbers is not None
    operation = np.fmin if made.function == "min" else np.fmax
    found = segments(np.r_[values.numbers, np.nan], low, high, operation)
    return _with_nulls(made.name, found, present == 0)


def _squares(values: Values, low: Ints, high: Ints, mean: Array) -> Array:
    """Sum of squared deviations from each window's own mean, taken in two passes (Chan, Golub and LeVeque 1983)."""
    assert values.numbers is not None
    found = np.zeros(len(low))
    for rows, places, row in _laid_out(low, high):
        deviations = values.numbers[places] - mean[rows][row]
        squares = np.r_[np.where(np.isnan(deviations), 0.0, deviations * deviations), 0.0]
        lengths = np.maximum(high[rows] - low[rows], 0)
        ends = np.cumsum(lengths)
        found[rows] = np.where(lengths == 0, 0.0, segments(squares, ends - lengths, ends, np.add))
    return found


def _different(codes: Ints, low: Ints, high: Ints) -> Ints:
    found = np.zeros(len(low), np.int64)
    count = int(codes.max()) + 1 if len(codes) else 1
    for rows, places, row in _laid_out(low, high):
        pairs = np.unique(row * count + codes[places])
        found[rows] = np.bincount(pairs // count, minlength=rows.stop - rows.start)
    return found


def _quantile(values: Values, low: Ints, high: Ints, made: Aggregate) -> Array:
    assert values.numbers is not None
    found = np.full(len(low), np.nan)
    for rows, places, row in _laid_out(low, high):
        numbers = values.numbers[places]
        there = ~np.isnan(numbers)
        row, numbers = row[there], numbers[there]
        order = np.lexsort((numbers, row))
        numbers = np.r_[numbers[order], np.nan]
        size = np.bincount(row, minlength=rows.stop - rows.start)
        found[rows] = quantile_at(numbers, np.cumsum(size) - size, size, made)
    return found


def quantile_at(numbers: Array, start: Any, size: Any, made: Aggregate) -> Any:
    """Return a quantile of ``numbers[start:start + size]``, which are sorted, as NumPy's ``linear`` method has it."""
    place = np.maximum(size - 1, 0) * made.argument
    if made.function == "nearest":
        return numbers[start + np.floor(place + 0.5).astype(np.int64)]
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(size - 1, 0))
    least, most = numbers[start + below], numbers[start + above]
    return least + (most - least) * (place - below)


def aggregates_of(
    rows: pl.DataFrame, keys: Sequence[str], time: str, events: Events, spans: Sequence[Span]
) -> Mapping[str, pl.Series]:
    """Compute every aggregate of some spans for all rows; the rows' own order is kept.

    Rows without a time, or with a missing key, know nothing: all their aggregates are null.
    """
    missing = rows[time].is_null().to_numpy()
    times = moments(rows[time])
    entity = events.number(rows, keys)
    unknown = missing | (entity == -2)
    entity = np.where(unknown, -1, entity)
    # Windows in the order of the events: each is near the one before, in memory too.
    order = np.lexsort((times, entity))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    found = {}
    for span in spans:
        low, high = events.bounds(entity[order], times[order], span)
        for made in span.aggregates:
            column = aggregate(made, events, low, high, times[order]).gather(pl.Series(back))
            if unknown.any():
                column = column.zip_with(pl.Series(~unknown), pl.Series(made.name, [None], column.dtype))
            found[made.name] = column
    return found
