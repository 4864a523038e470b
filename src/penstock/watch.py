"""Looking at what a champion was asked and answered: drift of columns, decay of its metric, alerts."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import sqlalchemy as sa

from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.engine import execute
from penstock.engine.history import artifact_of, past_run
from penstock.errors import PenstockError
from penstock.model import Model
from penstock.monitor.compare import ColumnDrift, compare_columns
from penstock.monitor.concept import Concept, LossWatch
from penstock.monitor.decisions import decisions_of
from penstock.monitor.drawings import timeline
from penstock.monitor.estimate import estimated
from penstock.monitor.log import Record, log_folder, read_log
from penstock.monitor.options import Drift
from penstock.monitor.profile import Profile, column_profile
from penstock.monitor.report import drift_report
from penstock.outcome import load
from penstock.performance import (
    LEAST_LABELS,
    Calibration,
    Group,
    Performance,
    calibration_in_words,
    calibration_of,
    group_in_words,
    groups_of,
    known_answers,
    performance_of,
)
from penstock.store.schema import alerts
from penstock.store.store import Store
from penstock.traffic import losses_of, losses_since
from penstock.types.showing import shown_table

_CONCEPT_SECONDS, _CONCEPT_LABELS = 30 * 86_400.0, 50_000
"""Losses are watched since the version became champion, but for those longer ago than this, or before the latest so many."""


@dataclass(frozen=True)
class Window:
    """Which predictions were looked at: from the first to the last, in UTC; how many rows."""

    first: str | None
    last: str | None
    rows: int


@dataclass(frozen=True)
class Monitoring:
    """What a look at the log came to.

    Attributes
    ----------
    model : str
        The pipeline.
    version : int
        The champion.
    window : Window
        What was looked at.
    status : {"calm", "drift", "not enough data"}
        The verdict.
    columns : list of ColumnDrift
        Those that drifted first.
    performance : Performance or None
        None while labels are few.
    estimate : float or None
        What the deciding metric is expected to be, by the probabilities alone; of classes.
    bearing : dict of str to float
        By how much the move of each column that drifted moves an answer, on average.
    concept : Concept or None
        Whether losses have grown since training; None while labels are few, or when the run's outcomes are gone.
    groups : list of Group
        How the groups fare that the training's report names, the worst first; those with few labels are left out.
    calibration : Calibration or None
        Whether probabilities still hold; of classes.
    """

    model: str
    version: int
    window: Window
    status: str
    columns: list[ColumnDrift]
    performance: Performance | None
    estimate: float | None = None
    bearing: dict[str, float] = field(default_factory=dict)
    concept: Concept | None = None
    groups: list[Group] = field(default_factory=list)
    calibration: Calibration | None = None

    @property
    def worse(self) -> bool:
        """Whether labels show that answers are worse than at training: all, those of a group, or their probabilities."""
        decayed = self.performance is not None and self.performance.decayed
        off = self.calibration is not None and self.calibration.off
        drifted = self.concept is not None and self.concept.drifted
        return decayed or drifted or off or any(group.worse for group in self.groups)

    def labels_in_words(self) -> list[str]:
        """Say what labels show to be worse than at training."""
        found = []
        if self.performance is not None and self.performance.decayed:
            seen = self.performance
            found.append(
                f"{seen.metric} is {seen.value:.3g} ({seen.low:.3g} to {seen.high:.3g}), at training {seen.reference:.3g}"
            )
        if self.concept is not None and self.concept.drifted:
            found.append(concept_in_words(self.concept))
        found += [group_in_words(item) for item in self.groups if item.worse]
        if self.calibration is not None and self.calibration.off:
            found.append(calibration_in_words(self.calibration))
        return found

    def _repr_html_(self) -> str:
        lines = [f"{self.window.rows:,} rows, {self.window.first or '–'} to {self.window.last or '–'}"]
        if self.performance is not None:
            p = self.performance
            lines.append(f"{p.metric} {p.value:.4g} ({p.low:.4g} to {p.high:.4g}), at training {p.reference:.4g}")
        rows = [
            [c.name, "yes" if c.drifted else "no", f"{c.effect:.3f}", f"{c.p_value:.2g}", c.text] for c in self.columns
        ]
        headers = ["column", "drifted", "effect", "p-value", "what"]
        return shown_table(f"{self.model} v{self.version}: {self.status}", lines, headers, rows)

    def as_json(self) -> dict[str, Any]:
        """Return what ``penstock monitor --json`` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        found["window"] = {"from": self.window.first, "to": self.window.last, "rows": self.window.rows}
        return found


