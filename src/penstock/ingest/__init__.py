"""Ingest: raw tables from outside, as one immutable snapshot."""

from penstock.ingest.files import Files, files
from penstock.ingest.read import concatenate, read_table

__all__ = ["Files", "concatenate", "files", "read_table"]
