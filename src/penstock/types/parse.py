"""Reading what people write in cells: numbers, dates and yes/no as text, blanks as missing.

One definition with two faces, equal value for value: a Polars expression for tables, a function for one row.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import polars as pl

from penstock.types.cells import BLANKS, SPACES, is_blank, is_nan
from penstock.types.dates import (
    EPOCH_SHAPE,
    EPOCHS,
    LAST_OF_TWO_DIGITS,
    LEAST_YEAR,
    MOST_MICROSECONDS,
    as_iso,
    has_clock,
    is_zoned,
    read_moment,
)
from penstock.types.numbers import number_in, read_number

Kind = Literal["number", "boolean", "date", "text", "normal"]

TRUE, FALSE = ("yes", "y", "true", "t", "1"), ("no", "n", "false", "f", "0")
WHITE = f"[{SPACES}]+"
_white = re.compile(WHITE)


class Parse(msgspec.Struct, frozen=True, tag="parse"):
    """How one column of text is read.

    Attributes
    ----------
    column : str
        Which column.
    to : {"number", "boolean", "date", "text", "normal"}
        What its cells become: Float64, Boolean, Datetime (UTC, without zone), stripped text, or normalised text.
    format : str, optional
        Of dates, in the notation of ``strftime``, or one of :data:`~penstock.types.dates.EPOCHS`; several, tried in
        order, are separated by ``|``.
    decimal : str
        What stands before the fraction of a number.
    true, false : tuple of str
        Further words for true and false, in lower case.
    unit : str
        What may stand behind a number, such as ``kg``; :data:`~penstock.types.numbers.MAGNITUDES` for K, M and B.
    lenient : bool
        Whether the author said that cells which cannot be read are missing.

    Examples
    --------
    >>> pl.DataFrame({"paid": ["$1,200.50", " "]}).select(Parse("paid", "number").expression())["paid"].to_list()
    [1200.5, None]
    >>> Parse("paid", "number").reader()("$1,200.50")
    1200.5
    """

    column: str
    to: Kind
    format: str | None = None
    decimal: str = "."
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    unit: str = ""
    lenient: bool = False

    def expression(self) -> pl.Expr:
        """Return the expression that reads the column; what cannot be read becomes null."""
        text = pl.col(self.column).cast(pl.String).str.strip_chars(SPACES)
        if self.to == "number":
            return number_in(text, self.decimal, self.unit).alias(self.column)
        if self.to == "boolean":
            lower = text.str.to_lowercase()
            yes, no = [*TRUE, *self.true], [*FALSE, *self.false]
            return pl.when(lower.is_in(yes)).then(True).when(lower.is_in(no)).then(False).alias(self.column)
        if self.to == "date":
            return pl.coalesce(self._date(text, form) for form in (self.format or "").split("|")).alias(self.column)
        if self.to == "normal":
            text = text.str.normalize("NFKC").str.to_lowercase().str.replace_all(WHITE, " ").str.strip_chars(SPACES)
        return pl.when(text.str.len_bytes() > 0).then(text).alias(self.column)

    @staticmethod
    def _date(text: pl.Expr, form: str) -> pl.Expr:
        if form in EPOCHS:
            number = pl.when(text.str.contains(f"^(?:{EPOCH_SHAPE})$")).then(text).cast(pl.Float64, strict=False)
            count = (number * EPOCHS[form] + 0.5).floor().cast(pl.Int64, strict=False)
            return pl.when(count.is_between(-MOST_MICROSECONDS, MOST_MICROSECONDS)).then(count).cast(pl.Datetime("us"))
        if "%q" in form and "%Y" in form:
            text, form = _first_month(text, form), "%Y-%m"
        if "%V" in form and "%u" not in form:
            text, form = text + "-1", form + "-%u"
        if is_zoned(form):
            zoned = text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            found = zoned.dt.replace_time_zone(None)
        elif has_clock(form):
            found = text.str.to_datetime(form, time_unit="us", strict=False)
        else:
            found = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        if "%y" in form:
            return pl.when(found.dt.year() > LAST_OF_TWO_DIGITS).then(found.dt.offset_by("-100y")).otherwise(found)
        return pl.when(found.dt.year() >= LEAST_YEAR).then(found)

    def blank(self) -> pl.Expr:
        """Return the expression that says which cells stand for a missing value."""
        return pl.col(self.column).cast(pl.String).str.strip_chars(SPACES).str.to_lowercase().is_in(BLANKS)

    def reader(self) -> Callable[[Any], Any]:
        """Return the function that reads one cell; it raises ValueError where a table would hold junk."""
        if self.to == "number":
            if self.decimal == "." and not self.unit:
                return read_number
            return functools.partial(read_number, decimal=self.decimal, unit=self.unit)
        if self.to == "boolean":
            if self.true or self.false:
                return functools.partial(read_boolean, true=(*TRUE, *self.true), false=(*FALSE, *self.false))
            return read_boolean
        if self.to == "normal":
            return read_normal
        if self.to == "date":
            return self._read_date
        return read_text

    def _read_date(self, value: Any) -> dt.datetime | None:
        if value is None or is_nan(value):
            return None
        if isinstance(value, dt.date):
            return read_date(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(int(value)) if value == value // 1 else str(value)
        if not isinstance(value, str):
            raise ValueError("expected a date as text")
        if is_blank(value):
            return None
        text = value.strip(SPACES)
        for form in (self.format or "").split("|"):
            if (moment := read_moment(text, form)) is not None:
                return moment
        frame = pl.DataFrame({self.column: [value]}, schema={self.column: pl.String})
        found: dt.datetime | None = frame.select(self.expression()).item()
        if found is not None:
            return found
        if self.format in EPOCHS and re.fullmatch(EPOCH_SHAPE, text):
            raise ValueError("expected a date between the years 1 and 9999")  # ISO has forms of digits alone
        return read_date(value)


def _first_month(text: pl.Expr, form: str) -> pl.Expr:
    """Write quarters as their first months: Polars reads none."""
    pattern = f"^{re.escape(form)}$".replace("%Y", "([0-9]{4})").replace("%q", "([1-4])")
    places = (1, 2) if form.index("%Y") < form.index("%q") else (2, 1)
    year, quarter = (text.str.extract(pattern, place) for place in places)
    return year + "-" + (quarter.cast(pl.Int64) * 3 - 2).cast(pl.String).str.zfill(2)


def read_columns(frame: pl.DataFrame, parses: Sequence[Parse]) -> pl.DataFrame:
    """Read columns of a table.

    Examples
    --------
    >>> table = pl.DataFrame({"built": [1998.0, None]})  # a column with gaps is often one of floats
    >>> read_columns(table, [Parse("built", "date", "%Y")])["built"].to_list()
    [datetime.datetime(1998, 1, 1, 0, 0), None]
    """
    floats = [parse.column for parse in parses if parse.to == "date" and frame.schema[parse.column].is_float()]
    if floats:
        frame = frame.with_columns(_without_fraction(frame[name]) for name in floats)
    return frame.with_columns(parse.expression() for parse in parses)


def _without_fraction(numbers: pl.Series) -> pl.Series:
    """Write numbers as text, whole ones as such: a date has no fraction."""
    whole = numbers.cast(pl.Int128, strict=False)
    return whole.cast(pl.String).zip_with((whole == numbers).fill_null(value=False), numbers.cast(pl.String))


def read_boolean(value: Any, true: Sequence[str] = TRUE, false: Sequence[str] = FALSE) -> bool | None:
    """Read yes or no from a JSON boolean or from text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        lower = value.strip(SPACES).lower()
        if lower in true:
            return True
        if lower in false:
            return False
        if lower in BLANKS:
            return None
    elif is_nan(value):
        return None
    elif value in (0, 1):
        return bool(value)
    raise ValueError("expected true or false, or yes or no as text")


def read_text(value: Any) -> str | None:
    """Read stripped text; blank text is missing."""
    if value is None or is_nan(value):
        return None
    if not isinstance(value, str):
        raise ValueError("expected text")
    return value.strip(SPACES) or None


def read_normal(value: Any) -> str | None:
    """Read text in lower case, with single spaces and in one form of Unicode, as :meth:`Parse.expression` does."""
    text = read_text(value)
    if text is None:
        return None
    return _white.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip(SPACES) or None


def read_date(value: Any) -> dt.datetime | None:
    """Read an ISO 8601 date or time, or one that is written like it, as UTC without zone."""
    if value is None:
        return None
    if isinstance(value, str):
        if is_blank(value):
            return None
        text = value.strip(SPACES)
        try:
            value = dt.datetime.fromisoformat(text)
        except ValueError:
            value = _read_as_iso(text)
    if is_nan(value):
        return None
    if isinstance(value, dt.datetime):
        return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)
    raise ValueError("expected a date or time as text, such as 2024-05-31")


def _read_as_iso(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(as_iso(text))
    except ValueError:
        raise ValueError("expected a date or time as text, such as 2024-05-31 or 2024-05-31T12:00:00") from None
