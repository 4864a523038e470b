"""Cells as Python and JSON hold them, read as what a table's column is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from penstock.types.cells import is_nan
from penstock.types.numbers import read_number
from penstock.types.parse import read_boolean, read_date

_DIGITS = 19
"""So many digits a whole number of 64 bits has at most; longer ones are read as any number is."""


def reader_of(kind: str) -> Callable[[Any], Any]:
    """Return the function that reads a cell of a column; it raises ValueError or TypeError.

    Examples
    --------
    >>> reader_of("integer")("12"), reader_of("text")(""), reader_of("boolean")(1)
    (12, None, True)
    """
    return {"integer": number_or_none, "number": number_or_none, "boolean": boolean_or_none, "date": read_date}.get(
        kind, text_or_none
    )


def number_or_none(value: Any) -> float | int | None:
    """Read a number; one that is not finite is missing."""
    kind = type(value)
    if value is None or kind is int:
        return value  # type: ignore[no-any-return]
    if kind is float:
        return value if value - value == 0 else None
    if kind is str:  # as decimals are written by many, and as a table's text is read
        digits = value.removeprefix("-")
        whole_number = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS
        return int(value) if whole_number else read_number(value)
    if kind is not bool and isinstance(value, Real | Decimal):  # of NumPy, for one
        return int(value) if isinstance(value, Integral) else number_or_none(float(value))
    if is_nan(value):
        return None
    raise ValueError("expected a number")


def boolean_or_none(value: Any) -> bool | None:
    """Read yes or no, also as text or 1 and 0."""
    if value is None or isinstance(value, bool):
        return value
    try:
        return read_boolean(value)
    except ValueError:
        raise ValueError("expected true or false") from None


def text_or_none(value: Any) -> str | None:
    """Read a text as it is; an empty one is a missing cell, as in a file."""
    if value is None or isinstance(value, str):
        return value or None
    if is_nan(value):
        return None
    raise ValueError("expected text")


def shown(value: Any) -> str:
    """Write a value for an error, cut to sixty characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
