"""How times, sizes and numbers are written for people, in the terminal and on pages."""

from __future__ import annotations

import time


def seconds(value: float) -> str:
    """Write a length of time for people.

    Examples
    --------
    >>> seconds(0.0123), seconds(75)
    ('12 ms', '75.0 s')
    """
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.1f} s"


def moment(value: float | None) -> str:
    """Write a moment for people, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if value else "–"


def size(count: int | None) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> size(None), size(1234), size(98_765_432)
    ('–', '1.2 kB', '98.8 MB')
    """
    if not count:
        return "–"
    for unit, least in (("GB", 1e9), ("MB", 1e5), ("kB", 1e3)):
        if count >= least:
            return f"{count / (1e6 if unit == 'MB' else least):.1f} {unit}"
    return f"{count} B"


def figure(value: float | None, signed: bool = False) -> str:
    """Write a number for people: four digits that count, in full below 10^15.

    Examples
    --------
    >>> figure(200801.7), figure(0.84472), figure(None), figure(0.02, signed=True)
    ('200,800', '0.8447', '–', '+0.02')
    """
    if value is None or value != value:
        return "–"
    sign = "+" if signed else ""
    rounded = float(f"{value:.4g}")
    return f"{rounded:{sign},.0f}" if 1e4 <= abs(rounded) < 1e15 else f"{value:{sign}.4g}"
