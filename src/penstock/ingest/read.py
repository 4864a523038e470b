"""Reading files to tables, a part in memory at a time: CSV, JSON Lines, Parquet, Arrow, Avro, Excel, plain or packed.

Reads what is there and says exactly what cannot be read; what the cells mean is the business of ``prepare``.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from penstock.errors import DataError, InputError
from penstock.ingest.excel import read_sheet
from penstock.ingest.json_rows import json_parts
from penstock.ingest.options import PLAIN, TextForm
from penstock.ingest.text import csv_parts
from penstock.ingest.utf8 import BLOCK, EncodingError, Stream, Utf8
from penstock.types.nested import flat
from penstock.types.scratch import Scratch

T = TypeVar("T")
SUFFIXES = {
    ".csv": "csv", ".txt": "csv", ".tsv": "csv", ".tab": "csv", ".data": "csv", ".dat": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow", ".avro": "avro", ".xlsx": "excel", ".xlsm": "excel", ".xls": "excel",
    ".zip": "zip",
}  # fmt: skip
PACKED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".xz": "xz"}
_MOST_UNZIPPED = 64 * 1024**3
_WHOLE = 8 * BLOCK
"""Binary files of fewer bytes are read at once."""


def read_table(path: Path | str, form: TextForm = PLAIN) -> pl.DataFrame:
    """Read one file to a frame, with the types that its cells show; see :func:`read_parts`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = path.write_text("city;price\\nRome;3.5\\n")
    >>> dict(read_table(path).schema)
    {'city': String, 'price': Float64}
    """
    return concatenate(dict(read_parts(path, form)))


def in_either(form: TextForm, read: Callable[[TextForm], T]) -> T:
    """Return what `read` makes of text in UTF-8, or where it is not, in the encoding that `form` says.

    Text that is not meant as UTF-8 hardly ever is, while any bytes can be read in most other encodings.

    Examples
    --------
    >>> in_either(TextForm(encoding="latin-1"), lambda form: form.encoding)
    'utf-8'
    """
    try:
        return read(replace(form, encoding="utf-8"))
    except EncodingError:
        return read(form)


def in_found(read: Callable[[str], T]) -> tuple[T, str | None]:
    """Return what `read` makes of text in UTF-8, or where it is not, in the encoding of Western Europe; and which, then.

    Examples
    --------
    >>> in_found(lambda encoding: encoding)
    ('utf-8', None)
    """
    try:
        return read("utf-8"), None
    except EncodingError as error:
        for encoding in [error.encoding] if error.encoding else ["cp1252", "latin-1"]:
            with contextlib.suppress(EncodingError):
                return read(encoding), encoding
        raise


def read_parts(path: Path | str, form: TextForm = PLAIN) -> Iterator[tuple[str, pl.DataFrame]]:
    """Read one file part by part.

    Parameters
    ----------
    path : Path or str
        The file, or a URL that fsspec understands; its kind is known from its name.
    form : TextForm
        Of a text file.

    Yields
    ------
    str
        Name of the part. One that comes again takes the place of the first: a later part had wider types.
    DataFrame
        Its rows.

    Raises
    ------
    DataError
        When the file cannot be read, with the file, the line where it can be known, and what to do.
    """
    place, path = str(path), Path(path)
    kind, packed = _kind_of(path)
    if kind == "zip":
        yield from _zip_parts(_opened(place, packed, path), form, path)
        return
    columns = folder_columns(path)
    rows = number = 0
    names: list[str] = []
    for frame in _frames(place, path, kind, packed, form):
        if frame is None:
            rows = number = 0
            continue
        names = frame.columns
        if frame.height:
            rows += frame.height
            extra = [pl.lit(value).alias(name) for name, value in columns if name not in names]
            yield f"{number:05}", flat(frame).with_columns(extra)
            number += 1
    if not rows:
        raise DataError(f"{path.name}: has columns ({', '.join(names[:5])}) but no rows")


def _kind_of(path: Path) -> tuple[str, str | None]:
    suffixes = [item.lower() for item in path.suffixes[-2:]]
    kinds = [SUFFIXES[item] for item in suffixes if item in SUFFIXES]
    if not kinds:
        raise DataError(
            f"{path.name}: the kind of file is not known from its name; known are .csv, .tsv, .jsonl, .parquet, .arrow, "
            ".avro, .xlsx and .zip, also followed by .gz, .zst, .bz2 or .xz"
        )
    return kinds[-1], PACKED.get(suffixes[-1])


def _frames(place: str, path: Path, kind: str, packed: str | None, form: TextForm) -> Iterator[pl.DataFrame | None]:
    if kind == "csv":
        yield from csv_parts(lambda: Utf8(_opened(place, packed, path), form.encoding, path), form, path)
        return
    if form.columns and not form.optional:
        raise DataError(f"{path.name}: names its columns itself; columns= is for text without a header")
    if kind == "jsonl":
        yield from json_parts(Utf8(_opened(place, packed, path), form.encoding, path), path)
    elif packed is None and kind in ("parquet", "arrow") and _size(place) >= _WHOLE:
        yield from _batches(place, kind, path)
    else:
        yield _read_binary(_opened(place, packed, path).read(-1), kind, path, form.sheet)


class _Stream:
    """A file whose errors say which it is."""

    def __init__(self, source: Any, path: Path, what: str) -> None:
        self.source, self.path, self.what = source, path, what

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        try:
            return bytes(self.source.read() if size < 0 else self.source.read(size))
        except Exception as error:  # each file system and packing has errors of its own
            text = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{self.path.name}: {self.what}: {text}") from error


def _opened(place: str, packed: str | None, path: Path) -> Stream:
    try:
        if "://" in place:
            import fsspec

            source: Any = fsspec.open(place, "rb").open()
        else:
            source = Path(place).open("rb")  # noqa: SIM115 - closed when it is no longer read
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or error}") from error
    if packed is None:
        return _Stream(source, path, "cannot be read")
    import lzma

    import pyarrow as pa

    if packed == "xz":
        unpacked: Any = lzma.LZMAFile(source)  # noqa: SIM115 - closed when it is no longer read
    else:
        unpacked = pa.CompressedInputStream(pa.PythonFile(source), packed)
    return _Stream(unpacked, path, f"is not a whole {packed} file")


def _size(place: str) -> int:
    if "://" in place:
        import fsspec

        system, inner = fsspec.core.url_to_fs(place)
        return int(system.size(inner) or 0)
    return Path(place).stat().st_size


def _batches(place: str, kind: str, path: Path) -> Iterator[pl.DataFrame]:
    """Read a large Parquet or Arrow file by its own batches, joined to parts of some size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held: list[Any] = []
    size = 0
    try:
        source = _opened(place, None, path).source  # type: ignore[attr-defined]
        if kind == "parquet":
            found: Any = pq.ParquetFile(source, pre_buffer=False).iter_batches(batch_size=65_536)
        else:
            opened = pa.ipc.open_file(source)
            found = (opened.get_batch(number) for number in range(opened.num_record_batches))
        for batch in found:
            held.append(batch)
            size += batch.nbytes
            if size >= 2 * BLOCK:
                yield _of_arrow(held)
                held, size = [], 0
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name}: cannot be read as {_BINARY[kind][1]}: {str(error).splitlines()[0]}") from None
    if held:
        yield _of_arrow(held)


