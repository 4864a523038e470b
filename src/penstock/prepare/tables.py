"""From a raw table to a prepared one, and the facts that prepare later rows in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from penstock.errors import DataError
from penstock.prepare.changes import Dropped, Kept, MapReference, Once, Renamed
from penstock.prepare.inference import infer
from penstock.prepare.operations import (
    Cast,
    Drop,
    DropDuplicates,
    Filter,
    Map,
    Normalise,
    Note,
    Operation,
    Rename,
    apply_cast,
    need,
)
from penstock.prepare.repairs import Clipped, Filled
from penstock.types.parse import Parse

_COMPARED_ROWS = 200_000
"""In larger tables near-duplicates are not looked for."""
ROW = "penstock row"
"""Name of the column that says which row of the snapshot a prepared row was."""

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

    NaN and infinite numbers become null. The values of integers are kept.
    """
    changes = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if kind.is_float():
            column = column.cast(pl.Float64)
            changes.append(pl.when(column.is_finite()).then(column).alias(name))
        elif kind.is_decimal() or kind in (pl.Int128, pl.UInt64):
            changes.append(column.cast(pl.Float64))
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


def prepare(
    raw: pl.DataFrame, operations: Sequence[Operation], target: str | None, protected: Sequence[str] = ()
) -> tuple[pl.DataFrame, Facts]:
    """Do what the author asked for, then read what is left as text for what it is.

    Parameters
    ----------
    raw : DataFrame
        The snapshot.
    operations : sequence
        From :mod:`penstock.prepare`.
    target : str or None
        Column to predict, whose cells are left as they are; None for a table that is only looked up in.
    protected : sequence of str
        Further columns to leave.

    Returns
    -------
    DataFrame
        With a column :data:`ROW` that says which raw row each was.
    Facts
        What was done.

    Raises
    ------
    DataError
        When an operation does not fit the table, or no row is left.
    """
    for name in raw.columns:
        if name == "*" or (name.startswith("^") and name.endswith("$")) or name.startswith("penstock "):
            raise DataError(
                f"column {name!r}: means something else in an expression; give it another name in the source"
            )
    notes = _non_finite(raw)
    raw_types = tuple((name, raw_type(kind)) for name, kind in raw.schema.items())
    frame = normalised(raw).with_row_index(ROW)
    changes: list[Change] = []
    settled: set[str] = {*protected} if target is None else {target, *protected}
    for made in operations:
        before = frame.height
        if isinstance(made, Cast):
            frame, parse, more = apply_cast(frame, made)
            notes += more
            settled.add(made.column)
            if parse:
                changes.append(parse)
        elif isinstance(made, Rename):
            need(frame, [old for old, _ in made.names], "ps.prepare.rename(...)")
            frame = frame.rename(dict(made.names))
            changes.extend(Renamed(old, new) for old, new in made.names)
        elif isinstance(made, Drop):
            need(frame, made.columns, "ps.prepare.drop(...)")
            frame = frame.drop(made.columns)
            changes.extend(Dropped(name) for name in made.columns)
        elif isinstance(made, DropDuplicates):
            need(frame, made.columns, "ps.prepare.drop_duplicates(...)")
            over = list(made.columns) or [name for name in frame.columns if name != ROW]
            frame = _without_duplicates(frame, over, made.latest)
            changes.append(Once(tuple(over), made.latest))
            what = f"in {', '.join(made.columns)}" if made.columns else "in all columns"
            kept = f"; the one with the latest {made.latest} is kept" if made.latest else ""
            notes.append(Note("prepare", None, before - frame.height, f"rows dropped as duplicates {what}{kept}"))
        elif isinstance(made, Normalise):
            need(frame, made.columns, "ps.prepare.normalise(...)")
            for name in made.columns:
                frame, parse, note = _normalised_text(frame, name)
                settled.add(name)
                changes.append(parse)
                notes.append(note)
        elif isinstance(made, Filter):
            need(frame, made.predicate.meta.root_names(), "ps.prepare.filter(...)")
            frame = frame.filter(made.predicate)
            changes.append(Kept.of(made.predicate))
            notes.append(Note("prepare", None, before - frame.height, f"rows dropped by filter {made.predicate}"))
        else:
            frame = _mapped(frame, made)
            changes.append(MapReference.of(made.function))
            notes.append(Note("prepare", None, frame.height, f"rows handed to {made.function.__name__}()"))
    if target is not None:
        need(frame, [target], "target")
    parses, more = infer(frame, settled)
    frame = frame.with_columns(parse.expression() for parse in parses)
    more += _near_duplicates(frame, target)
    if frame.height == 0:
        raise DataError("no row is left after ps.prepare.filter(...); make its condition wider")
    return frame, Facts(raw_types, (*changes, *parses), (*notes, *more), raw.height, frame.height)


