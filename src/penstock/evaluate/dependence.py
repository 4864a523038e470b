"""What the answer does as one column moves and all else stays: partial dependence (Friedman 2001)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]
_ROWS, _POINTS, _GROUPS = 300, 12, 8


@dataclass(frozen=True)
class Dependence:
    """The mean answer by value of a column.

    Attributes
    ----------
    column : str
        Which.
    values : list of float or str
        Numbers in order, or the most frequent texts.
    means : list of list of float
        One list a class that is shown (the positive one, or the four likeliest), or of the number.
    classes : list of int
        Codes of the classes that are shown; empty for a number.
    """

    column: str
    values: list[float | str]
    means: list[list[float]]
    classes: list[int] = field(default_factory=list)


def dependence_of(
    column: str,
    table: pl.DataFrame,
    matrix: Array,
    block: slice,
    encode: Callable[[pl.Series], Array],
    predict: Callable[[Array], Array],
) -> Dependence | None:
    """Put one value after the other into all rows, at most 300 of them, and look at the mean answer.

    Parameters
    ----------
    table : DataFrame
        Test rows, of which `matrix`, shape (n_rows, n_matrix_columns), is the encoding.
    block : slice
        Where the column stands in the matrix.
    encode : callable
        From values of the column to its part of the matrix.

    Returns
    -------
    Dependence or None
        None for dates, and for columns with a single value.
    """
    values = table[column].drop_nulls()
    grid: Sequence[Any]
    if values.dtype == pl.Boolean or values.dtype == pl.String:
        counted = values.value_counts(name="penstock count").sort(["penstock count", column], descending=[True, False])
        grid = sorted(counted[column].head(_GROUPS).to_list())
    elif values.dtype.is_numeric():
        numbers = values.cast(pl.Float64).drop_nans()
        cuts = [numbers.quantile(share) for share in np.linspace(0.02, 0.98, _POINTS)]
        grid = sorted({float(cut) for cut in cuts if cut is not None})
    else:
        return None
    if len(grid) < 2:
        return None
    encoded = encode(pl.Series(column, grid, pl.Float64 if values.dtype.is_numeric() else values.dtype))
    rows = matrix[:: -(-len(matrix) // _ROWS)]
    moved = np.repeat(rows[None], len(grid), axis=0)
    moved[:, :, block] = encoded[:, None, :]
    answers = predict(moved.reshape(-1, matrix.shape[1]))
    mean = answers.reshape(len(grid), len(rows), -1).mean(1)
    likeliest = np.argsort(-mean.mean(0), kind="stable")[:4].tolist()
    classes = {1: [], 2: [1]}.get(mean.shape[1], likeliest)
    shown = mean[:, classes] if classes else mean
    texts = [
        item if isinstance(item, float) else str(item).lower() if isinstance(item, bool) else item for item in grid
    ]
    return Dependence(column, texts, [[round(float(item), 10) for item in line] for line in shown.T], classes)
