"""Looking at what a champion was asked and answered: drift of columns, decay of its metric, alerts."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import polars as pl
import sqlalchemy as sa

from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.engine import execute
from penstock.engine.history import artifact_of, past_run
from penstock.errors import PenstockError
from penstock.model import Model
from penstock.monitor.compare import ColumnDrift
from penstock.monitor.concept import Concept, LossWatch
from penstock.monitor.log import Record, log_folder
from penstock.monitor.options import Drift
from penstock.monitor.window import Taken, take
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
from penstock.sliced import Within, moved_within, within_in_words
from penstock.store.schema import alerts
from penstock.store.store import Store
from penstock.traffic import losses_of, losses_since
from penstock.types.showing import shown_table
from penstock.types.writing import figure
from penstock.unlabelled import (
    Skew,
    Together,
    answers_since,
    bearing_of,
    estimate_of,
    moved_since,
    skew_of,
    together_in_words,
    told_apart,
)

_CONCEPT_SECONDS, _CONCEPT_LABELS = 30 * 86_400.0, 50_000
"""Losses are watched since the version became champion, but for those longer ago than this, or before the latest so many."""

_TOLD = 5
"""Of columns that moved within groups so many are told in words."""


@dataclass(frozen=True)
class Window:
    """Which predictions were looked at.

    Attributes
    ----------
    first, last : str or None
        When they were given, in UTC.
    rows : int
        How many there are.
    looked_at : int
        How many of them were looked at: of very many, some.
    """

    first: str | None
    last: str | None
    rows: int
    looked_at: int = 0

    @property
    def text(self) -> str:
        """How many rows, and of very many how many of them were looked at."""
        some = f", of which {self.looked_at:,} were looked at" if 0 < self.looked_at < self.rows else ""
        return f"{self.rows:,} rows{some}"


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
        What the deciding metric is expected to be without labels: by the probabilities, or by the errors that trees expect.
    bearing : dict of str to float
        By how much the move of each column that drifted moves an answer, on average.
    concept : Concept or None
        Whether losses have grown since training; None while labels are few, or when the run's outcomes are gone.
    groups : list of Group
        How the groups fare that the training's report names, the worst first; those with few labels are left out.
    calibration : Calibration or None
        Whether probabilities still hold; of classes.
    answers : ColumnDrift or None
        What was answered, compared with the answers to test rows and to rows learnt from.
    together : Together or None
        Whether rows as wholes are unlike those at training, which no column may show alone.
    skew : Skew or None
        Whether the log's answers are those that the way of training gives for the same rows.
    within : list of Within
        Columns that moved within a group of rows, though not in all together; the most first.
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
    answers: ColumnDrift | None = None
    together: Together | None = None
    skew: Skew | None = None
    within: list[Within] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether what was asked or answered is unlike what was learnt from."""
        answers = self.answers is not None and self.answers.drifted
        apart = self.together is not None and self.together.apart
        return answers or apart or bool(self.within) or any(column.drifted for column in self.columns)

    def moves_in_words(self) -> list[str]:
        """Say what moved, but for single columns."""
        found = []
        if self.answers is not None and self.answers.drifted:
            found.append(f"answers: {self.answers.text}, effect {self.answers.effect:.2f}")
        if self.together is not None and self.together.apart:
            found.append(together_in_words(self.together))
        found += [within_in_words(item) for item in self.within[:_TOLD]]
        if len(self.within) > _TOLD:
            found.append(f"and {len(self.within) - _TOLD:,} more columns of groups")
        return found

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
                f"{seen.metric} is {figure(seen.value)} ({figure(seen.low)} to {figure(seen.high)}), at training {figure(seen.reference)}"
            )
        if self.concept is not None and self.concept.drifted:
            found.append(concept_in_words(self.concept))
        found += [group_in_words(item) for item in self.groups if item.worse]
        if self.calibration is not None and self.calibration.off:
            found.append(calibration_in_words(self.calibration))
        return found

    def _repr_html_(self) -> str:
        lines = [f"{self.window.text}, {self.window.first or '–'} to {self.window.last or '–'}"]
        if self.performance is not None:
            p = self.performance
            lines.append(
                f"{p.metric} {figure(p.value)} ({figure(p.low)} to {figure(p.high)}), at training {figure(p.reference)}"
            )
        rows = [
            [c.name, "yes" if c.drifted else "no", f"{c.effect:.3f}", f"{c.p_value:.2g}", c.text] for c in self.columns
        ]
        headers = ["column", "drifted", "effect", "p-value", "what"]
        return shown_table(f"{self.model} v{self.version}: {self.status}", lines, headers, rows)

    def as_json(self) -> dict[str, Any]:
        """Return what ``penstock monitor --json`` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        found["window"] = {
            "from": self.window.first, "to": self.window.last, "rows": self.window.rows, "looked_at": self.window.looked_at,
        }  # fmt: skip
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
    taken = taken_of(store, name, version.version, how)
    hidden = dict(version.evaluation.get("deploy", {}).get("redact", {}))
    records = [record for record in taken.records if record.row is not None]
    window = Window(None, None, 0)
    if records:
        window = Window(moment(records[0].at), moment(records[-1].at), taken.rows, len(records))
    known = known_answers(model, records, taken.labels)
    performance = None if known is None else performance_of(model, version, known)
    judged = judged_by(store, version)
    bearing: dict[str, float] = {}
    columns: list[ColumnDrift] = []
    groups: list[Group] = []
    within: list[Within] = []
    answers = together = skew = table = None
    outcomes = None if judged is None else judged["outcomes"]
    losses = {} if judged is None or "losses" not in judged else judged["losses"]
    enough = len(records) >= how.least
    if enough:
        table = model.prepare(model.frame_of([record.row or {} for record in records]))
        carried = carried_columns(model, records, table, hidden)
        each = replace(how, significance=how.significance / 4)  # columns, answers, rows as wholes, groups
        columns = moved_since(model, carried, each)
        answers = answers_since(model, records, outcomes, each)
        together = told_apart(model, table, carried.columns, outcomes, each)
        skew = None if hidden else skew_of(model, records)
        bearing = bearing_of(model, table, [column.name for column in columns if column.drifted])
        if judged is not None and "learnt" in judged["outcomes"]:
            moved = [column.name for column in columns if column.drifted]
            within = moved_within(model, carried, judged["evaluation"], judged["outcomes"], each, moved)
        if known is not None and performance is not None and judged is not None and table.height == len(records):
            slices = judged["evaluation"]["slices"]
            groups = groups_of(model, table, known, performance.metric, slices, how.significance)
    calibration = None
    if known is not None and outcomes is not None:
        target, predicted = outcomes["target"], outcomes["predicted"]
        calibration = calibration_of(model, known, target, predicted, how.significance, how.effect)
    seen = None if hidden else table
    estimate = estimate_of(model, str(version.evaluation["metric"]), records, seen, losses) if enough else None
    concept = _concept(store, name, version, how, judged)
    status = "calm" if enough else "not enough data"
    found = Monitoring(
        name, version.version, window, status, columns, performance, estimate, bearing, concept, groups, calibration,
        answers, together, skew, within,
    )  # fmt: skip
    if found.worse or found.moved:
        found = replace(found, status="drift")
        _alert(store, found)
    return found


def taken_of(store: Store, name: str, version: int, how: Drift) -> Taken:
    """Read the window of a version's answers."""
    since = None if how.seconds is None else time.time() - how.seconds
    return take(log_folder(store.folder, name), version, since, how.rows)


