"""What a cell is made of: spaces, words that stand for a missing value, and what else does."""

from __future__ import annotations

import datetime as dt
from typing import Any

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""Stripped from cells; said here because Python and Polars do not agree on what a space is."""
BLANKS = (
    "", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "-", "--", "—", "–", "?", ".", "..", "...", "#n/a", "missing", "unknown",
)  # fmt: skip
"""Texts that stand for a missing value in a column that otherwise holds numbers, dates or yes/no."""


def is_blank(text: str) -> bool:
    """Whether a text stands for a missing value.

    Examples
    --------
    >>> is_blank(" "), is_blank("N/A"), is_blank("0")
    (True, True, False)
    """
    return text.strip(SPACES).lower() in BLANKS


def is_nan(value: Any) -> bool:
    """Whether it is what pandas has where a cell is missing: NaN, also of text, NaT or NA."""
    return (isinstance(value, float | dt.datetime) and value != value) or type(value).__name__ == "NAType"
