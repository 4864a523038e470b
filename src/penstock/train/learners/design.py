"""A dense matrix without gaps for learners that need one: filled, scaled, and one column a category."""

from __future__ import annotations

from collections.abc import Sequence

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
        parts: list[Matrix] = []
        for index, count in enumerate(self.categories):
            column = matrix[:, index]
            if count:
                block = np.zeros((len(column), count))
                known = np.flatnonzero(~np.isnan(column))
                block[known, column[known].astype(np.int64)] = 1.0
                parts.append(block)
            else:
                filled = np.where(np.isnan(column), self.fill[index], column)
                # Far outside what was learnt, a straight line is a guess: it is held at ten deviations.
                parts.append(np.clip((filled - self.mean[index]) / self.scale[index], -10.0, 10.0)[:, None])
        parts.append(np.isnan(matrix[:, self.gaps]).astype(np.float64))
        return np.hstack(parts) if parts else np.zeros((len(matrix), 0))
