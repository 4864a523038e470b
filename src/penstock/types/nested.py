"""Nested fields as columns of their own, in tables and in single rows alike."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def fields(schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """Return the columns of a table, and nested fields as columns of their own (``address.city``).

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"size": [3], "user": [{"age": 41}]})
    >>> table.select(fields(table.schema)).columns
    ['size', 'user.age']
    """
    import polars as pl

    return [part for name, kind in schema.items() for part in _parts(pl.col(name), name, kind)]


def _parts(column: pl.Expr, name: str, kind: pl.DataType) -> Iterator[pl.Expr]:
    import polars as pl

    if isinstance(kind, pl.Struct):
        for field in kind.fields:
            yield from _parts(column.struct.field(field.name), f"{name}.{field.name}", field.dtype)  # type: ignore[arg-type]
    else:
        yield column.alias(name)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Nested fields become columns of their own (``address.city``), lists their JSON text, and bytes text.

    Bytes that are no UTF-8 are written as ``\\xff``. What a database's driver has a type of its own for (PostgreSQL's
    ``numeric``) becomes what it is written as. Times outside the years 1 to 9999, as databases' ``infinity`` comes, are missing.
    """
    import polars as pl

    own = [name for name, kind in frame.schema.items() if isinstance(kind, pl.BaseExtension)]
    frame = frame.with_columns(pl.col(name).ext.storage() for name in own)
    if any(isinstance(kind, pl.Struct) for kind in frame.dtypes):
        frame = frame.select(fields(frame.schema))
    texts: dict[str, list[str | None]] = {}
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.List | pl.Array | pl.Map):
            texts[name] = [None if item is None else json.dumps(item, default=str) for item in frame[name].to_list()]
        elif kind == pl.Binary:
            cells = frame[name].to_list()
            texts[name] = [None if item is None else item.decode("utf-8", "backslashreplace") for item in cells]
    frame = frame.with_columns(pl.Series(name, cells, pl.String) for name, cells in texts.items())
    days = {name: day for name, kind in frame.schema.items() if (day := _day(kind))}
    beyond = [name for name, day in days.items() if not _within(frame[name], day).all()]
    return frame.with_columns(pl.when(_within(pl.col(name), days[name])).then(pl.col(name)) for name in beyond)


def _day(kind: pl.DataType) -> int:
    """How many units of a type of times make a day; 0 where all that it can tell is within the years."""
    import polars as pl

    if kind == pl.Date:
        return 1
    return {"ms": 86_400_000, "us": 86_400_000_000}.get(kind.time_unit, 0) if isinstance(kind, pl.Datetime) else 0


def _within(column: Any, day: int) -> Any:
    """Whether times are of the years that dates of Python know."""
    return column.to_physical().is_between(_FIRST * day, (_LAST + 1) * day - 1)


_FIRST, _LAST = ((edge - dt.date(1970, 1, 1)).days for edge in (dt.date.min, dt.date.max))


def unnested(rows: Sequence[Any]) -> list[Any] | None:
    """Give fields of nested objects names of their own, and write lists as text, as files are read; None where there are none.

    Examples
    --------
    >>> unnested([{"user": {"age": 41, "tags": ["a"]}, "size": 3}])
    [{'user.age': 41, 'user.tags': '["a"]', 'size': 3}]
    >>> unnested([{"size": 3}]) is None
    True
    """
    if not any(isinstance(value, dict | list) for row in rows if isinstance(row, dict) for value in row.values()):
        return None
    return [dict(_flattened(row)) if isinstance(row, dict) else row for row in rows]


def _flattened(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", json.dumps(value, default=str) if isinstance(value, list) else value
