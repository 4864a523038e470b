"""From the training set to a model: selected, trials, trained."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.step import LazyPartitions, Partitions
from penstock.errors import DataError
from penstock.evaluate.leaks import find_leaks
from penstock.evaluate.reasons import BACKGROUND
from penstock.features.columns import Categories, Select, Text
from penstock.features.definitions import Calendar, Feature, Written, expressions_of
from penstock.features.encoding import IDENTIFIER, Encoding, fit_learning
from penstock.features.stored import Stored, compacts, write_past
from penstock.flow.sides import clock_of, division_of, looked_at, moments_of, training_rows
from penstock.flow.tables import facts_of, other_facts, stored_features, tables_of
from penstock.ingest.options import TextForm
from penstock.inputs import input_columns, table_of
from penstock.manifest import BACKGROUND_FILE, FORMAT
from penstock.monitor.profile import profile_of
from penstock.store.formats import Bundle
from penstock.train.options import Estimator, Search
from penstock.train.searched import FitEncoding, Parted, Searched, Wishes, fit_given, fit_searched
from penstock.train.selection import useless_columns
from penstock.train.split import strange_classes
from penstock.train.trials import run_trials
from penstock.train.window import Window, choose_window, given_window
from penstock.types.columns import need
from penstock.types.convert import convert
from penstock.types.labels import Labels
from penstock.types.metrics import PRIMARY
from penstock.types.table import ROW, Table
from penstock.types.target import Target
from penstock.version import __version__

Parts = LazyPartitions[Any]
Array = npt.NDArray[Any]


Left = tuple[str, str]
"""A column that is left out, and why."""
_PROBED = 5_000
"""So many rows tell whether there is a column to learn from."""


def selected(
    featured: Parts,
    divided: Partitions[Any],
    target: Target,
    features: Sequence[Feature],
    seed: int,
    cursor: str | None = None,
) -> list[Left]:
    """Choose the columns that are left out, as the training rows say: each with the reason.

    An API's `cursor` tells when a row was last written to, often with its label, and nobody knows it when asking.
    """
    whole, codes, labels = training_rows(featured, divided, target)
    table, rows = looked_at(whole, codes, target.task)
    codes = codes[rows]
    found: list[Left] = []
    if cursor in table.columns and cursor != clock_of(divided):
        found.append((str(cursor), "says when a row was last written"))
    for item in (item for item in features if isinstance(item, Select)):
        need("ps.features.select", item.drop, table.columns)
        found += [(name, "left out by name") for name in item.drop]
        if item.leaking:
            columns = usable(table, target, found)
            encoding, matrix = learning_of(features, columns, target, labels, seed, clock_of(divided))(table, codes)
            blocks = encoding.blocks()
            leaks = find_leaks(target.task, matrix, blocks, codes, [name for name, _ in blocks], seed)
            found += [(leak.column, f"knows the answer: alone it has {leak.metric} {leak.score:.3f}") for leak in leaks]
        if item.useless:
            # Beside a column that knows the answer no other one helps.
            columns = usable(table, target, found)
            encoding, matrix = learning_of(features, columns, target, labels, seed, clock_of(divided))(table, codes)
            useless = useless_columns(matrix, encoding.blocks(), codes, target.task, len(labels.values), seed)
            found += [(name, "helps no more than noise") for name in useless]
    return found


def windowed(
    featured: Parts,
    divided: Partitions[Any],
    target: Target,
    features: Sequence[Feature],
    seed: int,
    window: str,
    selected: list[Left] | None = None,
) -> Partitions[Any]:
    """Choose how much of the past to learn from: ``divided`` with fewer rows, or with weights, and the ``window``."""
    division = division_of(divided)
    found = dict(divided.items())
    if division.kind != "time":
        return Partitions({**found, "window": Window()})
    learnt = divided["kept"] & ~divided["test"]
    at = moments_of(Table(featured), str(division.column))
    if window == "auto":
        whole, codes, labels = training_rows(featured, divided, target)
        table, rows = looked_at(whole, codes, target.task)
        fit = learning_of(features, usable(table, target, selected), target, labels, seed, division.column)
        span = float(np.ptp(at[divided["test"]]))
        classes = len(labels.values)
        chosen = choose_window(table, codes[rows], at[learnt][rows], span, division.gap, fit, classes, seed)
        if target.task == "multiclass" and _strange(Table(featured)[target.column], divided, chosen, at).any():
            chosen = Window(text="all training rows: newer ones alone lack classes of the test rows")
        elif classes and len(np.unique(codes[chosen.weights(at[learnt]) > 0])) < 2:
            chosen = Window(text="all training rows: newer ones alone are of one class")
    else:
        chosen = given_window(window)
    counts = np.zeros(len(learnt))
    counts[learnt] = chosen.weights(at[learnt])
    old = learnt & (counts == 0)
    text = division.text if chosen.kind == "all" else f"{division.text}; learnt from {chosen.text}"
    found["kept"] = divided["kept"] & ~old
    count = int(old.sum())
    division = replace(division, train=division.train - count, left_out=division.left_out + count, text=text)
    if target.task == "multiclass":
        column = Table(featured)[target.column]
        strange = _strange(column, divided, chosen, at)
        division = division.without(column.filter(pl.Series(strange)))
        found |= {"kept": found["kept"] & ~strange, "test": divided["test"] & ~strange}
    found["division"] = division
    if chosen.kind == "fading":
        found["weights"] = counts
    return Partitions({**found, "window": chosen})


def _strange(column: pl.Series, divided: Partitions[Any], chosen: Window, at: Array) -> Array:
    """Return which test rows are of classes that the window has no training row of."""
    learnt = divided["kept"] & ~divided["test"]
    learnt[learnt] = chosen.weights(at[learnt]) > 0
    return strange_classes(column, learnt, divided["test"])


def trials(
    featured: Parts,
    divided: Partitions[Any],
    target: Target,
    seed: int,
    group: str | None,
    features: Sequence[Feature],
    selected: list[Left] | None = None,
    judgeable: Any = None,  # only waited for
    **search: Any,
) -> Searched:
    """Try learners by cross-validation on the training rows."""
    table, codes, labels = training_rows(featured, divided, target)
    division = division_of(divided)
    times = groups = None
    if division.kind == "time":
        times = moments_of(table, str(division.column))
    if group is not None:
        groups = (
            table[group].cast(pl.String).fill_null("").rank("dense").to_numpy()
        )  # in their order, without their texts
    how = Search(**search)
    rows, selected = weights_of(table, how.weights, selected, divided)
    fit = learning_of(features, usable(table, target, selected), target, labels, seed, clock_of(divided))
    if not fit(table.rows(range(min(_PROBED, table.height))), codes[:_PROBED])[0].blocks():
        some, rows_of = looked_at(table, codes, target.task)
        fitted = fit(some, codes[rows_of])[0]
        assert isinstance(fitted, Encoding)
        _need_columns(fitted)
    problem = Parted(table, fit, codes, target.task, len(labels.values))
    return run_trials(problem, how, seed, groups, times, rows, division.gap)


def trained(
    prepared: Parts,
    inferred: Parts,
    featured: Parts,
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
    weights: str | None = None,
    monotone: tuple[tuple[str, int], ...] = (),
    forms: Mapping[str, TextForm] = MappingProxyType({}),
    **others: Parts,
) -> Bundle:
    """Fit the best trial, or the given estimator, on all training rows, and write the model."""
    table, codes, labels = training_rows(featured, divided, target)
    rows, selected = weights_of(table, weights, selected, divided)
    columns = usable(table, target, selected)
    fit = learning_of(features, columns, target, labels, seed, clock_of(divided))
    problem = Parted(table, fit, codes, target.task, len(labels.values))
    if given is not None:
        fitted, learner = fit_given(problem.read(), given, seed)
    else:
        searched = convert(trials, Searched)
        if searched.threshold is not None and target.threshold is None:
            labels = msgspec.structs.replace(labels, threshold=searched.threshold)
        fitted, learner = fit_searched(problem, searched, seed, Wishes(rows, monotone))
    assert isinstance(fitted, Encoding)
    _need_columns(fitted)
    fitted = Encoding(fitted.encoders, [*fitted.ignored, *((name, why) for name, why in selected or [])])
    facts = facts_of(inferred, prepared)
    tables = tables_of(base, prepared, others)
    stored = stored_features(features, base, times, tables, target.column)
    past = compacts(stored, tables)
    known = {name: facts if name == base else other_facts(name, others) for name in tables}
    made = {name for item in stored for name in item.names}
    used = set(fitted.columns()) - made | {name for item in stored for name in item.needs} - made
    inputs = input_columns(facts, used, target.column, fitted)
    # A column that was constant or empty is watched too: when it begins to vary, the world has changed.
    # Dates and their parts are not: time passes.
    parts = {name for item in features if isinstance(item, Calendar) for name, _ in expressions_of(item)}
    ignored = dict(fitted.ignored)
    kinds, shown = table.schema, table.each(table.step).whole()
    watched = [
        name
        for name in columns
        if ignored.get(name) != IDENTIFIER and name not in parts and not kinds[name].is_temporal()
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
        "profile": profile_of(shown, watched),
        "metric": metric or PRIMARY[target.task],
        "spread": None if given is not None else searched.spread,
        "level": None if target.interval is None else str(target.interval),
        "quantiles": list(target.quantiles),
        "time": times[base] or clock_of(divided),
        "forms": forms,
    }
    some = np.sort(np.random.default_rng(seed).permutation(shown.height)[:BACKGROUND])
    files = {**learner.files, BACKGROUND_FILE: _written(fitted.matrix(shown[some]))}
    files |= {f"past/{number}.parquet": write_past(item) for number, item in enumerate(past) if item is not None}
    return Bundle(msgspec.to_builtins(manifest), files)


def _written(matrix: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, matrix, allow_pickle=False)
    return buffer.getvalue()


def _looked_up(stored: Sequence[Stored]) -> set[str]:
    """Columns that come from other rows or tables, which later expressions may use."""
    return {name for item in stored if not isinstance(item, Written) for name in item.names}


def _need_columns(fitted: Encoding) -> None:
    if not fitted.encoders:
        reasons = "; ".join(f"{name} {reason}" for name, reason in fitted.ignored[:5])
        raise DataError(f"no column is left to learn from ({reasons or 'there is only the target'})")


def weights_of(
    table: Table, column: str | None, selected: list[Left] | None, divided: Partitions[Any]
) -> tuple[Array | None, list[Left] | None]:
    """Return how much each training row counts, by its own column and its age, and the columns left out with that one.

    Raises
    ------
    DataError
        When there is no such column, or a row's weight is missing, negative or not a number.
    """
    fading = divided["weights"][divided["kept"] & ~divided["test"]] if "weights" in divided else None
    if column is None:
        return fading, selected
    if column not in table.columns:
        raise DataError(f'ps.train.search(weights="{column}"): there is no such column')
    values = table[column]
    if not values.dtype.is_numeric():
        raise DataError(f'ps.train.search(weights="{column}"): it holds {values.dtype}, not numbers')
    weights = values.cast(pl.Float64).to_numpy()
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any() or not weights.any():
        raise DataError(
            f'ps.train.search(weights="{column}"): {int(wrong.sum()):,} training rows have a weight that is missing, '
            "negative or infinite; fill them with ps.prepare.fill, or leave them out with ps.prepare.filter"
            if wrong.any()
            else f'ps.train.search(weights="{column}"): all weights are 0'
        )
    return (
        weights if fading is None else weights * fading,
        [*(selected or []), (column, "says how much a row counts")],
    )


def usable(table: pl.DataFrame | Table, target: Target, selected: list[Left] | None = None) -> list[str]:
    """Return the columns that may be learnt from."""
    out = {target.column, ROW, *(name for name, _ in selected or [])}
    return [name for name in table.columns if name not in out]


def learning_of(
    features: Sequence[Feature], columns: Sequence[str], target: Target, labels: Labels, seed: int, clock: str | None
) -> FitEncoding:
    """Return what fits the encoding of training rows."""
    there = set(columns)
    asked = [item for item in features if isinstance(item, Text) and item.column in there]
    means = [item for item in features if isinstance(item, Categories)]
    return functools.partial(
        fit_learning,
        columns=columns,
        asked=[*asked, *means],
        task=target.task,
        classes=len(labels.values),
        seed=seed,
        clock=clock,
    )
