"""A model: preparation, features, encoding, learner, labels and input schema together; raw rows in, answers out.

One definition, two ways: :meth:`Model.predict_table` for tables and :meth:`Model.predict_rows` for the rows of a
request, which makes no data frame unless a feature needs one. The tests hold both to equal answers.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.answers import Explanation, Prediction, Reason
from penstock.errors import InputError, StoreError
from penstock.evaluate.reasons import effects_of
from penstock.features.stored import add_features, compute
from penstock.ingest.options import PLAIN, TextForm
from penstock.inputs import InputColumn, as_in_training, frame_of, typed, typical_row
from penstock.knowledge import Knowledge
from penstock.manifest import BACKGROUND_FILE, FORMAT, Manifest
from penstock.prepare.tables import Facts, apply_facts
from penstock.rows import compile_rows
from penstock.store.formats import Bundle
from penstock.train.learners import Predictor, read_predictor
from penstock.types.convert import convert
from penstock.types.foreign import frame_from
from penstock.types.labels import label_name
from penstock.types.reading import shown
from penstock.types.showing import shown_table
from penstock.types.table import Table

Array = npt.NDArray[Any]


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
    made : float
        When it was made: seconds since 1970.
    plain : bool
        Answer single rows through a table too, where the faster way was found to give something else.

    Raises
    ------
    StoreError
        When the bundle was written by another version's format.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str = "",
        version: int = 0,
        digest: str = "",
        *,
        made: float = 0.0,
        plain: bool = False,
    ) -> None:
        if bundle.manifest.get("format") != FORMAT:
            raise StoreError(
                f"model {name} has format {bundle.manifest.get('format')!r}, this version reads {FORMAT}. Train it again."
            )
        self.manifest = convert(bundle.manifest, Manifest)
        self.name, self.version, self.digest = name or self.manifest.pipeline, version, digest
        self.made, self.plain = made, plain
        self.labels = self.manifest.labels
        self.files = bundle.files
        self._facts = Facts((), tuple(self.manifest.changes), (), 0, 0)
        self.knows = Knowledge(self.manifest, bundle.files, self.name)

    @property
    def task(self) -> str:
        """``binary``, ``multiclass`` or ``regression``."""
        return self.labels.task

    def __repr__(self) -> str:
        return (
            f"<Model {self.name} v{self.version}: {self.task}, {len(self.inputs)} columns, digest {self.digest[:12]}>"
        )

    def _repr_html_(self) -> str:
        rows = [[item.name, item.type, "yes" if item.required else "no"] for item in self.inputs]
        line = f"predicts {self.labels.column}, {self.task}; digest {self.digest[:12]}"
        return shown_table(f"{self.name} v{self.version}", [line], ["column", "type", "required"], rows)

    @property
    def inputs(self) -> list[InputColumn]:
        """The columns that a request may carry."""
        return self.manifest.inputs

    def form(self, table: str | None = None) -> TextForm:
        """How text files of a table were written that it has learnt from; the base table's when left out."""
        found = self.manifest.forms.get(table or self.manifest.base, PLAIN)
        return replace(found, optional=self.labels.column)

    @property
    def interval(self) -> str | None:
        """The share of truths that the intervals of numbers are to hold, such as ``"0.9"``; None without intervals."""
        return None if self.manifest.spread is None else self.manifest.level

    @property
    def quantiles(self) -> list[float]:
        """The shares of truths that lie below the quantiles of numbers; empty without quantiles."""
        return [] if self.manifest.spread is None else self.manifest.quantiles

    def typical_row(self) -> dict[str, Any]:
        """Return a row as a request may carry it, of typical values."""
        return typical_row(self.inputs, self.manifest.changes, self.manifest.profile)

    @cached_property
    def predictor(self) -> Predictor:
        """The fitted learner."""
        return read_predictor(self.manifest.learner, self.files)

    def answer(self, rows: Sequence[Mapping[str, Any]] | Any) -> list[Prediction]:
        """Answer raw rows.

        Parameters
        ----------
        rows : sequence of mappings, DataFrame of Polars or pandas, or Arrow table
            With the columns of the raw data; the target may be missing.

        Raises
        ------
        RowsError, DataError
            When rows do not fit the input schema, with the field and what was expected.
        """
        return self.predict_rows(rows) if _are_mappings(rows) else self.answers(self.predict_table(frame_from(rows)))

    def predict(self, X: Any) -> Array:  # noqa: N803 - scikit-learn's own name
        """Answer raw rows as scikit-learn's estimators do.

        Parameters
        ----------
        X : DataFrame of Polars or pandas, Arrow table, or sequence of mappings
            With the columns of the raw data; the target may be there.

        Returns
        -------
        array, shape (n_rows,)
            Classes as they stand in the data, or numbers.

        Raises
        ------
        DataError, RowsError
            When rows do not fit the input schema.
        """
        raw = self._numbers(X)
        return raw if self.task == "regression" else np.array(self.labels.values)[self.labels.decided(raw)]

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the probabilities of :attr:`classes_`, shape (n_rows, n_classes).

        Raises
        ------
        AttributeError
            Of a regression.
        """
        if self.task == "regression":
            raise AttributeError("a regression has no probabilities; see predict")
        return self._numbers(X)[:, np.argsort(np.array(self.labels.values))]

    def _numbers(self, X: Any) -> Array:  # noqa: N803
        rows = self.prepare(self._table_from(X))
        self.knows.warn_ahead(rows)
        return self.predict_prepared(rows)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Compare answers with the truth as scikit-learn's estimators do: accuracy, or R2 of a regression.

        Parameters
        ----------
        X : DataFrame of Polars or pandas, Arrow table, or sequence of mappings
            As for :meth:`predict`.
        y, sample_weight : array-like, shape (n_rows,)
            The truth, and how much each row counts.

        Raises
        ------
        DataError, RowsError
            When rows do not fit the input schema.
        """
        from sklearn.metrics import accuracy_score, r2_score

        measure = r2_score if self.task == "regression" else accuracy_score
        return float(measure(np.asarray(y), self.predict(X), sample_weight=sample_weight))

    def fit(self, X: Any, y: Any = None) -> Model:  # noqa: N803
        """Refuse: scikit-learn's tools ask every estimator for this method, and a model is trained by a run.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"model {self.name} v{self.version} is trained by penstock run, with its pipeline, not by fit()"
        )

    @property
    def classes_(self) -> Array:
        """Classes, sorted as scikit-learn wants them: the columns of :meth:`predict_proba`."""
        return np.sort(np.array(self.labels.values))

    @property
    def feature_names_in_(self) -> Array:
        """Raw columns that the model looks at."""
        return np.array([column.name for column in self.inputs if column.required], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        number = self.task == "regression"
        return Tags(
            estimator_type="regressor" if number else "classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=None if number else ClassifierTags(),
            regressor_tags=RegressorTags() if number else None,
            input_tags=InputTags(allow_nan=True, string=True, categorical=True),
        )

    def _table_from(self, rows: Any) -> pl.DataFrame:
        return self.frame_of(rows) if _are_mappings(rows) else frame_from(rows)

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
            return [self._number(value) for value in raw.tolist()]
        names, values = self.labels.names, self.labels.values
        best = self.labels.decided(raw).tolist()
        if len(names) == 2:
            no, yes = names
            return [
                Prediction(values[at], {no: one, yes: other})
                for at, (one, other) in zip(best, raw.tolist(), strict=True)
            ]
        return [
            Prediction(values[at], dict(zip(names, row, strict=True)))
            for at, row in zip(best, raw.tolist(), strict=True)
        ]

    def predict_table(self, raw: pl.DataFrame, tables: Mapping[str, pl.DataFrame | Table] | None = None) -> Array:
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

    def prepare(self, raw: pl.DataFrame, tables: Mapping[str, pl.DataFrame | Table] | None = None) -> pl.DataFrame:
        """Prepare a raw table and compute its features.

        Raises
        ------
        DataError
            When a column is missing or holds what it should not, with the first such row.
        """
        return self.with_features(self.without_features(raw), tables)

    def without_features(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Prepare a raw table and nothing more; raises as :meth:`prepare` does."""
        read = as_in_training(raw, self.inputs, f"model {self.name}")
        return typed(apply_facts(read, self._facts), self.manifest.dtypes, self.name)

    def with_features(
        self, prepared: pl.DataFrame, tables: Mapping[str, pl.DataFrame | Table] | None = None
    ) -> pl.DataFrame:
        """Compute the features of a prepared table."""
        if tables is None:
            return add_features(prepared, self.manifest.features, self.knows.relations())
        return compute(prepared, self.manifest.features, self.knows.of(tables))

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
        if len(encoded) > 8 or self.plain:
            return self.answers(self.predictor.predict(np.array(encoded, dtype=np.float64)))
        one = self.predictor.predict_row
        if self.task == "regression":
            return [self._number(float(one(row))) for row in encoded]
        names, values, found = self.labels.names, self.labels.values, []
        threshold = self.labels.threshold if self.task == "binary" else None
        for row in encoded:
            shares = one(row)
            at = shares.index(max(shares)) if threshold is None else shares[1] > threshold
            found.append(Prediction(values[at], dict(zip(names, shares, strict=True))))
        return found

    def _number(self, number: float) -> Prediction:
        spread, level, shares = self.manifest.spread, self.manifest.level, self.manifest.quantiles
        if spread is None:
            return Prediction(number, None)
        around = None if level is None else spread.around(number, level)
        return Prediction(
            number, None, around, {str(at): spread.quantile(number, at) for at in shares} if shares else None
        )

    def frame_of(self, rows: Sequence[Mapping[str, Any]], *, lenient: bool = False) -> pl.DataFrame:
        """Make a raw table of rows as requests carry them, as :func:`penstock.inputs.frame_of` does."""
        return frame_of(self.inputs, rows, lenient=lenient)

    def explain(self, rows: Sequence[Mapping[str, Any]] | Any) -> list[Explanation]:
        """Answer raw rows, and say what each column did: Shapley values, drawn (see :mod:`penstock.evaluate.reasons`).

        Parameters
        ----------
        rows : sequence of mappings, or DataFrame
            As for :meth:`answer`.

        Raises
        ------
        RowsError, DataError
            When rows do not fit the input schema.
        StoreError
            When the model was stored by a version that kept no rows to compare with.
        """
        answers = self.answer(rows)
        frame = self.prepare(self._table_from(rows))
        matrix, blocks = self.manifest.encoding.matrix(frame), self.manifest.encoding.blocks()
        found = []
        for number, answer in enumerate(answers):
            at = None
            if self.task != "regression":
                at = 1 if self.task == "binary" else self.labels.values.index(answer.prediction)
            base, effects = effects_of(
                functools.partial(self._share, at), matrix[number], self.background, [block for _, block in blocks]
            )
            reasons = [
                Reason(name, frame[name][number], float(effect))
                for (name, _), effect in zip(blocks, effects, strict=True)
            ]
            reasons.sort(key=lambda reason: -abs(reason.effect))
            found.append(Explanation(answer, None if at is None else self.labels.names[at], base, reasons))
        return found

    def _share(self, at: int | None, matrix: Array) -> Array:
        predicted = np.asarray(self.predictor.predict(matrix))
        return predicted if at is None else predicted[:, at]

    @cached_property
    def background(self) -> Array:
        """Encoded training rows, a few: what explanations compare with.

        Raises
        ------
        StoreError
            When the model was stored by a version that kept none.
        """
        data = self.files.get(BACKGROUND_FILE)
        if data is None:
            raise StoreError(f"model {self.name} keeps no training rows to compare with; train it again to explain it")
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))

    @cached_property
    def _row_reader(self) -> Callable[[Sequence[Mapping[str, Any]]], list[list[float]]]:
        return compile_rows(self)


def _are_mappings(rows: Any) -> bool:
    return isinstance(rows, Sequence) and not isinstance(rows, str | bytes)
