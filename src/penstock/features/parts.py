"""Features of tables larger than memory: part by part, and relations bucket by bucket of their keys.

The values are those that :func:`penstock.features.stored.compute` gives for the whole table at once: an entity's rows
and events meet in one bucket, and results go back to where their rows stand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import polars as pl

from penstock.features.definitions import Written
from penstock.features.stored import Relation, Stored, StoredJoin, add_features, compact_of
from penstock.types.buckets import Buckets
from penstock.types.memory import total_memory
from penstock.types.table import Table

_SHARE = 16
"""One relation takes at most this part of the memory: what is copied on the way comes on top."""
_PLACE = "penstock place"
Columns = Callable[[pl.DataFrame], pl.DataFrame]
PartColumns = Callable[[int], Columns]


def compute_parts(
    table: Table, features: Sequence[Stored], tables: Mapping[str, Table], limit: int | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Add features to a prepared table, part by part, its rows in their order.

    Parameters
    ----------
    table : Table
        The prepared base table.
    features : sequence
        In order.
    tables : mapping
        Every prepared table, the base one included.
    limit : int, optional
        Bytes that a relation may take; what the machine allows when left out. The values do not depend on it.

    Yields
    ------
    str
        Name of the part.
    DataFrame
        Its rows with the features.

    Raises
    ------
    DataError
        When a feature looks at other rows (checked on the first part), or does not fit its columns.
    """
    limit = total_memory() // _SHARE if limit is None else limit
    relations: list[PartColumns | None] = []

    def made(number: int, frame: pl.DataFrame, until: int, *, check: bool = False) -> pl.DataFrame:
        known = [None if item is None else item(number) for item in relations[:until]]
        return add_features(frame, features[:until], known, check=check)

    with ExitStack() as stack:
        for at, item in enumerate(features):
            if isinstance(item, Written):
                relations.append(None)
                continue
            other = tables[item.table]
            count = _count(item, table, other, limit)
            if count == 1:
                ready = item.ready(compact_of(item, other))
                relations.append(functools.partial(_of_any, ready))
                continue
            found = stack.enter_context(Buckets(len(table.names)))
            own = set(item.needs) <= set(table.schema)
            frames = table.frames(list(dict.fromkeys(item.needs)) if own else None)
            rows = (made(number, frame, 0 if own else at) for number, (_, frame) in enumerate(frames))
            _by_buckets(item, rows, other, count, found)
            relations.append(functools.partial(_of_part, found))
        for number, (name, frame) in enumerate(table.frames()):
            yield name, made(number, frame, len(features), check=number == 0)


def _count(item: Relation, table: Table, other: Table, limit: int) -> int:
    """Say in how many buckets a relation is computed."""
    if isinstance(item, StoredJoin):
        return 1
    held = 8 * other.height * (len(item.looks_at) + 8) + 8 * table.height * (2 * len(item.names) + 8)
    one = len(table.names) == 1 and len(other.names) == 1
    return 1 if one or not item.by else max(1, -(-held // limit))


def _by_buckets(item: Relation, rows: Iterator[pl.DataFrame], other: Table, count: int, found: Buckets) -> None:
    """Compute a relation bucket by bucket; its columns go to `found`, by part, with the places of their rows."""
    columns = list(dict.fromkeys(item.looks_at))
    assert not isinstance(item, StoredJoin)
    with Buckets(count) as asked, Buckets(count) as known:
        mine: dict[str, pl.DataType] = {}
        for number, frame in enumerate(rows):
            mine = mine or dict(frame.schema)
            part = frame.select(*dict.fromkeys(item.needs)).with_row_index(_PLACE)
            part = part.with_columns(pl.lit(number, pl.Int32).alias(f"{_PLACE} part"))
            keys = [_hashed(row, mine[row], other.schema[column]) for row, column in item.by]
            asked.add(part.with_columns(key.alias(f"{_PLACE} key {at}") for at, key in enumerate(keys)), _names(keys))
        for _, frame in other.frames(columns):
            compact = item.compact(frame)
            keys = [
                _hashed(f"penstock key {at}", other.schema[column], mine[row])
                for at, (row, column) in enumerate(item.by)
            ]
            known.add(
                compact.with_columns(key.alias(f"{_PLACE} key {at}") for at, key in enumerate(keys)), _names(keys)
            )
        for bucket in range(count):
            questions = asked.read(bucket)
            if questions is None and bucket:
                continue
            questions = asked.empty() if questions is None else questions
            past = known.read(bucket)
            past = known.empty() if past is None else past
            drop = _names(item.by)
            answered = item.ready(past.drop(drop))(questions.drop(drop))
            found.expect(answered.select(_PLACE, *item.names))
            for (part_number,), part in answered.partition_by(f"{_PLACE} part", as_dict=True).items():
                found.put(int(part_number), part.select(_PLACE, *item.names))
            asked.remove(bucket)
            known.remove(bucket)


def _names(keys: Sequence[object]) -> list[str]:
    return [f"{_PLACE} key {at}" for at in range(len(keys))]


def _hashed(name: str, kind: pl.DataType, other: pl.DataType) -> pl.Expr:
    """A key as it is hashed: of one type on both sides."""
    return pl.col(name).cast(pl.Float64) if kind != other and kind.is_numeric() else pl.col(name)


def _of_any(ready: Columns, _number: int) -> Columns:
    return ready


def _of_part(found: Buckets, number: int) -> Columns:
    return lambda frame: _put_back(frame, found, number)


def _put_back(frame: pl.DataFrame, found: Buckets, number: int) -> pl.DataFrame:
    columns = found.read(number)
    columns = found.empty() if columns is None else columns
    return frame.hstack(columns.sort(_PLACE).drop(_PLACE).get_columns())
