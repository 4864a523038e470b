"""Reading one file to a table: CSV, TSV, JSON Lines and Parquet, plain or packed with gzip or zstd.

Reads what is there and says exactly what cannot be read; what the cells mean is the business of ``prepare``.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from penstock.errors import DataError, InputError

SUFFIXES = {
    ".csv": "csv", ".txt": "csv", ".tsv": "csv", ".tab": "csv", ".data": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow", ".avro": "avro", ".xlsx": "excel", ".xlsm": "excel", ".xls": "excel",
    ".zip": "zip",
}  # fmt: skip
PACKED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_MOST_UNZIPPED = 8 * 1024**3
_INFERRED_ROWS = 10_000
_SEPARATORS = ",;\t|"


def read_table(path: Path | str, separator: str | None = None, encoding: str = "utf-8") -> pl.DataFrame:
    """Read one file to a frame, with the types that its cells show.

    Parameters
    ----------
    path : Path or str
        The file, or a URL that fsspec understands; its kind is known from its name.
    separator : str, optional
        Between the fields of a CSV file; found in the first line when left out.
    encoding : str
        Of text files.

    Raises
    ------
    DataError
        When the file cannot be read, with the file, the line where it can be known, and what to do.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = path.write_text("city;price\\nRome;3.5\\n")
    >>> read_table(path).schema
    Schema([('city', String), ('price', Float64)])
    """
    place, path = str(path), Path(path)
    suffixes = [item.lower() for item in path.suffixes[-2:]]
    packed = PACKED.get(suffixes[-1]) if suffixes else None
    kinds = [SUFFIXES[item] for item in suffixes if item in SUFFIXES]
    if not kinds:
        raise DataError(
            f"{path.name}: the kind of file is not known from its name; known are .csv, .tsv, .jsonl, .parquet, .arrow, "
            ".avro, .xlsx and .zip, also followed by .gz or .zst"
        )
    kind = kinds[-1]
    data = _bytes_of(place)
    if packed:
        data = _unpacked(data, packed, path)
    if not data or data.isspace():
        raise DataError(f"{path.name}: the file is empty; expected a header line and rows")
    if kind == "zip":
        frame = _read_zip(data, separator, encoding, path)
    elif kind in _BINARY:
        frame = _read_binary(data, kind, path)
    else:
        data = _as_utf8(data, encoding, path, trusted=kind == "csv")
        frame = _read_csv(data, separator, path) if kind == "csv" else _read_jsonl(data, path)
    if frame.height == 0:
        raise DataError(f"{path.name}: has columns ({', '.join(frame.columns[:5])}) but no rows")
    columns = folder_columns(path)
    return flat(frame).with_columns(pl.lit(value).alias(name) for name, value in columns if name not in frame.columns)


def _bytes_of(place: str) -> bytes:
    try:
        if "://" not in place:
            return Path(place).read_bytes()
        import fsspec

        with fsspec.open(place, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or error}") from error


def folder_columns(path: Path) -> list[tuple[str, str]]:
    """Return the columns that the folders of a file say, as Hive names them.

    Examples
    --------
    >>> folder_columns(Path("sales/year=2024/shop=a/1.parquet"))
    [('year', '2024'), ('shop', 'a')]
    """
    found = [part.partition("=") for part in path.parts[:-1]]
    return [(name, value) for name, sign, value in found if sign and name.isidentifier()]


def _read_zip(data: bytes, separator: str | None, encoding: str, path: Path) -> pl.DataFrame:
    """Read every table of a ZIP folder as a part of one table."""
    import tempfile
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, tempfile.TemporaryDirectory() as folder:
            inside = [item for item in archive.infolist() if not item.is_dir() and "__MACOSX" not in item.filename]
            if sum(item.file_size for item in inside) > _MOST_UNZIPPED:
                raise DataError(f"{path.name}: unpacks to more than {_MOST_UNZIPPED // 1024**3} GB; unpack it first")
            parts = {}
            for number, item in enumerate(sorted(inside, key=lambda item: item.filename)):
                name = Path(folder) / str(number) / Path(item.filename).name
                name.parent.mkdir()
                name.write_bytes(archive.read(item))
                try:
                    parts[item.filename] = read_table(name, separator, encoding)
                except DataError as error:
                    raise DataError(f"{path.name}, in it {error}") from None
            if not parts:
                raise DataError(f"{path.name}: the ZIP file holds no table")
            return concatenate(parts)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path.name}: is not a whole ZIP file: {error}") from None


def _unpacked(data: bytes, packing: str, path: Path) -> bytes:
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.py_buffer(data), packing) as stream:
            return bytes(stream.read())
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path.name}: is not a whole {packing} file: {str(error).splitlines()[0]}") from error


def _as_utf8(data: bytes, encoding: str, path: Path, *, trusted: bool = False) -> bytes:
    """Return text as UTF-8; with `trusted`, what should be that already is not looked at once more."""
    utf8 = codecs.lookup(encoding).name == "utf-8"
    if utf8 and data.startswith(codecs.BOM_UTF8):
        data = data[3:]
    if data.startswith(b"PK\x03\x04"):
        raise DataError(f"{path.name}: is a ZIP or Excel file, not text; save its table as CSV or Parquet")
    if data.startswith(b"\x1f\x8b"):
        raise DataError(f"{path.name}: is packed with gzip; name it {path.name}.gz")
    if utf8 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f'{path.name}: is text in UTF-16; say so with ps.ingest.files(..., encoding="utf-16")')
    if b"\x00" in data[:65536] and not encoding.lower().startswith(("utf-16", "utf-32")):
        raise DataError(f"{path.name}: holds binary data, not text; expected lines of separated values")
    if utf8 and trusted:
        return data
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path.name}, line {line}: the byte 0x{data[error.start]:02x} is not {encoding}. "
            'Say what it is with ps.ingest.files(..., encoding="latin-1") or another encoding.'
        ) from None
    return data if utf8 else text.encode()


def _read_csv(data: bytes, separator: str | None, path: Path) -> pl.DataFrame:
    data = data.lstrip(b"\r\n")
    end = data.find(b"\n")
    first = _decoded(data[:end] if end >= 0 else data, path).rstrip("\r")
    if separator is None:
        counts = {sign: len(next(csv.reader([first], delimiter=sign), [])) for sign in _SEPARATORS}
        separator = max(_SEPARATORS, key=lambda sign: counts[sign])
    header = next(csv.reader([first], delimiter=separator), [])
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(
            f"{path.name}: two columns have the same name: {', '.join(map(repr, doubled))}. Rename one in the file."
        )
    names = [name.strip() or f"column_{index + 1}" for index, name in enumerate(header)]
    problem: Exception | None = None
    frame = None
    for rows in (_INFERRED_ROWS, None):  # all rows are looked at only when the first ones mislead
        try:
            frame = pl.read_csv(
                data, separator=separator, infer_schema_length=rows, try_parse_dates=True, new_columns=names
            )
            break
        except pl.exceptions.PolarsError as error:
            problem = error
    if frame is None:
        _decoded(data, path)
    if frame is None or (frame.height and frame[frame.columns[-1]].null_count() > 0):
        _check_lines(data, separator, len(names), path)
    if frame is None:
        raise DataError(f"{path.name}: cannot be read as CSV: {str(problem).splitlines()[0]}")
    return _with_leading_zeros(frame, data, separator, names)


def _decoded(data: bytes, path: Path) -> str:
    """Decode, or say which line holds what is not UTF-8."""
    _as_utf8(data, "utf-8", path)
    return data.decode()


def _check_lines(data: bytes, separator: str, width: int, path: Path) -> None:
    """Find the first line with more or fewer fields than the header."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator)
    try:
        for fields in reader:
            if fields and len(fields) != width:
                raise DataError(
                    f"{path.name}, line {reader.line_num}: has {len(fields)} fields, the header has {width}. "
                    "Correct the line, or quote the field that holds a separator."
                )
    except csv.Error as error:
        raise DataError(f"{path.name}, line {reader.line_num}: {error}") from None


