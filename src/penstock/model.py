"""A model: preparation, features, encoding, learner, labels and input schema together; raw rows in, answers out.

One definition, two ways: :meth:`Model.predict_table` for tables and :meth:`Model.predict_rows` for the rows of a
request, which makes no data frame unless a feature needs one. The tests hold both to equal answers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError, InputError, StoreError
from penstock.features.definitions import Written
from penstock.features.encoding import Encoding
from penstock.features.stored import Live, Stored, StoredAsof, StoredWindow, compacts, compute, read_past
from penstock.inputs import InputColumn, TableOf, event_rows, frame_of, shown, typed
from penstock.monitor.profile import Profile
from penstock.prepare.tables import Change, Facts, apply_facts
from penstock.rows import compile_rows
from penstock.store.formats import Bundle
from penstock.train.learners import Predictor, read_predictor
from penstock.types.labels import Labels, label_name
from penstock.types.parse import Parse
from penstock.types.rows import RowProblem, RowsError

Array = npt.NDArray[Any]
FORMAT = 2
"""Of the manifest; a model of another format is refused."""


class Manifest(msgspec.Struct, frozen=True):
    """All of a model that is not the learner's own files."""

    format: int
    penstock: str
    pipeline: str
    labels: Labels
    changes: list[Change]
    base: str
    tables: list[TableOf]
    features: list[Stored]
    dtypes: dict[str, str]
    encoding: Encoding
    inputs: list[InputColumn]
    learner: dict[str, Any]
    profile: Profile
    metric: str


@dataclass(frozen=True)
class Prediction:
    """One answer.

    Attributes
    ----------
    prediction : object
        The likeliest class, as it stands in the data, or a number.
    probabilities : dict or None
        Class to probability; None for a regression.
    """

    prediction: Any
    probabilities: dict[str, float] | None


