"""Prepare: cleaning of tables, each change counted; what a pipeline's author writes under ``prepare=``."""

from penstock.prepare.operations import (
    Cast,
    Drop,
    DropDuplicates,
    Filter,
    Map,
    Normalise,
    Note,
    Operation,
    Rename,
    cast,
    drop,
    drop_duplicates,
    filter,  # noqa: A004 - the word of the field
    map,  # noqa: A004
    normalise,
    rename,
)
from penstock.prepare.repairs import Clip, Fill, Repair, clip, fill

__all__ = [
    "Cast",
    "Clip",
    "Drop",
    "DropDuplicates",
    "Fill",
    "Filter",
    "Map",
    "Normalise",
    "Note",
    "Operation",
    "Rename",
    "Repair",
    "cast",
    "clip",
    "drop",
    "drop_duplicates",
    "fill",
    "filter",
    "map",
    "normalise",
    "rename",
]
