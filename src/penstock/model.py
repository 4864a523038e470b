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

from penstock.errors import DataError, StoreError
from penstock.features.compiled import Compiled, compile_feature
from penstock.features.definitions import Written, apply_features
from penstock.features.encoding import Category, Encoding
from penstock.monitor.profile import Profile
from penstock.prepare.operations import Dropped, MapReference, Renamed
from penstock.prepare.tables import Change, Facts, apply_facts
from penstock.store.formats import Bundle
from penstock.train.learners import Predictor, read_predictor
from penstock.types.labels import Labels, label_name
from penstock.types.parse import Parse, read_boolean, read_date
from penstock.types.rows import RowProblem, RowsError

Array = npt.NDArray[Any]
FORMAT = 1
"""Of the manifest; a model of another format is refused."""


class InputColumn(msgspec.Struct, frozen=True):
    """A column that a request may carry.

    Attributes
    ----------
    name : str
        As in the raw data.
    type : str
        ``integer``, ``number``, ``boolean``, ``text`` or ``date``.
    required : bool
        Whether the model looks at it.
    reads : str
        What its text is read as: ``number``, ``boolean``, ``date`` or nothing.
    values : list of str
        The categories that it had in training, when they are few.
    """

    name: str
    type: str
    required: bool
    reads: str = ""
    values: list[str] = []


