"""Numbers that are dates: counted since 1970, or written like 20240131. Known by the column's name and all of its values."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from penstock.prepare.operations import Note
from penstock.types.dates import COUNTED_NAMES, EPOCHS
from penstock.types.parse import Parse

_FIRST, _LAST = 315_532_800, 4_102_444_800
"""1980 and 2100, in seconds since 1970: numbers outside are taken for amounts."""
_DIGITS = {"%Y%m%d": (8, ""), "%Y%m": (6, "01"), "%Y%m%d%H%M%S": (14, ""), "%Y%m%d%H%M": (12, "")}
"""How many there are, and what makes them a whole date."""


@dataclass(frozen=True)
class Numbers:
    """What was seen in cells that are numbers; looks at several parts make one.

    Attributes
    ----------
    low, high : float, optional
        The least and the greatest; None where there is none.
    digits : tuple of str
        The forms of dates without signs, such as ``%Y%m%d``, in which every cell is one.
    """

    low: float | None
    high: float | None
    digits: tuple[str, ...]

    def with_more(self, other: Numbers) -> Numbers:
        """Put two looks together."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return other if self.low is None else self
        digits = tuple(form for form in self.digits if form in other.digits)
        return Numbers(min(self.low, other.low), max(self.high, other.high), digits)

    def form(self, *, declared: bool) -> str | None:
        """Return the form in which all are dates; a year and a month only where the author says that they are times."""
        if self.low is None or self.high is None:
            return None
        for form, unit in EPOCHS.items():
            if self.low * unit / 1e6 >= _FIRST and self.high * unit / 1e6 <= _LAST:
                return form
        return next((form for form in self.digits if declared or form != "%Y%m"), None)


def is_named_so(name: str, kind: pl.DataType, time: str | None) -> bool:
    """Whether a column may hold dates as numbers.

    Examples
    --------
    >>> is_named_so("created_at", pl.Int64(), None), is_named_so("price", pl.Int64(), None)
    (True, False)
    """
    return kind.is_numeric() and (name == time or COUNTED_NAMES.search(name) is not None)


def look_at_numbers(cells: pl.Series) -> Numbers:
    """Look at a column of numbers.

    Examples
    --------
    >>> look_at_numbers(pl.Series([1_700_000_000, 1_700_086_400])).form(declared=False)
    's since 1970'
    >>> look_at_numbers(pl.Series([20240131, 20240201])).form(declared=False)
    '%Y%m%d'
    >>> look_at_numbers(pl.Series([20240131235900, 20240201000000])).form(declared=False)
    '%Y%m%d%H%M%S'
    >>> look_at_numbers(pl.Series([2019, 2024])).form(declared=True) is None  # years are numbers
    True
    """
    values = cells.drop_nulls().unique()
    if not values.len():
        return Numbers(None, None, ())
    low, high = (float(value) for value in (values.min(), values.max()))  # type: ignore[arg-type]
    digits = []
    for form, (count, rest) in _DIGITS.items():
        if low / 10 ** (count - 4) >= 1900 and high / 10 ** (count - 4) < 2101 and (values % 1 == 0).all():
            texts = values.cast(pl.Int64).cast(pl.String) + rest
            dates = texts.str.to_datetime(form if "%d" in form else "%Y%m%d", strict=False, time_unit="us")
            digits += [form] if dates.null_count() == 0 else []
    return Numbers(low, high, tuple(digits))


def decide_numbers(name: str, look: Numbers, time: str | None) -> tuple[Parse, Note] | None:
    """Return how a column of numbers is read as dates, and what to say of it; None where it stays as it is."""
    form = look.form(declared=name == time)
    if form is None:
        return None
    text = f'dates as numbers ({form}), read as dates; cast("{name}", "number") keeps them as they are'
    return Parse(name, "date", form), Note("prepare", name, 0, text)
