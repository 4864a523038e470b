"""The recent events of entities, kept while a service runs: aggregates for one row, in microseconds.

Gives the values of :mod:`penstock.features.past` bit for bit, without a data frame. Events may come late and in any
order; those of equal times keep the order in which they came.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from penstock.features.events import Aggregate, Array, Events, Span, moments
from penstock.features.past import quantile_at

_ZERO = np.zeros(1, np.int64)


class Entity:
    """Events of one entity in order of time, in arrays with room to grow."""

    __slots__ = ("booleans", "columns", "filled", "size", "times")

    def __init__(self, times: list[int], columns: dict[str, Any], booleans: frozenset[str]) -> None:
        self.times = times
        self.size = len(times)
        self.columns = columns
        self.booleans = booleans
        self.filled: dict[str, Array] = {}

    def add(self, time: int, values: Mapping[str, Any]) -> None:
        """Put one event in its place."""
        at = bisect.bisect_right(self.times, time)
        self.times.insert(at, time)
        for name, held in self.columns.items():
            value = values[name]
            if isinstance(held, list):
                held.insert(at, value)
                continue
            number = np.nan if value is None else float(value)
            if len(held) == self.size:
                held = self.columns[name] = np.r_[held, np.empty(max(16, self.size // 2))]
                self.filled.pop(name, None)
            if at < self.size:
                held[at + 1 : self.size + 1] = held[at : self.size]
            held[at] = number
            known = self.filled.get(name)
            if known is not None:
                if at < self.size:
                    known[at + 1 : self.size + 1] = known[at : self.size]
                known[at] = 0.0 if number != number else number
        self.size += 1

    def zeroed(self, name: str) -> Array:
        """Return a column of numbers with zero where missing; kept for the next row."""
        found = self.filled.get(name)
        if found is None:
            held = self.columns[name]
            found = self.filled[name] = np.where(np.isnan(held), 0.0, held)
        return found


class Recent:
    """What is known of every entity of one table, for one set of keys.

    Parameters
    ----------
    events : Events
        What was known when the model was made; an entity's are copied when it is first asked for.
    """

    def __init__(self, events: Events) -> None:
        self.events = events
        self.seen: dict[Any, Entity] = {}
        schema = events.columns.schema
        self._booleans = frozenset(name for name, kind in schema.items() if kind == pl.Boolean)
        self._numeric = {name: kind.is_numeric() or name in self._booleans for name, kind in schema.items()}

    def entity(self, key: Any) -> Entity | None:
        """Return an entity's events, or None when it has none."""
        found = self.seen.get(key)
        if found is not None:
            return found
        number = self.events.numbers.get(key)
        if number is None:
            return None
        start, stop = int(self.events.starts[number]), int(self.events.starts[number + 1])
        columns: dict[str, Any] = {}
        for name, numeric in self._numeric.items():
            if numeric:
                numbers = self.events.values(name).numbers
                assert numbers is not None
                columns[name] = numbers[start:stop].copy()
            else:
                columns[name] = self.events.columns[name][start:stop].to_list()
        made = self.seen[key] = Entity(self.events.times[start:stop].tolist(), columns, self._booleans)
        return made

    def add(self, frame: pl.DataFrame, keys: Sequence[str], time: str) -> None:
        """Take in events: columns `keys`, `time` and values, prepared as the first ones were."""
        times = moments(frame[time]).tolist()
        who = frame.select(keys).rows() if keys else [(0,)] * frame.height
        for at, (key, row) in enumerate(zip(who, frame.iter_rows(named=True), strict=True)):
            one = key[0] if len(key) == 1 else key
            held = self.entity(one)
            if held is None:
                empty: dict[str, Any] = {
                    name: np.empty(0) if numeric else [] for name, numeric in self._numeric.items()
                }
                held = self.seen[one] = Entity([], empty, self._booleans)
            held.add(times[at], row)

    def aggregates(self, key: Any, time: int, spans: Sequence[Span], out: dict[str, Any]) -> None:
        """Write every aggregate of some spans for one row to `out`."""
        held = self.entity(key)
        for span in spans:
            low, high = (0, 0) if held is None else _bounds(held.times, time, span)
            for made in span.aggregates:
                out[made.name] = _FUNCTIONS[made.function](made, held, low, high, time)

    def latest(self, key: Any, time: int, within: int | None) -> tuple[Entity, int] | None:
        """Return an entity and the place of its latest event at or before a time, or None."""
        held = self.entity(key)
        if held is None:
            return None
        at = bisect.bisect_right(held.times, time) - 1
        if at < 0 or (within is not None and held.times[at] < time - within):
            return None
        return held, at


