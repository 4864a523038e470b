"""Ingest: raw tables from outside, as one immutable snapshot; what an author writes under ``ingest=``."""

from penstock.ingest.options import Files, files

__all__ = ["Files", "files"]
