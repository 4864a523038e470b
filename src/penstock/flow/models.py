"""From the training set to a judged model: trials, trained, evaluated, gated, report."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.step import LazyPartitions, Partitions
from penstock.errors import DataError, PenstockError
from penstock.evaluate.gates import Gate, Verdict, judge
from penstock.evaluate.leaks import find_leaks
from penstock.evaluate.measure import (
    Evaluation,
    baseline_predictions,
    importances,
    intervals,
    point_metrics,
    sliceable,
    slices_of,
)
from penstock.features.columns import Categories, Select, Text
from penstock.features.definitions import Calendar, Feature, Written, expressions_of
from penstock.features.encoding import Encoding, fit_learning
from penstock.features.stored import Stored, compacts, write_past
from penstock.flow.tables import facts_of, snapshots, stored_features, tables_of
from penstock.inputs import input_columns, table_of
from penstock.model import FORMAT, Model
from penstock.monitor.profile import profile_of
from penstock.prepare.operations import Note
from penstock.prepare.tables import ROW, Facts
from penstock.prepare.validation import Finding
from penstock.store.formats import Bundle
from penstock.train.options import Estimator, Search
from penstock.train.selection import useless_columns
from penstock.train.split import Division
from penstock.train.trials import Searched, fit_given, fit_searched, run_trials
from penstock.types.labels import Labels, fit_labels
from penstock.types.metrics import PRIMARY
from penstock.types.target import Target
from penstock.version import __version__

Parts = LazyPartitions[Any]
Array = npt.NDArray[Any]


Left = tuple[str, str]
"""A column that is left out, and why."""
_PROBED = 5_000
"""So many rows tell whether there is a column to learn from."""


def selected(
    featured: pl.DataFrame, divided: Partitions[Any], target: Target, features: Sequence[Feature], seed: int
) -> list[Left]:
    """Choose the columns that are left out, as the training rows say: each with the reason."""
    table, codes, labels = _training(featured, divided, target)
    found: list[Left] = []
    for item in (item for item in features if isinstance(item, Select)):
        for name in item.drop:
            if name not in table.columns:
                near = difflib.get_close_matches(name, table.columns, 1)
                hint = f' Did you mean "{near[0]}"?' if near else ""
                raise DataError(f'ps.features.select: there is no column "{name}".{hint}')
            found.append((name, "left out by name"))
        if item.leaking:
            columns = _usable(table, target, found)
            encoding, matrix = _fitting(features, columns, target, labels, seed)(table, codes)
            blocks = encoding.blocks()
            leaks = find_leaks(target.task, matrix[:_LEAKS], blocks, codes[:_LEAKS], [name for name, _ in blocks], seed)
            found += [(leak.column, f"knows the answer: alone it has {leak.metric} {leak.score:.3f}") for leak in leaks]
        if item.useless:
            # Beside a column that knows the answer no other one helps.
            columns = _usable(table, target, found)
            encoding, matrix = _fitting(features, columns, target, labels, seed)(table, codes)
            useless = useless_columns(matrix, encoding.blocks(), codes, target.task, len(labels.values), seed)
            found += [(name, "helps no more than noise") for name in useless]
    return found


_LEAKS = 20_000


def trials(
    featured: pl.DataFrame,
    divided: Partitions[Any],
    target: Target,
    seed: int,
    group: str | None,
    features: Sequence[Feature],
    selected: list[Left] | None = None,
    **search: Any,
) -> Searched:
    """Try learners by cross-validation on the training rows."""
    table, codes, labels = _training(featured, divided, target)
    division = _division(divided)
    times = groups = None
    if division.kind == "time":
        times = table[str(division.column)].to_physical().cast(pl.Float64).to_numpy()
    if group is not None:
        groups = table[group].cast(pl.String).fill_null("").to_numpy().astype(str)
    fit = _fitting(features, _usable(table, target, selected), target, labels, seed)
    if not fit(table[:_PROBED], codes[:_PROBED])[0].encoders:
        _need_columns(fit(table, codes)[0])
    return run_trials(table, fit, codes, target.task, len(labels.values), Search(**search), seed, groups, times)


def trained(
    prepared: Parts,
    inferred: Parts,
    featured: pl.DataFrame,
    divided: Partitions[Any],
    target: Target,
    features: Sequence[Feature],
    pipeline: str,
    seed: int,
    metric: str | None,
    base: str,
    times: Mapping[str, str | None],
    trials: Any = None,
    given: Estimator | None = None,
    selected: list[Left] | None = None,
    **others: Parts,
) -> Bundle:
    """Fit the best trial, or the given estimator, on all training rows, and write the model."""
    table, codes, labels = _training(featured, divided, target)
    columns = _usable(table, target, selected)
    fit = _fitting(features, columns, target, labels, seed)
    classes = len(labels.values)
    if given is not None:
        fitted, learner = fit_given(table, fit, codes, target.task, classes, given)
    else:
        searched = msgspec.convert(trials, Searched)
        fitted, learner = fit_searched(table, fit, codes, target.task, classes, searched, seed)
    assert isinstance(fitted, Encoding)
    _need_columns(fitted)
    fitted = Encoding(fitted.encoders, [*fitted.ignored, *((name, why) for name, why in selected or [])])
    facts = facts_of(inferred, prepared)
    tables = tables_of(base, prepared, others)
    stored = stored_features(features, base, times, tables)
    past = compacts(stored, tables)
    known = {name: facts if name == base else other_facts(name, others) for name in tables}
    made = {name for item in stored for name in item.names}
    used = set(fitted.columns()) - made | {name for item in stored for name in item.needs} - made
    inputs = input_columns(facts, used, target.column, fitted)
    # A column that was constant or empty is watched too: when it begins to vary, the world has changed.
    # Dates and their parts are not: time passes.
    parts = {name for item in features if isinstance(item, Calendar) for name, _ in expressions_of(item)}
    ignored = dict(fitted.ignored)
    kinds = table.schema  # asked once: each asking lists every column
    watched = [
        name
        for name in columns
        if ignored.get(name) != "is an identifier" and name not in parts and not kinds[name].is_temporal()
    ]
    manifest = {
        "format": FORMAT,
        "penstock": __version__,
        "pipeline": pipeline,
        "labels": labels,
        "changes": list(facts.changes),
        "base": base,
        "tables": [table_of(name, known[name], stored, tables[name]) for name in sorted({*tables})],
        "features": stored,
        "dtypes": {name: str(kinds[name]) for name in sorted(used | _looked_up(stored)) if name in kinds},
        "encoding": fitted,
        "inputs": inputs,
        "learner": learner.written,
        "profile": profile_of(table, watched),
        "metric": metric or PRIMARY[target.task],
    }
    files = dict(learner.files)
    files |= {f"past/{number}.parquet": write_past(item) for number, item in enumerate(past) if item is not None}
    return Bundle(msgspec.to_builtins(manifest), files)


def _looked_up(stored: Sequence[Stored]) -> set[str]:
    """Columns that come from other rows or tables, which later expressions may use."""
    return {name for item in stored if not isinstance(item, Written) for name in item.names}


def other_facts(name: str, others: Mapping[str, Parts]) -> Facts:
    """Return what is known of the preparation of another table."""
    return facts_of(others[f"inferred_{name}"], others[f"prepared_{name}"])


def evaluated(
    trained: Bundle, featured: pl.DataFrame, divided: Partitions[Any], target: Target, gate: Gate, seed: int
) -> Partitions[Any]:
    """Judge the model on the test rows: the ``evaluation``, and ``outcomes`` for plots and comparisons."""
    model = Model(trained)
    test, codes = _judging(featured, divided, model.labels)
    matrix = model.manifest.encoding.matrix(test)
    predicted = model.predictor.predict(matrix)
    learnt = _training(featured, divided, target)[1]
    division = _division(divided)
    kind = gate.baseline
    if kind == "auto":
        kind = "last value" if division.kind == "time" else "prior"
    metric = gate.metric or model.manifest.metric
    order = np.arange(test.height)
    if division.kind == "time":
        order = np.argsort(test[str(division.column)].to_physical().cast(pl.Float64).to_numpy(), kind="stable")
    classes = len(model.labels.values)
    simple = np.empty_like(predicted)
    simple[order] = baseline_predictions(kind, target.task, learnt, codes[order], classes)
    columns = [item for item in model.manifest.encoding.columns() if item in test.columns]
    groups = list(gate.slices) if gate.slices is not None else sliceable(test, columns)
    missing = [name for name in groups if name not in test.columns]
    if missing:
        raise DataError(f'ps.evaluate.gate(slices=...): there is no column "{missing[0]}"')
    blocks = model.manifest.encoding.blocks()
    importance = importances(model.predictor.predict, matrix, blocks, metric, codes, seed)
    important = [item.column for item in importance if item.mean > 0]
    evaluation = Evaluation(
        metric=metric,
        metrics=intervals(target.task, codes, predicted, seed),
        baseline=point_metrics(target.task, codes, simple),
        baseline_name=kind if kind == "last value" else "mean" if target.task == "regression" else "class frequencies",
        rows=test.height,
        slices=slices_of(test, groups, metric, target.task, codes, predicted, seed),
        importance=importance,
        leaks=find_leaks(target.task, matrix, blocks, codes, important, seed),
    )
    return Partitions({"evaluation": evaluation, "outcomes": {"target": codes, "predicted": predicted}})


def gated(
    evaluated: Partitions[Any],
    snapshot: Parts,
    featured: pl.DataFrame,
    divided: Partitions[Any],
    trained: Bundle,
    champion: Bundle | None,
    gate: Gate,
    target: Target,
    base: str,
    **others: Parts,
) -> Verdict:
    """Hold the model against bounds, baseline and the champion's answers to the same rows, from the same tables."""
    evaluation = msgspec.convert(evaluated["evaluation"], Evaluation)
    found = {name: msgspec.to_builtins(item) for name, item in evaluation.metrics.items()}
    simple = evaluation.baseline
    if champion is None:
        return judge(gate, evaluation.metric, found, simple, None)
    labels = Model(trained).labels
    test, codes = _judging(featured, divided, labels)
    try:
        old = Model(champion)
        if (old.labels.task, old.labels.names) != (labels.task, labels.names):
            raise DataError(f"it predicts {old.labels.column} ({', '.join(old.labels.names) or 'a number'})")
        tables = snapshots(base, snapshot, others)
        answers = old.predict_table(tables[base].rows(test[ROW].to_list()), tables)
    except PenstockError as error:
        verdict = judge(gate, evaluation.metric, found, simple, None)
        reason = f"the champion cannot answer these rows: {error}. Promote by hand if the change is meant."
        return Verdict(False, [*verdict.reasons[:-1], reason])
    return judge(gate, evaluation.metric, found, simple, point_metrics(labels.task, codes, answers))