def monitor(name: str, store: Store, how: Drift | None = None) -> Monitoring:
    """Compare the champion's latest predictions with the rows that it has learnt from.

    Parameters
    ----------
    name : str
        The pipeline.
    how : Drift, optional
        From :func:`penstock.monitor.drift`.

    Raises
    ------
    InputError
        When the pipeline has no champion.
    """
    how = how or Drift()
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    since = None if how.seconds is None else time.time() - how.seconds
    logged = read_log(log_folder(store.folder, name), since)
    hidden = dict(version.evaluation.get("deploy", {}).get("redact", {}))
    records = [record for record in logged.records if record.version == version.version and record.row is not None]
    if since is not None:
        records = [record for record in records if record.at >= since]
    if how.rows is not None:
        records = records[-how.rows :]
    window = Window(_moment(records[0].at), _moment(records[-1].at), len(records)) if records else Window(None, None, 0)
    known = known_answers(model, records, logged)
    performance = None if known is None else performance_of(model, version, known)
    judged = _judged(store, version)
    bearing: dict[str, float] = {}
    columns: list[ColumnDrift] = []
    groups: list[Group] = []
    enough = len(records) >= how.least
    if enough:
        table = model.prepare(model.frame_of([record.row or {} for record in records]))
        columns = compare_columns(model.manifest.profile, _carried(model, records, table, hidden), how)
        bearing = _bearing(model, table, [column.name for column in columns if column.drifted])
        if known is not None and performance is not None and judged is not None and table.height == len(records):
            slices = judged["evaluation"]["slices"]
            groups = groups_of(model, table, known, performance.metric, slices, how.significance)
    calibration = None
    if known is not None and judged is not None:
        target, predicted = judged["outcomes"]["target"], judged["outcomes"]["predicted"]
        calibration = calibration_of(model, known, target, predicted, how.significance, how.effect)
    estimate = _estimate(model, str(version.evaluation["metric"]), records) if enough else None
    concept = _concept(store, name, version, how, judged)
    status = "calm" if enough else "not enough data"
    found = Monitoring(
        name, version.version, window, status, columns, performance, estimate, bearing, concept, groups, calibration
    )
    if found.worse or any(column.drifted for column in columns):
        found = replace(found, status="drift")
        _alert(store, found)
    return found


def _judged(store: Store, version: ModelVersion) -> Any:
    """Return what the run of a version judged it by; None when that was cleaned away."""
    try:
        made = artifact_of(store, past_run(store, version.run), "evaluated")
        return None if made is None else execute.load(store, made)
    except PenstockError:
        return None


def _concept(store: Store, name: str, version: ModelVersion, how: Drift, judged: Any) -> Concept | None:
    """Watch the losses of a champion's answers against those of the rows it was judged on.

    A version that answers again, after a rollback, is watched anew: a person decided so, knowing what was seen before.
    """
    took = (
        item.at for item in Registry(store, name).history() if (item.alias, item.version) == (CHAMPION, version.version)
    )
    begun = max(next(took, version.created), time.time() - _CONCEPT_SECONDS)
    known = losses_since(store, name, begun).get(version.version, [])[-_CONCEPT_LABELS:]
    if len(known) < LEAST_LABELS or judged is None:
        return None
    outcomes = judged["outcomes"]
    reference = losses_of(outcomes["target"], outcomes["predicted"])
    # Of columns a move is only a hint; losses are what all is about, and half of it matters.
    concept = LossWatch(reference, how.significance, how.effect / 2).tell(loss for _, loss in known)
    return concept if concept.since is None else replace(concept, at=_moment(known[concept.since][0]))


