"""Learners: how each is fitted to a matrix, written without pickle, and read back to predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


class Predictor(Protocol):
    """A fitted learner as it answers: without the library that fitted it, where that can be."""

    def predict(self, matrix: Matrix) -> Matrix:
        """Return probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,)."""
        ...

    def predict_row(self, row: list[float]) -> Any:
        """Return the same for one row: a list of probabilities, or a number."""
        ...


def read_predictor(written: Mapping[str, Any], files: Mapping[str, bytes]) -> Predictor:
    """Read a fitted learner from a model's manifest and files.

    Raises
    ------
    StoreError
        When the kind of learner is not known here.
    """
    kind = written["kind"]
    if kind == "lightgbm":
        from penstock.train.learners.trees import TreesPredictor

        return TreesPredictor(files["trees.txt"], written)
    if kind == "linear":
        from penstock.train.learners.linear import LinearPredictor

        return LinearPredictor(files, written)
    if kind == "estimator":
        from penstock.train.learners.estimator import EstimatorPredictor

        return EstimatorPredictor(files, written)
    from penstock.errors import StoreError

    raise StoreError(
        f"the model's learner is of the kind {kind!r}, which this version does not know. Upgrade penstock."
    )
