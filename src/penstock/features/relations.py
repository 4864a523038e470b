"""Features from other rows and other tables, as an author declares them: windows over the past, as-of, join, lag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from penstock.errors import InputError
from penstock.types.columns import column_of, columns_of
from penstock.types.durations import seconds_of

Keys = tuple[tuple[str, str], ...]
"""Columns of the row, and the columns of the other table that they equal."""


@dataclass(frozen=True)
class Rate:
    """Events a day; made by :func:`rate`."""


@dataclass(frozen=True)
class TimeSince:
    """Seconds since the latest event; made by :func:`time_since`."""


@dataclass(frozen=True)
class Nth:
    """The value of so many events back; made by :func:`lag`."""

    column: str
    back: int


Made = pl.Expr | Rate | TimeSince | Nth


@dataclass(frozen=True)
class Window:
    """Aggregates over an entity's past; made by :func:`window`, :func:`rolling` or :func:`lag`."""

    table: str | None
    by: Keys
    over: tuple[tuple[str, float | str | None], ...]
    rows: int | None
    delay: float | str
    aggregates: tuple[tuple[str, Made], ...]


@dataclass(frozen=True)
class Asof:
    """The latest row of another table; made by :func:`asof`."""

    table: str
    by: Keys
    columns: tuple[str, ...] | None
    within: float | str | None


@dataclass(frozen=True)
class Join:
    """The row of another table with the same key; made by :func:`join`."""

    table: str
    on: Keys
    columns: tuple[str, ...] | None
    duplicates: Literal["error", "first", "last"]


def window(
    table: str | None = None,
    *,
    by: str | Sequence[str] | Mapping[str, str] | None = None,
    over: float | str | Sequence[str] | None = None,
    rows: int | None = None,
    delay: float | str = 0,
    **aggregates: pl.Expr | Rate | TimeSince,
) -> Window:
    """Aggregate an entity's events strictly before each row.

    Point-in-time correct by construction: an event counts only if its time is before the row's; one of the same
    moment does not. The same definition answers for one row in a service, from the events that it has been told.

    Parameters
    ----------
    table : str, optional
        Whose rows are the events; the base table's own when left out. It needs ``time=`` at its ingest.
    by : str, list, or mapping
        What makes an entity: columns of both tables, or row's column to event's column. All events when left out.
    over : str or float, or list of them, optional
        Length of the window, such as ``"30d"``: from so long before the row until it. With several, each aggregate
        is made for each, named ``name_30d``. The whole past when left out. A number, where times are numbers: ``3``
        for three years, if they are years.
    rows : int, optional
        Instead of `over`: the latest so many events.
    delay : float or str
        An event is known only so long after its time, such as ``"1d"`` for labels that come a day late.
    **aggregates
        Name of the column to ``len``, ``count``, ``sum``, ``mean``, ``std``, ``var``, ``min``, ``max``, ``first``,
        ``last``, ``n_unique``, ``median`` or ``quantile`` of an expression of the event's own columns (``first`` and
        ``last`` also of its ``drop_nulls()``), or of what ``filter(condition)`` leaves of it; or :func:`rate`,
        :func:`time_since`.

    Raises
    ------
    InputError
        For options that contradict each other, or a window that would look into the future.

    Examples
    --------
    >>> made = window("flights", by="tailnum", over="30d", mean_delay=pl.col("dep_delay").mean(), flights=pl.len())
    >>> [name for name, _ in made.aggregates]
    ['mean_delay', 'flights']
    """
    for option, value in {"table": table, "by": by, "over": over, "rows": rows, "delay": delay}.items():
        if isinstance(value, pl.Expr | Rate | TimeSince):
            raise InputError(f"ps.features.window: {option}= is an option of its own; give the aggregate another name")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int)):
        raise InputError(f"ps.features.window: rows= is how many events, a whole number, not {rows}")
    if not aggregates:
        raise InputError("ps.features.window(...) makes no column; give it one, such as flights=pl.len()")
    if over is not None and rows is not None:
        raise InputError("ps.features.window: give over= or rows=, not both")
    if rows is not None and rows < 1:
        raise InputError(f"ps.features.window(rows={rows}): the window must hold a row at least")
    _positive("delay", delay, zero=True)
    for name, made in aggregates.items():
        if not isinstance(made, pl.Expr | Rate | TimeSince):
            raise InputError(
                f"ps.features.window({name}=...): give an aggregate, such as pl.col('amount').mean() or pl.len()"
            )
    several = not isinstance(over, str | int | float) and over is not None
    lengths: list[float | str | None] = list(over) if several else [over]  # type: ignore[list-item, arg-type]
    for length in lengths:
        if length is not None:
            _positive("over", length)
    spans = tuple((f"_{length}".replace(" ", "") if several else "", length) for length in lengths)
    return Window(table, _keys(by), spans, rows, delay, tuple(aggregates.items()))


