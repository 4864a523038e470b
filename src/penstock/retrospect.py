"""How a champion has fared since it answers: its time in parts, and the drift report."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.deploy.rollout import canary_spans
from penstock.model import Model
from penstock.monitor.compare import profiled_as
from penstock.monitor.decisions import decisions_of
from penstock.monitor.drawings import timeline
from penstock.monitor.log import log_folder
from penstock.monitor.options import Drift
from penstock.monitor.profile import Profile
from penstock.monitor.report import drift_report
from penstock.monitor.window import take
from penstock.monitored import Monitoring, behind_in_words, moment
from penstock.observed import Observed, from_log, logged
from penstock.outcome import load
from penstock.performance import performance_in_words
from penstock.store.store import Store
from penstock.types.metrics import METRICS
from penstock.types.writing import figure
from penstock.unlabelled import expecting, moved_since, skew_in_words, usual_for
from penstock.watch import answered, hidden_of, judged_by, monitor, taken_of

_WINDOWS = 30


@dataclass(frozen=True)
class Moment:
    """One part of the time that a champion has answered.

    Attributes
    ----------
    at : str
        When it ends, in UTC; which part it is, where nothing tells when.
    rows : int
        How many were asked.
    effect : float or None
        The largest of all columns, beyond what is usual.
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


def history(
    name: str, store: Store, how: Drift | None = None, batch: Observed | None = None
) -> tuple[list[Moment], str]:
    """Cut what the champion was asked into at most thirty parts of equal size; return them and the name of the metric.

    Parameters
    ----------
    batch : Observed, optional
        What to look at in place of what its services were asked.
    """
    how = how or Drift()
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    metric = str(version.evaluation["metric"])
    score = METRICS[metric].at(model.labels.threshold).value
    judged = judged_by(store, version)
    expected = expecting(model, metric, judged)
    found: list[Moment] = []
    for number, seen in enumerate(_parts(store, version, model, how, batch), 1):
        columns = moved_since(model, seen.carried, how, usual_for(model, judged, seen))
        known = seen.known
        value = None if known is None else score(known.target, known.predicted)
        found.append(
            Moment(
                f"part {number}" if seen.span is None else moment(seen.span[1])[:16],
                seen.rows,
                max((column.excess for column in columns), default=None),
                None if value is None or math.isnan(value) else value,
                expected(seen.predicted, None if seen.hidden else seen.table),
                any(column.drifted for column in columns),
            )
        )
    return found, metric


def _parts(store: Store, version: ModelVersion, model: Model, how: Drift, batch: Observed | None) -> Iterator[Observed]:
    if batch is not None:
        for start, stop in _cut(len(batch.predicted), how.least):
            yield batch.part(start, stop)
        return
    taken = take(
        log_folder(store.folder, version.name),
        version.version,
        without=canary_spans(store, version.name, version.version),
    )
    records, hidden = answered(taken), hidden_of(version)
    for start, stop in _cut(len(records), how.least):
        rows = round(taken.rows * (stop - start) / len(records))
        yield from_log(model, records[start:stop], taken.labels, rows, hidden)


def _cut(rows: int, least: int) -> Iterator[tuple[int, int]]:
    """Yield where at most thirty parts of equal size begin and end, none smaller than `least`."""
    count = min(_WINDOWS, rows // least)
    ends = [round(at * rows / count) for at in range(count + 1)] if count else []
    yield from itertools.pairwise(ends)


def report(
    name: str, store: Store, how: Drift | None = None, found: Monitoring | None = None, batch: Observed | None = None
) -> str:
    """Write the drift report of a champion: what it was asked lately, and how it went since it answers.

    Parameters
    ----------
    found : Monitoring, optional
        What :func:`monitor` said, where it was asked already.
    batch : Observed, optional
        What to look at in place of what its services were asked.
    """
    how = how or Drift()
    found = found or monitor(name, store, how, batch)
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    reference, current = model.manifest.profile, Profile([])
    if found.columns:
        if batch is None:
            records = answered(taken_of(store, name, version.version, how))
            table = model.prepare(logged(model, records, hidden_of(version)))
        else:
            table = batch.table
        before = {column.name: column for column in reference.columns}
        current = Profile([profiled_as(before[item.name], table[item.name]) for item in found.columns])
    moments, metric = history(name, store, how, batch)
    decided, marks = [], []
    if batch is None:
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
        counts, alarms = (how.effect, f"counts from {figure(how.effect)}"), [part.drifted for part in moments]
        effects = timeline([part.effect for part in moments], names, counts, places, "largest effect by time", alarms)
        drawn.append(("The largest difference of a column, beyond what is usual", effects))
        value = version.evaluation["metrics"][metric]["value"]
        for title, values in (
            (f"{metric}, where labels came", [part.value for part in moments]),
            (f"{metric}, as it is expected without labels", [part.estimate for part in moments]),
        ):
            if any(item is not None for item in values):
                then = value, f"at training {figure(value)}"
                drawn.append((title, timeline(values, names, then, places, title)))
    reasons = [f"{item.name}: {item.in_words}" for item in found.columns if item.drifted]
    reasons += found.moves_in_words() + found.labels_in_words()
    if found.skew is not None and found.skew.unlike:
        reasons.append(skew_in_words(found.skew))
    if found.performance is not None and not found.performance.decayed:
        reasons.append(f"{performance_in_words(found.performance)}: holds")
    reasons += found.ahead
    age = "" if found.behind is None else f"; {behind_in_words(found.behind)}"
    lead = f"v{found.version}, {found.window.in_words}{age}."
    told = [(moment(item.at)[:16], item.what, item.status, item.why) for item in decided]
    return drift_report(
        f"{name}: drift", lead, found.status, reasons, found.columns, reference, current, drawn, told, found.bearing
    )
