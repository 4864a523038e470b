"""What an HTTP API answered: JSON, JSON Lines, separated values or Parquet, told by its content type and first bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import DataError
from penstock.ingest.json_rows import framed, told
from penstock.ingest.read import read_table
from penstock.types.tabular import rows_in

_FILES = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How packed files begin: gzip, ZIP, bzip2, xz, Zstandard."""


class TruncatedError(Exception):
    """The answer ended before it was whole."""


def kind_of(body: bytes, said: str, who: str) -> str:
    """Return ``"json"``, ``"jsonl"``, ``"csv"`` or ``"parquet"``.

    Parameters
    ----------
    body : bytes
        What came.
    said : str
        Its content type.
    who : str
        Begins an error.

    Raises
    ------
    DataError
        When it is no table: a web page, a packed file.
    TruncatedError
        When it should be JSON and is not whole.

    Examples
    --------
    >>> kind_of(b'{"rows": []}', "application/json", "it"), kind_of(b"a,b\\n1,2", "text/plain", "it")
    ('json', 'csv')
    """
    if body.startswith(_FILES):
        raise DataError(f"{who}: answered a packed file; read it with ps.ingest.files(...), which takes its URL too")
    if body.startswith(b"PAR1"):
        return "parquet"
    if re.search(r"csv|separated", said):
        return "csv"
    first = body.lstrip()[:1]
    if first == b"<":
        raise DataError(f"{who}: answered a page of HTML or XML ({said or 'no content type'}), not a table")
    if first not in (b"{", b"[") and "json" not in said and body.strip():
        return "csv"
    try:
        found = json.loads(body)
    except ValueError as error:
        if _are_objects(body):
            return "jsonl"
        raise TruncatedError(f"the answer is not whole JSON: {error}") from None
    return "jsonl" if isinstance(found, dict) and re.search(r"ndjson|jsonl|json-?lines", said) else "json"


def _are_objects(body: bytes) -> bool:
    """Whether each line is an object: JSON Lines."""
    lines = [line for line in body.splitlines() if line.strip()]
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False


def rows_of(page: Path, records: str | None, where: str) -> pl.DataFrame:
    """Read the rows of a page whose kind its file's name says; none where it holds none.

    Parameters
    ----------
    page : Path
        Its file.
    records : str, optional
        Where the list of rows is in JSON, such as ``"data.items"``; found when left out.
    where : str
        Begins an error.

    Raises
    ------
    DataError
        When it holds no rows of the expected form.
    """
    if page.suffix != ".json":
        if page.suffix == ".csv" and not page.read_bytes().strip().partition(b"\n")[2]:
            return pl.DataFrame()  # no more than the names of columns
        try:
            return read_table(page)
        except DataError as error:
            raise DataError(f"{where}, in {error}") from None
    found = json.loads(page.read_bytes())
    rows = rows_in(at_path(found, records) if records else found)
    if rows is None:
        raise DataError(
            f"{where}: expected a list of objects{f' at {records!r}' if records else ''}, the answer holds: "
            f'{told(found)}. Say where the rows are with records="...".'
        )
    return framed(rows, where) if rows else pl.DataFrame()


def at_path(found: Any, path: str) -> Any:
    """Return what a path such as ``"data.items"`` leads to, or None.

    Examples
    --------
    >>> at_path({"data": {"items": [1]}}, "data.items")
    [1]
    """
    for part in path.split(".") if path else ():
        found = found.get(part) if isinstance(found, dict) else None
    return found
