"""The nearest rows: for small tables of a few numbers. Scaled rows and their targets are all that is kept."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Fitted, Matrix, Sample, Watch
from penstock.train.learners.design import Design
from penstock.types.convert import convert

_CHUNK = 256


def fit_neighbours(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Keep the rows; `parameters` hold ``k``, how many neighbours are asked."""
    design = Design.fit(sample.matrix, sample.categories)
    target = sample.target.astype(np.float64)
    if sample.task != "regression":
        target = np.eye(sample.classes)[sample.target.astype(np.int64)]
    buffer = io.BytesIO()
    np.savez(buffer, rows=design.apply(sample.matrix).astype(np.float32), target=target.astype(np.float32))
    written = {
        "kind": "neighbours", "task": sample.task, "k": min(int(parameters["k"]), len(target)), "design": msgspec.to_builtins(design),
    }  # fmt: skip
    return Fitted(written, {"rows.npz": buffer.getvalue()})


class NeighboursPredictor:
    """Answers with the mean of the nearest rows' targets, weighted by the inverse of their distance."""

    def __init__(self, files: Mapping[str, bytes], written: Mapping[str, Any]) -> None:
        kept = np.load(io.BytesIO(files["rows.npz"]), allow_pickle=False)
        self.rows, self.target = kept["rows"].astype(np.float64), kept["target"].astype(np.float64)
        self.design, self.k = convert(written["design"], Design), int(written["k"])
        self.squares = (self.rows**2).sum(1)
        self._places = np.arange(len(self.rows)) * 1e-10

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        parts = [self._part(matrix[at : at + _CHUNK]) for at in range(0, len(matrix), _CHUNK)]
        return np.concatenate(parts) if parts else self.target[:0]

    def _part(self, matrix: Matrix) -> Matrix:
        asked = self.design.apply(matrix)
        far = self.squares - 2.0 * asked @ self.rows.T + (asked**2).sum(1, keepdims=True)
        # Rounded, and told apart by their place: a row alone finds the same neighbours as among others.
        far = np.round(far, 8) + self._places
        near = np.argpartition(far, self.k - 1, axis=1)[:, : self.k]
        weight = 1.0 / (np.sqrt(np.maximum(np.take_along_axis(far, near, 1), 0.0)) + 1e-6)
        weight /= weight.sum(1, keepdims=True)
        found = self.target[near]
        return np.asarray((weight * found).sum(1) if found.ndim == 2 else (weight[:, :, None] * found).sum(1))

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        found = self._part(np.array([row]))[0]
        return float(found) if self.target.ndim == 1 else found.tolist()
