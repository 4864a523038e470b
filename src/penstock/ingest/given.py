"""The declaration of rows that the author has in hand: a data frame, as in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from penstock.errors import DataError
from penstock.types.columns import column_of
from penstock.types.foreign import frame_from
from penstock.types.integers import narrowed
from penstock.types.nested import flat

_PART_BYTES = 64_000_000


@dataclass(frozen=True)
class Given:
    """Rows in hand; made by :func:`table`.

    Attributes
    ----------
    rows : DataFrame
        All of them.
    time : str, optional
        The column that says when each row happened.
    """

    rows: pl.DataFrame
    time: str | None = None

    def __repr__(self) -> str:
        return f"Given({self.rows.height:,} rows, {self.rows.width} columns)"


def table(rows: Any, *, time: str | None = None) -> Given:
    """Take rows that are in memory: what a run learns from is kept in the store, so that it can be made again.

    Parameters
    ----------
    rows : DataFrame of Polars or pandas, Arrow table, or mapping of columns
        An index of pandas is left out: make it a column first where it means something.
    time : str, optional
        The column that says when each row happened; rows are then split by time.

    Raises
    ------
    DataError
        When it is no table, or one without rows.

    Examples
    --------
    >>> table({"size": [3, 4], "sold": ["yes", "no"]})
    Given(2 rows, 2 columns)
    """
    found = frame_from(rows)
    if not found.height:
        raise DataError("ps.ingest.table(...): the table has no rows")
    return Given(found, None if time is None else column_of("ps.ingest.table(time=...)", time))


def given_parts(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the parts of a table, as files are read: nested fields apart, whole numbers of 64 bits."""
    plain = narrowed(flat(rows))
    most = max(1, plain.height * _PART_BYTES // max(int(plain.estimated_size()), 1))
    for number, start in enumerate(range(0, plain.height, most)):
        yield f"{number:05}", plain[start : start + most]
