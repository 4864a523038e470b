"""Events of entities in order of time, and where the windows over them begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
DAY = 86_400_000_000
"""Microseconds."""


class Aggregate(msgspec.Struct, frozen=True):
    """One number or text made from the events in a window.

    Attributes
    ----------
    name : str
        Of the column that it makes.
    function : str
        ``len``, ``count``, ``sum``, ``mean``, ``std``, ``var``, ``min``, ``max``, ``first``, ``last``, ``first_known``
        and ``last_known`` (the first and last that is not missing), ``n_unique``,
        ``quantile``, ``nearest`` (a quantile that is one of the values), ``rate``, ``since``, ``nth``.
    value : str
        The column of events that it looks at; nothing for ``len``, ``rate`` and ``since``.
    argument : float
        Degrees of freedom taken off, the quantile, the window's days, how many events back, or how many units of
        time make one of ``since``.
    """

    name: str
    function: str
    value: str = ""
    argument: float = 0.0


class Span(msgspec.Struct, frozen=True):
    """Which events before a row are looked at.

    Attributes
    ----------
    over : int, optional
        Those at most so long before it: microseconds, or the unit of a whole-number time column.
    rows : int, optional
        The latest so many.
    delay : int
        An event is known only so long after its time.
    aggregates : list of Aggregate
        What is made of them.
    """

    over: int | None
    rows: int | None
    delay: int
    aggregates: list[Aggregate]


def moments(times: pl.Series) -> Ints:
    """Return times as whole numbers: microseconds since 1970, or the numbers themselves; 0 where missing."""
    return times.to_physical().cast(pl.Int64).fill_null(0).to_numpy()


def alike(left: pl.DataFrame, right: pl.DataFrame, names: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give keys the same types on both sides: whole numbers equal numbers with a fraction, as they do in JSON."""
    mine, theirs = left.schema, right.schema
    unlike = {name: _key_type(left[name], right[name]) for name in names if mine[name] != theirs[name]}
    return (left.cast(unlike), right.cast(unlike)) if unlike else (left, right)  # type: ignore[arg-type]


def _key_type(mine: pl.Series, theirs: pl.Series) -> type[pl.DataType]:
    """Return a type of numbers that holds both exactly where there is one: a float ends at 2^53."""
    for numbers in (mine, theirs):
        if not numbers.dtype.is_integer() and bool(((numbers % 1 != 0) | (numbers.abs() >= 2.0**63)).any()):
            return pl.Float64
    return pl.Int64


