"""A table in parts, of which one is in memory at a time; a small table is one part."""

from __future__ import annotations

import bisect
import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

ROW = "penstock row"
"""Name of the column that says which row of the snapshot a prepared row was."""
LOOKED = 20_000_000
"""Where a table with more cells is looked at as a whole, evenly spaced rows with so many stand for it."""


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


class Flagged:
    """Parts of which only some rows are taken.

    Parameters
    ----------
    table : Table
        All rows.
    flags : array of bool, shape (n_rows,)
        Which of them are taken.
    """

    def __init__(self, table: Table, flags: npt.NDArray[np.bool_]) -> None:
        self._parts, self._schema, self._columns = table.parts, table.schema, list[str]()
        self._flags = {
            name: flags[start : start + rows]
            for name, start, rows in zip(table.names, table.starts, table.heights, strict=True)
        }

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Read the rows of a part, which is not read where none of them is taken."""
        flags = self._flags[name]
        if not flags.any():
            return pl.DataFrame(schema={column: self._schema[column] for column in self._columns or self._schema})
        return self._parts[name].filter(pl.Series(flags))

    def __iter__(self) -> Iterator[str]:
        """Name the parts, in order."""
        return iter(self._flags)

    def select(self, columns: Sequence[str]) -> Flagged:
        """Return the same with only some columns."""
        made = copy.copy(self)
        made._parts, made._columns = self._parts.select(columns), list(columns)
        return made

    def shape(self, name: str) -> tuple[Any, int]:
        """Return schema and rows of a part."""
        return self._schema, int(self._flags[name].sum())


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

    def column(self, name: str) -> Iterator[pl.Series]:
        """Yield one column part by part."""
        for _, frame in self.frames([name]):
            yield frame[name]

    def __getitem__(self, column: str) -> pl.Series:
        """Read one column of all parts."""
        return self.whole([column])[column]

    def whole(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read all rows, or some columns of them, at once."""
        return pl.concat([frame for _, frame in self.frames(columns)])

    def chosen(self, flags: npt.NDArray[np.bool_]) -> Table:
        """Return the table of flagged rows, unread."""
        return Table(Flagged(self, flags))

    def each(self, step: int) -> Table:
        """Return the table of each `step`-th row from the first on, unread.

        Examples
        --------
        >>> Table.of(pl.DataFrame({"x": range(7)})).each(3)["x"].to_list()
        [0, 3, 6]
        """
        return self if step <= 1 else self.chosen(np.arange(self.height) % step == 0)

    @property
    def step(self) -> int:
        """How far apart the rows lie that stand for the table: 1 unless it has more than :data:`LOOKED` cells."""
        return max(1, -(-self.height * len(self.columns) // LOOKED))

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
        if not found:
            return self.parts[self.names[0]].clear()
        back = wanted.with_row_index("found").sort("asked")["found"]
        return pl.concat(found) if back.is_sorted() else pl.concat(found)[back]


def spread(height: int, count: int) -> list[int]:
    """Return up to `count` places from the first of `height` rows to the last, evenly apart.

    Examples
    --------
    >>> spread(101, 3), spread(2, 16), spread(0, 3)
    ([0, 50, 100], [0, 1], [])
    """
    return sorted({(height - 1) * step // max(count - 1, 1) for step in range(count)}) if height else []


def twice(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table of one row with that row twice, for expressions to give it the values that it has among others.

    Of one row Polars takes a column for a constant and divides another way: the last bit would differ. The rows are
    written out anew, because those gathered from a constant are a constant again.

    Examples
    --------
    >>> twice(pl.DataFrame({"x": [3]}))["x"].to_list()
    [3, 3]
    """
    return pl.DataFrame([pl.Series(column.name, column.to_list() * 2, column.dtype) for column in frame])
