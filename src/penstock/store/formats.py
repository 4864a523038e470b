"""How each type of value is written to bytes and read back: one table, one function to add to it.

Nothing here is a pickle: every format can be read without running code that lies in the store.
"""

from __future__ import annotations

import dataclasses
import io
import typing
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from penstock.errors import StoreError
from penstock.types.convert import convert


@dataclass(frozen=True)
class Format:
    """One way of writing a type of value.

    Parameters
    ----------
    name : str
        What the catalog records, such as ``"parquet"``.
    accepts : callable
        Whether a value can be written in this format.
    encode : callable
        Value to bytes; the same value gives the same bytes.
    decode : callable
        Bytes and the annotated type (or None) back to the value.
    """

    name: str
    accepts: Callable[[Any], bool]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes, Any], Any]


@dataclass(frozen=True)
class Bundle:
    """Named files and a JSON-able manifest as one artifact: how models are written.

    Examples
    --------
    >>> bundle = Bundle({"learner": "linear"}, {"coefficients.npy": b"..."})
    >>> decode("bundle", encode(bundle).data).manifest
    {'learner': 'linear'}
    """

    manifest: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoded:
    """A value as bytes, with the name of the format that wrote it."""

    format: str
    data: bytes


def _module(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _is_json(value: object) -> bool:
    if value is None or isinstance(value, str | int | float | bool):
        return True
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(_is_json(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, msgspec.Struct):
        return True
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return type(value).__module__ in {"datetime", "decimal", "uuid"}


def _plain(value: Any) -> Any:
    """Mark the floats that JSON has no word for, so that NaN and infinities come back as they were."""
    if isinstance(value, float):
        if value != value:
            return {"$float": "nan"}
        if value in (float("inf"), float("-inf")):
            return {"$float": repr(value)}
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and "$float" in value:
            return float(value["$float"])
        return {key: _unplain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unplain(item) for item in value]
    return value


_json = msgspec.json.Encoder(order="deterministic")


def _encode_json(value: Any) -> bytes:
    if type(value) in (str, int, bool):
        return _json.encode(value)
    try:
        return _json.encode(_plain(value))
    except OverflowError:  # integers beyond 64 bits, which msgspec does not write
        import json

        return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _decode_json(data: bytes, annotation: Any) -> Any:
    value = msgspec.json.decode(data) if b"$float" not in data else _unplain(msgspec.json.decode(data))
    if annotation in (None, Any, int, str, float, bool, dict, list):
        return value
    origin = typing.get_origin(annotation) or annotation
    if isinstance(origin, type):
        return convert(value, annotation)
    return value


def _encode_parquet(frame: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=True)
    return buffer.getvalue()


def _decode_table(data: bytes, annotation: Any, written: str) -> Any:
    """Read a table as what it is asked for by its annotation, else as what it was written from."""
    return _READERS[table_library(annotation) or written](data)


def table_library(annotation: Any) -> str | None:
    """Return whose table an annotation speaks of, ``polars``, ``pyarrow`` or ``pandas``; none is imported for that.

    Examples
    --------
    >>> import polars
    >>> table_library(polars.DataFrame), table_library(int)
    ('polars', None)
    """
    library = getattr(annotation, "__module__", "").partition(".")[0]
    return library if library in _READERS and getattr(annotation, "__name__", "") in ("DataFrame", "Table") else None


def _read_polars(data: bytes) -> Any:
    import polars as pl

    return pl.read_parquet(data)


def _read_arrow(data: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))


def _read_pandas(data: bytes) -> Any:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(data), engine="pyarrow")


_READERS: dict[str, Callable[[bytes], Any]] = {"polars": _read_polars, "pyarrow": _read_arrow, "pandas": _read_pandas}


def read_columns(data: bytes, columns: Sequence[str]) -> Any:
    """Read some columns of a stored table."""
    import polars as pl

    return pl.read_parquet(data, columns=list(columns))


def parquet_shape(data: bytes) -> tuple[Any, int]:
    """Return schema and rows of a stored table, without reading its cells."""
    import polars as pl

    made = pl.scan_parquet(io.BytesIO(data))
    return made.collect_schema(), int(made.select(pl.len()).collect().item())


def _encode_arrow(table: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    return bytes(buffer.getvalue())


def _encode_numpy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _decode_numpy(data: bytes, _annotation: Any) -> Any:
    import numpy as np

    return np.load(io.BytesIO(data), allow_pickle=False)


def _is_arrays(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            isinstance(key, str) and _module(item) == "numpy" and hasattr(item, "shape") and not item.dtype.hasobject
            for key, item in value.items()
        )
    )


def _encode_arrays(arrays: Any) -> bytes:
    return _encode_bundle(
        Bundle({"names": list(arrays)}, {f"{i}.npy": _encode_numpy(a) for i, a in enumerate(arrays.values())})
    )


def _decode_arrays(data: bytes, annotation: Any) -> Any:
    bundle = _decode_bundle(data, annotation)
    return {name: _decode_numpy(bundle.files[f"{i}.npy"], None) for i, name in enumerate(bundle.manifest["names"])}


