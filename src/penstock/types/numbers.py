"""Numbers as people write them: with currencies, thousands, a comma before the fraction, or a unit behind.

One definition with two faces, equal value for value: a Polars expression for tables, a function for one cell.
"""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

import polars as pl

from penstock.types.cells import SPACES, is_blank, is_nan

OR_MORE = "+"
"""Behind a number that stands for it and all above, such as ``90+``; others of the column are bare."""
MAGNITUDES = "K, M, B"
"""As a unit: thousands, millions and billions, each cell by its own last letter."""
CLOCKS = ("h:mm", "h:mm:ss")
"""As units: times of the day, or how long something took; in the least that is written, minutes or seconds."""
_CLOCK = {
    "h:mm": r"^([0-9]{1,4}):([0-5][0-9])(?: ?([AaPp])[Mm])?$",
    "h:mm:ss": r"^([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]+)?)(?: ?([AaPp])[Mm])?$",
}
_PLURAL = "(s)"
"""Behind a unit that stands in the plural too, such as ``day(s)``."""
_TIMES = {"k": 1e3, "m": 1e6, "b": 1e9}
NUMBER = r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)$"
_SPACED = "[, \u00a0\u2009\u202f'’]"
_GROUPED = rf"^[+-]?[0-9]{{1,3}}(?:(?:,[0-9]{{3}})+|(?:{_SPACED.replace(',', '')}[0-9]{{3}})+)(?:\.[0-9]*)?$"
"""Thousands apart: by commas, by spaces, as in France and Poland, or by apostrophes, as in Switzerland."""
SIGNS = "$€£¥₹₽₩₺₫฿₪₴₦₱%"
_SIGNS = f"[{SIGNS}]"
_ACCOUNTED = r"^\(([0-9][0-9,]*\.?[0-9]*)\)$"
"""A negative number as accountants write it."""
_MINUS = "\u2212"
_UNIT = r"\s*([A-Za-zµ°][A-Za-zµ°²³/]{0,11}|\+)$"
_number, _grouped, _signs = re.compile(NUMBER), re.compile(_GROUPED), re.compile(_SIGNS)
_accounted, _spaced = re.compile(_ACCOUNTED), re.compile(_SPACED)
_unit = re.compile(_UNIT)
_SWAPPED = str.maketrans(".,", ",.")


def number_in(text: pl.Expr, decimal: str = ".", unit: str = "") -> pl.Expr:
    """Return the expression that reads stripped text; what is no number becomes null.

    Examples
    --------
    >>> table = pl.DataFrame({"x": ["1 200,5 kg", "3 kg", "much"]})
    >>> table.select(number_in(pl.col("x"), ",", "kg")).to_series().to_list()
    [1200.5, 3.0, None]
    """
    times: pl.Expr | None = None
    if unit in CLOCKS:
        return pl.coalesce(_clock_in(text, _CLOCK[unit]), number_in(text, decimal))
    if unit == MAGNITUDES:
        times = text.str.slice(-1).str.to_lowercase().replace_strict(_TIMES, default=1.0, return_dtype=pl.Float64)
        text = pl.when(times > 1).then(text.str.slice(0, text.str.len_chars() - 1)).otherwise(text)
    elif unit:
        text = (text.str.strip_suffix("s") if unit.endswith(_PLURAL) else text).str.strip_suffix(
            unit.removesuffix(_PLURAL)
        )
    plain = text.str.replace_all(_SIGNS, "").str.replace(_MINUS, "-", literal=True).str.strip_chars(SPACES)
    if decimal == ",":
        plain = plain.str.replace_all(".", ";", literal=True).str.replace_all(",", ".", literal=True)
        plain = plain.str.replace_all(";", ",", literal=True)
    plain = plain.str.replace(_ACCOUNTED, "-$1")
    # Each use of an expression is computed anew, so that there are few.
    whole = pl.when(plain.str.contains(_GROUPED)).then(plain.str.replace_all(_SPACED, "")).otherwise(plain)
    found = whole.str.extract(NUMBER).cast(pl.Float64, strict=False)
    if times is not None:
        found = found * times
    return pl.when(found.is_finite()).then(found)


def _clock_in(text: pl.Expr, clock: str) -> pl.Expr:
    parts = [text.str.extract(clock, at) for at in range(1, re.compile(clock).groups + 1)]
    first, *others = (part.cast(pl.Float64) for part in parts[:-1])
    # Twelve o'clock is the first hour of its half of the day.
    afternoon = parts[-1].str.to_lowercase() == "p"
    found = pl.when(parts[-1].is_null()).then(first).otherwise(first % 12 + 12 * afternoon.cast(pl.Float64))
    for part in others:
        found = found * 60 + part
    return found


