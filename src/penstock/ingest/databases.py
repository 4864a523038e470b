"""Tables of databases, read through Arrow: PostgreSQL and SQLite by ADBC, MySQL and MariaDB by ConnectorX, DuckDB itself.

With a ``cursor`` a table is cut into partitions by it. A run first asks the database to count each one, which costs
no transfer, and reads those alone that are new or have changed.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from penstock.errors import DataError, InputError
from penstock.ingest.readable import ROWS, postgresql_batches, quoted, sqlite_batches
from penstock.types.nested import flat
from penstock.types.secrets import filled, hidden

BACKENDS = ("postgresql", "mysql", "mariadb", "sqlite", "duckdb")
_BY_VALUES = {
    "postgresql": (ROWS, f'{ROWS}::text COLLATE "C"'),  # JSON cannot be compared but as text
    "duckdb": ("COLUMNS(*)",),
}
"""Databases that read with several threads, and how they sort rows by all values; others find rows in one order."""
UNITS = {"day": "1d", "month": "1mo", "year": "1y"}
_BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Database:
    """A table or query of a database; made by :func:`database`."""

    url: str
    table: str | None
    query: str | None
    time: str | None
    cursor: str | None
    partition: int | str
    checks: tuple[str, ...]
    folder: str


def database(
    url: str,
    *,
    table: str | None = None,
    query: str | None = None,
    time: str | None = None,
    cursor: str | None = None,
    partition: int | str = "month",
    checks: tuple[str, ...] | list[str] = (),
) -> Database:
    """Take rows from a database.

    Parameters
    ----------
    url : str
        ``postgresql://``, ``mysql://``, ``mariadb://``, ``sqlite:///path`` or ``duckdb:///path``. Secrets are written
        as ``${NAME}`` and taken from the environment; a password in plain text is refused.
    table : str, optional
        A table, or ``schema.table``.
    query : str, optional
        Instead: a SELECT. Its rows come in its own ORDER BY; where it has none, or for a table, PostgreSQL and DuckDB
        sort them by all values, for they find the same rows now in one order, now in another.
    time : str, optional
        The column that says when each row happened.
    cursor : str, optional
        A column by which the table grows: a time or a whole number. Then a run reads only partitions that are new or
        changed, and rows where it is missing; without it the whole table is read each time, for nothing tells whether
        it has changed.
    partition : {"day", "month", "year"} or int
        How a cursor cuts the table: by calendar for times, by so many units for numbers.
    checks : sequence of str
        Columns of numbers whose sums are compared too, so that a changed value is noticed in a partition with the same
        number and cursors of rows as before.

    Raises
    ------
    InputError
        For a database that is not known, a secret in plain text, or options that contradict each other.

    Examples
    --------
    >>> database("postgresql://${USER}:${PASSWORD}@db/shop", table="orders", cursor="created").cursor
    'created'
    """
    import sys

    if (table is None) == (query is None):
        raise InputError("ps.ingest.database: give either table= or query=")
    if "://" not in url:
        raise InputError(f"ps.ingest.database({url!r}): give a URL, such as sqlite:///{url} or postgresql://host/name")
    backend = urlsplit(url).scheme.partition("+")[0]
    if backend == "postgres":
        url = url.replace("postgres", "postgresql", 1)
    elif backend not in BACKENDS:
        raise InputError(f"ps.ingest.database: {backend!r} is not a known database; known are {', '.join(BACKENDS)}")
    with contextlib.suppress(ValueError):
        password = urlsplit(url).password
        if password and "${" not in password:
            raise InputError(
                "ps.ingest.database: the url holds a password in plain text, which would be kept with every run; write "
                "${NAME} there and set NAME in the environment"
            )
    if not (partition in UNITS or (isinstance(partition, int) and partition > 0)):
        raise InputError(f"ps.ingest.database(partition={partition!r}): give day, month, year or a whole number")
    if table is not None and not re.fullmatch(r"\w[\w $#-]*(\.\w[\w $#-]*)?", table):
        raise InputError(
            f"ps.ingest.database(table={table!r}): is not the name of a table; use query= for anything else"
        )
    caller = Path(sys._getframe(1).f_code.co_filename)
    folder = caller.resolve().parent if caller.exists() else Path.cwd()
    return Database(url, table, query, time, cursor, partition, tuple(checks), str(folder))


def parts_of(source: Database) -> list[tuple[str, dict[str, Any]]]:
    """Ask what there is to read.

    Returns
    -------
    list of (str, dict)
        Name of each partition, and what tells whether it has changed: its bounds, number of rows, and sums.
        Rows without a cursor, and a table without one, are like no other.

    Raises
    ------
    DataError, InputError
        When the database cannot be reached, or has no such table or column.
    """
    if source.cursor is None:
        return [("all", {"at": time.time_ns()})]
    backend = _backend(source)
    _check_cursor(source, backend)
    cursor, bucket = quoted(source.cursor, backend), _bucket(source, backend)
    sums = "".join(f", SUM({quoted(name, backend)}) AS sum_{at}" for at, name in enumerate(source.checks))
    asked = (
        f"SELECT {bucket} AS bucket, COUNT(*) AS n, MIN({cursor}) AS low, MAX({cursor}) AS high, "  # noqa: S608
        f"{_total(source, backend)} AS total{sums} FROM {_from(source, backend)} GROUP BY 1 ORDER BY 1"
    )
    batches = [batch for batch in _batches(source, asked) if batch.height]
    if not batches:
        raise DataError(f"{_who(source)}: has no rows")
    found = pl.concat(batches, how="vertical_relaxed")
    parts = []
    for row in found.iter_rows(named=True):
        name = "none" if row["bucket"] is None else str(row["bucket"]).removesuffix(".0")
        held: dict[str, Any] = {key: None if value is None else str(value) for key, value in row.items()}
        if row["bucket"] is None:  # without bounds, one row more and one less look like none
            held["at"] = time.time_ns()
        parts.append((name, held))
    return parts


def _check_cursor(source: Database, backend: str) -> None:
    """Demand that a calendar cuts times, and a number numbers: SQLite would make a partition of each number."""
    cursor = quoted(source.cursor or "", backend)
    asked = f"SELECT {cursor} FROM {_from(source, backend)} WHERE {cursor} IS NOT NULL LIMIT 1"  # noqa: S608
    numbers = any(batch.height and batch.dtypes[0].is_numeric() for batch in _batches(source, asked))
    if numbers and not isinstance(source.partition, int):
        raise InputError(
            f'{_who(source)}: cursor "{source.cursor}" holds numbers, which partition="{source.partition}" does not cut; say how '
            "many of them make a partition, such as partition=100_000"
        )


def read_part(source: Database, name: str) -> Iterator[pl.DataFrame]:
    """Read one partition in batches, or the whole table; in one order, see :data:`_BY_VALUES`."""
    backend = _backend(source)
    if source.cursor is None and _is_ordered(source.query or ""):
        yield from _batches(source, (source.query or "").strip().rstrip(";"))
        return
    asked = f"SELECT * FROM {_from(source, backend)}"  # noqa: S608
    if source.cursor is not None:
        bucket = _bucket(source, backend)
        wanted = "IS NULL" if name == "none" else f"= {name if isinstance(source.partition, int) else _text(name)}"
        asked += f" WHERE {bucket} {wanted}"
    by = [quoted(source.cursor, backend)] if source.cursor else []
    orders = [[*by, values] for values in _BY_VALUES.get(backend, ())] or [by]
    ways = [asked + (f" ORDER BY {', '.join(columns)}" if columns else "") for columns in orders]
    begun = False
    for way in ways:
        try:
            for batch in _batches(source, way):
                begun = True
                yield batch
        except DataError:
            if begun or way == ways[-1]:
                raise
        else:
            return


def _is_ordered(query: str) -> bool:
    """Whether a query says itself in which order its rows come: its last ORDER BY is not within brackets."""
    rest = re.split(r"(?i)\border\s+by\b", query)
    return len(rest) > 1 and rest[-1].count("(") == rest[-1].count(")")


def _batches(source: Database, asked: str) -> Iterator[pl.DataFrame]:
    from penstock.ingest.arrow import plain

    who = _who(source)
    url = filled(source.url, who)
    read = {"postgresql": _adbc, "sqlite": _adbc, "duckdb": _duckdb}.get(_backend(source), _connectorx)
    try:
        for batch in read(url, asked, source):
            yield flat(plain(batch))
    except ModuleNotFoundError as error:
        raise InputError(
            f"{who}: needs the package {error.name}, which is not installed. Install it with: pip install 'penstock[databases]'"
        ) from None
    except (DataError, InputError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = hidden(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, source.url)
        if "'0000-00-00" in text:
            text += "; ask for dates without a day as missing, with query= and NULLIF(the_column, '0000-00-00')"
        raise DataError(f"{who}: {hidden(text.replace(url, source.url), source.url)}") from None


def _adbc(url: str, asked: str, source: Database) -> Iterator[Any]:
    if _backend(source) == "postgresql":
        from adbc_driver_postgresql.dbapi import connect

        batches, place = postgresql_batches, url
    else:
        from adbc_driver_sqlite.dbapi import connect

        batches, place = sqlite_batches, f"file:{_path(url, source)}?mode=ro"
    with connect(place) as connection, connection.cursor() as cursor:
        yield from batches(cursor, asked)


def _duckdb(url: str, asked: str, source: Database) -> Iterator[Any]:
    import duckdb

    with duckdb.connect(str(_path(url, source)), read_only=True) as connection:
        yield from connection.sql(asked).to_arrow_reader(_BATCH_ROWS)


def _connectorx(url: str, asked: str, source: Database) -> Iterator[Any]:
    import connectorx

    place = url.replace("mariadb", "mysql", 1)
    yield from connectorx.read_sql(place, asked, return_type="arrow_stream", batch_size=_BATCH_ROWS)


def _path(url: str, source: Database) -> Path:
    path = Path(source.folder) / url.partition(":///")[2]
    if not path.is_file():
        raise DataError(f"{_who(source)}: there is no file {path}")
    return path


def _backend(source: Database) -> str:
    found = urlsplit(source.url).scheme.partition("+")[0]
    return "mysql" if found == "mariadb" else found


def _who(source: Database) -> str:
    return f"ps.ingest.database({source.url!r}): {source.table or 'the query'}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _from(source: Database, backend: str) -> str:
    if source.table is not None:
        return ".".join(quoted(part, backend) for part in source.table.split(".")) + f" AS {ROWS}"
    return f"({(source.query or '').strip().rstrip(';')}\n) AS {ROWS}"


def _bucket(source: Database, backend: str) -> str:
    assert source.cursor is not None
    cursor = quoted(source.cursor, backend)
    if isinstance(source.partition, int):
        return f"FLOOR({cursor} / {source.partition})" if backend != "sqlite" else f"{cursor} / {source.partition}"
    size = {"day": 10, "month": 7, "year": 4}[source.partition]
    if backend == "mysql":
        return f"SUBSTR(DATE_FORMAT({cursor}, '%Y-%m-%d'), 1, {size})"
    if backend == "sqlite":
        return f"SUBSTR({cursor}, 1, {size})"
    return f"SUBSTR(CAST(CAST({cursor} AS DATE) AS VARCHAR), 1, {size})"


def _total(source: Database, backend: str) -> str:
    """Return what adds up the cursor: a row more and another one less leave count and bounds as they were."""
    assert source.cursor is not None
    cursor = quoted(source.cursor, backend)
    if isinstance(source.partition, int):
        # Exact and without an overflow, also for numbers of nineteen digits.
        each = {"sqlite": f"{cursor} % 1000003", "postgresql": f"CAST({cursor} AS NUMERIC)"}.get(backend, cursor)
    else:
        moment = f"CAST({cursor} AS TIMESTAMP)"
        each = {
            "sqlite": f"CAST(STRFTIME('%s', {cursor}) AS INTEGER)",
            "mysql": f"TO_SECONDS({cursor})",
            "postgresql": f"CASE WHEN ISFINITE({moment}) THEN CAST(DATE_PART('epoch', {moment}) * 1000 AS BIGINT) END",
            "duckdb": f"CASE WHEN ISFINITE({moment}) THEN EPOCH_MS({moment}) END",
        }[backend]
    return f"CAST(SUM({each}) AS {'CHAR' if backend == 'mysql' else 'VARCHAR'})"
