"""Ingest: raw tables from outside, as one immutable snapshot; what an author writes under ``ingest=``."""

from penstock.ingest.databases import Database, database
from penstock.ingest.given import Given, table
from penstock.ingest.http import Http, by_cursor, by_link, by_offset, by_page, http
from penstock.ingest.options import Files, files

__all__ = [
    "Database",
    "Files",
    "Given",
    "Http",
    "by_cursor",
    "by_link",
    "by_offset",
    "by_page",
    "database",
    "files",
    "http",
    "table",
]
