"""How a champion has fared since it answers: its time in parts, and the drift report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penstock.deploy.registry import CHAMPION, Registry
from penstock.monitor.decisions import decisions_of
from penstock.monitor.drawings import timeline
from penstock.monitor.log import log_folder
from penstock.monitor.options import Drift
from penstock.monitor.profile import Profile, column_profile
from penstock.monitor.report import drift_report
from penstock.monitor.window import take
from penstock.outcome import load
from penstock.performance import known_answers, performance_of
from penstock.store.store import Store
from penstock.types.writing import figure
from penstock.unlabelled import estimate_of, moved_since, skew_in_words
from penstock.watch import Monitoring, carried_columns, judged_by, moment, monitor, taken_of

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
        The deciding metric where labels came, and as it is expected without them.
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
    taken = take(log_folder(store.folder, name), version.version)
    hidden = dict(version.evaluation.get("deploy", {}).get("redact", {}))
    records = [record for record in taken.records if record.row is not None]
    metric = str(version.evaluation["metric"])
    count = min(_WINDOWS, len(records) // how.least)
    judged = judged_by(store, version) if count else None
    losses = {} if judged is None or "losses" not in judged else judged["losses"]
    found = []
    for part in np.array_split(np.arange(len(records)), count) if count else []:
        some = [records[at] for at in part.tolist()]
        whole = model.prepare(model.frame_of([record.row or {} for record in some]))
        columns = moved_since(model, carried_columns(model, some, whole, hidden), how)
        known = known_answers(model, some, taken.labels)
        seen = None if known is None else performance_of(model, version, known)
        effect = max((column.effect for column in columns), default=None)
        value = None if seen is None else seen.value
        found.append(
            Moment(
                moment(some[-1].at)[:16],
                round(len(some) * taken.rows / len(records)),
                effect,
                value,
                estimate_of(model, metric, some, None if hidden else whole, losses),
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
    reference, current = model.manifest.profile, Profile([])
    if found.columns:
        records = taken_of(store, name, version.version, how).records
        table = model.prepare(model.frame_of([record.row for record in records if record.row is not None]))
        kinds = {column.name: column.kind for column in reference.columns}
        current = Profile([column_profile(table[item.name], kinds[item.name]) for item in found.columns])
    moments, metric = history(name, store, how)
    changes = [change for change in Registry(store, name).history() if change.alias == CHAMPION and change.version]
    decided = decisions_of(store, name)[:50]
    marks = [(moment(item.at)[:16], f"v{item.version}") for item in changes]
    marks += [(moment(item.at)[:16], item.what) for item in decided if item.what in ("alarm", "calm", "rollback")]
    names = [part.at for part in moments]
    places = [
        (next(at for at, when in enumerate(names) if when >= mark), text)
        for mark, text in marks
        if names and mark <= names[-1]
    ]
    drawn = []
    if moments:
        effects = [part.effect for part in moments]
        drawn.append(
            (
                "The largest difference of a column",
                timeline(
                    effects, names, how.effect, places, "largest effect by time", [part.drifted for part in moments]
                ),
            )
        )
        for title, values in (
            (f"{metric}, where labels came", [part.value for part in moments]),
            (f"{metric}, as it is expected without labels", [part.estimate for part in moments]),
        ):
            if any(value is not None for value in values):
                drawn.append((title, timeline(values, names, None, places, title)))
    reasons = [f"{item.name}: {item.text}, effect {item.effect:.2f}" for item in found.columns if item.drifted]
    reasons += found.moves_in_words() + found.labels_in_words()
    if found.skew is not None and found.skew.unlike:
        reasons.append(skew_in_words(found.skew))
    if found.performance is not None and not found.performance.decayed:
        seen = found.performance
        reasons.append(
            f"{seen.metric} {figure(seen.value)} ({figure(seen.low)} to {figure(seen.high)}) on {seen.labels:,} labels, at training {figure(seen.reference)}: holds"
        )
    lead = f"v{found.version}, {found.window.text}, {found.window.first or '–'} to {found.window.last or '–'}."
    told = [(moment(item.at)[:16], item.what, item.status, item.why) for item in decided]
    return drift_report(
        f"{name}: drift", lead, found.status, reasons, found.columns, reference, current, drawn, told, found.bearing
    )
