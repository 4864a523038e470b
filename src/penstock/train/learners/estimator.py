"""Any object with scikit-learn's ``fit`` and ``predict``, written by skops: only allowed types are ever loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from penstock.errors import InputError, StoreError
from penstock.train.learners import Matrix
from penstock.train.learners.design import Design
from penstock.types.convert import convert


def fit_estimator(
    matrix: Matrix,
    target: npt.NDArray[Any],
    task: str,
    categories: list[int],
    estimator: Any,
    trusted: Sequence[str],
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fit a copy of `estimator` on the dense design and write it.

    Raises
    ------
    InputError
        When it holds types that are neither known to be safe nor named in `trusted`.
    """
    import skops.io as sio
    from sklearn.base import clone

    design = Design.fit(matrix, categories)
    fitted = clone(estimator).fit(design.apply(matrix), target)
    data = sio.dumps(fitted)
    unknown = [name for name in sio.get_untrusted_types(data=data) if not _allowed(name, trusted)]
    if unknown:
        raise InputError(
            f"ps.train.estimator({type(estimator).__name__}): it holds types that a stored model may not load unasked: "
            f"{', '.join(unknown)}. Name them if you trust them: ps.train.estimator(..., trusted={unknown})."
        )
    if task != "regression" and not hasattr(fitted, "predict_proba"):
        raise InputError(
            f"ps.train.estimator({type(estimator).__name__}): has no predict_proba, which a {task} target needs; "
            "wrap it in sklearn.calibration.CalibratedClassifierCV"
        )
    written = {
        "kind": "estimator",
        "task": task,
        "design": msgspec.to_builtins(design),
        "trusted": list(trusted),
    }
    return written, {"estimator.skops": data}


def _allowed(name: str, trusted: Sequence[str]) -> bool:
    """Scikit-learn's own compiled types, such as trees, and those that the author named."""
    return name.startswith("sklearn.") or name in trusted


class EstimatorPredictor:
    """Answers with the estimator itself."""

    def __init__(self, files: Mapping[str, bytes], written: Mapping[str, Any]) -> None:
        import skops.io as sio

        self.task = written["task"]
        self.design = convert(written["design"], Design)
        try:
            data = files["estimator.skops"]
            held = [name for name in sio.get_untrusted_types(data=data) if _allowed(name, written["trusted"])]
            self.estimator = sio.loads(data, trusted=held)
        except Exception as error:
            raise StoreError(f"the model's estimator cannot be loaded: {error}") from error

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        dense = self.design.apply(matrix)
        if self.task == "regression":
            return np.asarray(self.estimator.predict(dense), dtype=np.float64)
        return np.asarray(self.estimator.predict_proba(dense), dtype=np.float64)

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        found = self.predict(np.array([row]))[0]
        return float(found) if self.task == "regression" else found.tolist()
