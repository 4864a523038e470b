"""How each type of value is written to bytes and read back: one table, one function to add to it.

Nothing here is a pickle: every format can be read without running code that lies in the store.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from penstock.errors import StoreError
from penstock.store.nested import fold, is_nested, unfold
from penstock.store.plain import decode_plain, encode_plain, is_plain
from penstock.store.tables import read_series, read_table, write_arrow, write_pandas, write_polars, write_series


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


_MODELS = re.compile(
    r"lightgbm\.(basic\.Booster|sklearn\.LGBM\w+)|xgboost\.(core\.Booster|sklearn\.XGB\w+)"
    r"|catboost\.core\.CatBoost\w*"
)
"""Of the libraries of boosted trees what skops reads from their own formats."""


def _module(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _encode_numpy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _decode_numpy(data: bytes, _annotation: Any) -> Any:
    import numpy as np

    array = np.load(io.BytesIO(data), allow_pickle=False)
    return array if array.ndim else array[()]  # a number is one of NumPy's, not an array of none


def _is_numpy(value: Any) -> bool:
    """Whether a value is an array or a number of NumPy; one of objects has cells of its own, a masked one a mask."""
    return (
        _module(value) == "numpy"
        and hasattr(value, "dtype")
        and hasattr(value, "shape")
        and not value.dtype.hasobject
        and not hasattr(value, "mask")
    )


def _is_arrays(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(key, str) and _is_numpy(item) and item.ndim for key, item in value.items())
    )


def _encode_arrays(arrays: Any) -> bytes:
    return _encode_bundle(
        Bundle({"names": list(arrays)}, {f"{i}.npy": _encode_numpy(a) for i, a in enumerate(arrays.values())})
    )


def _decode_arrays(data: bytes, annotation: Any) -> Any:
    bundle = _decode_bundle(data, annotation)
    return {name: _decode_numpy(bundle.files[f"{i}.npy"], None) for i, name in enumerate(bundle.manifest["names"])}


def _is_sparse(value: object) -> bool:
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocsr")


def _encode_sparse(matrix: Any) -> bytes:
    import scipy.sparse

    buffer = io.BytesIO()
    kept = matrix.format in ("csr", "csc", "coo", "bsr", "dia")  # of the others SciPy writes none
    scipy.sparse.save_npz(buffer, matrix if kept else matrix.tocsr())
    return buffer.getvalue()


def _decode_sparse(data: bytes, _annotation: Any) -> Any:
    import scipy.sparse

    return scipy.sparse.load_npz(io.BytesIO(data))


def _encode_figure(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _encode_bundle(bundle: Bundle, packed: bool = True) -> bytes:
    buffer = io.BytesIO()
    members = {"manifest.json": encode_plain(bundle.manifest), **bundle.files}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # no clock: the same bytes each time
            info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _decode_bundle(data: bytes, _annotation: Any) -> Bundle:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return Bundle(decode_plain(files.pop("manifest.json")), files)


def _encode_nested(value: Any) -> bytes:
    return _encode_bundle(Bundle(*fold(value, encode)), packed=False)  # leaves are packed as their formats do


def _decode_nested(data: bytes, annotation: Any) -> Any:
    bundle = _decode_bundle(data, None)
    return unfold(bundle.manifest, bundle.files, decode, annotation)


def _encode_estimator(estimator: Any) -> bytes:
    from penstock.store.estimators import untrusted, write_estimator

    data = write_estimator(estimator)
    if unknown := untrusted(data, _trusted):
        raise StoreError(f"an estimator with types that are not loaded unasked cannot be stored: {', '.join(unknown)}")
    return data


def _decode_estimator(data: bytes, _annotation: Any) -> Any:
    from penstock.store.estimators import read_estimator

    return read_estimator(data, _trusted)


def _trusted(name: str) -> bool:
    return name == "collections.OrderedDict" or bool(_MODELS.fullmatch(name))


def _identity(data: bytes) -> bytes:
    return bytes(data)


def _kind(module: str, name: str) -> Callable[[Any], bool]:
    return lambda value: _module(value) == module and type(value).__name__ == name


def _is_estimator(value: object) -> bool:
    kind = type(value)
    return (_module(value) == "sklearn" and hasattr(value, "get_params") and not isinstance(value, type)) or bool(
        _MODELS.fullmatch(f"{kind.__module__}.{kind.__qualname__}")
    )


TABLES = ("parquet", "arrow", "pandas")
"""Formats whose bytes are a Parquet file."""
FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("parquet", _kind("polars", "DataFrame"), write_polars, partial(read_table, written="polars")),
        Format("arrow", _kind("pyarrow", "Table"), write_arrow, partial(read_table, written="pyarrow")),
        Format("pandas", _kind("pandas", "DataFrame"), write_pandas, partial(read_table, written="pandas")),
        Format(
            "polars-series",
            _kind("polars", "Series"),
            lambda series: write_polars(series.to_frame()),
            lambda data, _annotation: read_table(data, None, "polars").to_series(),
        ),
        Format("pandas-series", _kind("pandas", "Series"), write_series, read_series),
        Format("estimator", _is_estimator, _encode_estimator, _decode_estimator),
        Format("numpy", _is_numpy, _encode_numpy, _decode_numpy),
        Format("sparse", _is_sparse, _encode_sparse, _decode_sparse),
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
        Format("json", is_plain, encode_plain, decode_plain),
        Format("nested", is_nested, _encode_nested, _decode_nested),
    )
}


_HINT = (
    "no format accepts it. Return a frame or series of Polars or pandas, an Arrow table, an array of NumPy, a sparse "
    "matrix, an estimator of scikit-learn, LightGBM, XGBoost or CatBoost, a figure, bytes, numbers, text, dates, "
    "dataclasses, or lists, tuples, dicts and sets of these"
)
_HINTS = {
    "LazyFrame": "it is a question, not yet a table. Return its .collect()",
    "PosixPath": "it is a place, whose content may change unseen. Return what the file holds, as text or .read_bytes()",
    "WindowsPath": "it is a place, whose content may change unseen. Return what the file holds, as text or .read_bytes()",
    "Tensor": "no format accepts it. Return its .numpy(), and a dict of arrays for a network's weights",
    "MaskedArray": "its mask would be lost. Return .filled(...) of it, or a dict of its .data and .mask",
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
    hint = _HINTS.get(type(value).__name__)
    raise StoreError(
        f"a value of type {kind} cannot be stored: {hint or _HINT}; or teach the store with "
        "penstock.store.formats.add_format(...)"
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
