"""How one kind of column becomes numbers: the same for a table and for one row.

Columns of a matrix are floats; a missing value is NaN. Categories are codes, ordered by how frequent they are.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.types.dates import microseconds

Matrix = npt.NDArray[np.float64]
RowEncoder = Callable[[Any, list[float]], None]

_NAN = float("nan")
_word = re.compile(r"[^\W_]{2,}")


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A number as it is."""

    column: str

    def names(self) -> list[tuple[str, int]]:
        """Name and number of categories (0 for a number) of each matrix column."""
        return [(self.column, 0)]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column."""
        return [values.cast(pl.Float64).to_numpy().astype(np.float64, copy=False)]

    def row(self) -> RowEncoder:
        """Return what encodes one value."""

        def encode(value: Any, out: list[float]) -> None:
            out.append(_NAN if value is None else float(value))

        return encode


class Boolean(msgspec.Struct, frozen=True, tag="boolean"):
    """True is 1, false is 0."""

    column: str

    def names(self) -> list[tuple[str, int]]:
        """See :meth:`Number.names`."""
        return [(self.column, 0)]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column."""
        return [values.cast(pl.Boolean).cast(pl.Float64).to_numpy()]

    def row(self) -> RowEncoder:
        """Return what encodes one value."""

        def encode(value: Any, out: list[float]) -> None:
            out.append(_NAN if value is None else 1.0 if value else 0.0)

        return encode


class Category(msgspec.Struct, frozen=True, tag="category"):
    """A code for each frequent category; all others share the last one."""

    column: str
    levels: list[str]
    counts: list[int]
    """Training rows of each level; empty unless there are many categories."""

    def names(self) -> list[tuple[str, int]]:
        """See :meth:`Number.names`."""
        coded = [(self.column, len(self.levels) + 1)]
        return [*coded, (f"{self.column} (rows)", 0)] if self.counts else coded

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column."""
        text = values.cast(pl.String)
        codes = {level: float(code) for code, level in enumerate(self.levels)}
        found = [self._look(text, codes, float(len(self.levels)))]
        if self.counts:
            found.append(self._look(text, dict(zip(self.levels, map(float, self.counts), strict=True)), 0.0))
        return found

    @staticmethod
    def _look(text: pl.Series, known: dict[str, float], other: float) -> Matrix:
        return text.replace_strict({**known, None: None}, default=other, return_dtype=pl.Float64).to_numpy()

    def row(self) -> RowEncoder:
        """Return what encodes one value."""
        codes: dict[Any, float] = {level: float(code) for code, level in enumerate(self.levels)}
        codes[None] = _NAN
        other = float(len(self.levels))
        if not self.counts:

            def encode(value: Any, out: list[float]) -> None:
                out.append(codes.get(value, other))

            return encode
        counts: dict[Any, float] = dict(zip(self.levels, map(float, self.counts), strict=True))
        counts[None] = _NAN

        def encode_both(value: Any, out: list[float]) -> None:
            out.append(codes.get(value, other))
            out.append(counts.get(value, 0.0))

        return encode_both


_PARTS = ("days", "month", "day", "weekday", "hour")
_ROUNDS = {"month": 365.25, "day": 30.4, "weekday": 7.0, "hour": 1.0}
"""After so many days each part comes round."""
_READERS: dict[str, Callable[[dt.datetime], float]] = {
    "days": lambda value: microseconds(value) / 86_400_000_000.0,
    "month": lambda value: float(value.month),
    "day": lambda value: float(value.day),
    "weekday": lambda value: float(value.isoweekday()),
    "hour": lambda value: float(value.hour),
}


class Date(msgspec.Struct, frozen=True, tag="date"):
    """Days since 1970, and the parts of the calendar that come round; whether the days are for the search to try."""

    column: str
    parts: tuple[str, ...] = _PARTS
    offered: bool = False

    def names(self) -> list[tuple[str, int]]:
        """See :meth:`Number.names`."""
        return [(f"{self.column} ({part})", 0) for part in self.parts]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column."""
        moment = values.cast(pl.Datetime("us"))
        # NumPy divides; Polars multiplies by the reciprocal, which differs in the last bit from what a row gives.
        days = moment.cast(pl.Int64).cast(pl.Float64).to_numpy() / 86_400_000_000.0
        return [
            days if part == "days" else getattr(moment.dt, part)().cast(pl.Float64).to_numpy() for part in self.parts
        ]

    def row(self) -> RowEncoder:
        """Return what encodes one value."""

        def encode(value: Any, out: list[float]) -> None:
            if value is None:
                out.extend((_NAN,) * len(readers))
                return
            out.extend([read(value) for read in readers])

        readers = [_READERS[part] for part in self.parts]
        return encode


def recurring_parts(values: pl.Series) -> tuple[str, ...]:
    """Return the parts of the calendar that have come round twice: what rows later than all of these can share with them.

    Examples
    --------
    >>> recurring_parts(pl.Series([dt.date(2024, 1, 1), dt.date(2024, 3, 20)]))
    ('day', 'weekday')
    """
    moment = values.drop_nulls().cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    span = float(np.ptp(moment)) / 86_400_000_000.0 if len(moment) else 0.0
    timed = values.dtype == pl.Datetime
    return tuple(part for part, days in _ROUNDS.items() if span >= 2 * days and (timed or part != "hour"))


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Which of the frequent words a text holds, and how long it is."""

    column: str
    words: list[str]

    def names(self) -> list[tuple[str, int]]:
        """See :meth:`Number.names`."""
        words = [(f"{self.column} has {word!r}", 0) for word in self.words]
        return [*words, (f"{self.column} (characters)", 0), (f"{self.column} (words)", 0)]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column: each different text once."""
        return each_once(values, self.row(), len(self.words) + 2)

    def row(self) -> RowEncoder:
        """Return what encodes one value."""
        words = self.words

        def encode(value: Any, out: list[float]) -> None:
            if value is None:
                out.extend([_NAN] * (len(words) + 2))
                return
            found = words_of(value)
            held = set(found)
            out.extend([1.0 if word in held else 0.0 for word in words])
            out.append(float(len(value)))
            out.append(float(len(found)))

        return encode


def each_once(values: pl.Series, encode: RowEncoder, width: int) -> list[Matrix]:
    """Encode a column of text by what encodes one value, each different text once: `width` matrix columns."""
    text = values.cast(pl.String)
    different = text.unique(maintain_order=True).alias("text")
    rows: list[list[float]] = []
    for item in different.to_list():
        out: list[float] = []
        encode(item, out)
        rows.append(out)
    place = different.to_frame().with_row_index("place")
    at = text.alias("text").to_frame().join(place, on="text", how="left", nulls_equal=True, maintain_order="left")
    return list(np.array(rows, dtype=np.float64).reshape(-1, width)[at["place"].to_numpy()].T)


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words of two letters or more.

    Examples
    --------
    >>> words_of("Braund, Mr. Owen")
    ['braund', 'mr', 'owen']
    """
    return _word.findall(text.lower())
