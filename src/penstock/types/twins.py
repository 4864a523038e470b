"""Whether rows are equal because a table has few values, or because the same thing was seen twice."""

from __future__ import annotations

import numpy as np
import polars as pl


def twins(frame: pl.DataFrame, count: int) -> float:
    """Return how many of so many rows would equal a row of `frame` if columns had nothing to do with one another.

    Rows that `frame` holds twice count once: of the same thing seen twice no column tells that its values are few.

    Examples
    --------
    >>> table = pl.DataFrame({"x": [1, 1, 2, 2], "y": [0, 1, 0, 2]})
    >>> round(twins(table, 36), 9), round(twins(pl.concat([table, table]), 36), 9)
    (2.0, 2.0)
    """
    frame = frame.unique()
    found, pairs = float(count), frame.height * (frame.height - 1)
    for name in frame.columns if pairs else []:
        values = frame[name].alias("value")  # Polars takes some names for patterns
        counts = values.value_counts(name="rows")["rows"].to_numpy().astype(np.float64)
        found *= float((counts * (counts - 1)).sum()) / pairs
    return found