def _of_arrow(batches: list[Any]) -> pl.DataFrame:
    import pyarrow as pa

    made = pl.from_arrow(pa.Table.from_batches(batches))
    assert isinstance(made, pl.DataFrame)
    return made


def folder_columns(path: Path) -> list[tuple[str, str]]:
    """Return the columns that the folders of a file say, as Hive names them.

    Examples
    --------
    >>> folder_columns(Path("sales/year=2024/shop=a/1.parquet"))
    [('year', '2024'), ('shop', 'a')]
    """
    found = [part.partition("=") for part in path.parts[:-1]]
    return [(name, value) for name, sign, value in found if sign and name.isidentifier()]


def _zip_parts(stream: Stream, form: TextForm, path: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """Read the tables of a ZIP folder as parts of one table."""
    import zipfile

    try:
        with Scratch("unzipped") as folder, tempfile.TemporaryFile() as copy:
            while data := stream.read(BLOCK):
                copy.write(data)
            with zipfile.ZipFile(copy) as archive:
                inside = [item for item in archive.infolist() if not item.is_dir() and "__MACOSX" not in item.filename]
                if sum(item.file_size for item in inside) > _MOST_UNZIPPED:
                    raise DataError(
                        f"{path.name}: unpacks to more than {_MOST_UNZIPPED // 1024**3} GB; unpack it first"
                    )
                if not inside:
                    raise DataError(f"{path.name}: the ZIP file holds no table")
                for item in sorted(inside, key=lambda item: item.filename):
                    name = Path(folder) / Path(item.filename).name
                    with archive.open(item) as source, name.open("wb") as target:
                        shutil.copyfileobj(source, target)
                    try:
                        for part, frame in read_parts(name, form):
                            yield f"{item.filename}/{part}", frame
                    except DataError as error:
                        raise DataError(f"{path.name}, in it {error}") from None
                    name.unlink()
    except zipfile.BadZipFile as error:
        raise DataError(f"{path.name}: is not a whole ZIP file: {error}") from None


_BINARY = {
    "parquet": ("read_parquet", "Parquet"),
    "arrow": ("read_ipc", "an Arrow file"),
    "avro": ("read_avro", "Avro"),
    "excel": ("read_excel", "an Excel sheet"),
}


def _read_binary(data: bytes, kind: str, path: Path, sheet: str | None = None) -> pl.DataFrame:
    function, what = _BINARY[kind]
    try:
        if kind == "excel":
            return read_sheet(data, sheet, path)
        made: pl.DataFrame = getattr(pl, function)(io.BytesIO(data))
        return made
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path.name}: needs the package {error.name or 'fastexcel'}, which is not installed. Install it with: pip install 'penstock[excel]'"
        ) from None
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path.name}: cannot be read as {what}: {(str(error).splitlines() or [''])[0]}") from None