class Manifest(msgspec.Struct, frozen=True):
    """All of a model that is not the learner's own files."""

    format: int
    penstock: str
    pipeline: str
    labels: Labels
    changes: list[Change]
    features: list[Written]
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
        self._features = [item.read() for item in self.manifest.features]
        self._facts = Facts((), tuple(self.manifest.changes), (), 0, 0)

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
            return None if right else f"expected a number, found {_shown(label)}"
        if isinstance(label, str | int | float) and label_name(label) in self.labels.names:
            return None
        return f"expected one of {', '.join(self.labels.names[:20])}, found {_shown(label)}"

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

    def predict_table(self, raw: pl.DataFrame) -> Array:
        """Return probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,), for a raw table."""
        return self.predict_prepared(self.prepare(raw))

    def prepare(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Prepare a raw table and compute its features.

        Raises
        ------
        DataError
            When a column is missing or holds what it should not, with the first such row.
        """
        return apply_features(self._typed(apply_facts(self._checked(raw), self._facts)), self._features)

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
        columns = []
        for column in self.inputs:
            values = [row.get(column.name) for row in rows]
            if column.type in ("integer", "number"):
                columns.append(pl.Series(column.name, values, pl.Float64, strict=False))
            elif column.type == "boolean":
                columns.append(pl.Series(column.name, [_boolean(value) for value in values], pl.Boolean))
            elif column.type == "date":
                columns.append(pl.Series(column.name, [read_date(value) for value in values], pl.Datetime("us")))
            else:
                texts = [value if value is None or isinstance(value, str) else label_name(value) for value in values]
                columns.append(pl.Series(column.name, texts, pl.String))
        return pl.DataFrame(columns)

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

    def _typed(self, table: pl.DataFrame) -> pl.DataFrame:
        """Give the columns that features compute with the types that they had in training."""
        kinds = {name: dtype_named(kind) for name, kind in self.manifest.dtypes.items()}
        schema = table.schema
        try:
            return table.with_columns(
                pl.col(name).cast(kind)
                for name, kind in kinds.items()
                if name in schema and schema[name] != kind and not _widens(table[name], kind)
            )
        except pl.exceptions.PolarsError as error:
            raise DataError(f"the table does not fit model {self.name}: {str(error).splitlines()[0]}") from None


def _widens(values: pl.Series, kind: pl.DataType) -> bool:
    """Whether numbers with a fraction stand where training had whole ones: they are kept."""
    return bool(kind.is_integer() and values.dtype.is_float() and (values.drop_nulls() % 1 != 0).any())


def dtype_named(name: str) -> pl.DataType:
    """Return the Polars type that :func:`str` wrote.

    Examples
    --------
    >>> dtype_named("Int64")
    Int64
    """
    if name.startswith("Datetime"):
        return pl.Datetime("us")
    found: pl.DataType = getattr(pl, name)()
    return found


def input_columns(facts: Facts, used: set[str], target: str, encoding: Encoding) -> list[InputColumn]:
    """Work out which raw columns a request may carry, from the prepared columns that are used."""
    changes = facts.changes
    everything = any(isinstance(change, MapReference) for change in changes)
    levels = {item.column: item.levels for item in encoding.encoders if isinstance(item, Category)}
    found = []
    for name, kind in facts.raw:
        now: str | None = name
        reads = ""
        for change in changes:
            if isinstance(change, Renamed) and change.old == now:
                now = change.new
            elif isinstance(change, Dropped) and change.column == now:
                now = None
            elif isinstance(change, Parse) and change.column == now and change.to != "text":
                reads = change.to
        if now == target or name == target:
            continue
        known = levels.get(now or "", [])
        values = known if len(known) <= 20 else []
        found.append(InputColumn(name, kind, bool(now is not None and (now in used or everything)), reads, values))
    return found


def compile_rows(model: Model) -> Callable[[Sequence[Mapping[str, Any]]], list[list[float]]]:
    """Return what checks and encodes the rows of a request: plain functions, one a column.

    A model whose rows need a function of the author's own, or a type read from something else than text,
    goes through a table.
    """
    inputs = {column.name: column for column in model.inputs}
    by_table = any(isinstance(change, MapReference) for change in model.manifest.changes)
    plan: list[tuple[str, str, Callable[[Any], Any]]] = []
    for column in model.inputs:
        if not column.required:
            continue
        name, reader = column.name, _reader(column)
        for change in model.manifest.changes:
            if isinstance(change, Renamed) and change.old == name:
                name = change.new
            elif isinstance(change, Parse) and change.column == name:
                if column.type != "text" or not _once(model.manifest.changes, name):
                    by_table = True
                reader = change.reader()
        plan.append((column.name, name, reader))
    target = model.labels.column
    encode = model.manifest.encoding.row()
    features = model._features
    needed = sorted({name for item in model.manifest.features for name in item.needs} & {now for _, now, _ in plan})
    kinds = {name: dtype_named(model.manifest.dtypes[name]) for name in needed}
    plain = _compiled(model)

    def read(rows: Sequence[Any]) -> list[list[float]]:
        problems: list[RowProblem] = []
        prepared: list[dict[str, Any]] = []
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                problems.append(RowProblem(number, "", f"expected an object of column to value, found {_shown(row)}"))
                continue
            values: dict[str, Any] = {}
            for raw, now, reader in plan:
                try:
                    values[now] = reader(row[raw])
                except KeyError:
                    problems.append(RowProblem(number, raw, "is missing (send null when the value is not known)"))
                except (ValueError, TypeError, OverflowError) as error:
                    problems.append(RowProblem(number, raw, f"{error}, found {_shown(row[raw])}"))
            for name in row:
                if name not in inputs and name != target:
                    near = difflib.get_close_matches(name, inputs, 1)
                    hint = f'; did you mean "{near[0]}"?' if near else ""
                    problems.append(RowProblem(number, name, f"is not a column of this model{hint}"))
            prepared.append(values)
        if problems:
            raise RowsError(problems)
        if by_table:
            matrix: list[list[float]] = model.manifest.encoding.matrix(model.prepare(model.frame_of(rows))).tolist()
            return matrix
        if features and prepared:
            if plain is not None:
                for values in prepared:
                    for name, feature in plain:
                        values[name] = feature(values)
            else:
                columns = [_series(name, [values[name] for values in prepared], kinds[name]) for name in needed]
                frame = pl.DataFrame(columns) if columns else pl.DataFrame({"penstock row": [0] * len(prepared)})
                table = apply_features(frame, features)
                for name, _ in features:
                    for values, value in zip(prepared, table[name].to_list(), strict=True):
                        values[name] = value
        return [encode(values) for values in prepared]

    return read


def _compiled(model: Model) -> list[tuple[str, Compiled]] | None:
    """Return the features as plain functions, when all of them can be."""
    kinds = dict(model.manifest.dtypes)
    found = []
    for item in model.manifest.features:
        made = compile_feature(item.expression, kinds)
        if made is None or item.name in kinds:
            return None
        found.append((item.name, made))
    return found


def _series(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    if kind.is_integer() and any(isinstance(value, float) and not value.is_integer() for value in values):
        kind = pl.Float64()
    return pl.Series(name, values, kind, strict=False)


def _once(changes: Sequence[Change], column: str) -> bool:
    return sum(isinstance(change, Parse) and change.column == column for change in changes) == 1


def _reader(column: InputColumn) -> Callable[[Any], Any]:
    return {"integer": _number, "number": _number, "boolean": _boolean, "date": read_date}.get(column.type, _text)


def _number(value: Any) -> float | int | None:
    kind = type(value)
    if value is None or kind is int:
        return value  # type: ignore[no-any-return]
    if kind is float:
        return value if value - value == 0 else None
    raise ValueError("expected a number")


def _boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return read_boolean(value)
    raise ValueError("expected true or false")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError("expected text")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
