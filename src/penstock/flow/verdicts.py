"""From a model to its verdict: evaluated, curve, gated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.step import LazyPartitions, Partitions
from penstock.errors import DataError, PenstockError
from penstock.evaluate.curve import Curve, learning_curve
from penstock.evaluate.dependence import dependence_of
from penstock.evaluate.division import Shared, shared_rows, shift_between
from penstock.evaluate.fairness import check_fairness, fairness_of
from penstock.evaluate.gates import Gate, Verdict, baseline_check, cost_checks, fairness_checks, judge, slice_checks
from penstock.evaluate.importance import importances
from penstock.evaluate.leaks import find_leaks, find_parts, worth_a_look
from penstock.evaluate.measure import (
    Coverage,
    Early,
    Evaluation,
    baseline_predictions,
    decision_of,
    groups_of,
    intervals,
    point_metrics,
    sliceable,
    slices_of,
)
from penstock.evaluate.paired import paired_gain, slice_gains
from penstock.evaluate.related import find_related
from penstock.features.definitions import Feature
from penstock.features.encoding import IDENTIFIER
from penstock.features.events import moments
from penstock.features.stored import StoredWindow
from penstock.flow.models import Left, learning_of, usable, weights_of
from penstock.flow.sides import clock_of, division_of, judging_rows, moments_of, training_rows
from penstock.flow.tables import snapshots
from penstock.flow.windows import compared_rows, usual_windows, usual_windows_in_groups
from penstock.model import Model
from penstock.monitor.estimate import learn_losses
from penstock.store.formats import Bundle
from penstock.train.learners import TIMED, read_predictor, row_latency
from penstock.train.refitting import growth
from penstock.train.searched import Problem, Searched, fit_small, small_trial
from penstock.train.split import Division, seconds_in
from penstock.types.columns import need
from penstock.types.convert import convert
from penstock.types.durations import length_of
from penstock.types.metrics import METRICS, PRIMARY, Metric
from penstock.types.table import ROW, Table
from penstock.types.target import Target
from penstock.types.twins import twins

Parts = LazyPartitions[Any]
Array = npt.NDArray[Any]


def judgeable(featured: Parts, gate: Gate) -> dict[str, str]:
    """Demand, before anything learns, that the gate's columns are there.

    Nothing is given, so that trials which wait for it stay known when the gate changes.
    """
    columns = Table(featured).columns
    need("ps.evaluate.gate(slices=...)", gate.slices or (), columns)
    check_fairness(dict(gate.fairness), columns)
    return {}


def evaluated(
    trained: Bundle,
    featured: Parts,
    divided: Partitions[Any],
    target: Target,
    gate: Gate,
    seed: int,
    refitted: Bundle | None = None,
) -> Partitions[Any]:
    """Judge the model on the test rows: the ``evaluation``, ``outcomes`` to compare with, and expected ``losses``.

    Rows that are kept, to compare others with, are encoded as by the model that will answer, where that is `refitted`.
    """
    model = Model(trained)
    test, codes = judging_rows(featured, divided, model.labels)
    matrix = model.manifest.encoding.matrix(test)
    predicted = model.predictor.predict(matrix)
    table, learnt, _ = training_rows(featured, divided, target)
    train = table.each(table.step).whole()
    division = division_of(divided)
    metric, threshold = gate.metric or model.manifest.metric, model.labels.threshold
    times = None
    if division.kind == "time":
        clock = str(division.column)
        times = moments_of(table, clock), seconds_in(test[clock])
    kinds = [gate.baseline] if gate.baseline != "auto" else ["prior"] if times is None else ["last value", "prior"]
    guessed = {
        kind: baseline_predictions(kind, target.task, learnt, codes, len(model.labels.values), times) for kind in kinds
    }
    better = max if METRICS[metric].higher else min
    kind = better(kinds, key=lambda kind: METRICS[metric].value(codes, guessed[kind]))
    simple = guessed[kind]
    groups = _sliced(gate, model, test)
    blocks = model.manifest.encoding.blocks()
    importance = importances(model.predictor.predict, matrix, blocks, metric, codes, seed, threshold)
    important = [item.column for item in importance if item.mean > 0]
    encoding = model.manifest.encoding
    where = dict(blocks)
    moves = [
        dependence_of(name, test, matrix, where[name], encoding.part, model.predictor.predict)
        for name in important[:_SHOWN]
        if name in test.columns
    ]
    some = shown = model.manifest.encoding.matrix(compared_rows(train))
    evaluation = Evaluation(
        metric=metric,
        metrics=intervals(target.task, codes, predicted, seed, None, threshold),
        baseline=point_metrics(target.task, codes, simple),
        baseline_name=kind if kind == "last value" else "mean" if target.task == "regression" else "class frequencies",
        rows=test.height,
        slices=slices_of(test, groups, metric, target.task, codes, predicted, seed, threshold),
        importance=importance,
        leaks=find_leaks(
            target.task,
            matrix,
            blocks,
            codes,
            worth_a_look(target.task, important, list(where), codes, predicted),
            seed,
        ),
        parts=find_parts(matrix, blocks, codes) if target.task == "regression" else [],
        decision=None
        if target.costs is None
        else decision_of(target.costs, threshold, codes == 1, _said(model, predicted) == 1),
        coverage=_coverage(model, codes, predicted),
        below=_below(model, codes, predicted),
        shared=_shared(model, table, test, METRICS[metric].at(threshold), codes, predicted),
        related=find_related(
            train, test, learnt, codes, predicted, METRICS[metric].at(threshold).value, [target.column, ROW]
        )
        if division.kind in ("random", "stratified")
        and table.step == 1  # of some rows, which belong together is not known
        else None,
        early=_early(model, division, train, target.column),
        shift=shift_between(some, matrix, blocks, seed, division.column if division.kind == "time" else None),
        dependence=[item for item in moves if item is not None],
        fairness=fairness_of(target.task, test, dict(gate.fairness), codes == 1, _said(model, predicted) == 1),
    )
    if refitted is not None:
        answering = Model(refitted).manifest.encoding
        matrix, shown = answering.matrix(test), answering.matrix(compared_rows(train))
    outcomes = {
        "target": codes, "predicted": predicted, "simple": simple, "rows": _kept(matrix, seed), "learnt": _kept(shown, seed),
    }  # fmt: skip
    if times is not None:
        outcomes["order"] = np.argsort(times[1], kind="stable")
    if (time := model.manifest.time) is not None and train[time].dtype.is_temporal():
        known = moments_of(table, time)
        known = known if refitted is None else np.concatenate([known, seconds_in(test[time])])
        known = known[~np.isnan(known)]
        outcomes["newest"] = known[[known.argmax()]] if len(known) else known
    losses = learn_losses(matrix, codes, predicted, seed) if target.task == "regression" else {}
    later = test if division.kind == "time" else test.clear()
    windows = {
        "usual": usual_windows(model, train, some, later, predicted[: later.height]),
        "usual_in_groups": usual_windows_in_groups(model, train, later, evaluation),
    }
    return Partitions({"evaluation": evaluation, "outcomes": outcomes, "losses": losses, **windows})


def _early(model: Model, division: Division, train: pl.DataFrame, target: str) -> Early | None:
    """Find features that look at truths of other rows sooner than the gap between training and test rows says they are known."""
    manifest = model.manifest
    windows = [made for made in manifest.features if isinstance(made, StoredWindow) and made.table == manifest.base]
    if not division.gap or not windows or division.column != manifest.time:
        return None
    times = train[str(manifest.time)].drop_nulls()
    unit = 1e6 if times.dtype.is_temporal() else 1
    step = max(int(np.gcd.reduce(np.diff(moments(times)))), 1)
    names = [name for made in windows for name in made.sooner(target, division.gap * unit, step)]
    return Early(names, length_of(division.gap) if unit > 1 else f"{division.gap:g}") if names else None


def _kept(matrix: Array, seed: int) -> Array:
    """Keep some rows, with which those to come are compared as wholes."""
    most = max(_LEAST_KEPT, min(_MOST_KEPT, _CELLS // matrix.shape[1]))
    some = np.sort(np.random.default_rng(seed).permutation(len(matrix))[:most])
    return np.asarray(matrix[some], dtype=np.float32)


_LEAST_KEPT, _MOST_KEPT, _CELLS = 200, 5_000, 500_000


_SHOWN = 6
_CURVED = 20_000


def curve(
    featured: Parts,
    divided: Partitions[Any],
    trials: Any,
    target: Target,
    features: Sequence[Feature],
    metric: str | None,
    seed: int,
    selected: list[Left] | None = None,
    weights: str | None = None,
) -> Curve:
    """Learn from growing parts of the training rows, at most 20,000 of them, and judge each on the same test rows."""
    table, learnt, labels = training_rows(featured, divided, target)
    selected = weights_of(table, weights, selected, divided)[1]
    step = max(1, -(-table.height // _CURVED))
    train, learnt = table.each(step).whole(), learnt[::step]
    test, codes = judging_rows(featured, divided, labels)
    asked = slice(None, None, -(-test.height // _CURVED))
    test, codes = test[asked], codes[asked]
    searched = convert(trials, Searched)
    fitting = learning_of(features, usable(train, target, selected), target, labels, seed, clock_of(divided))
    ordered = division_of(divided).kind == "time"
    if ordered:
        order = train[str(division_of(divided).column)].to_physical().cast(pl.Float64).arg_sort()
        train, learnt = train[order], learnt[order.to_numpy()]
    problem = Problem(train, fitting, learnt, target.task, len(labels.values))

    def fit(rows: Array) -> Array | None:
        if target.task != "regression" and len(np.unique(learnt[rows])) < len(labels.values):
            return None
        small = fit_small(problem.of(rows), searched, seed, growth(len(rows), train.height))
        if small is None:
            return None
        encoding, fitted = small
        return np.asarray(read_predictor(fitted.written, fitted.files).predict(encoding.matrix(test)))

    threshold = searched.threshold if target.threshold is None else target.threshold
    decides, learner = metric or PRIMARY[target.task], small_trial(searched, problem.classes).learner
    return learning_curve(learner, fit, train.height, target.task, decides, codes, seed, ordered, threshold or 0.5)


def _coverage(model: Model, codes: Array, predicted: Array) -> list[Coverage]:
    spread = model.manifest.spread
    if spread is None or model.interval is None:
        return []
    thirds = np.array_split(np.argsort(predicted, kind="stable"), 3) if len(predicted) >= 3 else []
    found = []
    for level in spread.radius:
        low, high = spread.around(float(np.median(predicted)), level)
        held = [spread.covered(codes[rows], predicted[rows], level) for rows in thirds]
        found.append(Coverage(level, spread.covered(codes, predicted, level), high - low, held))
    return found


def _below(model: Model, codes: Array, predicted: Array) -> dict[str, float]:
    spread = model.manifest.spread
    if spread is None:
        return {}
    return {str(share): float(np.mean(codes <= spread.quantile(predicted, share))) for share in model.quantiles}


def _shared(
    model: Model, train: Table, test: pl.DataFrame, metric: Metric, codes: Array, predicted: Array
) -> Shared | None:
    looked_at = [*_learnt_from(model, test), model.labels.column]
    twice = shared_rows(train, test, looked_at)
    if not twice.any() or twins(test.select(looked_at), train.height) >= 1.0:  # few values make rows equal
        return None
    without = metric.value(codes[~twice], predicted[~twice]) if not twice.all() else float("nan")
    apart = [name for name, why in model.manifest.encoding.ignored if why == IDENTIFIER and name in test.columns]
    if apart and shared_rows(train, test, [*looked_at, *apart]).any():
        apart = []
    return Shared(int(twice.sum()), len(twice), without if without == without else None, apart)


def _said(model: Model, predicted: Array) -> Array:
    """Return the class that the model answers with for each row; numbers stay numbers."""
    return predicted if predicted.ndim == 1 else model.labels.decided(predicted)


def _learnt_from(model: Model, test: pl.DataFrame) -> list[str]:
    """Return the columns of a table that the model looks at."""
    present = set(test.columns)
    return [name for name in model.manifest.encoding.columns() if name in present]


def _sliced(gate: Gate, model: Model, test: pl.DataFrame) -> list[str]:
    """Return the columns whose groups are looked at."""
    if gate.slices is None:
        return sliceable(test, _learnt_from(model, test))
    need("ps.evaluate.gate(slices=...)", gate.slices, test.columns)
    return list(gate.slices)


def gated(
    evaluated: Partitions[Any],
    snapshot: Parts,
    featured: Parts,
    divided: Partitions[Any],
    trained: Bundle,
    champion: Bundle | None,
    gate: Gate,
    target: Target,
    base: str,
    seed: int,
    **others: Parts,
) -> Verdict:
    """Hold the model against bounds, baseline and the champion's answers to the same rows, from the same tables."""
    evaluation = convert(evaluated["evaluation"], Evaluation)
    found = {name: msgspec.to_builtins(item) for name, item in evaluation.metrics.items()}
    metric, mine = evaluation.metric, evaluated["outcomes"]["predicted"]
    model = Model(trained)
    labels = model.labels
    test, codes = judging_rows(featured, divided, labels)
    more = fairness_checks(evaluation.fairness)
    if gate.beat_baseline:
        over = paired_gain(metric, codes, mine, evaluated["outcomes"]["simple"], seed, (labels.threshold, 0.5))
        values = evaluation.metrics[metric].value, evaluation.baseline[metric]
        good, why = baseline_check(gate, metric, *values, over)
        seen = any(name.startswith(f"{labels.column}_lag_") for name in model.manifest.encoding.columns())
        if not good and evaluation.baseline_name == "last value" and not seen:
            why += f"; what came last tells more: let the model see it with ps.features.lag({labels.column!r}, 1)"
        more.insert(0, (good, why))
    if gate.max_latency is not None or gate.max_size is not None:
        asked = model.manifest.encoding.matrix(test[:TIMED]).tolist()
        size = sum(len(data) for name, data in trained.files.items() if not name.startswith("past/"))
        more += cost_checks(gate, row_latency(model.predictor, asked), size)
    if champion is None:
        return judge(gate, metric, found, None, None, more)
    try:
        old = Model(champion)
        if (old.labels.task, old.labels.names) != (labels.task, labels.names):
            raise DataError(f"it predicts {old.labels.column} ({', '.join(old.labels.names) or 'a number'})")
        tables = snapshots(base, snapshot, others)
        answers = old.predict_table(tables[base].rows(test[ROW].to_list()), tables)
    except PenstockError as error:
        verdict = judge(gate, metric, found, None, None, more)
        told = str(error).rstrip(".")
        reason = f"the champion cannot answer these rows: {told}. Promote by hand if the change is meant."
        return Verdict(False, [*verdict.reasons[:-1], reason])
    both = labels.threshold, old.labels.threshold
    if gate.max_slice_loss is not None:
        groups = groups_of(test, _sliced(gate, model, test))
        more += slice_checks(gate, metric, slice_gains(metric, codes, mine, answers, groups, seed, both))
    gain = paired_gain(metric, codes, mine, answers, seed, both)
    return judge(gate, metric, found, point_metrics(labels.task, codes, answers, both[1]), gain, more)
