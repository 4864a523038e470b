"""Looking at what a champion was asked and answered: drift of columns, decay of its metric, alerts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.deploy.rollout import canary_spans
from penstock.engine import execute
from penstock.engine.history import artifact_of, past_run
from penstock.errors import PenstockError
from penstock.model import Model
from penstock.monitor.concept import Concept, LossWatch
from penstock.monitor.log import Record, log_folder
from penstock.monitor.looks import latest_look
from penstock.monitor.options import Drift
from penstock.monitor.window import Taken, take, times_of
from penstock.monitored import Monitoring, Window, moment
from penstock.observed import LEAST_LABELS, Observed, from_batch, from_log, read_rows
from penstock.outcome import load
from penstock.performance import Group, calibration_of, groups_of, performance_of
from penstock.sliced import Within, moved_within
from penstock.store.schema import alerts
from penstock.store.store import Store, opened
from penstock.traffic import losses_of, losses_since
from penstock.unlabelled import (
    answers_since,
    bearing_of,
    behind_of,
    expecting,
    moved_since,
    skew_of,
    told_apart,
    usual_for,
    usual_in_groups_for,
)

_CONCEPT_SECONDS, _CONCEPT_LABELS = 30 * 86_400.0, 50_000
"""Losses are watched since the version became champion, but for those longer ago than this, or before the latest so many."""


def health(
    name: str,
    data: Any = None,
    *,
    events: Mapping[str, Any] = {},
    how: Drift | None = None,
    store: Store | str | Path | None = None,
) -> Monitoring:
    """Say whether a pipeline's champion is still asked what it has learnt, and still right.

    Parameters
    ----------
    name : str
        The pipeline.
    data : DataFrame, str or Path, optional
        Raw rows to look at, such as those of a batch: a table, a file or a pattern of files. The champion answers them for
        that; their target column, where there is one, is the truth. The latest predictions of its services when left out.
    events : mapping of str to DataFrame, str or Path, optional
        By table, raw rows that have come since the model was made, for features that look at other tables.
    how : Drift, optional
        From :func:`penstock.monitor.drift`.
    store : Store or path, optional
        ``PENSTOCK_STORE``, else ``.penstock/`` in the working folder, when left out.

    Raises
    ------
    InputError, DataError
        When the pipeline has no champion, or the rows cannot be read or do not fit it.

    Examples
    --------
    >>> import tempfile
    >>> health("churn", store=tempfile.mkdtemp())  # of a pipeline that has a champion: its columns, metric and verdict
    Traceback (most recent call last):
    penstock.errors.InputError: there is no model churn; pipelines with models: none. Make one with: penstock run
    """
    where = opened(store)
    if data is None:
        return monitor(name, where, how)
    model = load(name, store=where)
    past = {table: read_rows(source, model.form(table)) for table, source in events.items()}
    return monitor(name, where, how, from_batch(model, read_rows(data, model.form()), past))


def monitor(
    name: str, store: Store, how: Drift | None = None, batch: Observed | None = None, until: float | None = None
) -> Monitoring:
    """Look at a champion as :func:`health` does, and keep an alarm about its services.

    Parameters
    ----------
    batch : Observed, optional
        What the champion makes of rows that no service was asked, to look at in place of its latest predictions.
    until : float, optional
        The moment at which the window ends, in seconds since 1970; now when left out.
    """
    how = how or Drift()
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    seen = batch
    if seen is None:
        taken = taken_of(store, name, version.version, how, until)
        seen = from_log(model, answered(taken), taken.labels, taken.rows, hidden_of(version))
    judged = judged_by(store, version)
    losses = _losses_since(store, version) if batch is None else _losses_of(seen)
    found = replace(_judged(model, version, judged, seen, how), concept=_concept(losses, how, judged))
    if found.worse or found.moved:
        found = replace(found, status="drift")
        if batch is None:
            _alert(store, found)
    return found


def _judged(model: Model, version: ModelVersion, judged: Any, seen: Observed, how: Drift) -> Monitoring:
    """Ask all that needs no more than the rows that were observed."""
    known = seen.known
    outcomes = None if judged is None else judged["outcomes"]
    performance = None if known is None else performance_of(model, version, known, outcomes)
    calibration = None
    if known is not None and outcomes is not None:
        calibration = calibration_of(model, known, outcomes, how.significance, how.effect)
    first, last = (None, None) if seen.span is None else map(moment, seen.span)
    window = Window(first, last, seen.rows, len(seen.predicted))
    found = Monitoring(
        model.name,
        version.version,
        window,
        "calm",
        [],
        performance,
        calibration=calibration,
        strange=seen.strange,
        behind=behind_of(model, judged, seen),
        ahead=list(seen.ahead),
    )
    if len(seen.predicted) < how.least:
        return replace(found, status="not enough data")
    carried, table = seen.carried, seen.table
    each = replace(how, significance=how.significance / 4)  # columns, answers, rows as wholes, groups
    usual = usual_for(model, judged, seen)
    columns = moved_since(model, carried, each, usual)
    moved = [column.name for column in columns if column.drifted]
    within: list[Within] = []
    groups: list[Group] = []
    if judged is not None and "learnt" in judged["outcomes"]:
        in_groups = usual_in_groups_for(model, judged, seen)
        within = moved_within(model, carried, judged["evaluation"], judged["outcomes"], each, moved, usual, in_groups)
    if known is not None and performance is not None and judged is not None and table.height == len(seen.target):
        slices = judged["evaluation"]["slices"]
        groups = groups_of(model, table, known, performance.metric, slices, how.significance)
    return replace(
        found, columns=columns, within=within, groups=groups,
        answers=answers_since(model, seen.predicted, outcomes, each, usual),
        together=told_apart(model, table, carried.columns, outcomes, each, usual),
        skew=skew_of(model, seen.records) if seen.records and not seen.hidden else None,
        bearing=bearing_of(model, table, moved),
        estimate=expecting(model, str(version.evaluation["metric"]), judged)(seen.predicted, None if seen.hidden else table),
    )  # fmt: skip


def answered(taken: Taken) -> list[Record]:
    """Leave out answers whose rows the log does not hold."""
    return [record for record in taken.records if record.row is not None]


def hidden_of(version: ModelVersion) -> dict[str, str]:
    """Return the columns that the log drops or hashes, and which."""
    return dict(version.evaluation.get("deploy", {}).get("redact", {}))


def taken_of(store: Store, name: str, version: int, how: Drift, until: float | None = None) -> Taken:
    """Read the window of a version's answers; it ends now, or at a moment."""
    since = None if how.seconds is None else (until or time.time()) - how.seconds
    without = canary_spans(store, name, version)
    if until is not None:
        without.append((math.nextafter(until, math.inf), math.inf))
    return take(log_folder(store.folder, name), version, since, how.rows, without=without)