def concatenate(parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join partitions to one table; a column that one lacks is null there, unlike types meet in a wider one.

    Raises
    ------
    DataError
        When the partitions have no column in common.

    Examples
    --------
    >>> concatenate({"a": pl.DataFrame({"x": [1]}), "b": pl.DataFrame({"x": [0.5], "y": ["new"]})}).rows()
    [(1.0, None), (0.5, 'new')]
    """
    schema = common_schema({name: frame.schema for name, frame in parts.items()})
    return pl.concat([with_schema(frame, schema) for frame in parts.values()])


def common_schema(schemas: Mapping[str, Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """Return the columns of partitions together, of types that hold what each has; unlike ones become text.

    Raises
    ------
    DataError
        When the partitions have no column in common.
    """
    different = list({tuple(schema.items()): schema for schema in schemas.values()}.values())
    if len(different) == 1:
        return dict(different[0])
    if not set.intersection(*(set(schema) for schema in different)):
        first, second = list(schemas)[:2]
        raise DataError(f"{first} and {second} have no column in common; give tables of one kind to one ingest")
    frames = [pl.DataFrame(schema=dict(schema)) for schema in different]
    try:
        return dict(pl.concat(frames, how="diagonal_relaxed").schema)
    except pl.exceptions.PolarsError:
        kinds: dict[str, set[pl.DataType]] = {}
        for schema in different:
            for name, kind in schema.items():
                kinds.setdefault(name, set()).add(kind)
        return {name: found.pop() if len(found) == 1 else pl.String() for name, found in kinds.items()}


def with_schema(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Give a partition the columns and types of all."""
    if dict(frame.schema) == schema and frame.columns == list(schema):
        return frame
    there = frame.schema
    return frame.select(
        pl.lit(None, kind).alias(name)
        if name not in there
        else pl.col(name)
        if there[name] == kind
        else pl.col(name).cast(kind)
        for name, kind in schema.items()
    )
