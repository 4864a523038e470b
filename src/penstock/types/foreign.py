"""Tables of other libraries as frames of Polars."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import numpy as np
import polars as pl

from penstock.errors import DataError

_WRITTEN = (str, bool, int, float, decimal.Decimal, uuid.UUID, dt.date, dt.time, np.generic)
"""Cells that stand for themselves as text, where a column of pandas holds several types of them."""


def frame_from(rows: Any) -> pl.DataFrame:
    """Return rows as a frame of Polars: its own, pandas', a table of Arrow, or what else Polars takes.

    A column of pandas with cells of several types becomes text, as a file would hold it; periods become their first moment.

    Raises
    ------
    DataError
        When it is no table, or names columns alike, or a column holds what no table can, with its name.

    Examples
    --------
    >>> frame_from({"x": [1, 2]}).height
    2
    """
    if isinstance(rows, pl.DataFrame):
        return rows
    if type(rows).__module__.partition(".")[0] == "pandas" and hasattr(rows, "columns"):
        return _of_pandas(rows)
    unnamed = isinstance(rows, np.ndarray) and rows.dtype.names is None
    try:
        if rows is None or unnamed or isinstance(rows, str | bytes):
            raise TypeError
        return rows.collect() if isinstance(rows, pl.LazyFrame) else pl.DataFrame(rows)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        hint = "; name them: pandas.DataFrame(rows, columns=[...])" if unnamed else ""
        raise DataError(f"expected a table with named columns, found {type(rows).__name__}{hint}") from error


def _of_pandas(frame: Any) -> pl.DataFrame:
    names = [str(name) for name in frame.columns]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two columns have the same name: {doubled[0]!r}; rename one")
    return pl.DataFrame([_column(name, frame.iloc[:, at]) for at, name in enumerate(names)])


def _column(name: str, values: Any) -> pl.Series:
    kind = str(values.dtype)
    if kind.startswith("period"):
        values = values.dt.to_timestamp()
    elif kind.startswith("Sparse"):
        values = values.sparse.to_dense()
    try:
        made = pl.Series(name, values)
    except Exception:  # Arrow's, Polars' and Python's own, of cells of several types
        made = None
    known = [] if kind != "object" else values[~values.isna()].tolist()
    if made is not None and made.dtype != pl.Object and not any(isinstance(cell, uuid.UUID) for cell in known[:1]):
        return made
    strange = next((type(cell).__name__ for cell in known if not isinstance(cell, _WRITTEN)), "" if known else kind)
    if strange:
        raise DataError(f'column "{name}" holds {strange}, of which no table is made; leave it out, or make it text')
    cells = zip(values.tolist(), values.isna().tolist(), strict=True)
    return pl.Series(name, [None if missing else str(cell) for cell, missing in cells], pl.String)
