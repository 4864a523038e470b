"""Whole numbers of types that reach beyond 64 signed bits: kept exactly wherever 64 bits hold them."""

from __future__ import annotations

import polars as pl

LEAST, GREATEST = -(2**63), 2**63 - 1
"""What a signed number of 64 bits holds."""


def is_wide(kind: pl.DataType) -> bool:
    """Whether a type of whole numbers reaches beyond 64 signed bits, as unsigned ones and decimals of no fraction do.

    Examples
    --------
    >>> is_wide(pl.UInt64()), is_wide(pl.Decimal(38, 0)), is_wide(pl.Int64()), is_wide(pl.Decimal(10, 2))
    (True, True, False, False)
    """
    if isinstance(kind, pl.Decimal):
        return kind.scale == 0
    return kind in (pl.UInt64, pl.Int128, pl.UInt128)


def fits(values: pl.Series) -> bool:
    """Whether 64 signed bits hold every value.

    Examples
    --------
    >>> fits(pl.Series([2**63 - 1, None], dtype=pl.UInt64)), fits(pl.Series([2**63], dtype=pl.UInt64))
    (True, False)
    """
    # A cast that overflows leaves null: it compares the types that have no common one.
    return values.cast(pl.Int64, strict=False).null_count() == values.null_count()


def narrowed(frame: pl.DataFrame) -> pl.DataFrame:
    """Give columns of wide types 64 signed bits, where these hold all of their values.

    A float, which is what else is left for them, would make one key of two that differ in the last digits.

    Examples
    --------
    >>> dict(narrowed(pl.DataFrame({"a": [1]}, schema={"a": pl.UInt64})).schema)
    {'a': Int64}
    """
    wide = [name for name, kind in frame.schema.items() if is_wide(kind) and fits(frame[name])]
    return frame.with_columns(frame[name].cast(pl.Int64) for name in wide)


def whole(values: list[int | float | None], name: str) -> pl.Series:
    """Make a column of numbers that are whole where training had whole ones: floats only where one has a fraction.

    Examples
    --------
    >>> whole([2**53 + 1, None, 2.0], "id").to_list(), whole([1, 0.5], "id").to_list()
    ([9007199254740993, None, 2], [1.0, 0.5])
    """
    if all(value is None or (value % 1 == 0 and LEAST <= value <= GREATEST) for value in values):
        return pl.Series(name, [None if value is None else int(value) for value in values], pl.Int64)
    return pl.Series(name, values, pl.Float64, strict=False)
