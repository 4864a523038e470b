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
from penstock.prepare.tables import Facts, apply_facts, normalised, prepare

__all__ = [
    "Cast",
    "Drop",
    "DropDuplicates",
    "Facts",
    "Filter",
    "Map",
    "Note",
    "Operation",
    "Rename",
    "apply_facts",
    "cast",
    "drop",
    "drop_duplicates",
    "filter",
    "map",
    "normalised",
    "prepare",
    "rename",
]
