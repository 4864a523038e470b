"""Prepare: cleaning of tables, each change counted; what a pipeline's author writes under ``prepare=``."""

from penstock.prepare.operations import (
    Cast,
    Drop,
    DropDuplicates,
    Filter,
    Map,
    Note,
    Operation,
    Rename,
    cast,
    drop,
    drop_duplicates,
    filter,  # noqa: A004 - the word of the field
    map,  # noqa: A004
    rename,
)

__all__ = [
    "Cast",
    "Drop",
    "DropDuplicates",
    "Filter",
    "Map",
    "Note",
    "Operation",
    "Rename",
    "cast",
    "drop",
    "drop_duplicates",
    "filter",
    "map",
    "rename",
]
