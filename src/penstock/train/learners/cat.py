"""CatBoost, answered by LightGBM's library: its symmetric trees are written in that one's text.

It gets the same encoded columns as the other learners, so its own treatment of categories, which its library
alone can answer, is not used (measured on the churn and housing examples: equal within noise, three times as fast).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Fitted, Sample, Watch
from penstock.train.learners.treetext import Tree, write_trees

ROUNDS, PATIENCE = 2000, 50
_LOSSES = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}


def fit_catboost(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model; `parameters` are CatBoost's own, and ``rounds``."""
    import catboost as cb

    directed = {} if sample.monotone is None else {"monotone_constraints": sample.monotone}
    model = cb.CatBoost(
        {
            **directed,
            "loss_function": _LOSSES[sample.task], "iterations": int(parameters.get("rounds", ROUNDS)), "random_seed": seed,
            "thread_count": threads, "verbose": 0, "allow_writing_files": False, "leaf_estimation_backtracking": "No",
            **{key: value for key, value in parameters.items() if key != "rounds"},
        }
    )  # fmt: skip
    extra: dict[str, Any] = {}
    if watch is not None:
        extra = {"eval_set": (watch.matrix, watch.target), "early_stopping_rounds": PATIENCE}
        if watch.seconds is not None:
            extra["callbacks"] = [_Until(time.monotonic() + watch.seconds)]
    model.fit(sample.matrix, sample.target, sample_weight=sample.weights, **extra)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        text = _written(msgspec.json.decode(path.read_bytes()), sample)
    written = {
        "kind": "lightgbm", "library": "catboost", "task": sample.task, "columns": sample.matrix.shape[1],
        "classes": sample.classes, "single": True,
    }  # fmt: skip
    rounds = int(model.tree_count_)
    passed = max((len(item) for of in model.get_evals_result().values() for item in of.values()), default=rounds)
    return Fitted(written, {"trees.txt": text}, rounds, rounds / max(passed, rounds, 1))


class _Until:
    """Tells CatBoost when its time is over."""

    def __init__(self, end: float) -> None:
        self.end = end

    def after_iteration(self, info: Any) -> bool:
        return time.monotonic() < self.end


def _written(model: Mapping[str, Any], sample: Sample) -> bytes:
    outputs = sample.classes if sample.task == "multiclass" else 1
    scale, bias = model["scale_and_bias"]
    features = model["features_info"]["float_features"]
    place = np.array([item["flat_feature_index"] for item in features])
    left = np.array([item["nan_value_treatment"] != "AsTrue" for item in features])
    trees: list[Tree] = []
    for number, item in enumerate(model["oblivious_trees"]):
        values = np.array(item["leaf_values"]).reshape(-1, outputs) * scale
        if number == 0:
            values = values + np.array(bias)
        splits = item.get("splits") or []
        shape = _shape(len(splits))
        at = np.array([split["float_feature_index"] for split in splits], dtype=np.int64)[::-1]
        borders = np.array([split["border"] for split in splits])[::-1]
        trees += [
            Tree(place[at[shape[0]]], borders[shape[0]], left[at[shape[0]]], shape[1], shape[2], values[:, output])
            for output in range(outputs)
        ]
    objective = {
        "binary": "binary sigmoid:1",
        "multiclass": f"multiclass num_class:{outputs}",
        "regression": "regression",
    }
    return write_trees(trees, sample.matrix.shape[1], objective[sample.task], outputs)


def _shape(depth: int) -> tuple[Any, Any, Any]:
    """Return of each node of a full tree its level, and its children; leaves in the order of their bits."""
    nodes = np.arange(2**depth - 1)
    level = np.log2(nodes + 1).astype(np.int64)
    first = 2**depth - 1  # a child from here on is a leaf
    left, right = 2 * nodes + 1, 2 * nodes + 2
    return (
        level,
        np.where(left < first, left, -(left - first) - 1),
        np.where(right < first, right, -(right - first) - 1),
    )
