"""What a cell of text is made of: spaces, and words that stand for a missing value."""

from __future__ import annotations

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
