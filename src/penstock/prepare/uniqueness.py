"""Whether values of a column come more than once, in tables whose columns memory does not hold."""

from __future__ import annotations

import polars as pl

from penstock.types.buckets import Buckets
from penstock.types.table import Table

HELD = 2_000_000
"""So many values, or fewer, are compared at once."""
_HASH = "penstock hash"


def classes_of(rows: int) -> int:
    """Return into how many classes, by their hash, values of so many rows are divided, one of which is held at a time."""
    return 1 + rows // HELD


def hashes_of(values: pl.Series) -> pl.Series:
    """Return a number of 64 bits for each value that is not missing."""
    return values.drop_nulls().hash(seed=0).alias(_HASH)


def repeated(table: Table, column: str) -> pl.Series:
    """Return the hashes of the values that come more than once.

    Examples
    --------
    >>> table = Table.of(pl.DataFrame({"x": ["a", "b", "a", None, None]}))
    >>> repeated(table, "x").equals(hashes_of(pl.Series("x", ["a"])))
    True
    """
    with Buckets(classes_of(table.height)) as buckets:
        for _, frame in table.frames([column]):
            buckets.add(hashes_of(frame[column]).to_frame(), [_HASH])
        found = [_twice(rows[_HASH]) for rows in map(buckets.read, range(buckets.count)) if rows is not None]
    return pl.concat(found) if found else pl.Series(_HASH, [], pl.UInt64)


def _twice(hashes: pl.Series) -> pl.Series:
    return hashes.filter(hashes.is_duplicated()).unique()
