"""Arithmetic and comparisons of two numbers as Polars does them, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_INF = float("inf")
_HALF, _WHOLE = 1 << 63, 1 << 64


def wrapped(number: Any) -> Any:
    """Integers of 64 bits go round, as Polars' do.

    Examples
    --------
    >>> wrapped(2**63) == -(2**63), wrapped(2.5)
    (True, 2.5)
    """
    if type(number) is int and not -_HALF <= number < _HALF:
        return (number + _HALF) % _WHOLE - _HALF
    return number


def divided(a: Any, b: Any) -> float:
    """Divide; by zero gives NaN or an infinite number.

    Examples
    --------
    >>> divided(1, 4), divided(-1, 0.0)
    (0.25, -inf)
    """
    try:
        return float(a) / float(b)
    except ZeroDivisionError:
        return float("nan") if a == 0 or a != a else math.copysign(_INF, a) * math.copysign(1.0, b)


def _greater(a: Any, b: Any) -> bool:
    """For Polars NaN, such as 0/0 on the way, is greater than any number and equal to itself."""
    return bool(a > b or (a != a and b == b))


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Plus": lambda a, b: wrapped(a + b),
    "Minus": lambda a, b: wrapped(a - b),
    "Multiply": lambda a, b: wrapped(a * b),
}
EQUAL: dict[str, Callable[[Any, Any], bool]] = {"Eq": _equal, "NotEq": lambda a, b: not _equal(a, b)}
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "Gt": _greater,
    "GtEq": lambda a, b: not _greater(b, a),
    "Lt": lambda a, b: _greater(b, a),
    "LtEq": lambda a, b: not _greater(a, b),
    **EQUAL,
}
"""By the names that Polars gives them when it writes an expression down."""
