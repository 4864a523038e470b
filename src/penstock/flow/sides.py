"""The two sides of a division: the training rows, part by part, and the test rows that judge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.step import LazyPartitions, Partitions
from penstock.train.folds import spaced_rows
from penstock.train.split import Division, seconds_in
from penstock.types.convert import convert
from penstock.types.labels import Labels, fit_labels
from penstock.types.table import Table
from penstock.types.target import Target

Parts = LazyPartitions[Any]
Array = npt.NDArray[Any]


def training_rows(featured: Parts, divided: Partitions[Any], target: Target) -> tuple[Table, Array, Labels]:
    """Return the training rows, unread, their targets as codes, and the labels; labels are those of the training rows."""
    table = Table(featured).chosen(divided["kept"] & ~divided["test"])
    labels = fit_labels(table.column(target.column), target)
    return table, _filled(table.height, map(labels.codes, table.column(target.column))), labels


def moments_of(table: Table, column: str) -> Array:
    """Return a column of times in seconds."""
    return _filled(table.height, map(seconds_in, table.column(column)))


def _filled(rows: int, parts: Iterable[Array]) -> Array:
    """Return numbers of parts one after the other, which are not held twice meanwhile."""
    found, at = np.empty(rows), 0
    for part in parts:
        found[at : at + len(part)] = part
        at += len(part)
    return found


def judging_rows(featured: Parts, divided: Partitions[Any], labels: Labels) -> tuple[pl.DataFrame, Array]:
    """Return the test rows, of many evenly spaced ones, and their targets as codes."""
    table = Table(featured).chosen(divided["test"])
    rows = table.each(table.step).whole()
    return rows, labels.codes(rows[labels.column])


def looked_at(table: Table, codes: Array, task: str) -> tuple[pl.DataFrame, Array]:
    """Return training rows and their positions: all, or of many evenly spaced ones, with some of each class."""
    if table.step == 1:
        return table.whole(), np.arange(table.height)
    rows = spaced_rows(codes, task, table.height // table.step)
    return table.rows(rows.tolist()), rows


def division_of(divided: Partitions[Any]) -> Division:
    """Return how the rows were divided."""
    found: Division = convert(divided["division"], Division)
    return found


def clock_of(divided: Partitions[Any]) -> str | None:
    """Return the column of times by which rows were divided, where they were."""
    division = division_of(divided)
    return division.column if division.kind == "time" else None
