"""A matrix without gaps for learners that need one: filled, scaled, and one column a category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Matrix

_NOTHING = 1e300
"""The scale of a column that was constant: whatever it holds later, nothing was learnt of it."""


class Design(msgspec.Struct, frozen=True):
    """How matrix columns become design columns; fitted on training rows.

    Attributes
    ----------
    categories : list of int
        Of each matrix column the number of codes; 0 for a number.
    fill, mean, scale : list of float
        Of each number: what stands for a missing value, and how it is scaled.
    gaps : list of int
        Matrix columns that had missing values, each with a design column that says so.
    """

    categories: list[int]
    fill: list[float]
    mean: list[float]
    scale: list[float]
    gaps: list[int]

    @classmethod
    def fit(cls, matrix: Matrix, categories: Sequence[int]) -> Design:
        """Work out fillings and scales; O(cells)."""
        missing = np.isnan(matrix)
        counts = np.maximum((~missing).sum(0), 1)
        mean = np.where(missing, 0.0, matrix).sum(0) / counts
        centred = np.where(missing, 0.0, matrix - mean)
        deviation = np.sqrt((centred**2).sum(0) / counts)
        scale = np.where(deviation > 1e-12, deviation, _NOTHING)
        gaps = [int(index) for index in np.flatnonzero(missing.any(0))]
        return cls(list(categories), mean.tolist(), mean.tolist(), scale.tolist(), gaps)

    def widths(self) -> list[int]:
        """How many design columns each matrix column gives, without those for gaps."""
        return [count or 1 for count in self.categories]

    def apply(self, matrix: Matrix) -> Matrix:
        """Return the design matrix: shape (n_rows, sum(widths) + len(gaps)), no NaN."""
        widths, count = self.widths(), len(matrix)
        starts = np.cumsum([0, *widths])
        numbers = [index for index, codes in enumerate(self.categories) if not codes]
        design = np.zeros((count, int(starts[-1]) + len(self.gaps)))
        if numbers:
            design[:, starts[numbers]] = self.scaled(matrix, numbers)
        for index, codes in enumerate(self.categories):
            if codes:
                known = np.flatnonzero(~np.isnan(matrix[:, index]))
                design[known, starts[index] + matrix[known, index].astype(np.int64)] = 1.0
        design[:, starts[-1] :] = np.isnan(matrix[:, self.gaps])
        return design

    def density(self) -> float:
        """Return the share of the design matrix that may differ from zero.

        Examples
        --------
        >>> Design.fit(np.zeros((2, 2)), [9, 0]).density()
        0.2
        """
        return (len(self.categories) + len(self.gaps)) / max(sum(self.widths()) + len(self.gaps), 1)

    def sparse(self, matrix: Matrix) -> Any:
        """Return the design matrix as rows of what differs from zero, a ``scipy.sparse.csr_array``: much smaller where categories are many."""
        from scipy.sparse import csr_array

        starts, count = np.cumsum([0, *self.widths()]), np.array(self.categories, dtype=np.int64)
        codes, numbers = np.flatnonzero(count), np.flatnonzero(count == 0)
        values, gaps = matrix[:, codes], np.isnan(matrix[:, self.gaps])
        known = ~np.isnan(values)
        held = np.hstack([self.scaled(matrix, numbers), known, gaps])
        columns = np.hstack([
            np.broadcast_to(starts[numbers], (len(matrix), len(numbers))),
            np.where(known, values, 0).astype(np.int64) + starts[codes],
            np.broadcast_to(starts[-1] + np.arange(len(self.gaps)), gaps.shape),
        ])  # fmt: skip
        rows = np.arange(len(matrix) + 1) * held.shape[1]
        made = csr_array((held.ravel(), columns.ravel(), rows), shape=(len(matrix), int(starts[-1]) + len(self.gaps)))
        made.eliminate_zeros()
        return made

    def scaled(self, matrix: Matrix, numbers: Any) -> Matrix:
        """Return these number columns of a matrix, filled and scaled."""
        fill, mean, scale = np.array([self.fill, self.mean, self.scale], dtype=matrix.dtype)[:, numbers]
        values = matrix[:, numbers]
        # Far outside what was learnt, a straight line is a guess: it is held at ten deviations.
        return np.asarray(np.clip((np.where(np.isnan(values), fill, values) - mean) / scale, -10.0, 10.0))