def unknown(spans: Sequence[Span], out: dict[str, Any]) -> None:
    """Write nulls for a row whose entity or time is missing."""
    for span in spans:
        for made in span.aggregates:
            out[made.name] = None


def _bounds(times: list[int], time: int, span: Span) -> tuple[int, int]:
    known = time - span.delay
    high = bisect.bisect_left(times, known)
    if span.over is not None:
        return bisect.bisect_left(times, known - span.over, 0, high), high
    return (0, high) if span.rows is None else (max(0, high - span.rows), high)


def _len(_made: Aggregate, _held: Entity | None, low: int, high: int, _time: int) -> int:
    return high - low


def _rate(made: Aggregate, _held: Entity | None, low: int, high: int, _time: int) -> float:
    return (high - low) / made.argument


def _since(made: Aggregate, held: Entity | None, low: int, high: int, time: int) -> float | None:
    return None if held is None or high == low else (time - held.times[high - 1]) / made.argument


def _at(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> Any:
    back = int(made.argument) if made.function == "nth" else 1
    at = low if made.function == "first" else high - back
    return None if held is None or high == low or at < low else value_at(held, made.value, at)


def _known(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> Any:
    if held is None:
        return None
    column = held.columns[made.value]
    places = range(low, high) if made.function == "first_known" else range(high - 1, low - 1, -1)
    for at in places:
        value = column[at]
        if value is not None and value == value:
            return value_at(held, made.value, at)
    return None


def value_at(held: Entity, name: str, at: int) -> Any:
    """Return one event's value; None where it is missing."""
    column = held.columns[name]
    if isinstance(column, list):
        return column[at]
    number = column[at].item()
    if number != number:
        return None
    return bool(number) if name in held.booleans else number


def _n_unique(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> int:
    if held is None or high == low:
        return 0
    column = held.columns[made.value]
    if isinstance(column, list):
        return len(set(column[low:high]))
    return len(np.unique(column[low:high], equal_nan=True))


def _present(made: Aggregate, held: Entity | None, low: int, high: int) -> int:
    if held is None or high == low:
        return 0
    column = held.columns[made.value]
    if isinstance(column, list):
        return sum(value is not None for value in column[low:high])
    some = column[low:high]
    return int(np.count_nonzero(some == some))


def _count(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> int:
    return _present(made, held, low, high)


def _total(made: Aggregate, held: Entity, low: int, high: int) -> float:
    return float(np.add.reduceat(held.zeroed(made.value)[low:high], _ZERO)[0])


def _sum(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> float:
    return 0.0 if held is None or high == low else _total(made, held, low, high)


def _mean(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> float | None:
    present = _present(made, held, low, high)
    return None if held is None or not present else _total(made, held, low, high) / present


def _variance(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> float | None:
    present = _present(made, held, low, high)
    if held is None or present <= made.argument or not present:
        return None
    deviations = held.columns[made.value][low:high] - _total(made, held, low, high) / present
    squares = deviations * deviations
    if present < high - low:
        squares[np.isnan(deviations)] = 0.0
    found = float(np.add.reduceat(squares, _ZERO)[0]) / (present - made.argument)
    return float(np.sqrt(found)) if made.function == "std" else found


def _extreme(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> float | None:
    if held is None or high == low:
        return None
    operation = np.fmin if made.function == "min" else np.fmax
    found = float(operation.reduceat(held.columns[made.value][low:high], _ZERO)[0])
    return None if found != found else found


def _quantile(made: Aggregate, held: Entity | None, low: int, high: int, _time: int) -> float | None:
    if held is None or high == low:
        return None
    some = held.columns[made.value][low:high]
    numbers = np.sort(some[some == some])
    return float(quantile_at(numbers, 0, len(numbers), made)) if len(numbers) else None


_FUNCTIONS: dict[str, Callable[[Aggregate, Entity | None, int, int, int], Any]] = {
    "len": _len,
    "count": _count,
    "rate": _rate,
    "since": _since,
    "sum": _sum,
    "mean": _mean,
    "std": _variance,
    "var": _variance,
    "min": _extreme,
    "max": _extreme,
    "first": _at,
    "last": _at,
    "nth": _at,
    "first_known": _known,
    "last_known": _known,
    "n_unique": _n_unique,
    "quantile": _quantile,
    "nearest": _quantile,
}