def report(
    prepared: Parts,
    inferred: Parts,
    featured: pl.DataFrame,
    divided: Partitions[Any],
    trained: Bundle,
    evaluated: Partitions[Any],
    gated: Any,
    checked: list[Any],
    trials: Any = None,
    **others: Parts,
) -> bytes:
    """Write the report: one HTML file that needs nothing else."""
    from penstock.evaluate.report import ReportData, write_report

    model = Model(trained)
    verdict = msgspec.convert(gated, Verdict)
    facts = facts_of(inferred, prepared)
    outcomes = evaluated["outcomes"]
    raw = {name for name, _ in facts.raw}
    notes = [
        *(
            Note("ingest", f"{item.table}: {item.column or 'rows'}", item.count, f"unlike the schema: {item.text}")
            for item in (msgspec.convert(entry, Finding) for entry in checked)
        ),
        *facts.notes,
        *(
            Note(note.stage, f"{name}: {note.column or 'rows'}", note.count, note.text)
            for name in (item.removeprefix("prepared_") for item in others if item.startswith("prepared_"))
            for note in other_facts(name, others).notes
        ),
        *(Note("features", name, 0, f"left out: {why}") for name, why in model.manifest.encoding.ignored),
    ]
    return write_report(
        ReportData(
            pipeline=model.manifest.pipeline,
            task=model.task,
            target=model.labels.column,
            classes=model.labels.names,
            rows_in=facts.rows_in,
            rows_out=facts.rows_out,
            without_target=int((~divided["kept"]).sum()),
            columns=[*facts.raw, *((item, "made") for item in model.manifest.encoding.columns() if item not in raw)],
            kinds=model.manifest.encoding.kinds(),
            notes=[(note.stage, note.column or "", note.count, note.text) for note in notes],
            division=_division(divided).text,
            n_train=_division(divided).train,
            n_test=_division(divided).test,
            learner=model.manifest.learner["kind"],
            search=trials,
            evaluation=msgspec.to_builtins(msgspec.convert(evaluated["evaluation"], Evaluation)),
            passed=verdict.passed,
            reasons=list(verdict.reasons),
            champion=verdict.champion,
            codes=outcomes["target"],
            predicted=outcomes["predicted"],
        )
    )


