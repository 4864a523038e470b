"""A model as something that runs elsewhere: a folder of Python, a container, an MLflow model."""

from __future__ import annotations

from penstock.export.folders import FILES, KINDS, export

__all__ = ["FILES", "KINDS", "export"]
