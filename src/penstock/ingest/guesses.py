"""Where the types that Polars finds by itself lose something: codes such as 00123 read as numbers, days read as months."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

Bytes = npt.NDArray[np.uint8]
_ZERO = np.uint8(ord("0"))
_CACHED = 1 << 18
"""So many bytes are looked at together: more do not stay in the processor's cache."""
Schema = Mapping[str, pl.DataType]


def coded(data: bytes, separator: str, schema: Schema) -> list[str]:
    """Return the columns of whole numbers with a cell that begins with a zero: postcodes, account numbers.

    Parameters
    ----------
    data : bytes
        Lines of separated values.
    schema : mapping of str to DataType
        As Polars read the columns.

    Examples
    --------
    >>> coded(b"01,1\\n2,10\\n", ",", {"zip": pl.Int64(), "n": pl.Int64()})
    ['zip']
    """
    whole = [place for place, kind in enumerate(schema.values()) if kind.is_integer()]
    if not whole or not _begins_with_zero(data, separator):
        return []
    text = pl.read_csv(data, separator=separator, has_header=False, columns=whole, infer_schema=False)
    names = list(schema)
    return [
        names[place]
        for place, column in zip(whole, text.get_columns(), strict=True)
        if column.str.contains(r"^\s*0[0-9]").any()
    ]


def _begins_with_zero(data: bytes, separator: str) -> bool:
    """Whether a cell of digits alone, more than one, begins with a zero: asked of the bytes, which costs little."""
    there = b"".join(end for end in (separator.encode(), b"\n", b"\r", b'"') if end in data)
    signs, ends = np.frombuffer(data, dtype=np.uint8), np.frombuffer(there, dtype=np.uint8)
    starts = [np.flatnonzero(signs[:1] == _ZERO)]
    for at in range(0, len(signs), _CACHED):
        part = signs[at : at + _CACHED + 1]
        starts += [at + _after(part, ends, 0), at + _after(part, ends, 1)]
    cells = np.concatenate(starts)
    cells = cells[cells + 1 < len(signs)]
    digits = cells[_digits(signs[cells + 1])] + 2
    while len(digits):
        if digits.max() >= len(signs):
            return True
        inside = _digits(signs[digits])
        if np.isin(signs[digits[~inside]], ends).any():
            return True
        digits = digits[inside] + 1
    return False


def _after(signs: Bytes, ends: Bytes, start: int) -> npt.NDArray[np.int64]:
    """Return where a zero follows an end, of every second pair of bytes: pairs are compared as one number."""
    pairs = signs[start : start + (len(signs) - start) // 2 * 2].view("<u2")
    found = np.zeros(len(pairs), dtype=np.bool_)
    for end in ends.astype(np.uint16):
        found |= pairs == end + (int(_ZERO) << 8)
    return 2 * np.flatnonzero(found) + start + 1


def _digits(signs: Bytes) -> npt.NDArray[np.bool_]:
    return signs - _ZERO < 10  # what is below zero is far above, in eight bits


def unclear_times(schema: Schema, head: pl.DataFrame) -> list[str]:
    """Return the columns that were read as dates though the year does not stand first, or as times of day.

    Polars takes the day to stand first, unasked, and of ``9:30`` makes 09:30:00. They stay text, and preparation looks at
    the whole column: it says in which form a request may write them.

    Parameters
    ----------
    schema : mapping of str to DataType
        As Polars read the columns.
    head : DataFrame
        The first rows as text.

    Examples
    --------
    >>> head = pl.DataFrame({"a": ["01/02/2024"], "b": ["2024-02-01"], "c": ["9:30"]})
    >>> unclear_times({"a": pl.Date(), "b": pl.Date(), "c": pl.Time()}, head)
    ['c', 'a']
    """
    dates = [name for name, kind in schema.items() if isinstance(kind, pl.Date | pl.Datetime)]
    clocks = [name for name, kind in schema.items() if isinstance(kind, pl.Time)]
    return clocks + [name for name in dates if not head[name].drop_nulls().str.contains(r"^\s*[0-9]{4}[^0-9]").all()]
