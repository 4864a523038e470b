"""Extremely randomised trees (Geurts, Ernst and Wehenkel 2006) of scikit-learn, answered by LightGBM's library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.train.learners import Fitted, Sample, Watch
from penstock.train.learners.treetext import Tree, from_nodes, write_trees


def fit_extra_trees(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model; `parameters` are scikit-learn's own."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    options = {key: value for key, value in parameters.items() if key != "rounds"}
    kind = ExtraTreesRegressor if sample.task == "regression" else ExtraTreesClassifier
    model = kind(**options, random_state=seed, n_jobs=threads).fit(sample.matrix, sample.target, sample.weights)
    outputs = sample.classes if sample.task == "multiclass" else 1
    trees = [tree for item in model.estimators_ for tree in _trees(item.tree_, sample, outputs, len(model.estimators_))]
    written = {
        "kind": "lightgbm", "library": "extra trees", "task": sample.task, "columns": sample.matrix.shape[1],
        "classes": sample.classes, "single": True,
    }  # fmt: skip
    # No objective: the sums are the shares themselves.
    return Fitted(written, {"trees.txt": write_trees(trees, sample.matrix.shape[1], "", outputs)})


def _trees(found: Any, sample: Sample, outputs: int, count: int) -> list[Tree]:
    values = found.value[:, 0, :]
    shares = values / values.sum(1, keepdims=True) if sample.task != "regression" else values
    chosen = [shares[:, 1]] if sample.task == "binary" else [shares[:, output] for output in range(outputs)]
    return [
        from_nodes(
            found.feature, found.threshold, found.missing_go_to_left.astype(bool), found.children_left, found.children_right,
            np.asarray(part) / count,
        )
        for part in chosen
    ]  # fmt: skip