def latest_of(store: Store, version: ModelVersion, how: Drift) -> float | None:
    """Return when the answers of a version were due to be looked at last; None while there are too few."""
    without = canary_spans(store, version.name, version.version)
    times = times_of(log_folder(store.folder, version.name), version.version, version.created, without)
    return latest_look(times, how.least, how.seconds, how.rows)


def judged_by(store: Store, version: ModelVersion) -> Any:
    """Return what the run of a version judged it by; None when that was cleaned away."""
    try:
        made = artifact_of(store, past_run(store, version.run), "evaluated")
        return None if made is None else execute.load(store, made)
    except PenstockError:
        return None


def _concept(losses: Sequence[tuple[float, float]], how: Drift, judged: Any) -> Concept | None:
    """Watch losses, in order of time, against those of the rows that the version was judged on."""
    if len(losses) < LEAST_LABELS or judged is None:
        return None
    outcomes = judged["outcomes"]
    reference = losses_of(outcomes["target"], outcomes["predicted"])
    if "order" in outcomes:
        reference = reference[np.asarray(outcomes["order"])]
    # Of columns a move is only a hint; losses are what all is about, and half of it matters.
    concept = LossWatch(reference, how.significance, how.effect / 2).tell(loss for _, loss in losses)
    return concept if concept.since is None else replace(concept, at=moment(losses[concept.since][0]))


def _losses_of(seen: Observed) -> list[tuple[float, float]]:
    """Return when rows were, and their losses; none where nothing tells the order."""
    known = seen.known
    if known is None or seen.times is None:
        return []
    losses, times = losses_of(known.target, known.predicted), seen.times[known.rows]
    return [(at, loss) for at, loss in zip(times.tolist(), losses.tolist(), strict=True) if at == at]


def _losses_since(store: Store, version: ModelVersion) -> list[tuple[float, float]]:
    """Return when a version answered, and the losses, since it became champion.

    One that answers again, after a rollback, is watched anew: a person decided so, knowing what was seen before.
    """
    name = version.name
    took = (
        item.at for item in Registry(store, name).history() if (item.alias, item.version) == (CHAMPION, version.version)
    )
    begun = max(next(took, version.created), time.time() - _CONCEPT_SECONDS)
    return losses_since(store, name, begun).get(version.version, [])[-_CONCEPT_LABELS:]


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
