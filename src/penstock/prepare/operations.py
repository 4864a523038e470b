"""What an author may ask to be done to a table before anything learns from it; each counts what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from penstock.errors import DataError, InputError
from penstock.types.columns import column_of, columns_of
from penstock.types.parse import Kind, Parse, read_columns


@dataclass(frozen=True)
class Note:
    """Something that was done to, or seen in, the data: it is shown in the report.

    Attributes
    ----------
    stage : str
        Which stage says it.
    column : str or None
        What it is about.
    count : int
        How many cells or rows.
    text : str
        In words.
    unclear : bool
        Whether only the author can say what is right; a run tells of it.
    """

    stage: str
    column: str | None
    count: int
    text: str
    unclear: bool = False


@dataclass(frozen=True)
class Cast:
    """Read a column as another type."""

    column: str
    to: Kind
    format: str | None = None
    invalid: Literal["error", "null"] = "error"
    decimal: str = "."
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropDuplicates:
    """Keep one of the rows that agree in some columns."""

    columns: tuple[str, ...] = ()
    latest: str | None = None


@dataclass(frozen=True)
class Normalise:
    """Write texts that mean the same alike."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Rename:
    """Give columns other names."""

    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Drop:
    """Leave columns out."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Filter:
    """Keep the rows for which an expression is true."""

    predicate: pl.Expr


@dataclass(frozen=True)
class Map:
    """Hand the table to a function of the author's own, row by row alike.

    `reference`, by which a stored model finds the function, is noted before it travels to a worker.
    """

    function: Callable[[pl.DataFrame], pl.DataFrame]
    reference: Any = None


Operation = Cast | DropDuplicates | Normalise | Rename | Drop | Filter | Map


def cast(
    column: str,
    dtype: Any,
    *,
    format: str | None = None,
    invalid: Literal["error", "null"] = "error",
    decimal: Literal[".", ","] = ".",
    true: Sequence[str] = (),
    false: Sequence[str] = (),
    unit: Literal["s", "ms", "us", "ns"] | None = None,
) -> Cast:
    """Read a column as numbers, dates, true/false or text; blank cells are missing.

    Parameters
    ----------
    column : str
        Which column.
    dtype : Polars type or {"number", "boolean", "date", "text"}
        What it holds.
    format : str, optional
        Of dates, such as ``"%d/%m/%Y"``; several are separated by ``|`` and tried in order.
    invalid : {"error", "null"}
        What to do with cells that cannot be read so.
    decimal : {".", ","}
        What stands before the fraction of a number; the other one parts thousands.
    true, false : sequence of str
        Further words for true and false, such as ``["ja"]`` and ``["nein"]``, in any case.
    unit : {"s", "ms", "us", "ns"}, optional
        Of dates that are numbers: what is counted since 1970-01-01 UTC.

    Examples
    --------
    >>> cast("TotalCharges", pl.Float64).to
    'number'
    """
    column_of("ps.prepare.cast", column)
    if decimal not in (".", ","):
        raise InputError(f"ps.prepare.cast({column!r}, decimal={decimal!r}): give '.' or ','")
    if unit is not None:
        if unit not in ("s", "ms", "us", "ns") or format is not None or _kind_of(dtype, column) != "date":
            raise InputError(
                f"ps.prepare.cast({column!r}, unit={unit!r}): give s, ms, us or ns, of a date, and no format= beside it"
            )
        format = f"{unit} since 1970"
    words = [tuple(word.strip().lower() for word in some) for some in (true, false)]
    return Cast(column, _kind_of(dtype, column), format, invalid, decimal, words[0], words[1])


def drop_duplicates(*columns: str | Sequence[str], latest: str | None = None) -> DropDuplicates:
    """Keep one of the rows that agree in `columns`, or in all columns.

    Parameters
    ----------
    *columns : str, or list of str
        The key.
    latest : str, optional
        Keep the row with the greatest value of this column (the last one of equals) instead of the first row.

    Examples
    --------
    >>> drop_duplicates("customerID").columns
    ('customerID',)
    >>> drop_duplicates("customerID", latest="updated").latest
    'updated'
    """
    return DropDuplicates(columns_of("ps.prepare.drop_duplicates", *columns), latest=latest)


def normalise(*columns: str | Sequence[str]) -> Normalise:
    """Write texts that mean the same alike: lower case, single spaces, one form of Unicode (NFKC).

    Examples
    --------
    >>> normalise("city").columns
    ('city',)
    """
    names = columns_of("ps.prepare.normalise", *columns)
    if not names:
        raise InputError("ps.prepare.normalise() names no column; give those whose texts are categories")
    return Normalise(names)


def rename(names: dict[str, str] | None = None, /, **more: str) -> Rename:
    """Give columns other names: ``rename({"old name": "new"})`` or ``rename(old="new")``.

    Examples
    --------
    >>> rename(tenure="months").names
    (('tenure', 'months'),)
    """
    return Rename(tuple({**(names or {}), **more}.items()))


def drop(*columns: str | Sequence[str]) -> Drop:
    """Leave columns out; requests need not carry them.

    Examples
    --------
    >>> drop("customerID").columns
    ('customerID',)
    """
    return Drop(columns_of("ps.prepare.drop", *columns))


def filter(predicate: pl.Expr) -> Filter:
    """Keep the rows for which `predicate` is true; at serving every row is answered.

    Examples
    --------
    >>> filter(pl.col("price") < 500_000).predicate.meta.root_names()
    ['price']
    """
    if not isinstance(predicate, pl.Expr):
        raise InputError(
            f"ps.prepare.filter({predicate!r}): give a Polars expression, such as pl.col('price') < 500_000"
        )
    return Filter(predicate)


def map(function: Callable[[pl.DataFrame], pl.DataFrame]) -> Map:
    """Hand the table to a function that changes columns and keeps rows; it is called the same way at serving.

    It is given one row or many, with the target or without it, and a run refuses one that makes anything else of a row
    alone. The service's machine must have its file, and the modules of your own that it uses, as they were at training.

    Examples
    --------
    >>> def shout(table: pl.DataFrame) -> pl.DataFrame:
    ...     return table.with_columns(pl.col("city").str.to_uppercase())
    >>> map(shout).function.__name__
    'shout'
    """
    if not callable(function):
        raise InputError("ps.prepare.map(function) takes a function from a table to a table")
    return Map(function)


def _kind_of(dtype: Any, column: str) -> Kind:
    if dtype in ("number", "boolean", "date", "text"):
        return dtype  # type: ignore[no-any-return]
    if dtype is int or dtype is float:
        return "number"
    if dtype is bool:
        return "boolean"
    if dtype is str:
        return "text"
    try:
        kind = dtype() if isinstance(dtype, type) else dtype
        if kind.is_numeric():
            return "number"
        if kind == pl.Boolean:
            return "boolean"
        if kind in (pl.Date, pl.Datetime):
            return "date"
        if kind in (pl.String, pl.Categorical, pl.Enum):
            return "text"
    except (AttributeError, TypeError):
        pass
    raise InputError(
        f"ps.prepare.cast({column!r}, {dtype!r}): not a type that a column can be read as; "
        "give pl.Float64, pl.Int64, pl.Boolean, pl.Date, pl.Datetime or pl.String"
    )


def parse_of(schema: Mapping[str, pl.DataType], made: Cast, form: str | None) -> Parse | None:
    """Return how a cast reads its column; None when it holds numbers, yes/no or dates already.

    Parameters
    ----------
    form : str or None
        Of dates, as found where the author has not said it.
    """
    kind = schema[made.column]
    if made.to == "number" and (kind.is_numeric() or kind == pl.Boolean):
        return None
    if (made.to == "boolean" and kind == pl.Boolean) or (made.to == "date" and kind.is_temporal()):
        return None
    if made.to == "date":
        return Parse(made.column, "date", made.format or form, lenient=made.invalid == "null")
    return Parse(made.column, made.to, made.format, made.decimal, made.true, made.false, lenient=made.invalid == "null")


def apply_cast(frame: pl.DataFrame, made: Cast, parse: Parse | None) -> tuple[pl.DataFrame, list[Note]]:
    """Read a column as asked.

    Raises
    ------
    DataError
        When a cell cannot be read, with the first one and its row.
    """
    before = frame[made.column]
    if parse is None:
        return (frame.with_columns(pl.col(made.column).cast(pl.Float64)) if made.to == "number" else frame), []
    done = read_columns(frame, [parse])
    blank = frame.select(parse.blank().fill_null(value=False)).to_series()
    failed = done[made.column].is_null() & ~blank & before.is_not_null()
    notes = []
    if failed.any():
        rows = failed.arg_true()
        first = before[int(rows[0])]
        what = {"number": "numbers", "date": "dates", "boolean": "yes or no", "text": "text"}[made.to]
        place = f"(first: {first!r} in row {int(rows[0]) + 1})"
        if made.invalid == "error":
            raise DataError(
                f'column "{made.column}": {failed.sum()} of {frame.height} values are not {what} {place}. '
                'Read them as missing with ps.prepare.cast(..., invalid="null"), or drop the column.'
            )
        text = f'column "{made.column}": values are not {what} {place}; read as missing'
        notes.append(Note("prepare", made.column, int(failed.sum()), text))
    if blank.any():
        notes.append(Note("prepare", made.column, int(blank.sum()), "blank cells read as missing"))
    return done, notes
