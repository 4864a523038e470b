"""A model as something that runs elsewhere: a folder of Python, a container, an MLflow model."""

from __future__ import annotations

from penstock.export.folders import KINDS, export

__all__ = ["KINDS", "export"]