class Model:
    """A trained model that answers raw rows.

    Parameters
    ----------
    bundle : Bundle
        As the train step wrote it.
    name : str
        The pipeline.
    version : int
        In the registry; 0 when it is not there.

    Raises
    ------
    StoreError
        When the bundle was written by another version's format.
    """

    def __init__(self, bundle: Bundle, name: str = "", version: int = 0, digest: str = "") -> None:
        if bundle.manifest.get("format") != FORMAT:
            raise StoreError(
                f"model {name} has format {bundle.manifest.get('format')!r}, this version reads {FORMAT}. Train it again."
            )
        self.manifest = msgspec.convert(bundle.manifest, Manifest)
        self.name, self.version, self.digest = name or self.manifest.pipeline, version, digest
        self.labels = self.manifest.labels
        self._files = bundle.files
        self._facts = Facts((), tuple(self.manifest.changes), (), 0, 0)
        self._told: list[tuple[str, pl.DataFrame]] = []

    @property
    def task(self) -> str:
        """``binary``, ``multiclass`` or ``regression``."""
        return self.labels.task

    @property
    def inputs(self) -> list[InputColumn]:
        """The columns that a request may carry."""
        return self.manifest.inputs

    @cached_property
    def predictor(self) -> Predictor:
        """The fitted learner."""
        return read_predictor(self.manifest.learner, self._files)

    def predict(self, rows: Sequence[Mapping[str, Any]] | pl.DataFrame) -> list[Prediction]:
        """Answer raw rows.

        Parameters
        ----------
        rows : sequence of mappings, or DataFrame
            With the columns of the raw data; the target may be missing.

        Raises
        ------
        RowsError, DataError
            When rows do not fit the input schema, with the field and what was expected.
        """
        if isinstance(rows, pl.DataFrame):
            return self.answers(self.predict_table(rows))
        return self.predict_rows(rows)

    def check_label(self, label: Any) -> str | None:
        """Say what is wrong with a label that came as feedback, or None."""
        if self.task == "regression":
            right = isinstance(label, int | float) and not isinstance(label, bool)
            return None if right else f"expected a number, found {shown(label)}"
        if isinstance(label, str | int | float) and label_name(label) in self.labels.names:
            return None
        return f"expected one of {', '.join(self.labels.names[:20])}, found {shown(label)}"

    def answers(self, raw: Array) -> list[Prediction]:
        """Turn a learner's numbers into answers."""
        if self.task == "regression":
            return [Prediction(value, None) for value in raw.tolist()]
        names, values = self.labels.names, self.labels.values
        best = raw.argmax(1).tolist()
        return [
            Prediction(values[at], dict(zip(names, row, strict=True)))
            for at, row in zip(best, raw.tolist(), strict=True)
        ]

    def predict_table(self, raw: pl.DataFrame, tables: Mapping[str, pl.DataFrame] | None = None) -> Array:
        """Return probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,), for a raw table.

        Parameters
        ----------
        raw : DataFrame
            Rows to answer.
        tables : mapping, optional
            Raw tables that features look into; what the model has learnt from, and the events that it has been
            told since, when left out.
        """
        return self.predict_prepared(self.prepare(raw, tables))

    def prepare(self, raw: pl.DataFrame, tables: Mapping[str, pl.DataFrame] | None = None) -> pl.DataFrame:
        """Prepare a raw table and compute its features.

        Raises
        ------
        DataError
            When a column is missing or holds what it should not, with the first such row.
        """
        features = self.manifest.features
        if tables is None:
            past = self._past_now()
        else:
            past = compacts(
                features, {item.name: self._table(item, tables[item.name]) for item in self.manifest.tables}
            )
        return compute(
            typed(apply_facts(self._checked(raw), self._facts), self.manifest.dtypes, self.name), features, past
        )

    def add_events(self, table: str, rows: Sequence[Any]) -> None:
        """Take in events: from now on features of the entity's past count them.

        Parameters
        ----------
        table : str
            As in ``ingest=``.
        rows : sequence of mappings
            Raw rows of that table; columns that no feature looks at may be left out.

        Raises
        ------
        RowsError, InputError
            When a row does not fit, or no feature looks at events of that table. Nothing is taken in then.
        """
        taking = [
            (made, live.add)
            for made, live in zip(self.manifest.features, self.live, strict=True)
            if live is not None and live.add is not None and isinstance(made, StoredWindow | StoredAsof)
        ]
        tables = sorted({made.table for made, _ in taking})
        if table not in tables:
            raise InputError(
                f"model {self.name} takes no events of {table!r}; its features look at events of: {', '.join(tables) or 'no table'}"
            )
        known = next(item for item in self.manifest.tables if item.name == table)
        frame = self._table(known, event_rows(known, rows))
        taking = [(made, add) for made, add in taking if made.table == table]
        for made, _ in taking:
            for name in (*(other for _, other in made.by), made.time):
                for row in frame[name].is_null().arg_true()[:1]:
                    raise RowsError([RowProblem(row, name, "is empty: an event needs its entity and its time")])
        for _, add in taking:
            add(frame)
        self._told.append((table, frame))

    @cached_property
    def _past(self) -> list[pl.DataFrame | None]:
        files = self._files
        return [
            None if isinstance(made, Written) else read_past(files[f"past/{number}.parquet"])
            for number, made in enumerate(self.manifest.features)
        ]

    def _past_now(self) -> list[pl.DataFrame | None]:
        """What was known when the model was made, and the events told since."""
        found: list[pl.DataFrame | None] = []
        for made, past in zip(self.manifest.features, self._past, strict=True):
            if past is not None and isinstance(made, StoredWindow | StoredAsof):
                told = [made.compact(frame) for table, frame in self._told if table == made.table]
                past = pl.concat([past, *told], how="vertical_relaxed") if told else past
            found.append(past)
        return found

    @cached_property
    def live(self) -> list[Live | None]:
        """What answers one row from the past, and is kept up with events."""
        return [
            None if isinstance(made, Written) or past is None else made.live(past)
            for made, past in zip(self.manifest.features, self._past, strict=True)
        ]

    def _table(self, table: TableOf, raw: pl.DataFrame) -> pl.DataFrame:
        return typed(
            apply_facts(raw, Facts((), tuple(table.changes), (), 0, 0)), table.dtypes, f"{self.name}, {table.name}"
        )

    def predict_prepared(self, table: pl.DataFrame) -> Array:
        """Return the learner's numbers for prepared rows."""
        return np.asarray(self.predictor.predict(self.manifest.encoding.matrix(table)))

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Answer the rows of a request, checked field by field.

        Raises
        ------
        RowsError
            Naming the rows and fields that do not fit.
        """
        encoded = self._row_reader(rows)
        if len(encoded) > 8:
            return self.answers(self.predictor.predict(np.array(encoded, dtype=np.float64)))
        one = self.predictor.predict_row
        if self.task == "regression":
            return [Prediction(float(one(row)), None) for row in encoded]
        names, values, found = self.labels.names, self.labels.values, []
        for row in encoded:
            shares = one(row)
            found.append(Prediction(values[shares.index(max(shares))], dict(zip(names, shares, strict=True))))
        return found

    def frame_of(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Make a raw table of rows as requests carry them; fields that a row lacks are null."""
        return frame_of(self.inputs, rows)

    @cached_property
    def _row_reader(self) -> Callable[[Sequence[Mapping[str, Any]]], list[list[float]]]:
        return compile_rows(self)

    def _checked(self, raw: pl.DataFrame) -> pl.DataFrame:
        schema = raw.schema
        for column in self.inputs:
            if column.name not in schema:
                if not column.required:
                    continue
                near = difflib.get_close_matches(column.name, raw.columns, 1)
                hint = f' Did you mean "{near[0]}"?' if near else ""
                raise DataError(
                    f'the table has no column "{column.name}", which model {self.name} needs.{hint} '
                    f"It has: {', '.join(raw.columns[:30])}"
                )
            kind = schema[column.name]
            if column.type in ("integer", "number") and kind == pl.String:
                parse = Parse(column.name, "number")
                read = raw.select(parse.expression()).to_series()
                wrong = read.is_null() & ~raw.select(parse.blank().fill_null(value=True)).to_series()
                if wrong.any():
                    row = int(wrong.arg_true()[0])
                    raise DataError(
                        f'column "{column.name}": {int(wrong.sum())} of {raw.height} values are not numbers '
                        f"(first: {raw[column.name][row]!r} in row {row + 1})"
                    )
                raw = raw.with_columns(read)
            elif column.type == "text" and not column.reads and kind != pl.String:
                raw = raw.with_columns(pl.col(column.name).cast(pl.String))
        return raw
