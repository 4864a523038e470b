"""A small neural network, fitted by scikit-learn, kept as plain weights and answered by NumPy."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Fitted, Matrix, Sample, Watch
from penstock.train.learners.design import Design
from penstock.types.convert import convert


def fit_network(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model; `parameters` are scikit-learn's own of its multi-layer perceptron."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    design = Design.fit(sample.matrix, sample.categories)
    dense = design.apply(sample.matrix)
    options = {key: value for key, value in parameters.items() if key not in ("rounds", "layers")}
    options |= {"hidden_layer_sizes": tuple(parameters["layers"]), "random_state": seed, "early_stopping": True}
    if isinstance(options.get("batch_size"), int):  # of the nine tenths that it does not stop on; it warns of more
        options["batch_size"] = min(options["batch_size"], max(1, 9 * len(dense) // 10))
    centre, spread, target = 0.0, 1.0, sample.target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the folds judge what so many steps are worth
        if sample.task == "regression":
            centre, spread = float(target.mean()), float(target.std()) or 1.0
            fitted = MLPRegressor(**options).fit(dense, (target - centre) / spread, sample_weight=sample.weights)
        else:
            fitted = MLPClassifier(**options).fit(dense, target, sample_weight=sample.weights)
    buffer = io.BytesIO()
    layers = {f"w{number}": layer for number, layer in enumerate(fitted.coefs_)}
    np.savez(buffer, **layers, **{f"b{number}": layer for number, layer in enumerate(fitted.intercepts_)})
    written = {
        "kind": "network", "task": sample.task, "layers": len(fitted.coefs_), "centre": centre, "spread": spread,
        "design": msgspec.to_builtins(design),
    }  # fmt: skip
    return Fitted(written, {"weights.npz": buffer.getvalue()})


class NetworkPredictor:
    """Answers with matrix products."""

    def __init__(self, files: Mapping[str, bytes], written: Mapping[str, Any]) -> None:
        kept = np.load(io.BytesIO(files["weights.npz"]), allow_pickle=False)
        self.layers = [(kept[f"w{number}"], kept[f"b{number}"]) for number in range(written["layers"])]
        self.task, self.centre, self.spread = written["task"], written["centre"], written["spread"]
        self.design = convert(written["design"], Design)

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        found = self.design.apply(matrix)
        for number, (weights, bias) in enumerate(self.layers):
            found = found @ weights + bias
            if number < len(self.layers) - 1:
                found = np.maximum(found, 0.0)
        if self.task == "regression":
            return np.asarray(found[:, 0] * self.spread + self.centre)
        if self.task == "binary":
            yes = 1.0 / (1.0 + np.exp(-np.clip(found[:, 0], -700, 700)))
            return np.column_stack([1.0 - yes, yes])
        found = np.exp(found - found.max(1, keepdims=True))
        return np.asarray(found / found.sum(1, keepdims=True))

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        found = self.predict(np.array([row]))[0]
        return float(found) if self.task == "regression" else found.tolist()
