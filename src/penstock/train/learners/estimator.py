"""Any object with scikit-learn's ``fit`` and ``predict``, written by skops: only allowed types are ever loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from penstock.engine.own_code import OwnCode, at_hand
from penstock.engine.packages import owner_of
from penstock.errors import InputError
from penstock.store.estimators import read_estimator, untrusted, write_estimator
from penstock.train.learners import Matrix
from penstock.train.learners.design import Design
from penstock.train.options import Estimator
from penstock.types.convert import convert


def fit_estimator(
    matrix: Matrix,
    target: npt.NDArray[Any],
    task: str,
    categories: list[int],
    estimator: Any,
    trusted: Sequence[str],
    seed: int,
    code: Sequence[OwnCode] = (),
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fit a copy of `estimator` on the dense design and write it; what draws without a ``random_state`` gets `seed`.

    Raises
    ------
    InputError
        When it holds types that are neither known to be safe nor named in `trusted`.
    """
    from sklearn.base import clone

    design = Design.fit(matrix, categories)
    fitted = _seeded(clone(estimator), seed).fit(design.apply(matrix), target)
    data = write_estimator(fitted)
    if unknown := untrusted(data, trusted.__contains__):
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
        "code": msgspec.to_builtins(code),
    }
    return written, {"estimator.skops": data}


def own_classes(trusted: Sequence[str]) -> list[type]:
    """Return those trusted types that are of the author's own making, in modules that another process can import."""
    found = []
    for name in trusted:
        module, _, kind = name.rpartition(".")
        made = getattr(sys.modules.get(module), kind, None)
        if isinstance(made, type) and module != "__main__" and owner_of(module) == "user":
            found.append(made)
    return found


def noted(given: Estimator) -> Estimator:
    """Note by what the author's classes are found, while they are at home."""
    return replace(given, code=tuple(map(OwnCode.of, own_classes(given.trusted))))


def _seeded(estimator: Any, seed: int) -> Any:
    drawn = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    return estimator.set_params(**drawn) if drawn else estimator


class EstimatorPredictor:
    """Answers with the estimator itself."""

    def __init__(self, files: Mapping[str, bytes], written: Mapping[str, Any]) -> None:
        self.task = written["task"]
        self.design = convert(written["design"], Design)
        with at_hand(convert(written.get("code", []), list[OwnCode])):
            self.estimator = read_estimator(files["estimator.skops"], written["trusted"].__contains__)

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