def _with_leading_zeros(frame: pl.DataFrame, data: bytes, separator: str, names: list[str]) -> pl.DataFrame:
    """Read again as text the columns whose leading zeros mean something: postcodes, account numbers."""
    whole = [name for name, kind in frame.schema.items() if kind.is_integer()]
    if not whole:
        return frame
    head = pl.read_csv(data, separator=separator, n_rows=1000, infer_schema=False, new_columns=names)
    coded = [name for name in whole if head[name].str.contains(r"^\s*0[0-9]").any()]
    if not coded:
        return frame
    text = pl.read_csv(data, separator=separator, infer_schema=False, new_columns=names)
    return frame.with_columns(text[name] for name in coded)


def _read_jsonl(data: bytes, path: Path) -> pl.DataFrame:
    try:
        if data.lstrip()[:1] == b"[":
            return pl.read_json(data, infer_schema_length=None)
        return pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError):
        import msgspec

        for number, line in enumerate(data.splitlines(), 1):
            try:
                found = msgspec.json.decode(line) if line.strip() else {}
            except msgspec.DecodeError as error:
                raise DataError(f"{path.name}, line {number}: is not JSON: {error}") from None
            if not isinstance(found, dict):
                raise DataError(f"{path.name}, line {number}: is not an object of column to value") from None
        raise DataError(f"{path.name}: the rows do not agree on the types of their fields") from None