def _estimate(model: Model, metric: str, records: list[Record]) -> float | None:
    if model.task == "regression" or not records:
        return None
    names = model.labels.names
    shares = np.array([[(record.probabilities or {}).get(name, 0.0) for name in names] for record in records])
    return estimated(metric, shares, model.labels.threshold)


def concept_in_words(concept: Concept) -> str:
    """Say since when the losses have grown.

    Examples
    --------
    >>> concept_in_words(Concept(900, 5400.0, 0.21, 500, True, "2026-01-05T10:00:00.000Z"))
    'losses have grown since 2026-01-05T10:00: effect 0.21 over 400 answers, the odds 5,400 to 1'
    """
    answers = concept.labels - (concept.since or 0)
    return (
        f"losses have grown since {(concept.at or '')[:16]}: effect {concept.effect:.2f} over {answers:,} answers, "
        f"the odds {concept.capital:,.0f} to 1"
    )


_BORNE, _BEARING_ROWS = 12, 2_000


def _bearing(model: Model, table: pl.DataFrame, drifted: list[str]) -> dict[str, float]:
    """Ask what would be answered if a column had not moved: its values drawn from training rows, all others as they are."""
    try:
        background = model.background
    except PenstockError:
        return {}
    encoding = model.manifest.encoding
    blocks, random = dict(encoding.blocks()), np.random.default_rng(0)
    matrix = encoding.matrix(table[:: max(1, table.height // _BEARING_ROWS)])
    answers, found = np.asarray(model.predictor.predict(matrix)), {}
    for name in [item for item in drifted if item in blocks][:_BORNE]:
        moved = matrix.copy()
        moved[:, blocks[name]] = background[random.integers(0, len(background), len(matrix))][:, blocks[name]]
        found[name] = float(np.abs(np.asarray(model.predictor.predict(moved)) - answers).mean())
    return found


def _carried(model: Model, records: list[Record], table: pl.DataFrame, hidden: dict[str, str]) -> pl.DataFrame:
    """Leave out what no request carried though it might, and what the log does not hold."""
    optional = {column.name for column in model.inputs if not column.required} | hidden.keys()
    absent = [*hidden] + [name for name in optional if not any(name in (record.row or {}) for record in records)]
    return table.drop(list(dict.fromkeys(absent)), strict=False)


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _alert(store: Store, found: Monitoring) -> None:
    """Keep an alert, unless the latest one of this version says the same."""
    names = [column.name for column in found.columns if column.drifted]
    text = json.dumps({"version": found.version, "columns": names, "decayed": found.worse}, ensure_ascii=False)
    with store.catalog.begin() as connection:
        question = (
            sa.select(alerts.c.verdict).where(alerts.c.pipeline == found.model).order_by(alerts.c.id.desc()).limit(1)
        )
        if connection.execute(question).scalar() != text:
            row = {
                "pipeline": found.model,
                "version": found.version,
                "at": time.time(),
                "status": found.status,
                "verdict": text,
            }
            connection.execute(alerts.insert(), row)


_WINDOWS = 30


@dataclass(frozen=True)
class Moment:
    """One part of the time that a champion has answered.

    Attributes
    ----------
    at : str
        When it ends, in UTC.
    rows : int
        How many were asked.
    effect : float or None
        The largest of all columns.
    drifted : bool
        Whether a column had drifted.
    value, estimate : float or None
        The deciding metric where labels came, and as the probabilities expect it.
    """

    at: str
    rows: int
    effect: float | None
    value: float | None
    estimate: float | None
    drifted: bool


def history(name: str, store: Store, how: Drift | None = None) -> tuple[list[Moment], str]:
    """Cut what the champion was asked into at most thirty parts of equal size; return them and the name of the metric."""
    how = how or Drift()
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    logged = read_log(log_folder(store.folder, name))
    hidden = dict(version.evaluation.get("deploy", {}).get("redact", {}))
    records = [record for record in logged.records if record.version == version.version and record.row is not None]
    metric = str(version.evaluation["metric"])
    count = min(_WINDOWS, len(records) // how.least)
    found = []
    for part in np.array_split(np.arange(len(records)), count) if count else []:
        some = [records[at] for at in part.tolist()]
        table = _carried(model, some, model.prepare(model.frame_of([record.row or {} for record in some])), hidden)
        columns = compare_columns(model.manifest.profile, table, how)
        known = known_answers(model, some, logged)
        seen = None if known is None else performance_of(model, version, known)
        effect = max((column.effect for column in columns), default=None)
        value = None if seen is None else seen.value
        found.append(
            Moment(
                _moment(some[-1].at)[:16],
                len(some),
                effect,
                value,
                _estimate(model, metric, some),
                any(c.drifted for c in columns),
            )
        )
    return found, metric


def report(name: str, store: Store, how: Drift | None = None, found: Monitoring | None = None) -> str:
    """Write the drift report of a champion: what it was asked lately, and how it went since it answers.

    Parameters
    ----------
    found : Monitoring, optional
        What :func:`monitor` said, where it was asked already.
    """
    how = how or Drift()
    found = found or monitor(name, store, how)
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    logged = read_log(log_folder(store.folder, name))
    records = [record for record in logged.records if record.version == version.version and record.row is not None]
    records = records[-found.window.rows :] if found.window.rows else []
    reference, current = model.manifest.profile, Profile([])
    if found.columns:
        table = model.prepare(model.frame_of([record.row or {} for record in records]))
        kinds = {column.name: column.kind for column in reference.columns}
        current = Profile([column_profile(table[item.name], kinds[item.name]) for item in found.columns])
    moments, metric = history(name, store, how)
    changes = [change for change in Registry(store, name).history() if change.alias == CHAMPION and change.version]
    decided = decisions_of(store, name)[:50]
    marks = [(_moment(item.at)[:16], f"v{item.version}") for item in changes]
    marks += [(_moment(item.at)[:16], item.what) for item in decided if item.what in ("alarm", "calm", "rollback")]
    names = [moment.at for moment in moments]
    places = [
        (next(at for at, when in enumerate(names) if when >= mark), text)
        for mark, text in marks
        if names and mark <= names[-1]
    ]
    drawn = []
    if moments:
        effects = [moment.effect for moment in moments]
        drawn.append(
            (
                "The largest difference of a column",
                timeline(
                    effects, names, how.effect, places, "largest effect by time", [moment.drifted for moment in moments]
                ),
            )
        )
        for title, values in (
            (f"{metric}, where labels came", [moment.value for moment in moments]),
            (f"{metric}, as the probabilities expect it", [moment.estimate for moment in moments]),
        ):
            if any(value is not None for value in values):
                drawn.append((title, timeline(values, names, None, places, title)))
    reasons = [f"{item.name}: {item.text}, effect {item.effect:.2f}" for item in found.columns if item.drifted]
    reasons += found.labels_in_words()
    if found.performance is not None and not found.performance.decayed:
        seen = found.performance
        reasons.append(
            f"{seen.metric} {seen.value:.4g} ({seen.low:.4g} to {seen.high:.4g}) on {seen.labels:,} labels, at training {seen.reference:.4g}: holds"
        )
    lead = f"v{found.version}, {found.window.rows:,} rows, {found.window.first or '–'} to {found.window.last or '–'}."
    told = [(_moment(item.at)[:16], item.what, item.status, item.why) for item in decided]
    return drift_report(
        f"{name}: drift", lead, found.status, reasons, found.columns, reference, current, drawn, told, found.bearing
    )
