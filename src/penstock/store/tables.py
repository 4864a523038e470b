"""Tables and columns of Polars, Arrow and pandas, all as Parquet: any of them is read as any other."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from penstock.errors import StoreError

_COLUMN = "values"
"""What a column without a name is called in its file."""


def write_polars(frame: Any) -> bytes:
    """Write a frame of Polars."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=True)
    return buffer.getvalue()


def write_arrow(table: Any) -> bytes:
    """Write a table of Arrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    return bytes(buffer.getvalue())


def write_pandas(frame: Any) -> bytes:
    """Write a frame of pandas, its index included.

    Raises
    ------
    StoreError
        For cells of several types in a column.
    """
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", compression="zstd")
    except Exception as error:  # Arrow's and pandas' own, of cells of several types and names that are no text
        raise StoreError(f"a pandas.DataFrame cannot be stored: {str(error).splitlines()[0]}") from None
    return buffer.getvalue()


def write_series(series: Any) -> bytes:
    """Write a column of pandas, its index included; its name is that of the file's first column."""
    return write_pandas(series.to_frame(_COLUMN if series.name is None else series.name))


def read_series(data: bytes, _annotation: Any = None) -> Any:
    """Read a column of pandas."""
    series = _read_pandas(data).iloc[:, 0]
    return series.rename(None) if series.name == _COLUMN else series


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


def read_table(data: bytes, annotation: Any, written: str) -> Any:
    """Read a table as what it is asked for by its annotation, else as what it was written from."""
    return _READERS[table_library(annotation) or written](data)


def read_columns(data: bytes, columns: Sequence[str]) -> Any:
    """Read some columns of a stored table."""
    import polars as pl

    return pl.read_parquet(data, columns=list(columns))


def parquet_shape(data: bytes) -> tuple[Any, int]:
    """Return schema and rows of a stored table, without reading its cells."""
    import polars as pl

    made = pl.scan_parquet(io.BytesIO(data))
    return made.collect_schema(), int(made.select(pl.len()).collect().item())


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