def _read_clock(text: str, clock: str) -> float | None:
    parts = re.match(clock, text)
    if parts is None:
        return None
    first, *others = map(float, parts.groups()[:-1])
    half = parts.groups()[-1]
    found = first if half is None else first % 12 + 12 * (half in "pP")
    for part in others:
        found = found * 60 + part
    return found


def read_number(value: Any, decimal: str = ".", unit: str = "") -> float | None:
    """Read a number from a JSON number or from text, as :func:`number_in` does.

    Raises
    ------
    ValueError
        When it is neither a number nor missing.
    """
    if value is None:
        return None
    kind = type(value)
    if kind is float or kind is int:
        number = float(value)
        return number if number - number == 0 else None
    if kind is not str:
        if is_nan(value):
            return None
        if isinstance(value, Real) and kind is not bool:  # of NumPy
            return read_number(float(value))
        raise ValueError("expected a number, or a number as text")
    text, times = value.strip(SPACES), 1.0
    if unit in CLOCKS and (clock := _read_clock(text, _CLOCK[unit])) is not None:
        return clock
    if unit == MAGNITUDES:
        times = _TIMES.get(text[-1:].lower(), 1.0)
        text = text[:-1] if times > 1 else text
    elif unit and unit not in CLOCKS:
        text = (text.removesuffix("s") if unit.endswith(_PLURAL) else text).removesuffix(unit.removesuffix(_PLURAL))
    plain = _signs.sub("", text).replace(_MINUS, "-", 1).strip(SPACES)
    if decimal == ",":
        plain = plain.translate(_SWAPPED)
    plain = _accounted.sub(r"-\1", plain)
    if _grouped.match(plain):
        plain = _spaced.sub("", plain)
    if _number.match(plain):
        number = float(plain) * times
        return number if number - number == 0 else None
    if is_blank(value):
        return None
    raise ValueError(f"expected a time as {unit}" if unit in CLOCKS else "expected a number, or a number as text")


def units_of(texts: pl.Series, decimal: str) -> list[str] | None:
    """Return what follows the numbers, each once; None where a cell is none with anything behind it.

    Examples
    --------
    >>> units_of(pl.Series(["12 kg", "3.5kg"]), "."), units_of(pl.Series(["5", "5 kg"]), "."), units_of(pl.Series(["C5"]), ".")
    (['kg'], ['', 'kg'], None)
    >>> units_of(pl.Series(["9:30 AM", "12:05 PM"]), ".")
    ['h:mm']
    """
    # Most text is no number: the first cell, which costs little to ask, says so.
    if not texts.len() or not any(re.match(clock, texts[0]) for clock in _CLOCK.values()):
        try:
            if not texts.len() or read_number(_unit.sub("", texts[0]), decimal) is None:
                return None
        except ValueError:
            return None
    for clock, pattern in _CLOCK.items():
        if decimal == "." and texts.str.contains(pattern).all():
            return [clock]
    bare = texts.str.replace(_UNIT, "")
    if bare.to_frame("x").select(number_in(pl.col("x"), decimal)).to_series().null_count():
        return None
    return texts.str.extract(_UNIT, 1).fill_null("").unique().sort().to_list()


def unit_among(units: list[str] | None) -> str | None:
    """Return the unit of a column; None where it has none, or more than one.

    Examples
    --------
    >>> unit_among(["", "+"])
    '+'
    >>> unit_among(["kg"]), unit_among(["day", "days"]), unit_among(["", "K", "M"]), unit_among(["kg", "lb"])
    ('kg', 'day(s)', 'K, M, B', None)
    """
    if not units or units == [""]:
        return None
    if len(units) == 1:
        return units[0]
    if units == ["", OR_MORE]:
        return OR_MORE
    if len(units) == 2 and units[1] == f"{units[0]}s" and len(units[0]) > 1:  # m and ms are two
        return f"{units[0]}{_PLURAL}"
    letters = {unit.lower() for unit in units} - {""}
    # A lone m may be metres; thousands beside it, or alone beside plain numbers, leave no doubt.
    return MAGNITUDES if letters <= _TIMES.keys() and "k" in letters and all(len(unit) <= 1 for unit in units) else None
