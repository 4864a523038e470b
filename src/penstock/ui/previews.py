"""What an artifact holds, as much of it as a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from penstock.engine.execute import load, read_bytes
from penstock.engine.step import LazyPartitions, Ref
from penstock.errors import PenstockError
from penstock.store.formats import TABLES
from penstock.store.store import Store
from penstock.types.writing import size
from penstock.ui.questions import plain

_ROWS, _COLUMNS, _PARTS = 20, 40, 50
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Preview:
    """An artifact's beginning.

    Attributes
    ----------
    told : str
        What it is, in words.
    columns : list of (str, str)
        Names and types, of a table.
    rows : list of list of str
        Its first cells.
    text : str
        Anything else, as text.
    image : bytes
        A figure, as PNG.
    """

    told: str
    columns: Sequence[tuple[str, str]] = ()
    rows: Sequence[Sequence[str]] = ()
    text: str = ""
    image: bytes = b""


def preview(store: Store, ref: Ref) -> Preview:
    """Show the beginning of an artifact; of one that is gone or large, only what it is."""
    parts = dict(ref.partitions)
    first = next(iter(parts.values()), ref)
    if first.size > _LARGEST:
        return Preview(f"{first.format}, {size(first.size)}: too large to show here")
    try:
        if ref.format in TABLES:
            return _table(load(store, ref, LazyPartitions[pl.DataFrame]), ref)
        if ref.format == "partitions":
            tables = [(name, part) for name, part in ref.partitions if part.format in TABLES]
            others = [
                f"{name}  {part.format}  {size(part.size)}"
                for name, part in ref.partitions
                if part.format not in TABLES
            ]
            if not tables:
                return Preview(f"{len(parts):,} parts", text="\n".join(others[:_PARTS]))
            ref = replace(ref, partitions=tuple(tables))
            return replace(_table(load(store, ref, LazyPartitions[pl.DataFrame]), ref), text="\n".join(others[:_PARTS]))
        if ref.format == "figure":
            return Preview("a figure", image=read_bytes(store, ref.digest))
        return _value(load(store, ref), ref)
    except PenstockError as error:
        return Preview(f"{ref.format}: {error}")


def _table(parts: LazyPartitions[Any], ref: Ref) -> Preview:
    names = list(parts)
    frame = parts[names[0]].head(_ROWS)
    rows = sum(parts.shape(item)[1] for item in names[:_PARTS])
    more = len(parts) > _PARTS
    told = f"a table of {frame.width:,} columns, {'more than ' if more else ''}{rows:,} rows" + (
        f" in {len(parts):,} {'part' if len(parts) == 1 else 'parts'}; the first rows of part {names[0]}"
        if ref.format == "partitions"
        else ""
    )
    shown = frame.columns[:_COLUMNS]
    if len(shown) < frame.width:
        told += f"; the first {len(shown)} columns"
    return Preview(
        told,
        [(column, str(kind)) for column, kind in frame.select(shown).schema.items()],
        [["" if cell is None else str(cell)[:200] for cell in row] for row in frame.select(shown).iter_rows()],
    )


def _value(value: Any, ref: Ref) -> Preview:
    if isinstance(value, bytes):
        return Preview(size(len(value)))
    if hasattr(value, "files"):
        return Preview(
            f"files, {size(ref.size)}",
            text="\n".join(f"{name}  {size(len(data))}" for name, data in value.files.items()),
        )
    if ref.format == "json":
        return Preview("a value", text=plain(value))
    return Preview(f"{ref.format}, {size(ref.size)}", text=str(value)[:4_000])
