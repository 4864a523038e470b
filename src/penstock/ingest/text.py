"""Separated values of any length, a block in memory at a time."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import DataError
from penstock.ingest.guesses import coded, unclear_times
from penstock.ingest.options import TextForm
from penstock.ingest.spaced import WHITESPACE, Spaced, is_spaced
from penstock.ingest.utf8 import BLOCK, Stream, decoded
from penstock.types.columns import headless

_INFERRED_ROWS, _INFERRED_LEAST, _INFERRED_CELLS = 10_000, 1_000, 2_000_000
_SEPARATORS = ",;\t|"
Schema = Mapping[str, pl.DataType]


def blocks(stream: Stream, size: int) -> Iterator[bytes]:
    """Cut a stream into whole lines of about `size` bytes; a line's end within quotes is none.

    Examples
    --------
    >>> list(blocks(io.BytesIO(b'1,a\\n2,"b\\nc"\\n3,d\\n'), 8))
    [b'1,a\\n', b'2,"b\\nc"\\n3,d\\n']
    """
    left = b""
    while data := stream.read(size):
        cut = _last_end(data, left.count(b'"'))
        if cut:
            yield b"".join((left, memoryview(data)[:cut]))
            left = data[cut:]
        else:
            left += data
    if left.strip():
        yield left


def _last_end(data: bytes, before: int) -> int:
    """Return where the last line ends that does not end within quotes, of which `before` stand before the data."""
    inside = before + data.count(b'"')
    last = at = data.rfind(b"\n")
    while inside and at >= 0:
        inside -= data.count(b'"', at, last if last > at else len(data))
        if inside % 2 == 0:
            return at + 1
        last, at = at, data.rfind(b"\n", 0, at)
    return last + 1 if not inside else data.rfind(b"\n") + 1  # quotes that are not closed are no quotes


def csv_parts(
    open_stream: Callable[[], Stream], form: TextForm, path: Path, size: int = BLOCK
) -> Iterator[pl.DataFrame | None]:
    """Read separated values, block by block, all with the types of the first.

    Parameters
    ----------
    open_stream : callable
        Opens the text; once more when a later block shows that a type is wider than the first said.

    Yields
    ------
    DataFrame or None
        None says that what came before does not count: the table begins again, with wider types.

    Raises
    ------
    DataError
        When it cannot be read, with the line.
    """
    widened: dict[str, pl.DataType] = {}
    spaced = form.separator in WHITESPACE
    while True:
        opened = (lambda: Spaced(open_stream())) if spaced else open_stream
        written = replace(form, separator="\t") if spaced else form
        try:
            yield from _csv_once(opened, written, path, size, widened)
        except _Wider as found:
            widened |= found.schema
            yield None
        except _Spaced:
            spaced = True
        else:
            return


class _Spaced(Exception):
    pass


class _Wider(Exception):
    def __init__(self, schema: Schema) -> None:
        self.schema = dict(schema)


def _csv_once(
    open_stream: Callable[[], Stream], form: TextForm, path: Path, size: int, widened: Schema
) -> Iterator[pl.DataFrame]:
    names: list[str] = []
    separator = form.separator
    schema: dict[str, pl.DataType] = {}
    done = 0

    def before() -> int:
        """Count the lines before a block: only when one of them is to be named."""
        stream, left, lines = open_stream(), done, 0
        while left and (data := stream.read(min(left, size))):
            lines += data[:left].count(b"\n")
            left -= min(left, len(data))
        return lines

    for data in blocks(open_stream(), size):
        block = data
        if not names:
            for _ in range(form.skip):
                block = block.partition(b"\n")[2]
            block = block.lstrip(b"\r\n")
            done += len(data) - len(block)
            first, _, rest = block.partition(b"\n")
            if said := re.fullmatch(rb'"?sep=(.)"?\r?', first):  # Excel's own first line
                done += len(block) - len(rest)
                separator, block = said[1].decode(), rest
                first, _, rest = block.partition(b"\n")
            if separator is None and is_spaced(block):
                raise _Spaced
            separator, names, is_header = _header(decoded(first, path, before).rstrip("\r"), separator, form, path)
            if is_header:
                done += len(block) - len(rest)
                block = rest
        if block.strip():
            frame = _frame_of(block, separator or ",", names, schema, path, before, widened)
            schema = dict(frame.schema)
            yield frame
        done += len(block)
    if not schema:
        if not names:
            raise DataError(f"{path.name}: the file is empty; expected a header line and rows")
        raise DataError(f"{path.name}: has columns ({', '.join(names[:5])}) but no rows")


def _header(first: str, separator: str | None, form: TextForm, path: Path) -> tuple[str, list[str], bool]:
    """Return what stands between fields, the names of columns, and whether the first line holds them."""
    if separator is None:
        counts = {sign: len(next(csv.reader([first], delimiter=sign), [])) for sign in _SEPARATORS}
        separator = max(_SEPARATORS, key=lambda sign: counts[sign])
    header = next(csv.reader([first], delimiter=separator), [])
    if form.columns and not set(header) <= set(form.columns):
        if len(header) == len(form.columns) - 1 and form.optional in form.columns:
            return separator, [name for name in form.columns if name != form.optional], False
        if len(header) != len(form.columns):
            raise DataError(f"{path.name}, line 1: has {len(header)} fields; columns= names {len(form.columns)}")
        return separator, list(form.columns), False
    names = [name.strip() or f"column_{index + 1}" for index, name in enumerate(header)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        advice = headless(names) or ". Rename one in the file."
        raise DataError(f"{path.name}: two columns have the same name: {', '.join(map(repr, doubled))}{advice}")
    return separator, names, True


def _frame_of(
    block: bytes,
    separator: str,
    names: list[str],
    schema: Schema,
    path: Path,
    before: Callable[[], int],
    widened: Schema,
) -> pl.DataFrame:
    """Read a block; `before` counts the lines before it. Without `schema`, its types are found."""

    def parsed(data: bytes) -> pl.DataFrame:
        if schema:
            frame = pl.read_csv(data, separator=separator, has_header=False, schema=dict(schema))
            if zeros := coded(data, separator, schema):
                raise _Wider(dict.fromkeys(zeros, pl.String()))
            return frame
        return _first_frame(data, separator, names, widened)

    data = block.lstrip(b"\r\n") if len(names) > 1 and block[:1] in (b"\r", b"\n") else block
    try:
        frame = parsed(data)
        if len(names) > 1 and frame[frame.columns[-1]].null_count():
            plain = _without_blank_lines(data)
            data, frame = (data, frame) if plain is data else (plain, parsed(plain))
    except pl.exceptions.PolarsError as error:
        decoded(block, path, before)
        _check_lines(block, separator, len(names), path, before)
        plain = _without_stray_quotes(data, separator, path, before)
        if plain != data:
            return _frame_of(plain, separator, names, schema, path, before, widened)
        wider = _wider_types(data, separator, names, schema) if schema else {}
        if not wider:
            raise DataError(f"{path.name}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
        raise _Wider(wider) from None
    if frame.width != len(names) or _may_be_short(frame, data, separator):
        _check_lines(block, separator, len(names), path, before)
    return frame


def _without_stray_quotes(data: bytes, separator: str, path: Path, before: Callable[[], int]) -> bytes:
    """Write fields with a quotation mark in them, as in ``5" pipe``, as Polars reads them: in quotes, the mark doubled.

    Raises
    ------
    DataError
        Where a mark opens a field that nothing closes, or more follows the one that closes it.
    """
    if b'"' not in data:
        return data
    rows: list[list[str]] = []
    begins, strict = 1, csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator, strict=True)
    try:
        for row in strict:
            rows.append(row)
            begins = strict.line_num + 1
    except csv.Error as error:
        if "unexpected end" not in str(error):
            raise DataError(f"{path.name}, line {before() + strict.line_num}: {error}") from None
        raise DataError(
            f"{path.name}, line {before() + begins}: a quotation mark is not closed; close it, or double it"
        ) from None
    if not any('"' in field for row in rows for field in row):
        return data
    written = io.StringIO()
    csv.writer(written, delimiter=separator, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def _without_blank_lines(data: bytes) -> bytes:
    """Leave out lines that hold nothing, which are no rows; those within quotes are left."""
    if b'"' in data or (b"\n\n" not in data and b"\n\r\n" not in data):
        return data
    return re.sub(rb"(\r?\n)[\r\n]+", rb"\1", data)


def _first_frame(data: bytes, separator: str, names: list[str], widened: Schema) -> pl.DataFrame:
    options: dict[str, Any] = {"separator": separator, "has_header": False, "new_columns": names}
    infer: dict[str, Any] = {"try_parse_dates": True, "schema_overrides": widened, **options}
    rows = min(_INFERRED_ROWS, max(_INFERRED_LEAST, _INFERRED_CELLS // len(names)))
    head = pl.read_csv(data, n_rows=1000, infer_schema=False, **options)
    try:
        # The types of the first rows, found apart: reading all with them is twice as fast as finding them on the way.
        schema = dict(pl.read_csv(data, n_rows=rows, infer_schema_length=rows, **infer).schema)
        schema |= dict.fromkeys(unclear_times(schema, head), pl.String())
        frame = pl.read_csv(data, separator=separator, has_header=False, schema=schema)
    except pl.exceptions.PolarsError:  # they mislead: all rows are looked at
        frame = _inferred(data, infer)
        if unclear := unclear_times(frame.schema, head):
            infer["schema_overrides"] = {**widened, **dict.fromkeys(unclear, pl.String())}
            frame = _inferred(data, infer)
    if zeros := coded(data, separator, frame.schema):
        text = pl.read_csv(data, infer_schema=False, **options)
        frame = frame.with_columns(text[name] for name in zeros)
    return frame


def _inferred(data: bytes, options: dict[str, Any]) -> pl.DataFrame:
    """Read all rows with the types that they have; Polars takes some texts for dates or numbers that it cannot read: they stay texts."""
    types: dict[str, Any] = dict(options.get("schema_overrides") or {})
    while True:
        try:
            return pl.read_csv(data, infer_schema_length=None, **{**options, "schema_overrides": types})
        except pl.exceptions.ComputeError as error:
            told = _COLUMN.search(str(error))
            name = options["new_columns"][int(told[1]) - 1] if told else ""
            if told is None or name in types:
                raise
            types[name] = pl.String()


def _wider_types(data: bytes, separator: str, names: list[str], schema: Schema) -> dict[str, pl.DataType]:
    """Return the types of columns that a block needs to be wider; unlike ones become text."""
    options: dict[str, Any] = {
        "separator": separator,
        "has_header": False,
        "new_columns": names,
        "try_parse_dates": True,
    }
    found = _inferred(data, options).schema
    wider: dict[str, pl.DataType] = {}
    for name, kind in schema.items():
        now = found[name]
        if now != kind and now != pl.Null:
            both = {kind.is_numeric(), now.is_numeric()} == {True}
            wider[name] = pl.Float64() if both else pl.String()
    return wider


def _may_be_short(frame: pl.DataFrame, data: bytes, separator: str) -> bool:
    """Whether a line may have fewer fields than the header: Polars takes what is not there for missing."""
    if not frame.height or not frame[frame.columns[-1]].null_count():
        return False
    if b'"' in data:
        return True
    lines = pl.read_lines(data)["line"]
    fields = lines.filter(lines.str.len_bytes() > 0).str.count_matches(separator, literal=True)
    return bool((fields != frame.width - 1).any())


_COLUMN = re.compile(r"\(column number (\d+)\)")
_TOP = 20
"""A table whose first lines are of unlike length may begin below them."""


def _check_lines(data: bytes, separator: str, width: int, path: Path, before: Callable[[], int]) -> None:
    """Find the first line with more or fewer fields than the header."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(decoded(data, path, before), newline=""), delimiter=separator)
    try:
        for fields in reader:
            if fields and len(fields) != width:
                line = before() + reader.line_num
                above = ", or say how many lines stand above the header: ps.ingest.files(..., skip=3)"
                raise DataError(
                    f"{path.name}, line {line}: has {len(fields)} fields, the header has {width}. "
                    f"Correct the line, or quote the field that holds a separator{above if line <= _TOP else ''}."
                )
    except csv.Error as error:
        raise DataError(f"{path.name}, line {before() + reader.line_num}: {error}") from None