def _without_duplicates(frame: pl.DataFrame, over: Sequence[str], latest: str | None) -> pl.DataFrame:
    if latest is None:
        return frame.unique(over, keep="first", maintain_order=True)
    need(frame, [latest], "ps.prepare.drop_duplicates(latest=...)")
    newest = frame.sort(latest, nulls_last=False, maintain_order=True).unique(over, keep="last", maintain_order=True)
    return newest.sort(ROW)


def _normalised_text(frame: pl.DataFrame, name: str) -> tuple[pl.DataFrame, Parse, Note]:
    if frame.schema[name] != pl.String:
        raise DataError(f'ps.prepare.normalise: column "{name}" holds {frame.schema[name]}, not text')
    parse = Parse(name, "normal")
    before = frame[name]
    frame = frame.with_columns(parse.expression())
    changed = int((before != frame[name]).fill_null(value=False).sum())
    was, now = before.drop_nulls().n_unique(), frame[name].drop_nulls().n_unique()
    return frame, parse, Note("prepare", name, changed, f"texts written alike: {was} different ones -> {now}")


def _near_duplicates(frame: pl.DataFrame, target: str | None) -> list[Note]:
    """Count rows that differ only in case, spaces or the form of Unicode, or in nothing at all; none is dropped."""
    columns = [name for name in frame.columns if name not in (ROW, target)]
    texts = [name for name in columns if frame.schema[name] == pl.String]
    if frame.height > _COMPARED_ROWS or not columns:
        return []
    exact = frame.height - frame.select(columns).n_unique()
    notes = [
        Note(
            "prepare",
            None,
            exact,
            "rows equal another one in all columns; kept (ps.prepare.drop_duplicates() drops them)",
        )
    ]
    if texts:
        alike = frame.select(columns).with_columns(Parse(name, "normal").expression() for name in texts)
        near = frame.height - alike.n_unique() - exact
        notes.append(
            Note("prepare", None, near, "more equal another one but for case, spaces or the form of Unicode; kept")
        )
    return [note for note in notes if note.count]


def _mapped(frame: pl.DataFrame, made: Map) -> pl.DataFrame:
    name = getattr(made.function, "__name__", "function")
    done = made.function(frame.drop(ROW))
    if not isinstance(done, pl.DataFrame) or done.height != frame.height:
        raise DataError(
            f"ps.prepare.map({name}): returned {type(done).__name__} of {getattr(done, 'height', '?')} rows for "
            f"{frame.height}; it must return a table with the same rows (to leave rows out, use ps.prepare.filter)"
        )
    return normalised(done).insert_column(0, frame[ROW])


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
                frame = frame.with_columns(change.expression())
        elif isinstance(change, Renamed):
            frame = frame.rename({change.old: change.new}, strict=False)
        elif isinstance(change, Dropped):
            frame = frame.drop(change.column, strict=False)
        elif isinstance(change, Filled | Clipped):
            frame = frame.with_columns(change.expressions())
        elif isinstance(change, Kept):
            if choose:
                need(frame, change.needs, "ps.prepare.filter(...)")
                frame = frame.filter(change.read())
        elif isinstance(change, Once):
            over = [name for name in change.columns if name in frame.columns]
            if choose and len(over) == len(change.columns):
                numbered = frame.with_row_index(ROW)
                frame = _without_duplicates(numbered, over, change.latest).drop(ROW)
        else:
            frame = normalised(change.load()(frame))
    return frame


def _still_raw(kind: pl.DataType, parse: Parse) -> bool:
    """Whether a column is not yet what the parse makes of it (a file may hold real numbers where text was)."""
    if parse.to == "number":
        return not kind.is_numeric()
    if parse.to == "boolean":
        return kind != pl.Boolean
    return parse.to in ("text", "normal") or kind not in (pl.Datetime, pl.Date)


def _non_finite(raw: pl.DataFrame) -> list[Note]:
    counts = raw.select((cs.float().is_nan() | cs.float().is_infinite()).sum())
    return [
        Note("prepare", name, int(counts[name][0]), "NaN or infinite cells read as missing")
        for name in counts.columns
        if counts[name][0]
    ]
