"""Rows that a version was asked, with its answers and what came of them: from the log of its service, or from a table."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.files import find_files
from penstock.ingest.options import TextForm
from penstock.ingest.read import concatenate, in_either, read_table
from penstock.model import Model
from penstock.monitor.log import Record
from penstock.monitor.window import MOST
from penstock.types.foreign import frame_from
from penstock.types.labels import label_name

Array = npt.NDArray[Any]
LEAST_LABELS = 30


@dataclass(frozen=True)
class Known:
    """Answers whose truth is known.

    Attributes
    ----------
    rows : array of int
        Where they stand among those that were looked at.
    target : array
        Class codes or numbers.
    predicted : array
        Probabilities, a column a class, or numbers.
    """

    rows: Array
    target: Array
    predicted: Array


@dataclass(frozen=True)
class Observed:
    """What a version was asked and answered, in order of time where that is known.

    Attributes
    ----------
    table : DataFrame
        The rows, prepared, with their features.
    absent : sequence of str
        Columns of it that were not given, though they might have been.
    predicted : array
        Probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,), as they were answered.
    target : array, shape (n_rows,)
        Class codes or numbers; NaN where the truth is not known.
    times : array, shape (n_rows,), or None
        Seconds since 1970; None where nothing tells.
    records : sequence of Record
        Of the log; none of a table.
    rows : int
        Those there are; of very many, some were looked at.
    hidden : bool
        Whether the log does not hold all that was asked.
    strange : int
        Rows whose truth is a class that training did not know.
    ahead : sequence of str
        Of which tables too little is known for these rows, in words.
    """

    table: pl.DataFrame
    absent: Sequence[str]
    predicted: Array
    target: Array
    times: Array | None
    rows: int
    records: Sequence[Record] = ()
    hidden: bool = False
    strange: int = 0
    ahead: Sequence[str] = ()

    @property
    def span(self) -> tuple[float, float] | None:
        """When the first and the last row were; None where nothing tells."""
        known: Array = np.empty(0) if self.times is None else self.times[~np.isnan(self.times)]
        return (float(known[0]), float(known[-1])) if len(known) else None

    @property
    def carried(self) -> pl.DataFrame:
        """The columns that were given."""
        return self.table.drop(self.absent, strict=False)

    @property
    def known(self) -> Known | None:
        """The answers whose truth is known; None while there are fewer than thirty."""
        rows = np.flatnonzero(~np.isnan(self.target))
        return Known(rows, self.target[rows], self.predicted[rows]) if len(rows) >= LEAST_LABELS else None

    def part(self, start: int, stop: int) -> Observed:
        """Return some of those looked at, for as many of all rows."""
        some = slice(start, stop)
        return replace(
            self, rows=round(self.rows * (stop - start) / len(self.predicted)), table=self.table[some], predicted=self.predicted[some], target=self.target[some],
            times=None if self.times is None else self.times[some], records=self.records[some],
        )  # fmt: skip


def from_log(
    model: Model, records: Sequence[Record], labels: Mapping[str, Any], rows: int, hidden: Mapping[str, str] = {}
) -> Observed:
    """Take what a service wrote down.

    Parameters
    ----------
    records : sequence of Record
        In order of time, with their rows.
    labels : mapping
        Prediction id to truth.
    rows : int
        For how many answers the records stand.
    hidden : mapping
        Columns that the log drops or hashes.
    """
    table = model.prepare(logged(model, records, hidden))
    optional = {column.name for column in model.inputs if not column.required} | hidden.keys()
    given: set[str] = set().union(*(record.row or {} for record in records))
    absent = [*hidden, *sorted(optional - given - hidden.keys())]
    truth = [label_name(labels[record.id]) if record.id in labels else None for record in records]
    target = model.labels.codes(pl.Series(model.labels.column, truth, pl.String))
    times = np.array([record.at for record in records])
    ahead = model.knows.ahead(table)
    return Observed(
        table, absent, predicted_of(model, records), target, times, rows, records, bool(hidden), ahead=ahead
    )


def logged(model: Model, records: Sequence[Record], hidden: Collection[str] = ()) -> pl.DataFrame:
    """Return the rows of a log as a raw table: what it holds only as a hash, by now or by rules of before, is missing."""
    rows = [{name: value for name, value in (record.row or {}).items() if name not in hidden} for record in records]
    return model.frame_of(rows, lenient=True)


def from_batch(model: Model, raw: pl.DataFrame, events: Mapping[str, pl.DataFrame] = {}, most: int = MOST) -> Observed:
    """Let a model answer raw rows that no service was asked; of more than `most`, evenly spaced ones.

    Their target column, where there is one, is the truth. They are one another's past where features look at the past of the
    table that the model predicts for, if they hold what events must.

    Parameters
    ----------
    raw : DataFrame
        The rows.
    events : mapping of str to DataFrame
        By table, raw rows that have come since the model was made; the model counts them from now on.

    Raises
    ------
    DataError, InputError
        When rows do not fit the model, or no feature looks at events of a table.
    """
    base = model.manifest.base
    needed = {
        item.name: [column.name for column in item.inputs if column.required] for item in model.knows.event_tables
    }
    for name, rows in events.items():
        model.knows.take_rows(name, rows)
    if base in needed and set(needed[base]) <= set(raw.columns):
        model.knows.take_rows(base, raw)
    table = model.prepare(raw.gather_every(max(1, math.ceil(raw.height / most))))
    absent = [column.name for column in model.inputs if column.name not in raw.columns]
    return replace(_looked_at(model, table, raw.height), absent=absent, ahead=model.knows.ahead(table))


def from_features(model: Model, table: pl.DataFrame, most: int = MOST) -> Observed:
    """Let a model answer rows that its pipeline has prepared, with their features; of more than `most`, evenly spaced ones."""
    return _looked_at(model, table.gather_every(max(1, math.ceil(table.height / most))), table.height)


def _looked_at(model: Model, table: pl.DataFrame, rows: int) -> Observed:
    time, times = model.manifest.time, None
    if time is not None and time in table.columns and table[time].dtype.is_temporal():
        table = table.sort(time, maintain_order=True, nulls_last=True)
        times = table[time].cast(pl.Datetime("us")).to_physical().to_numpy() / 1e6
    predicted = model.predict_prepared(table)
    truth = model.labels.column
    target, strange = np.full(table.height, np.nan), 0
    if truth in table.columns:
        target = model.labels.codes(table[truth])
        strange = int(np.isnan(target).sum()) - table[truth].null_count() if model.task != "regression" else 0
    return Observed(table, [], predicted, target, times, rows, strange=strange)


def read_rows(source: str | Path | pl.DataFrame | Any, form: TextForm) -> pl.DataFrame:
    """Return raw rows: a table, Polars' or pandas', as it is, else what a file or a pattern of files holds.

    Parameters
    ----------
    source : str, Path or table
        Where they are.
    form : TextForm
        Of text files that are not in UTF-8, or have no header.

    Raises
    ------
    DataError
        When a file is not there or cannot be read.
    """
    if not isinstance(source, str | Path):
        return frame_from(source)
    files = find_files([str(source)], Path.cwd())
    return in_either(form, lambda form: concatenate({str(path): read_table(path, form) for path in files}))


def predicted_of(model: Model, records: Sequence[Record]) -> Array:
    """Return probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,), as they were answered."""
    if model.task == "regression":
        return np.array([float(record.prediction) for record in records])
    names = model.labels.names
    return np.array([[(record.probabilities or {}).get(name, 0.0) for name in names] for record in records])
