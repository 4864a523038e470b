"""Penstock: the whole machine-learning pipeline in one package. This is what a pipeline file imports."""

__version__ = "0.1.0"

_LAZY = {
    "step": "penstock.engine.step",
    "source": "penstock.engine.step",
    "Partitions": "penstock.engine.step",
    "Graph": "penstock.engine.graph",
}


def __getattr__(name):
    import importlib
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(name)
