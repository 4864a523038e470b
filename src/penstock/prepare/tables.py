"""The facts of a preparation: what was decided about a table, and how later rows are prepared in the same way."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from penstock.errors import DataWarning
from penstock.prepare.changes import Dropped, Kept, Once, Renamed
from penstock.prepare.mapped import MapReference
from penstock.prepare.operations import Note
from penstock.prepare.repairs import Clipped, Filled
from penstock.types.columns import need
from penstock.types.dates import YEAR_FIRST
from penstock.types.nested import flat
from penstock.types.parse import Parse, read_columns
from penstock.types.table import ROW, twice

Change = Parse | Renamed | Dropped | MapReference | Filled | Clipped | Kept | Once
"""One thing that is done to every row, at training and at serving alike."""


@dataclass(frozen=True)
class Facts:
    """What preparation found and decided: enough to prepare any later row in the same way.

    Attributes
    ----------
    raw : tuple of (str, str)
        Columns of the snapshot and their types: ``number``, ``integer``, ``boolean``, ``text``, ``date``.
    changes : tuple
        What is done to each row, in order: a parse, a renaming, a dropped column, or a function.
    notes : tuple of Note
        What was counted.
    rows_in, rows_out : int
        Rows of the snapshot and of the prepared table.
    """

    raw: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    notes: tuple[Note, ...]
    rows_in: int
    rows_out: int


def raw_type(kind: pl.DataType) -> str:
    """Name a column's type in the words of the API.

    Examples
    --------
    >>> raw_type(pl.Int64()), raw_type(pl.Float32()), raw_type(pl.String())
    ('integer', 'number', 'text')
    """
    if kind.is_integer():
        return "integer"
    if kind.is_numeric() or kind == pl.Duration:
        return "number"
    if kind == pl.Boolean:
        return "boolean"
    if kind in (pl.Date, pl.Datetime):
        return "date"
    return "text"


def normalised(frame: pl.DataFrame) -> pl.DataFrame:
    """Bring every column to one of four types: number, Boolean, Datetime (UTC, microseconds) or String.

    NaN and infinite numbers become null. The values of integers are kept, in 64 bits: a product of two shorter ones may
    be too large for them.
    """
    changes = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if kind.is_float():
            column = column.cast(pl.Float64)
            changes.append(pl.when(column.is_finite()).then(column).alias(name))
        elif kind.is_decimal() or kind in (pl.Int128, pl.UInt64):
            changes.append(column.cast(pl.Float64))
        elif kind.is_integer() and kind != pl.Int64:
            changes.append(column.cast(pl.Int64))
        elif kind == pl.Duration:
            changes.append(column.dt.total_microseconds().cast(pl.Float64) / 1e6)
        elif kind == pl.Date:
            changes.append(column.cast(pl.Datetime("us")))
        elif isinstance(kind, pl.Datetime):
            utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else column
            changes.append(utc.cast(pl.Datetime("us")))
        elif kind == pl.Null or kind in (pl.Categorical, pl.Enum, pl.Time, pl.Binary) or not _is_plain(kind):
            changes.append(column.cast(pl.String, strict=False))
    return frame.with_columns(changes) if changes else frame


def _is_plain(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Date, pl.Datetime)


def without_duplicates(frame: pl.DataFrame, over: Sequence[str], latest: str | None) -> pl.DataFrame:
    """Keep one row of those that agree in some columns: the first, or the one with the latest value of a column."""
    if latest is None:
        return frame.unique(over, keep="first", maintain_order=True)
    need("ps.prepare.drop_duplicates(latest=...)", [latest], frame.columns)
    newest = frame.sort(latest, nulls_last=False, maintain_order=True).unique(over, keep="last", maintain_order=True)
    return newest.sort(ROW)


def apply_facts(raw: pl.DataFrame, facts: Facts, *, choose: bool = False) -> pl.DataFrame:
    """Prepare later rows as the training rows were.

    Parameters
    ----------
    choose : bool
        Also leave out the rows that filters and duplicates left out of training, as the events of a window must be.
        Else rows are neither dropped nor reordered: every request is answered.
    """
    frame = normalised(raw)
    for change in facts.changes:
        if isinstance(change, Parse):
            if change.column in frame.columns and _still_raw(frame.schema[change.column], change):
                frame = frame.with_columns(_read(frame, change))
        elif isinstance(change, Renamed):
            frame = frame.rename({change.old: change.new}, strict=False)
        elif isinstance(change, Dropped):
            frame = frame.drop(change.column, strict=False)
        elif isinstance(change, Filled | Clipped):
            frame = frame.with_columns(change.expressions())
        elif isinstance(change, Kept):
            if choose:
                need("ps.prepare.filter(...)", change.needs, frame.columns)
                frame = frame.filter(change.read())
        elif isinstance(change, Once):
            over = [name for name in change.columns if name in frame.columns]
            if choose and len(over) == len(change.columns):
                numbered = frame.with_row_index(ROW)
                frame = without_duplicates(numbered, over, change.latest).drop(ROW)
        else:
            done = change.load()(twice(frame) if frame.height == 1 else frame)
            frame = normalised(flat(done[: frame.height]))
    return frame


def _read(frame: pl.DataFrame, parse: Parse) -> pl.Series:
    """Read a column as it was at training; what cannot be read is missing, which is told."""
    cells, found = frame[parse.column], read_columns(frame.select(parse.column), [parse]).to_series()
    if found.null_count() == cells.null_count() or parse.to in ("text", "normal"):
        return found
    if parse.to == "date":
        # With the year first dates may always come, as in requests.
        again = frame.select(Parse(parse.column, "date", YEAR_FIRST).expression()).to_series()
        found = found.fill_null(again)
    if not parse.lenient:
        lost = cells.filter(found.is_null() & cells.is_not_null() & ~frame.select(parse.blank()).to_series())
        if lost.len():
            what = {"boolean": "yes or no", "date": "dates in the form of training"}.get(parse.to, "numbers")
            text = f'column "{parse.column}": {lost.len()} of {frame.height} cells are not {what} (first: {lost[0]!r})'
            warnings.warn(DataWarning(text), stacklevel=2)
    return found


def _still_raw(kind: pl.DataType, parse: Parse) -> bool:
    """Whether a column is not yet what the parse makes of it (a file may hold real numbers where text was)."""
    if parse.to == "number":
        return not kind.is_numeric()
    if parse.to == "boolean":
        return kind != pl.Boolean
    return parse.to in ("text", "normal") or kind not in (pl.Datetime, pl.Date)
