"""How a database is asked for rows, so that its driver has a type for every column and all cells are of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ROWS = "penstock_rows"
"""What a query that others are made of is called."""
_WITH_OWN_TYPE = ("bytea", "numeric", "uuid", "json", "jsonb")
_TYPEOF = {"int64": "integer", "double": "real", "string": "text", "binary": "blob"}
_HINTS = {"integer": "0", "real": "0.0", "text": "''", "blob": "x''", None: "NULL"}


def quoted(name: str, backend: str) -> str:
    """Quote a name as a database has it.

    Examples
    --------
    >>> quoted("group", "postgresql"), quoted("group", "mysql")
    ('"group"', '`group`')
    """
    sign = "`" if backend in ("mysql", "sqlite") else '"'  # SQLite reads an unknown name in double quotes as text
    return sign + name.replace(sign, sign * 2) + sign


def postgresql_batches(cursor: Any, asked: str) -> Iterator[Any]:
    """Yield the record batches of a query; what the driver has no type for comes as PostgreSQL shows it.

    Parameters
    ----------
    cursor : adbc_driver_manager.dbapi.Cursor
        Of an open connection.
    asked : str
        A query.
    """
    cursor.execute(f"SELECT * FROM ({asked}) AS {ROWS} LIMIT 0")  # noqa: S608 - of the author's own names
    schema = cursor.fetch_record_batch().schema
    written = [_written(field) for field in schema]
    if any(written) and len(set(schema.names)) == len(schema.names):
        names = [quoted(name, "postgresql") for name in schema.names]
        columns = [f"{made or name} AS {name}" for name, made in zip(names, written, strict=True)]
        asked = f"SELECT {', '.join(columns)} FROM ({asked}) AS {ROWS}"  # noqa: S608
    cursor.execute(asked)
    yield from cursor.fetch_record_batch()


def _written(field: Any) -> str:
    import pyarrow as pa

    name, kind = quoted(field.name, "postgresql"), (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    if kind == "money":  # a number without a place for cents
        return f"{name}::numeric"
    unknown = isinstance(field.type, pa.BaseExtensionType) and kind not in _WITH_OWN_TYPE
    if unknown or pa.types.is_struct(field.type):
        return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END"  # as it is shown; a cast writes 10.0.0.1/32
    return ""


def sqlite_batches(cursor: Any, asked: str) -> Iterator[Any]:
    """Yield the record batches of a query; a column of cells of several types comes as numbers with a fraction, or as text.

    SQLite keeps any cell in any column, and its driver takes a column's type from the first rows.
    """
    if whole := _of_one_type(cursor, asked):
        cursor.execute(whole)
        batches = iter(cursor.fetch_record_batch())
        yield next(batches).slice(1)
        yield from batches
    else:
        cursor.execute(asked)
        yield from cursor.fetch_record_batch()


def _of_one_type(cursor: Any, asked: str) -> str | None:
    """Return a query that casts cells and puts a row before them that shows their types; None where the driver is right."""
    cursor.execute(asked)
    schema = cursor.fetch_record_batch().schema
    names = [quoted(name, "sqlite") for name in schema.names]
    if len(set(names)) < len(names):
        return None
    rows = f"FROM ({asked}) AS {ROWS}"
    expected = [_TYPEOF.get(str(field.type), "null") for field in schema]
    others = [f"typeof({name}) NOT IN ('null', '{kind}')" for name, kind in zip(names, expected, strict=True)]
    if not _row(cursor, f"SELECT EXISTS (SELECT 1 {rows} WHERE {' OR '.join(others)})")[0]:
        return None
    held = [f"{word}(nullif(typeof({name}), 'null'))" for name in names for word in ("min", "max")]
    found = _row(cursor, f"SELECT {', '.join(held)} {rows}")
    kinds = [_common(*found[at : at + 2]) for at in range(0, len(found), 2)]
    hints = ", ".join(f"{_HINTS[kind]} AS {name}" for name, kind in zip(names, kinds, strict=True))
    casts = [
        f"CAST({name} AS {kind})" if one != other else name
        for name, kind, one, other in zip(names, kinds, found[::2], found[1::2], strict=True)
    ]
    return f"SELECT {hints} UNION ALL SELECT {', '.join(casts)} {rows}"


def _common(least: str | None, most: str | None) -> str | None:
    """The type of a column whose cells are of the types between two, by name."""
    return least if least == most else "real" if (least, most) == ("integer", "real") else "text"


def _row(cursor: Any, asked: str) -> Any:
    cursor.execute(asked)
    return cursor.fetchone()
