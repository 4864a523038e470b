"""Lengths of time and sizes as people write them: ``"90s"``, ``"4GB"``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.errors import GraphError

_UNITS = {"us": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WORDS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
_CALENDAR = re.compile(r"[\d.]+(?:mo|months?|y|yr|yrs|years?|q|quarters?)")
_PART = re.compile(r"(-?[\d.]+)([a-z]+)")
_SIZES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


def seconds_of(text: float | str) -> float:
    """Read a length of time.

    Examples
    --------
    >>> seconds_of("90s"), seconds_of("2m"), seconds_of(1.5)
    (90.0, 120.0, 1.5)
    >>> seconds_of("1h30m"), seconds_of("10 days")
    (5400.0, 864000.0)
    """
    return _amount(text, _UNITS, "a length of time", "90s, 10m, 2h or 1d")


def length_of(value: float) -> str:
    """Write a length of time as :func:`seconds_of` reads it, in the largest unit of which it is a whole number.

    Examples
    --------
    >>> length_of(86_400), length_of(5400.0), length_of(20), length_of(0.5)
    ('1d', '90m', '20s', '500ms')
    """
    for unit in ("d", "h", "m", "s"):
        if value and value % _UNITS[unit] == 0:
            return f"{value / _UNITS[unit]:.0f}{unit}"
    return f"{value * 1000:.3g}ms"


def bytes_of(text: float | str) -> int:
    """Read a number of bytes.

    Examples
    --------
    >>> bytes_of("4GB"), bytes_of(10)
    (4000000000, 10)
    """
    return int(_amount(text, _SIZES, "a size", "500MB or 4GB"))


def _amount(text: float | str, units: Mapping[str, float], what: str, examples: str) -> float:
    if isinstance(text, int | float) and not isinstance(text, bool) and text >= 0:
        return float(text)
    cleaned = str(text).strip().lower().replace(" ", "")
    parts = _PART.findall(cleaned)
    try:
        if not parts or "".join(number + unit for number, unit in parts) != cleaned:
            raise ValueError
        values = [float(number) * units[_WORDS.get(unit.removesuffix("s"), unit)] for number, unit in parts]
    except (ValueError, KeyError):
        if units is _UNITS and _CALENDAR.fullmatch(cleaned):
            raise GraphError(f"{text!r}: months and years differ in length; write days, such as 30d or 365d") from None
        raise GraphError(f"{text!r} is not {what}; write it as {examples}") from None
    if min(values) < 0:
        raise GraphError(f"{text!r} is negative; write {what} as {examples}")
    return sum(values)