def rolling(
    rows: int,
    *,
    table: str | None = None,
    by: str | Sequence[str] | Mapping[str, str] | None = None,
    **aggregates: pl.Expr | Rate | TimeSince,
) -> Window:
    """Aggregate the latest `rows` events strictly before each row: :func:`window` by number instead of time.

    Examples
    --------
    >>> rolling(24, by="store", level=pl.col("sales").mean()).rows
    24
    """
    return window(table, by=by, rows=rows, **aggregates)  # type: ignore[arg-type]


def lag(
    column: str,
    *back: int,
    table: str | None = None,
    by: str | Sequence[str] | Mapping[str, str] | None = None,
    delay: float | str = 0,
) -> Window:
    """Take the values that a column had one or more events before each row.

    Parameters
    ----------
    column : str
        Of the events.
    *back : int
        How many events back; 1 is the latest before the row. Columns are named ``column_lag_1``.
    table, by, delay
        As for :func:`window`.

    Examples
    --------
    >>> [name for name, _ in lag("sales", 1, 7, by="store").aggregates]
    ['sales_lag_1', 'sales_lag_7']
    """
    column_of("ps.features.lag", column)
    wanted = back or (1,)
    if any(item < 1 for item in wanted):
        raise InputError(f"ps.features.lag({column!r}, {min(wanted)}): looks into the future; count back from 1")
    _positive("delay", delay, zero=True)
    made: list[tuple[str, Made]] = [(f"{column}_lag_{item}", Nth(column, item)) for item in wanted]
    return Window(table, _keys(by), (("", None),), None, delay, tuple(made))


def rate() -> Rate:
    """Count events a day in a window, for :func:`window` with ``over=``.

    Examples
    --------
    >>> dict(window(by="card", over="7d", payments_a_day=rate()).aggregates)["payments_a_day"]
    Rate()
    """
    return Rate()


def time_since() -> TimeSince:
    """Take the seconds since the latest event in a window (units of the time column when that holds numbers).

    Examples
    --------
    >>> dict(window(by="card", over="7d", quiet=time_since()).aggregates)["quiet"]
    TimeSince()
    """
    return TimeSince()


def asof(
    table: str,
    *,
    by: str | Sequence[str] | Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    within: float | str | None = None,
) -> Asof:
    """Take the latest row of another table at or before each row's time.

    Parameters
    ----------
    table : str
        Needs ``time=`` at its ingest. Columns are named ``table_column``.
    by : str, list, or mapping
        Columns that must be equal; see :func:`window`.
    columns : sequence of str, optional
        Which to take; all but keys and time, and ``rownames`` that number the rows, when left out.
    within : float or str, optional
        An older row than this counts as none.

    Examples
    --------
    >>> asof("weather", by="origin", within="3h").table
    'weather'
    """
    if within is not None:
        _positive("within", within, zero=True)
    taken = None if columns is None else columns_of("ps.features.asof(columns=...)", columns)
    return Asof(table, _keys(by), taken, within)


def join(
    table: str,
    *,
    on: str | Sequence[str] | Mapping[str, str],
    columns: Sequence[str] | None = None,
    duplicates: Literal["error", "first", "last"] = "error",
) -> Join:
    """Take the row of a table that does not change with time.

    Parameters
    ----------
    table : str
        Columns are named ``table_column``.
    on : str, list, or mapping
        Columns that must be equal: names in both tables, or row's column to the table's.
    columns : sequence of str, optional
        Which to take; all but the keys, and ``rownames`` that number the rows, when left out.
    duplicates : {"error", "first", "last"}
        What to do when several rows have the same key: a join never multiplies rows.

    Examples
    --------
    >>> join("airports", on={"dest": "faa"}).on
    (('dest', 'faa'),)
    """
    if duplicates not in ("error", "first", "last"):
        raise InputError(f'ps.features.join(duplicates={duplicates!r}): give "error", "first" or "last"')
    keys = _keys(on)
    if not keys:
        raise InputError("ps.features.join(on=...): name the columns that must be equal")
    taken = None if columns is None else columns_of("ps.features.join(columns=...)", columns)
    return Join(table, keys, taken, duplicates)


def _keys(by: str | Sequence[str] | Mapping[str, str] | None) -> Keys:
    if by is None:
        return ()
    if isinstance(by, str):
        return ((by, by),)
    if isinstance(by, Mapping):
        return tuple((str(row), str(other)) for row, other in by.items())
    return tuple((str(name), str(name)) for name in by)


def _positive(name: str, length: float | str, *, zero: bool = False) -> None:
    if isinstance(length, int | float) and (length < 0 or (length == 0 and not zero)):
        raise InputError(f"ps.features: {name}={length} would look into the future; give a positive length")
    if seconds_of(length) == 0 and not zero:
        raise InputError(f"ps.features: {name}={length!r} is empty; give a positive length, such as '30d'")
