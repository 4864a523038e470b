"""XGBoost, answered by LightGBM's library: its trees are written in that one's text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Fitted, Sample, Watch
from penstock.train.learners.treetext import Tree, from_nodes, write_trees

ROUNDS, PATIENCE = 2000, 50
_OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}


def fit_xgboost(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model; `parameters` are XGBoost's own, and ``rounds``."""
    import xgboost as xgb

    options = {
        "objective": _OBJECTIVES[sample.task], "tree_method": "hist", "nthread": threads, "seed": seed, "verbosity": 0,
        **{key: value for key, value in parameters.items() if key != "rounds"},
    }  # fmt: skip
    if sample.task == "multiclass":
        options["num_class"] = sample.classes
    if sample.monotone is not None:
        options["monotone_constraints"] = tuple(sample.monotone)
    data = xgb.DMatrix(sample.matrix, sample.target, weight=sample.weights, nthread=threads)
    extra: dict[str, Any] = {}
    if watch is not None:
        judged = xgb.DMatrix(watch.matrix, watch.target, nthread=threads)
        extra = {"evals": [(judged, "judged")], "early_stopping_rounds": PATIENCE, "verbose_eval": False}
        if watch.seconds is not None:
            extra["callbacks"] = [_until(time.monotonic() + watch.seconds)]
    booster = xgb.train(options, data, int(parameters.get("rounds", ROUNDS)), **extra)
    best = booster.best_iteration + 1 if watch is not None else booster.num_boosted_rounds()
    written = {
        "kind": "lightgbm", "library": "xgboost", "task": sample.task, "columns": sample.matrix.shape[1],
        "classes": sample.classes, "single": True,
    }  # fmt: skip
    return Fitted(written, {"trees.txt": _written(booster, sample, best)}, best, best / booster.num_boosted_rounds())


def _until(end: float) -> Any:
    from xgboost.callback import TrainingCallback

    class Until(TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return time.monotonic() > end

    return Until()


def _written(booster: Any, sample: Sample, rounds: int) -> bytes:
    model = msgspec.json.decode(bytes(booster.save_raw("json")))["learner"]
    outputs = sample.classes if sample.task == "multiclass" else 1
    base = np.atleast_1d(msgspec.json.decode(model["learner_model_param"]["base_score"])).astype(np.float64)
    if sample.task == "binary":
        base = np.log(base / (1 - base))
    trees = [_tree(item) for item in model["gradient_booster"]["model"]["trees"][: rounds * outputs]]
    for number in range(outputs):
        trees[number] = trees[number]._replace(value=trees[number].value + base[number if len(base) > 1 else 0])
    objective = {
        "binary": "binary sigmoid:1",
        "multiclass": f"multiclass num_class:{outputs}",
        "regression": "regression",
    }
    return write_trees(trees, sample.matrix.shape[1], objective[sample.task], outputs)


def _tree(item: Mapping[str, Any]) -> Tree:
    limits = np.array(item["split_conditions"], dtype=np.float32)
    # XGBoost goes left where the value is less than the limit: at most the number of single precision before it.
    return from_nodes(
        np.array(item["split_indices"]),
        np.nextafter(limits, np.float32(-np.inf)).astype(np.float64),
        np.array(item["default_left"], dtype=bool),
        np.array(item["left_children"]),
        np.array(item["right_children"]),
        limits.astype(np.float64),
    )
