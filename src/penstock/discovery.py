"""Proposals of features over the past: the kind that a person would write, kept when cross-validation says they help.

Looks at training rows only. What it prints is code to paste, to read and to change; nothing is added by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.execute import load
from penstock.engine.graph import Graph
from penstock.engine.run import run_graph
from penstock.engine.step import LazyPartitions
from penstock.errors import InputError
from penstock.evaluate.paired import paired_gain
from penstock.features import relations
from penstock.features.definitions import Derive, Feature, apply_features, expressions_of
from penstock.features.encoding import fit_learning
from penstock.features.events import moments
from penstock.features.resolve import resolve
from penstock.features.stored import compacts, compute
from penstock.flow.tables import table_of_parts
from penstock.pipeline import Pipeline
from penstock.store.store import Store
from penstock.train.learners import read_predictor
from penstock.train.options import Search
from penstock.train.searched import Problem, Searched, fit_searched
from penstock.train.split import Division
from penstock.train.trials import run_trials
from penstock.types.labels import fit_labels
from penstock.types.metrics import METRICS
from penstock.types.table import ROW, Table

_SPANS = {"1h": 3600, "6h": 21_600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000, "365d": 31_536_000}
_ROWS = 50_000
_CONFIRMED = 0.3
_KEYS, _VALUES, _KEPT = 4, 6, 12


@dataclass(frozen=True)
class Proposal:
    """One feature that helped.

    Attributes
    ----------
    code : str
        As it stands under ``features=``.
    names : tuple of str
        The columns that it makes.
    """

    code: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Discovery:
    """What was proposed, and what it is worth.

    Attributes
    ----------
    metric : str
        What decided.
    before, after : float
        Without and with the proposals, on the later training rows, which took no part in choosing them.
    gain : tuple of (float, float)
        95 % interval of the improvement, by a paired bootstrap over these rows (Efron 1979).
    tried : int
        Candidates.
    proposals : tuple of Proposal
        Most useful first; empty when nothing helped.
    """

    metric: str
    before: float
    after: float
    gain: tuple[float, float]
    tried: int
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True)
class _Candidate:
    """A column that might help: how to compute it, and the code of the feature that makes it."""

    name: str
    feature: Feature
    table: str
    by: str
    span: str
    part: str


def discover(pipeline: Pipeline, store: Store, label_delay: str | None = None) -> Discovery:
    """Propose windows over the past for a pipeline's tables.

    Parameters
    ----------
    pipeline : Pipeline
        Whose tables have ``time=`` where they carry events.
    label_delay : str, optional
        How long after a row its target is known, such as ``"1d"``; then the target's own past is tried too.

    Returns
    -------
    Discovery
        With the code to paste.

    Raises
    ------
    InputError
        When no table says when its rows happened.
    """
    base = pipeline.base_table
    times = {name: item.time for name, item in pipeline.tables.items()}
    if times[base] is None:
        raise InputError(
            f"discover looks for features over the past, and nothing says when the rows of {base} happened; say it with "
            'time= at its ingest, such as ps.ingest.files(..., time="when")'
        )
    parts = _prepared(pipeline, store)
    prepared = "repaired" if "repaired" in parts else "prepared"
    tables = {
        name: table_of_parts(parts[prepared if name == base else f"prepared_{name}"]).whole()
        for name in pipeline.tables
    }
    division: Any = parts["divided"]["division"]
    kind, column = division["kind"], division["column"]
    learn = np.flatnonzero(parts["divided"]["kept"] & ~parts["divided"]["test"])
    learn = learn[np.argsort(moments(tables[base][str(times[base])])[learn], kind="stable")][-_ROWS:]
    candidates = _candidates(pipeline, tables, times, label_delay)
    made = _computed(candidates, tables, base, times, learn)
    present = set(made.columns)
    names = [item.name for item in candidates if item.name in present]
    featured = parts["featured"][learn]
    whole = featured.with_columns(made.select(names))
    own = [name for name in featured.columns if name not in (pipeline.target.column, ROW)]
    cut = int(len(learn) * (1 - _CONFIRMED))
    explored, confirmed = whole[:cut], whole[cut:]
    how = Division(kind, column, 0, 0, "")
    metric, kept = _chosen(pipeline, explored, how, own, names)
    before, after, gain = _confirm(pipeline, explored, confirmed, how, own, kept, metric)
    if gain[0] <= 0:
        kept, after, gain = [], before, (0.0, 0.0)
    proposals = _proposals([item for name in kept for item in candidates if item.name == name])
    return Discovery(metric, before, after, gain, len(names), tuple(proposals))


def _chosen(
    pipeline: Pipeline, table: pl.DataFrame, how: Division, own: Sequence[str], names: Sequence[str]
) -> tuple[str, list[str]]:
    """Rank the candidates, and choose how many of the best ones to take, by cross-validation."""
    metric, scores = _scores(pipeline, table, how, own)
    ranked = _ranked(pipeline, table, how, [*own, *names], set(names))
    sign = 1 if METRICS[metric].higher else -1
    best, kept = sign * float(scores.mean()), list[str]()
    count = 1
    while count <= min(_KEPT, len(ranked)):
        _, scores = _scores(pipeline, table, how, [*own, *ranked[:count]])
        if sign * float(scores.mean()) > best:
            best, kept = sign * float(scores.mean()), ranked[:count]
        count *= 2
    return metric, kept


def _confirm(
    pipeline: Pipeline, explored: pl.DataFrame, confirmed: pl.DataFrame, how: Division, own: Sequence[str],
    kept: Sequence[str], metric: str,
) -> tuple[float, float, tuple[float, float]]:  # fmt: skip
    """Judge the choice on rows that took no part in it: what is best of many by chance is not better there."""
    target = pipeline.target
    labels = fit_labels(explored[target.column], target)
    codes = labels.codes(confirmed[target.column])
    known = ~np.isnan(codes)
    predicted = []
    for columns in ([*own], [*own, *kept]):
        trial = _trial(pipeline, explored, how, columns)
        encoding, fitted = fit_searched(_problem(pipeline, explored, how, columns), trial, pipeline.seed)
        predicted.append(read_predictor(fitted.written, fitted.files).predict(encoding.matrix(confirmed))[known])
    before, after = (METRICS[metric].value(codes[known], each) for each in predicted)
    gain = paired_gain(metric, codes[known], predicted[1], predicted[0], pipeline.seed)
    return before, after, (gain.low, gain.high)


def _prepared(pipeline: Pipeline, store: Store) -> Mapping[str, Any]:
    """Run what leads to the features, and nothing after."""
    graph = pipeline.graph()
    wanted = ("read", "snapshot", "inferred", "prepared", "checked", "divided", "repaired", "featured")
    steps = [step for step in graph.steps.values() if step.name.startswith(wanted)]
    sources = [item for item in graph.sources.values() if item.name != "champion"]
    done = run_graph(Graph.build(f"{pipeline.name} (discovery)", steps, sources), store, seed=pipeline.seed)
    done.raise_for_status()
    lazy = ("prepared", "repaired")
    return {
        step.name: load(store, done.refs[step.name], LazyPartitions) if step.name.startswith(lazy) else done[step.name]
        for step in steps
        if step.name.startswith(("divided", "featured", *lazy))
    }


def _candidates(
    pipeline: Pipeline, tables: Mapping[str, pl.DataFrame], times: Mapping[str, str | None], label_delay: str | None
) -> list[_Candidate]:
    base, target = pipeline.base_table, pipeline.target.column
    rows = tables[base]
    found: list[_Candidate] = []
    for name, table in tables.items():
        time = times[name]
        if time is None or time not in table.columns or not table[time].dtype.is_temporal():
            continue
        label = None if name == base else name
        for mine, theirs in _keys(pipeline, rows, table, name, {target, time}):
            spans = _spans(table, theirs, time)
            who = mine if mine == theirs else f"{mine}_{theirs}"
            aggregates: list[tuple[str, str, pl.Expr, str | None]] = [("events", "pl.len()", pl.len(), None)]
            for value in _values(table, {theirs, time, *([target] if name == base else [])}):
                quoted = _quoted(value)
                aggregates.append((f"mean_{value}", f"pl.col({quoted}).mean()", pl.col(value).mean(), value))
                aggregates.append((f"max_{value}", f"pl.col({quoted}).max()", pl.col(value).max(), None))
            for span in spans:
                for stem, code, made, own in aggregates:
                    column = f"{stem}_{who}_{span}" if name == base else f"{name}_{stem}_{who}_{span}"
                    window = relations.window(label, by={mine: theirs}, over=span, **{column: made})  # type: ignore[arg-type]
                    found.append(_Candidate(column, window, name, _by(mine, theirs), span, f"{column}={code}"))
                    if name == base and own is not None:
                        ratio = f"{own}_against_{who}_{span}"
                        expression = pl.col(own) / pl.col(column)
                        part = f"{ratio}=pl.col({_quoted(own)}) / pl.col({_quoted(column)})"
                        found.append(
                            _Candidate(ratio, Derive(((ratio, expression),)), name, _by(mine, theirs), span, part)
                        )
            if name == base and label_delay is not None:
                made, code = _past_target(pipeline, rows)
                for span in spans[-1:]:
                    column = f"past_{target}_{who}_{span}"
                    window = relations.window(by={mine: theirs}, over=span, delay=label_delay, **{column: made})  # type: ignore[arg-type]
                    option = f"{span}, delay={label_delay}"
                    found.append(_Candidate(column, window, name, _by(mine, theirs), option, f"{column}={code}"))
    return found


def _past_target(pipeline: Pipeline, rows: pl.DataFrame) -> tuple[pl.Expr, str]:
    target = pipeline.target
    quoted = _quoted(target.column)
    if target.task == "regression":
        return pl.col(target.column).mean(), f"pl.col({quoted}).mean()"
    value = fit_labels(rows[target.column], target).values[-1]
    return (pl.col(target.column) == value).mean(), f"(pl.col({quoted}) == {value!r}).mean()"


def _keys(
    pipeline: Pipeline, rows: pl.DataFrame, table: pl.DataFrame, name: str, leave: set[str]
) -> list[tuple[str, str]]:
    """Columns that make an entity: those that the author joins by, then shared ones with some events to each value."""
    told = [
        pair
        for item in pipeline.features
        if isinstance(item, relations.Window | relations.Asof) and (item.table or pipeline.base_table) == name
        for pair in item.by
    ]
    shared = [(column, column) for column in table.columns if column in rows.columns]
    found = []
    for mine, theirs in dict.fromkeys([*told, *shared]):
        values = table[theirs]
        if (
            theirs in leave
            or mine in leave
            or theirs == ROW
            or not (values.dtype == pl.String or values.dtype.is_integer())
        ):
            continue
        different = values.n_unique()
        if 2 <= different <= table.height / 2 and table.height / different >= 2:
            found.append((mine, theirs, different))
    # Many entities say more than few: a customer before a country.
    return [(mine, theirs) for mine, theirs, _ in sorted(found, key=lambda item: -item[2])[:_KEYS]]


def _spans(table: pl.DataFrame, key: str, time: str) -> list[str]:
    """Three lengths between an entity's usual gap and a third of all the time that the table covers."""
    low, high = table[time].min(), table[time].max()
    if low is None or high is None or low == high:
        return []
    covered = (high - low).total_seconds()  # type: ignore[operator, union-attr]
    gap = covered / max(table.height / max(table[key].n_unique(), 1), 1)
    fitting = [name for name, seconds in _SPANS.items() if gap <= seconds <= covered / 3]
    fitting = fitting or [name for name, seconds in _SPANS.items() if seconds <= covered / 3][-1:]
    return fitting if len(fitting) <= 3 else [fitting[0], fitting[len(fitting) // 2], fitting[-1]]


def _values(table: pl.DataFrame, leave: set[str]) -> list[str]:
    found = []
    for name, kind in table.schema.items():
        if name in leave or name == ROW or not kind.is_numeric():
            continue
        values = table[name].drop_nulls()
        identifies = kind.is_integer() and values.n_unique() > 0.9 * max(values.len(), 1)
        if values.len() and values.n_unique() > 2 and not identifies:
            found.append(name)
    return found[:_VALUES]


def _computed(
    candidates: Sequence[_Candidate], tables: Mapping[str, pl.DataFrame], base: str, times: Mapping[str, str | None],
    learn: npt.NDArray[np.int64],
) -> pl.DataFrame:  # fmt: skip
    """Compute the candidates for the training rows, from events of any row before them."""
    rows = tables[base][learn]
    schemas = {name: table.schema for name, table in tables.items()}
    windows = [item.feature for item in candidates if isinstance(item.feature, relations.Window)]
    stored = resolve(windows, base, schemas, times)
    made = compute(rows, stored, compacts(stored, {name: Table.of(table) for name, table in tables.items()}))
    ratios = [pair for item in candidates if isinstance(item.feature, Derive) for pair in expressions_of(item.feature)]
    return apply_features(made, ratios).drop(rows.columns)


def _scores(
    pipeline: Pipeline, table: pl.DataFrame, division: Division, columns: Sequence[str]
) -> tuple[str, npt.NDArray[np.float64]]:
    trial = _trial(pipeline, table, division, columns).trials[0]
    return trial.metric, np.array(trial.folds)


def _trial(pipeline: Pipeline, table: pl.DataFrame, division: Division, columns: Sequence[str]) -> Searched:
    """Cross-validate the default trees on some columns, in the way that the pipeline divides its rows."""
    times = None
    if division.kind == "time":
        times = table[str(division.column)].to_physical().cast(pl.Float64).to_numpy()
    how = Search(learners=("lightgbm",), trials=1, metric=pipeline.evaluate.metric)
    problem = _problem(pipeline, table, division, columns)
    with contextlib.redirect_stdout(io.StringIO()):
        return run_trials(problem, how, pipeline.seed, None, times)


def _problem(pipeline: Pipeline, table: pl.DataFrame, division: Division, columns: Sequence[str]) -> Problem:
    target = pipeline.target
    labels = fit_labels(table[target.column], target)
    clock = division.column if division.kind == "time" else None
    fit = functools.partial(fit_learning, columns=list(columns), clock=clock)
    return Problem(table, fit, labels.codes(table[target.column]), target.task, len(labels.values))


def _ranked(
    pipeline: Pipeline, table: pl.DataFrame, division: Division, columns: Sequence[str], wanted: set[str]
) -> list[str]:
    """Order the candidates by how often trees that may use all of them do."""
    trial = _trial(pipeline, table, division, columns)
    trial = dataclasses.replace(trial, sharpness=None)  # the trees themselves are looked at
    encoding, fitted = fit_searched(_problem(pipeline, table, division, columns), trial, pipeline.seed)
    counts: dict[int, int] = {}
    _, _, tail = fitted.files["trees.txt"].decode().partition("feature_importances:\n")
    for line in tail.splitlines():
        name, sign, count = line.partition("=")
        if sign and name.startswith("Column_"):
            counts[int(name[7:])] = int(count)
    uses = {
        name: sum(counts.get(at, 0) for at in range(block.start, block.stop))
        for name, block in encoding.blocks()
        if name in wanted
    }
    return [name for name, count in sorted(uses.items(), key=lambda item: (-item[1], item[0])) if count]


def _proposals(kept: Sequence[_Candidate]) -> list[Proposal]:
    """Write code: aggregates of one table, entity and length stand in one window; a ratio brings its mean with it."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    ratios: list[_Candidate] = []
    for item in kept:
        parts = groups.setdefault((item.table, item.by, item.span), [])
        if isinstance(item.feature, Derive):
            ratios.append(item)
            own, _, rest = item.name.partition("_against_")
            parts.append(f"mean_{own}_{rest}=pl.col({_quoted(own)}).mean()")
        else:
            parts.append(item.part)
    found = []
    for (table, by, span), parts in groups.items():
        length, _, delay = span.partition(", delay=")
        more = f', delay="{delay}"' if delay else ""
        written = ", ".join(dict.fromkeys(parts))
        names = tuple(part.partition("=")[0] for part in dict.fromkeys(parts))
        found.append(Proposal(f'ps.features.window("{table}", by={by}, over="{length}"{more}, {written})', names))
    if ratios:
        written = ", ".join(item.part for item in ratios)
        found.append(Proposal(f"ps.features.derive({written})", tuple(item.name for item in ratios)))
    return found


def _by(mine: str, theirs: str) -> str:
    return _quoted(mine) if mine == theirs else f"{{{_quoted(mine)}: {_quoted(theirs)}}}"


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
