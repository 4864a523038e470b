"""Tables in JSON, however they are written: objects line by line, a list of them, columns, and what pandas writes."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import DataError
from penstock.ingest.utf8 import BLOCK, Stream, decoded
from penstock.types.tabular import rows_in


def json_parts(stream: Stream, path: Path, size: int = BLOCK) -> Iterator[pl.DataFrame]:
    """Read JSON Lines block by block, or one JSON value whole; each block has the types of its own rows.

    Raises
    ------
    DataError
        When it is not JSON, or holds no rows.
    """
    left = stream.read(size)
    if _is_one_value(left, path):
        whole = left + b"".join(iter(functools.partial(stream.read, size), b""))
        decoded(whole, path, functools.partial(int, 0))
        yield _from_value(whole, path)
        return
    lines = 0
    for data in _lines(left, stream, size):
        decoded(data, path, functools.partial(int, lines))
        yield _from_lines(data, path, lines)
        lines += data.count(b"\n")


def _is_one_value(beginning: bytes, path: Path) -> bool:
    """Whether a file is a list, or by its name may be one object, and its first line is not one of several."""
    text = beginning.lstrip()
    if text[:1] == b"[":
        return True
    if ".json" not in [suffix.lower() for suffix in path.suffixes[-2:]]:
        return False
    first, _, more = text.partition(b"\n")
    try:
        return not isinstance(json.loads(first), dict) or not more.strip()
    except ValueError:
        # A line that is wrong stands among lines that begin as this one does; what is one object goes on otherwise.
        return not more.lstrip().startswith(b"{")


def _lines(left: bytes, stream: Stream, size: int) -> Iterator[bytes]:
    while data := stream.read(size):
        left += data
        cut = left.rfind(b"\n") + 1
        if cut:
            yield left[:cut]
            left = left[cut:]
    if left.strip():
        yield left


def _from_lines(data: bytes, path: Path, lines: int) -> pl.DataFrame:
    try:
        return pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError):
        rows = []
        for number, line in enumerate(data.splitlines(), lines + 1):
            try:
                found = _loaded(line) if line.strip() else {}
            except ValueError as error:
                raise DataError(f"{path.name}, line {number}: is not JSON: {error}") from None
            if not isinstance(found, dict):
                raise DataError(f"{path.name}, line {number}: is not an object of column to value") from None
            if found:
                rows.append(found)
        return framed(rows, path.name)


def _from_value(data: bytes, path: Path) -> pl.DataFrame:
    try:
        if data.lstrip()[:1] == b"[":
            return pl.read_json(data, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        pass  # NaN, a list of lists: more than Polars reads
    try:
        found = _loaded(data)
    except ValueError as error:
        raise DataError(f"{path.name}: is not JSON: {error}") from None
    rows = rows_in(found)
    if rows is None and isinstance(found, dict) and not any(isinstance(value, list) for value in found.values()):
        rows = [found]
    if rows is None:
        raise DataError(f"{path.name}: expected a list of objects, or columns of equal length, found {told(found)}")
    return framed(rows, path.name)


def _loaded(text: bytes) -> Any:
    """NaN, which is no JSON and which Python writes, is a missing cell."""
    return json.loads(text, parse_constant=lambda name: None if name == "NaN" else float(name))


def framed(rows: Sequence[Any] | dict[str, list[Any]], where: str) -> pl.DataFrame:
    """Make a table of rows or of columns; numbers among text become text.

    Raises
    ------
    DataError
        When a column holds objects in some rows and plain values in others.
    """
    try:
        table = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise DataError(f"{where}: the rows do not agree on their types: {str(error).splitlines()[0]}") from None
    for name in (name for name, kind in table.schema.items() if isinstance(kind, pl.Struct)):
        cells = rows[name] if isinstance(rows, dict) else (row.get(name) for row in rows)
        if any(not isinstance(cell, dict | None) for cell in cells):
            raise DataError(f"{where}: {name} is an object in some rows and a plain value in others")
    return table


def told(found: Any) -> str:
    """Say what a JSON value is, by its first names where it is an object."""
    if isinstance(found, dict):
        return ", ".join(list(found)[:10]) + (", ..." if len(found) > 10 else "")
    return "a list of other things" if isinstance(found, list) else type(found).__name__