@dataclass
class Clock:
    """Times of events as small whole numbers, so that entity and time fit one 64-bit number together.

    Attributes
    ----------
    first, step : int
        A time is ``first + step * number``.
    ranks : array of int64, optional
        Instead, where times are too far apart: all the different times, and a number is a place among them.
    span : int
        Numbers are smaller than this.
    """

    first: int
    step: int
    ranks: Ints | None
    span: int

    @classmethod
    def of(cls, times: Ints, n_entities: int) -> Clock:
        """Choose the step: the greatest that divides all gaps."""
        if not len(times):
            return cls(0, 1, None, 1)
        first, last = int(times.min()), int(times.max())
        step = max(int(np.gcd.reduce(times - first)), 1)
        span = (last - first) // step + 2
        if span * (n_entities + 1) < 2**62:
            return cls(first, step, None, span)
        ranks = np.unique(times)
        return cls(first, step, ranks, len(ranks) + 1)

    def number(self, times: Ints) -> Ints:
        """Return the number of the first event's time at or after each time."""
        found = -((self.first - times) // self.step) if self.ranks is None else np.searchsorted(self.ranks, times)
        return np.clip(found, 0, self.span - 1)

    def time(self, number: Ints) -> Ints:
        """Return the times of events' numbers."""
        return self.first + self.step * number if self.ranks is None else self.ranks[number]


def _numbered(who: pl.DataFrame, names: Sequence[str]) -> tuple[pl.DataFrame, Ints, int]:
    """Number the entities: the different keys with their numbers, each row's, and how many numbers there are."""
    first = who[names[0]]
    if len(names) == 1 and first.dtype.is_integer() and who.height and first.dtype != pl.Int128:
        low, high = int(first.min()), int(first.max())  # type: ignore[arg-type]
        # Whole numbers that lie close are numbers of entities themselves, less the smallest.
        if max(abs(low), abs(high)) < 2**62 and high - low < 2 * who.height:
            entity = first.cast(pl.Int64).to_numpy() - low
            there = np.flatnonzero(np.bincount(entity, minlength=high - low + 1))
            keys = pl.Series(names[0], there + low).cast(first.dtype)
            return pl.DataFrame([pl.Series("penstock entity", there), keys]), entity, high - low + 1
    table = who.unique(maintain_order=True).with_row_index("penstock entity")
    numbered = who.join(table, on=names, how="left", maintain_order="left")["penstock entity"]
    return table, numbered.cast(pl.Int64).to_numpy(), table.height


_KEY = "penstock sorted by"


@dataclass
class Events:
    """Events of one table sorted by entity, then time, then as they came.

    Attributes
    ----------
    keys : DataFrame
        The different keys, and the number of each entity.
    numbers : dict
        Key to entity.
    starts : array of int64, shape (n_entities + 1,)
        Where the events of each entity begin.
    scaled : array of int64, shape (n_events,)
        Entity and time as one sorted number: ``entity * clock.span + clock.number(time)``.
    columns : DataFrame
        The values that aggregates look at.
    left_out : int
        Rows without entity or time.
    """

    keys: pl.DataFrame
    numbers: dict[Any, int]
    starts: Ints
    scaled: Ints
    clock: Clock
    columns: pl.DataFrame
    left_out: int = 0
    _values: dict[str, Values] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pl.DataFrame, keys: Sequence[str], time: str) -> Events:
        """Sort a table; O(n log n).

        Parameters
        ----------
        frame : DataFrame
            Columns `keys`, `time` and values.
        """
        kept = frame.drop_nulls([*keys, time])
        names = list(keys) or ["penstock everything"]
        who = kept.select(pl.col(keys) if keys else pl.repeat(0, kept.height, eager=False).alias(names[0]))
        table, entity, count = _numbered(who, names)
        times = moments(kept[time])
        clock = Clock.of(times, count)
        # One number to sort by, and the values beside it: a third of the time of sorting the table by two columns.
        both = kept.drop([*keys, time]).with_columns(pl.Series(_KEY, entity * clock.span + clock.number(times)))
        both = both.sort(_KEY, maintain_order=True)
        scaled = both[_KEY].to_numpy()
        starts = np.searchsorted(scaled, np.arange(count + 1) * clock.span)
        columns = both.drop(_KEY)
        found = table.drop("penstock entity")
        listed = found.to_series().to_list() if found.width == 1 else found.rows()
        numbers = dict(zip(listed, table["penstock entity"].to_list(), strict=True))
        return cls(table, numbers, starts, scaled, clock, columns, frame.height - kept.height)

    @cached_property
    def times(self) -> Ints:
        """When each event happened, in the order of `scaled`."""
        return self.clock.time(self.scaled % self.clock.span)

    def values(self, name: str) -> Values:
        """Return a value column, ready for aggregates."""
        if name not in self._values:
            self._values[name] = Values.of(self.columns[name])
        return self._values[name]

    def number(self, rows: pl.DataFrame, keys: Sequence[str]) -> Ints:
        """Return the number of each row's entity; -1 for one without events, -2 where the key is missing."""
        if not keys:
            return np.zeros(rows.height, np.int64) if len(self.starts) > 1 else np.full(rows.height, -1)
        names = [name for name in self.keys.columns if name != "penstock entity"]
        wanted = rows.select(pl.col(key).alias(name) for key, name in zip(keys, names, strict=True))
        wanted, known = alike(wanted, self.keys, names)
        found = wanted.join(known, on=names, how="left", maintain_order="left")["penstock entity"]
        missing = wanted.select(pl.any_horizontal(pl.all().is_null())).to_series().to_numpy()
        return np.where(missing, -2, found.cast(pl.Int64).fill_null(-1).to_numpy())

    def before(self, entity: Ints, times: Ints) -> Ints:
        """Return for each row the place of its entity's first event at or after its time."""
        return np.searchsorted(self.scaled, entity * self.clock.span + self.clock.number(times))

    def bounds(self, entity: Ints, times: Ints, span: Span) -> tuple[Ints, Ints]:
        """Return where each row's window begins and ends among the sorted events."""
        known = entity >= 0
        who = np.where(known, entity, 0)
        high = self.before(who, times - span.delay)
        low = self.starts[who]
        if span.over is not None:
            low = self.before(who, times - span.delay - span.over)
        elif span.rows is not None:
            low = np.maximum(low, high - span.rows)
        return np.where(known, low, 0), np.where(known, high, 0)


@dataclass
class Values:
    """One column of events.

    Attributes
    ----------
    series : Series
        As it is.
    numbers : array of float64
        With NaN where missing; None for text.
    """

    series: pl.Series
    numbers: Array | None

    @classmethod
    def of(cls, series: pl.Series) -> Values:
        """Make a column ready: numbers and yes/no become floats, all else stays as it is."""
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            return cls(series, series.cast(pl.Float64).to_numpy())
        return cls(series, None)

    @cached_property
    def filled(self) -> Array:
        """Zero where missing, and one more at the end, where windows may stop."""
        assert self.numbers is not None
        return np.append(np.where(np.isnan(self.numbers), 0.0, self.numbers), 0.0)

    @cached_property
    def present(self) -> Ints:
        """How many values are there before each place."""
        there = ~np.isnan(self.numbers) if self.numbers is not None else self.series.is_not_null().to_numpy()
        return np.append(np.zeros(1, np.int64), np.cumsum(there))

    @cached_property
    def codes(self) -> Ints:
        """A whole number for each different value, a missing one included."""
        if self.numbers is not None:
            return np.unique(self.numbers, return_inverse=True, equal_nan=True)[1].astype(np.int64)
        return self.series.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
