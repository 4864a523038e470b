"""Penstock: the whole machine-learning pipeline in one package. This is what a pipeline file imports.

Names are loaded when they are first used, so that ``import penstock`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from penstock.version import __version__

if TYPE_CHECKING:
    from penstock import deploy, evaluate, features, ingest, monitor, prepare, split, train
    from penstock.answers import Prediction
    from penstock.comparing import compare
    from penstock.engine.graph import Graph
    from penstock.engine.step import LazyPartitions, Partitions, source, step
    from penstock.errors import PenstockError
    from penstock.model import Model
    from penstock.outcome import PipelineRun, load
    from penstock.pipeline import Pipeline
    from penstock.store.store import open_store
    from penstock.types.target import binary, multiclass, regression
    from penstock.watch import health

__all__ = [
    "__version__",
    "Graph",
    "LazyPartitions",
    "Model",
    "Partitions",
    "PenstockError",
    "Pipeline",
    "PipelineRun",
    "Prediction",
    "artifact",
    "binary",
    "compare",
    "deploy",
    "evaluate",
    "features",
    "health",
    "ingest",
    "load",
    "monitor",
    "multiclass",
    "open_store",
    "prepare",
    "regression",
    "source",
    "split",
    "step",
    "train",
]

_HOMES = {
    "Graph": "engine.graph",
    "LazyPartitions": "engine.step",
    "Model": "model",
    "Partitions": "engine.step",
    "PenstockError": "errors",
    "Pipeline": "pipeline",
    "PipelineRun": "outcome",
    "Prediction": "answers",
    "artifact": "engine.history",
    "binary": "types.target",
    "compare": "comparing",
    "health": "watch",
    "load": "outcome",
    "multiclass": "types.target",
    "open_store": "store.store",
    "regression": "types.target",
    "source": "engine.step",
    "step": "engine.step",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"penstock.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"penstock.{name}")
    raise AttributeError(f"module 'penstock' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
