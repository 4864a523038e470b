"""A summary of a table, small enough to lie in the model: what later rows are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

POINTS = 1000
"""Of the distribution of a number so many quantiles are kept."""
_SORTED = 200_000
"""Of more numbers, evenly spaced ones stand for all: their distribution differs by a few thousandths."""
VALUES = 50
"""Of a category so many frequent values are kept."""
_CHOOSING = 0.25
"""Of more values, the frequent ones are chosen by this share of the rows and counted in the others: what is frequent among
rows that it was chosen by is less so in any other rows, though nothing has changed."""
ANSWERS = "penstock answers"
"""The name of what was answered, where it is compared as a column is."""


class ColumnProfile(msgspec.Struct, frozen=True):
    """One column.

    Attributes
    ----------
    name : str
        The column.
    kind : str
        ``number`` or ``category``.
    rows, missing : int
        Rows, and those without a value.
    quantiles : list of float
        Of numbers, evenly spaced from the smallest to the greatest.
    counts : list of (str, int)
        Of categories, the most frequent first.
    counted : int or None
        Rows with a value in which these were counted; all where None.
    """

    name: str
    kind: str
    rows: int
    missing: int
    quantiles: list[float] = []
    counts: list[tuple[str, int]] = []
    counted: int | None = None

    @property
    def total(self) -> int:
        """Of categories, the rows of which :attr:`counts` are counts."""
        return self.rows - self.missing if self.counted is None else self.counted


class Profile(msgspec.Struct, frozen=True):
    """Summary of the rows that a model has learnt from, and of what it answers."""

    columns: list[ColumnProfile]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return of each number between which values nearly all rows lay."""
        found = {}
        for column in self.columns:
            points = column.quantiles
            if column.kind == "number" and points:
                found[column.name] = points[len(points) // 100], points[-1 - len(points) // 100]
        return found


def profile_of(table: pl.DataFrame, columns: Sequence[str]) -> Profile:
    """Summarise columns of a table; O(n log n) a column.

    Examples
    --------
    >>> profile_of(pl.DataFrame({"city": ["Oslo", "Oslo", None]}), ["city"]).columns[0].counts
    [('Oslo', 2)]
    """
    return Profile([column_profile(table[name]) for name in columns])


def column_profile(values: pl.Series, kind: str | None = None) -> ColumnProfile:
    """Summarise one column, as ``number`` or ``category``; its type says which where `kind` does not."""
    filled = values.drop_nulls()
    missing = values.len() - filled.len()
    if kind is None:
        kind = "number" if values.dtype.is_numeric() or values.dtype.is_temporal() else "category"
    if kind == "number":
        plain = filled.to_physical().cast(pl.Float64, strict=False).drop_nulls().drop_nans().to_numpy()
        if len(plain) > _SORTED:
            plain = plain[:: -(-len(plain) // _SORTED)]
        return ColumnProfile(values.name, "number", values.len(), missing, quantiles=quantiles_of(plain))
    text = filled.cast(pl.String)
    counts = _counts(text)
    if counts.height <= VALUES:
        return ColumnProfile(values.name, "category", values.len(), missing, counts=counts.rows())
    chosen = pl.Series(np.random.default_rng(0).random(text.len()) < _CHOOSING)
    frequent, others = _counts(text.filter(chosen)).head(VALUES), text.filter(~chosen)
    found = counts_of(frequent["value"].to_list(), others)
    found.sort(key=lambda item: (-item[1], item[0]))
    return ColumnProfile(values.name, "category", values.len(), missing, counts=found, counted=others.len())


def counts_of(names: Sequence[str], text: pl.Series) -> list[tuple[str, int]]:
    """Return how often each of some values comes.

    Examples
    --------
    >>> counts_of(["a", "b"], pl.Series(["b", "c", "b"]))
    [('a', 0), ('b', 2)]
    """
    found = dict(_counts(text.filter(text.is_in(list(names)))).rows())
    return [(name, found.get(name, 0)) for name in names]


def _counts(text: pl.Series) -> pl.DataFrame:
    """Return each value and how often it comes, the most frequent first."""
    counted = text.alias("value").value_counts(name="rows")
    return counted.sort(["rows", "value"], descending=[True, False])


def quantiles_of(numbers: npt.NDArray[np.float64]) -> list[float]:
    """Return the numbers in order, or of more than :data:`POINTS` so many evenly spaced in that order."""
    ordered = np.sort(numbers)
    if len(ordered) > POINTS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, POINTS).round().astype(np.int64)]
    return ordered.tolist()  # type: ignore[no-any-return]
