"""Learning the logarithm of a target: for numbers above zero that spread over orders of magnitude."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from penstock.train.learners import Fitted, Matrix, Predictor, Sample, Watch, read_predictor
from penstock.types.matrix import Stored


def fit_log(
    fit: Callable[..., Fitted],
    sample: Sample,
    parameters: Mapping[str, Any],
    seed: int,
    watch: Watch | None = None,
    threads: int = 1,
) -> Fitted:
    """Fit a learner to logarithms of the target, and the factor that makes its answers right on average.

    The factor is the smearing estimate of Duan (1983, doi:10.1080/01621459.1983.10478017): the mean of the target
    over the mean of the answers on the training rows.
    """
    if watch is not None:
        watch = watch._replace(target=np.log1p(watch.target))
    fitted = fit(sample._replace(target=np.log1p(sample.target)), parameters, seed, watch, threads)
    said = LogPredictor(read_predictor(fitted.written, fitted.files), {"factor": 1.0})
    stored = isinstance(sample.matrix, Stored)
    batches = sample.matrix.batches() if stored else [sample.matrix]
    answers = np.concatenate([said.predict(batch) for batch in batches])
    factor = float(sample.target.mean() / answers.mean()) if answers.mean() > 0 else 1.0
    return fitted._replace(written={**fitted.written, "log": {"factor": factor}})


class LogPredictor:
    """Answers with powers of what the learner says, never below zero."""

    def __init__(self, inner: Predictor, written: Mapping[str, float]) -> None:
        self.inner, self.factor = inner, written["factor"]

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        return np.asarray(np.expm1(np.clip(self.inner.predict(matrix), 0.0, 700.0)) * self.factor)

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        return float(np.expm1(min(max(self.inner.predict_row(row), 0.0), 700.0)) * self.factor)