def _encode_figure(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _encode_bundle(bundle: Bundle) -> bytes:
    buffer = io.BytesIO()
    members = {"manifest.json": _encode_json(bundle.manifest), **bundle.files}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # no clock: the same bytes each time
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _decode_bundle(data: bytes, _annotation: Any) -> Bundle:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return Bundle(_decode_json(files.pop("manifest.json"), None), files)


def _encode_pandas(frame: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", compression="zstd")
    except Exception as error:  # Arrow's and pandas' own, of cells of several types and names that are no text
        raise StoreError(f"a pandas.DataFrame cannot be stored: {str(error).splitlines()[0]}") from None
    return buffer.getvalue()


def _encode_estimator(estimator: Any) -> bytes:
    from penstock.store.estimators import untrusted, write_estimator

    data = write_estimator(estimator)
    if unknown := untrusted(data):
        raise StoreError(f"an estimator with types that are not loaded unasked cannot be stored: {', '.join(unknown)}")
    return data


def _decode_estimator(data: bytes, _annotation: Any) -> Any:
    from penstock.store.estimators import read_estimator

    return read_estimator(data)


def _identity(data: bytes) -> bytes:
    return bytes(data)


def _is_polars(value: object) -> bool:
    return _module(value) == "polars" and type(value).__name__ == "DataFrame"


TABLES = ("parquet", "arrow", "pandas")
"""Formats whose bytes are a Parquet file."""
FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("parquet", _is_polars, _encode_parquet, partial(_decode_table, written="polars")),
        Format(
            "arrow",
            lambda value: _module(value) == "pyarrow" and type(value).__name__ == "Table",
            _encode_arrow,
            partial(_decode_table, written="pyarrow"),
        ),
        Format(
            "pandas",
            lambda value: _module(value) == "pandas" and type(value).__name__ == "DataFrame",
            _encode_pandas,
            partial(_decode_table, written="pandas"),
        ),
        Format(
            "estimator",
            lambda value: _module(value) == "sklearn" and hasattr(value, "get_params") and not isinstance(value, type),
            _encode_estimator,
            _decode_estimator,
        ),
        Format(
            "numpy",
            lambda value: (
                _module(value) == "numpy"
                and hasattr(value, "dtype")
                and hasattr(value, "shape")
                and not value.dtype.hasobject
            ),
            _encode_numpy,
            _decode_numpy,
        ),
        Format(
            "bytes",
            lambda value: isinstance(value, bytes | bytearray | memoryview),
            _identity,
            lambda data, _annotation: data,
        ),
        Format("arrays", _is_arrays, _encode_arrays, _decode_arrays),
        Format("bundle", lambda value: isinstance(value, Bundle), _encode_bundle, _decode_bundle),
        Format(
            "figure",
            lambda value: _module(value) == "matplotlib" and hasattr(value, "savefig"),
            _encode_figure,
            lambda data, _annotation: data,
        ),
        Format("json", _is_json, _encode_json, _decode_json),
    )
}


def add_format(format: Format) -> None:
    """Teach the store one more type; it is asked before those that are already known.

    Examples
    --------
    >>> from fractions import Fraction
    >>> add_format(Format("fraction", lambda value: isinstance(value, Fraction),
    ...                   lambda value: str(value).encode(), lambda data, _: Fraction(data.decode())))
    >>> decode("fraction", encode(Fraction(1, 3)).data)
    Fraction(1, 3)
    >>> _ = FORMATS.pop("fraction")
    """
    known = dict(FORMATS)
    FORMATS.clear()
    FORMATS.update({format.name: format, **known})


def encode(value: Any) -> Encoded:
    """Write `value` in the first format that accepts it.

    Raises
    ------
    StoreError
        When no format accepts the value.

    Examples
    --------
    >>> encode({"rows": 3})
    Encoded(format='json', data=b'{"rows":3}')
    """
    for format in FORMATS.values():
        if format.accepts(value):
            return Encoded(format.name, format.encode(value))
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise StoreError(
        f"a value of type {kind} cannot be stored: no format accepts it. Return a frame of Polars or pandas, an "
        "Arrow table, a NumPy array, an estimator of scikit-learn, bytes, a figure, or JSON-able data or dataclasses; or teach the store with "
        "penstock.store.formats.add_format(...)."
    )


def decode(format_name: str, data: bytes, annotation: Any = None) -> Any:
    """Read a value back.

    Parameters
    ----------
    format_name : str
        As recorded when it was written.
    data : bytes
        The artifact's bytes.
    annotation : type, optional
        The type that the producing step declared; dataclasses are rebuilt from it.

    Raises
    ------
    StoreError
        When the format is not known here.
    """
    try:
        format = FORMATS[format_name]
    except KeyError:
        raise StoreError(
            f"the artifact is in the format {format_name!r}, which is not known here; known are "
            f"{', '.join(FORMATS)}. Add it with penstock.store.formats.add_format(...)."
        ) from None
    return format.decode(data, annotation)
