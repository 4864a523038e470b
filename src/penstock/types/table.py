"""A table in parts, of which one is in memory at a time; a small table is one part."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

import polars as pl

ROW = "penstock row"
"""Name of the column that says which row of the snapshot a prepared row was."""


class Parts(Protocol):
    """What holds the parts of a table: a store that reads them when asked, or :class:`InMemory`."""

    def __getitem__(self, name: str, /) -> pl.DataFrame: ...
    def __iter__(self) -> Iterator[str]: ...
    def select(self, columns: Sequence[str]) -> Parts:
        """Return the same parts with only some columns."""
        ...

    def shape(self, name: str) -> tuple[Any, int]:
        """Return schema and rows of a part."""
        ...


class InMemory(dict[str, pl.DataFrame]):
    """Parts that are in memory already."""

    def select(self, columns: Sequence[str]) -> InMemory:
        """Return the same parts with only some columns."""
        return InMemory(
            {name: frame[list(columns)] for name, frame in self.items()}
        )  # not select(): a column may be called *

    def shape(self, name: str) -> tuple[Any, int]:
        """Return schema and rows of a part."""
        return self[name].schema, self[name].height


class Table:
    """A table whose rows are those of its parts, one after the other.

    All parts have the same columns of the same types.

    Parameters
    ----------
    parts : Parts
        At least one.

    Examples
    --------
    >>> table = Table(InMemory(a=pl.DataFrame({"x": [1, 2]}), b=pl.DataFrame({"x": [3]})))
    >>> table.height, table["x"].to_list(), table.rows([2, 0])["x"].to_list()
    (3, [1, 2, 3], [3, 1])
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.names = list(parts)

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Table:
        """Return a table that is one part, in memory."""
        return cls(InMemory(all=frame))

    @cached_property
    def _shapes(self) -> list[tuple[Any, int]]:
        return [self.parts.shape(name) for name in self.names]

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Columns and their types."""
        found: Mapping[str, pl.DataType] = self._shapes[0][0]
        return found

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema)

    @property
    def heights(self) -> list[int]:
        """Rows of each part."""
        return [rows for _, rows in self._shapes]

    @cached_property
    def starts(self) -> list[int]:
        """How many rows are before each part."""
        return [0, *accumulate(self.heights)][:-1]

    @property
    def height(self) -> int:
        """Rows in all."""
        return sum(self.heights)

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the parts, each read when its turn comes."""
        parts = self.parts if columns is None else self.parts.select(columns)
        for name in self.names:
            yield name, parts[name]

    def __getitem__(self, column: str) -> pl.Series:
        """Read one column of all parts."""
        return self.whole([column])[column]

    def whole(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read all rows, or some columns of them, at once."""
        return pl.concat([frame for _, frame in self.frames(columns)])

    def rows(self, places: Sequence[int]) -> pl.DataFrame:
        """Read the rows at some places, in the order in which they are asked for."""
        wanted = pl.DataFrame({"place": pl.Series(places, dtype=pl.Int64)}).with_row_index("asked").sort("place")
        ends = [start + rows for start, rows in zip(self.starts, self.heights, strict=True)]
        found, at, sorted_places = [], 0, wanted["place"]
        for number, name in enumerate(self.names):
            stop = bisect.bisect_left(sorted_places, ends[number], at)
            if stop > at:
                found.append(self.parts[name][(sorted_places[at:stop] - self.starts[number])])
                at = stop
        back = wanted.with_row_index("found").sort("asked")["found"]
        return pl.concat(found)[back] if found else self.parts[self.names[0]].clear()