def _training(featured: pl.DataFrame, divided: Partitions[Any], target: Target) -> tuple[pl.DataFrame, Array, Labels]:
    """Return the training rows, their targets as codes, and the labels; labels are those of the training rows."""
    table = featured.filter(pl.Series(divided["kept"] & ~divided["test"]))
    labels = fit_labels(table[target.column], target)
    return table, labels.codes(table[target.column]), labels


def _judging(featured: pl.DataFrame, divided: Partitions[Any], labels: Labels) -> tuple[pl.DataFrame, Array]:
    """Return the test rows and their targets as codes; a class that training rows never had is an error."""
    table = featured.filter(pl.Series(divided["test"]))
    codes = labels.codes(table[labels.column])
    unknown = np.isnan(codes)
    if unknown.any():
        value = table[labels.column][int(np.flatnonzero(unknown)[0])]
        raise DataError(
            f'target "{labels.column}": the class {value!r} is in the test rows but in no training row; '
            "leave such rows out with ps.prepare.filter, or use ps.split.stratified"
        )
    return table, codes


def _division(divided: Partitions[Any]) -> Division:
    found: Division = msgspec.convert(divided["division"], Division)
    return found


def _need_columns(fitted: Encoding) -> None:
    if not fitted.encoders:
        reasons = "; ".join(f"{name} {reason}" for name, reason in fitted.ignored[:5])
        raise DataError(f"no column is left to learn from ({reasons or 'there is only the target'})")


def _usable(table: pl.DataFrame, target: Target, selected: list[Left] | None = None) -> list[str]:
    out = {target.column, ROW, *(name for name, _ in selected or [])}
    return [name for name in table.columns if name not in out]


def _fitting(
    features: Sequence[Feature], columns: Sequence[str], target: Target, labels: Labels, seed: int
) -> Callable[[pl.DataFrame, Array], tuple[Encoding, Array]]:
    """Return what fits the encoding of training rows."""
    there = set(columns)
    asked = [item for item in features if isinstance(item, Text) and item.column in there]
    means = [item for item in features if isinstance(item, Categories)]
    return functools.partial(
        fit_learning, columns=columns, asked=[*asked, *means], task=target.task, classes=len(labels.values), seed=seed
    )
