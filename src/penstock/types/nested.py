"""Nested fields as columns of their own, in tables and in single rows alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Nested fields become columns of their own (``address.city``), lists their JSON text, and bytes text.

    Bytes that are no UTF-8 are written as ``\\xff``.
    """
    import polars as pl

    while structs := [name for name, kind in frame.schema.items() if isinstance(kind, pl.Struct)]:
        name = structs[0]
        inner = frame[name].struct.unnest()
        parts = [inner[field].alias(f"{name}.{field}") for field in inner.columns]
        at = frame.columns.index(name)
        frame = pl.DataFrame([*frame.get_columns()[:at], *parts, *frame.get_columns()[at + 1 :]])
    texts: dict[str, list[str | None]] = {}
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.List | pl.Array):
            texts[name] = [None if item is None else json.dumps(item, default=str) for item in frame[name].to_list()]
        elif kind == pl.Binary:
            cells = frame[name].to_list()
            texts[name] = [None if item is None else item.decode("utf-8", "backslashreplace") for item in cells]
    return frame.with_columns(pl.Series(name, cells, pl.String) for name, cells in texts.items())


def unnested(rows: Sequence[Any]) -> list[Any] | None:
    """Give fields of nested objects names of their own, and write lists as text, as files are read; None where there are none.

    Examples
    --------
    >>> unnested([{"user": {"age": 41, "tags": ["a"]}, "size": 3}])
    [{'user.age': 41, 'user.tags': '["a"]', 'size': 3}]
    >>> unnested([{"size": 3}]) is None
    True
    """
    if not any(isinstance(value, dict | list) for row in rows if isinstance(row, dict) for value in row.values()):
        return None
    return [dict(_fields(row)) if isinstance(row, dict) else row for row in rows]


def _fields(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", json.dumps(value, default=str) if isinstance(value, list) else value
