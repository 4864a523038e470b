"""Arrow batches from drivers as plain frames: what Polars has no type for becomes numbers or text."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import polars as pl


def plain(batch: Any) -> pl.DataFrame:
    """Turn an Arrow record batch or table into a frame.

    Exact numbers become whole ones where they are, else floats; intervals become seconds; UUIDs, JSON and other types of a
    database become their text.
    """
    import pyarrow as pa

    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    columns: list[Any] = []
    for field, column in zip(table.schema, table.columns, strict=True):
        kind = field.type
        if isinstance(kind, pa.BaseExtensionType):
            name = getattr(kind, "type_name", "") or getattr(kind, "extension_name", "")
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
            if name == "numeric":
                column = _numbers(column)
            elif name == "arrow.uuid":
                texts = [None if item is None else str(uuid.UUID(bytes=item)) for item in column.to_pylist()]
                column = pa.chunked_array([pa.array(texts, pa.string())])
        elif pa.types.is_decimal(kind):
            column = _whole(column) if kind.scale == 0 else column.cast(pa.float64())
        elif pa.types.is_interval(kind):
            lengths = [None if item is None else _seconds(item) for item in column.to_pylist()]
            column = pa.chunked_array([pa.array(lengths, pa.float64())])
        columns.append(column)
    names = table.schema.names
    made: Any = pl.from_arrow(pa.Table.from_arrays(columns, schema=pa.schema(
        [pa.field(name, column.type) for name, column in zip(names, columns, strict=True)]
    )))  # fmt: skip
    assert isinstance(made, pl.DataFrame)
    return made


def _seconds(interval: Any) -> float:
    """As PostgreSQL's ``extract(epoch from ...)``: of a year 365.25 days, of each further month thirty."""
    years = int(interval.months / 12)
    days = years * 365.25 + (interval.months - 12 * years) * 30 + interval.days
    return float(days * 86_400 + interval.nanoseconds / 1e9)


def _whole(column: Any) -> Any:
    """A long key of so many digits would be another key as a float."""
    import pyarrow as pa

    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.float64())


def _numbers(texts: Any) -> Any:
    """PostgreSQL's exact numbers come as text, NaN and infinities among them."""
    import pyarrow as pa

    with contextlib.suppress(pa.ArrowInvalid):
        return texts.cast(pa.int64())
    read = [None if item is None else float(item) for item in texts.to_pylist()]
    return pa.chunked_array([pa.array(read, pa.float64())])