def judged_by(store: Store, version: ModelVersion) -> Any:
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
    return concept if concept.since is None else replace(concept, at=moment(known[concept.since][0]))


def in_words(found: Monitoring) -> str:
    """Say what an alarm is about.

    Examples
    --------
    >>> in_words(Monitoring("churn", 3, Window(None, None, 500), "drift", [], None))
    'v3, 500 rows: drift'
    """
    moved = [f"{column.name} ({column.text}, effect {column.effect:.2f})" for column in found.columns if column.drifted]
    parts = []
    if moved:
        parts.append(f"{', '.join(moved[:5])}{' and more' if len(moved) > 5 else ''} moved")
    parts += found.moves_in_words() + found.labels_in_words()
    return f"v{found.version}, {found.window.text}: {'; '.join(parts) or found.status}"


def concept_in_words(concept: Concept) -> str:
    """Say since when the losses have grown.

    Examples
    --------
    >>> concept_in_words(Concept(900, 5400.0, 0.21, 500, True, "2026-01-05T10:00:00.000Z", 1.6))
    'losses have grown since 2026-01-05T10:00: 1.6 times as high, effect 0.21 over 400 answers, the odds 5,400 to 1'
    """
    answers = concept.labels - (concept.since or 0)
    return (
        f"losses have grown since {(concept.at or '')[:16]}: {concept.times:.2g} times as high, "
        f"effect {concept.effect:.2f} over {answers:,} answers, the odds {concept.capital:,.0f} to 1"
    )


def carried_columns(model: Model, records: list[Record], table: pl.DataFrame, hidden: dict[str, str]) -> pl.DataFrame:
    """Leave out what no request carried though it might, and what the log does not hold."""
    optional = {column.name for column in model.inputs if not column.required} | hidden.keys()
    absent = [*hidden] + [name for name in optional if not any(name in (record.row or {}) for record in records)]
    return table.drop(list(dict.fromkeys(absent)), strict=False)


def moment(at: float) -> str:
    """Write a time in UTC."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _alert(store: Store, found: Monitoring) -> None:
    """Keep an alert, unless the latest one of this version says the same."""
    names = [column.name for column in found.columns if column.drifted]
    names += ["answers"] * (found.answers is not None and found.answers.drifted)
    names += ["rows as wholes"] * (found.together is not None and found.together.apart)
    names += list(dict.fromkeys(f"{item.drift.name} where {item.by} is {item.group}" for item in found.within))
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