_BINARY = {
    "parquet": ("read_parquet", "Parquet"),
    "arrow": ("read_ipc", "an Arrow file"),
    "avro": ("read_avro", "Avro"),
    "excel": ("read_excel", "an Excel sheet"),
}


def _read_binary(data: bytes, kind: str, path: Path) -> pl.DataFrame:
    function, what = _BINARY[kind]
    try:
        made: pl.DataFrame = getattr(pl, function)(io.BytesIO(data))
        return made
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path.name}: needs the package {error.name or 'fastexcel'}, which is not installed. Install it with: pip install 'penstock[excel]'"
        ) from None
    except Exception as error:
        raise DataError(f"{path.name}: cannot be read as {what}: {(str(error).splitlines() or [''])[0]}") from None


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Nested fields become columns of their own (``address.city``); lists become their JSON text."""
    while structs := [name for name, kind in frame.schema.items() if isinstance(kind, pl.Struct)]:
        name = structs[0]
        inner = frame[name].struct.unnest()
        parts = [inner[field].alias(f"{name}.{field}") for field in inner.columns]
        at = frame.columns.index(name)
        frame = pl.DataFrame([*frame.get_columns()[:at], *parts, *frame.get_columns()[at + 1 :]])
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List | pl.Array)]
    return frame.with_columns(
        pl.Series(name, [None if item is None else json.dumps(item, default=str) for item in frame[name].to_list()])
        for name in lists
    )


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
    frames = list(parts.values())
    if len(frames) == 1:
        return frames[0]
    if not set.intersection(*(set(frame.columns) for frame in frames)):
        first, second = list(parts)[:2]
        raise DataError(f"{first} and {second} have no column in common; give tables of one kind to one ingest")
    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        kinds: dict[str, set[pl.DataType]] = {}
        for frame in frames:
            for name, kind in frame.schema.items():
                kinds.setdefault(name, set()).add(kind)
        mixed = [name for name, found in kinds.items() if len(found) > 1]
        as_text = [frame.cast({name: pl.String for name in mixed if name in frame.columns}) for frame in frames]
        return pl.concat(as_text, how="diagonal")
