"""The raw columns that rows carry: described from the training table, checked and read in requests and events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from penstock.errors import DataError
from penstock.features.encoders import Category
from penstock.features.encoding import Encoding
from penstock.features.stored import Stored, StoredAsof, StoredJoin, StoredWindow
from penstock.monitor.profile import Profile
from penstock.prepare.changes import Dropped, Kept, Renamed
from penstock.prepare.mapped import MapReference
from penstock.prepare.tables import Change, Facts
from penstock.types.columns import nearest
from penstock.types.dates import number_of
from penstock.types.integers import fits, is_wide, whole
from penstock.types.labels import label_name
from penstock.types.nested import flat
from penstock.types.parse import Parse, read_boolean, read_date
from penstock.types.reading import number_or_none, reader_of, shown
from penstock.types.rows import RowProblem, RowsError
from penstock.types.table import Table


class InputColumn(msgspec.Struct, frozen=True):
    """A column that a request may carry.

    Attributes
    ----------
    name : str
        As in the raw data.
    type : str
        ``integer``, ``number``, ``boolean``, ``text`` or ``date``.
    required : bool
        Whether the model looks at it.
    reads : str
        What its text is read as: ``number``, ``boolean``, ``date`` or nothing.
    values : list of str
        The categories that it had in training, when they are few.
    decimal : str
        What stands before the fraction of a number in its text.
    """

    name: str
    type: str
    required: bool
    reads: str = ""
    values: list[str] = []
    decimal: str = "."


class TableOf(msgspec.Struct, frozen=True):
    """A table that features look into: how its rows are prepared, and the columns that an event must carry.

    Attributes
    ----------
    name : str
        As in ``ingest=``.
    changes : list
        What is done to each row.
    inputs : list of InputColumn
        Of the raw table.
    dtypes : dict of str to str
        Types of the prepared columns that are looked at.
    """

    name: str
    changes: list[Change]
    inputs: list[InputColumn]
    dtypes: dict[str, str]


def table_of(name: str, facts: Facts, features: Sequence[Stored], table: Table) -> TableOf:
    """Describe a table that features look into; what they do not look at may be missing from events."""
    looked: set[str] = set()
    for made in features:
        if isinstance(made, StoredWindow) and made.table == name:
            looked |= {made.time, *(column for _, column in made.by)}
            looked |= {column for value in made.values for column in value.needs}
        elif isinstance(made, StoredAsof | StoredJoin) and made.table == name:
            pairs = made.by if isinstance(made, StoredAsof) else made.on
            looked |= {column for _, column in [*pairs, *made.columns]}
            looked |= {made.time} if isinstance(made, StoredAsof) else set()
    schema = table.schema
    dtypes = {column: str(schema[column]) for column in sorted(looked)}
    return TableOf(name, list(facts.changes), input_columns(facts, looked, events=True), dtypes)


def input_columns(
    facts: Facts, used: set[str], target: str | None = None, encoding: Encoding | None = None, *, events: bool = False
) -> list[InputColumn]:
    """Work out which raw columns a request may carry, from the prepared columns that are used.

    `events` are chosen by filters too, so that they must carry what these look at.
    """
    changes = facts.changes
    everything = any(isinstance(change, MapReference) for change in changes)
    levels = {item.column: item.levels for item in encoding.encoders if isinstance(item, Category)} if encoding else {}
    found = []
    for name, kind in facts.raw:
        now: str | None = name
        reads, decimal, chosen_by = "", ".", False
        for change in changes:
            if isinstance(change, Kept):
                chosen_by = chosen_by or (events and now in change.needs)
            elif isinstance(change, Renamed) and change.old == now:
                now = change.new
            elif isinstance(change, Dropped) and change.column == now:
                now = None
            elif isinstance(change, Parse) and change.column == now and change.to in ("number", "boolean", "date"):
                reads, decimal = change.to, change.decimal
        if target is not None and target in (now, name):
            continue
        known = levels.get(now or "", [])
        values = known if len(known) <= 20 else []
        required = chosen_by or (now is not None and (now in used or everything))
        found.append(InputColumn(name, kind, required, reads, values, decimal))
    return found


def frame_of(
    inputs: Sequence[InputColumn], rows: Sequence[Mapping[str, Any]], *, lenient: bool = False
) -> pl.DataFrame:
    """Make a raw table of rows as requests carry them; fields that a row lacks are null.

    Parameters
    ----------
    lenient : bool
        Fields that cannot be read are null too, as those that a log holds only as hashes.

    Raises
    ------
    DataError
        When a field cannot be read, with the first such row.
    """
    columns = []
    for column in inputs:
        cells = _cells(column, rows, lenient)
        if column.type == "integer":
            columns.append(whole(cells, column.name))
        else:
            dtype = {"number": pl.Float64(), "boolean": pl.Boolean(), "date": pl.Datetime("us")}.get(
                column.type, pl.String()
            )
            columns.append(pl.Series(column.name, cells, dtype, strict=False))
    return pl.DataFrame(columns)


def _cells(column: InputColumn, rows: Sequence[Mapping[str, Any]], lenient: bool) -> list[Any]:
    read = _any_text(column) if column.type == "text" else reader_of(column.type)
    cells: list[Any] = []
    for number, row in enumerate(rows):
        value = row.get(column.name)
        try:
            cells.append(read(value))
        except (ValueError, TypeError, OverflowError) as error:
            if not lenient:
                raise DataError(f'column "{column.name}": {error}, found {shown(value)} in row {number + 1}') from None
            cells.append(None)
    return cells


def _any_text(column: InputColumn) -> Callable[[Any], str | None]:
    """A number goes the way of the texts, and is written as they are."""

    def read(value: Any) -> str | None:
        return value if value is None or isinstance(value, str) else label_name(value).replace(".", column.decimal)

    return read


def read_texts(values: pl.Series, kind: str) -> pl.Series:
    """Read a column that holds texts where training had numbers, yes/no or dates; each different text once.

    Raises
    ------
    DataError
        When one cannot be read, with the first and its row.
    """
    readers: dict[str, Callable[[Any], Any]] = {"boolean": read_boolean, "date": read_date}
    read: Callable[[Any], Any] = readers.get(kind, number_or_none)
    what = {"boolean": "yes or no", "date": "dates"}.get(kind, "numbers")
    known: dict[str | None, Any] = {None: None}
    wrong: set[str] = set()
    for text in values.unique().to_list():
        try:
            known[text] = read(text)
        except ValueError:
            wrong.add(text)
    if wrong:
        rows = values.is_in(list(wrong)).arg_true()
        raise DataError(
            f'column "{values.name}": {len(rows)} of {values.len()} values are not {what} '
            f"(first: {values[int(rows[0])]!r} in row {int(rows[0]) + 1})"
        )
    cells = [known[text] for text in values.to_list()]
    if kind == "integer":
        return whole(cells, values.name)
    dtype = {"boolean": pl.Boolean(), "date": pl.Datetime("us")}.get(kind, pl.Float64())
    return pl.Series(values.name, cells, dtype, strict=False)


def as_in_training(raw: pl.DataFrame, inputs: Sequence[InputColumn], who: str) -> pl.DataFrame:
    """Read the columns of a raw table as training read them, whatever types the file gave them.

    Raises
    ------
    DataError
        When one is missing that is needed, or holds what it should not.
    """
    raw = flat(raw)
    schema = raw.schema
    for column in inputs:
        if column.name not in schema:
            if not column.required:
                continue
            hint = nearest(column.name, raw.columns)
            raise DataError(
                f'the table has no column "{column.name}", which {who} needs.{hint} It has: {", ".join(raw.columns[:30])}'
            )
        kind = schema[column.name]
        if column.type in ("integer", "number", "boolean", "date") and kind == pl.String:
            raw = raw.with_columns(read_texts(raw[column.name], column.type))
        elif column.type == "integer" and is_wide(kind) and fits(raw[column.name]):
            raw = raw.with_columns(pl.col(column.name).cast(pl.Int64))
        elif column.type == "text" and not column.reads and kind != pl.String:
            raw = raw.with_columns(pl.col(column.name).cast(pl.String))
        elif column.type == "text" and kind == pl.String and (raw[column.name] == "").any():
            raw = raw.with_columns(pl.col(column.name).replace("", None))
    return raw


def event_rows(table: TableOf, rows: Sequence[Any]) -> pl.DataFrame:
    """Check raw rows of a table field by field and make a table of them.

    Raises
    ------
    RowsError
        When a row lacks a column that a feature looks at, or holds what it should not.
    """
    problems: list[RowProblem] = []
    raw_names = {column.name for column in table.inputs}
    readers = {raw: reader for raw, _, reader in readers_of(table.inputs, table.changes)[0]}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            problems.append(RowProblem(number, "", f"expected an object of column to value, found {shown(row)}"))
            continue
        for column in table.inputs:
            if not column.required:
                continue
            if column.name not in row:
                problems.append(RowProblem(number, column.name, "is missing (send null when the value is not known)"))
                continue
            try:
                readers[column.name](row[column.name])
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(RowProblem(number, column.name, f"{error}, found {shown(row[column.name])}"))
        problems += [RowProblem(number, name, "is not a column of this table") for name in row if name not in raw_names]
    if problems:
        raise RowsError(problems)
    return frame_of([column for column in table.inputs if column.required], rows)


def typed(table: pl.DataFrame, dtypes: Mapping[str, str], who: str) -> pl.DataFrame:
    """Give the columns that features compute with the types that they had in training."""
    kinds = {name: dtype_named(kind) for name, kind in dtypes.items()}
    schema = table.schema
    try:
        return table.with_columns(
            pl.col(name).cast(kind)
            for name, kind in kinds.items()
            if name in schema and schema[name] != kind and not _widens(table[name], kind)
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"the table does not fit model {who}: {str(error).splitlines()[0]}") from None


def _widens(values: pl.Series, kind: pl.DataType) -> bool:
    """Whether numbers with a fraction stand where training had whole ones: they are kept."""
    return bool(kind.is_integer() and values.dtype.is_float() and (values.drop_nulls() % 1 != 0).any())


def dtype_named(name: str) -> pl.DataType:
    """Return the Polars type that :func:`str` wrote.

    Examples
    --------
    >>> dtype_named("Int64")
    Int64
    """
    if name.startswith("Datetime"):
        return pl.Datetime("us")
    found: pl.DataType = getattr(pl, name)()
    return found


def typical_row(inputs: Sequence[InputColumn], changes: Sequence[Change], profile: Profile) -> dict[str, Any]:
    """Return a row as a request carries it, of each column's median or most frequent value: nobody's own row."""
    known = {column.name: column for column in profile.columns}
    found: dict[str, Any] = {}
    for column in inputs:
        if not column.required:
            continue
        name, form = column.name, ""
        for change in changes:
            if isinstance(change, Renamed) and change.old == name:
                name = change.new
            elif isinstance(change, Parse) and change.column == name and change.to == "date":
                form = change.format or ""
        seen = known.get(name)
        value: Any = None
        if seen is not None and seen.quantiles:
            value = seen.quantiles[len(seen.quantiles) // 2]
            value = int(value) if float(value).is_integer() else value
        elif seen is not None and seen.counts:
            value = seen.counts[0][0]
            if column.type == "boolean" or column.reads == "boolean":
                value = value == "true"
        elif column.type == "date" or column.reads == "date":
            today = dt.datetime.combine(dt.datetime.now(dt.UTC), dt.time())
            value = number_of(today, form) if column.type in ("integer", "number") else today.isoformat()
        elif column.values:
            value = column.values[0]
        found[column.name] = value
    return found


def readers_of(
    inputs: Sequence[InputColumn], changes: Sequence[Change]
) -> tuple[list[tuple[str, str, Callable[[Any], Any]]], bool]:
    """Return how the cells of a row are read.

    Returns
    -------
    list of (str, str, callable)
        Of each column that is looked at: its raw name, its prepared name, and the function that reads a cell.
    bool
        Whether that is not enough, so that a row must go through a table.
    """
    by_table = any(isinstance(change, MapReference) for change in changes)
    found = []
    for column in inputs:
        if not column.required:
            continue
        name, reader, parses = column.name, reader_of(column.type), 0
        for change in changes:
            if isinstance(change, Renamed) and change.old == name:
                name = change.new
            elif isinstance(change, Parse) and change.column == name:
                parses += 1
                by_table = by_table or column.type != "text" or parses > 1
                reader = change.reader()
        found.append((column.name, name, reader))
    return found, by_table
