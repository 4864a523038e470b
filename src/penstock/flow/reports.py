"""What a run tells of its model: the report and the model card."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from penstock.engine.step import LazyPartitions, Partitions
from penstock.evaluate.curve import Curve
from penstock.evaluate.gates import Verdict
from penstock.evaluate.measure import Evaluation
from penstock.evaluate.report import ReportData
from penstock.flow.sides import division_of
from penstock.flow.tables import facts_of, other_facts
from penstock.model import Model
from penstock.prepare.operations import Note
from penstock.prepare.validation import Finding
from penstock.store.formats import Bundle
from penstock.types.convert import convert
from penstock.types.table import Table

Parts = LazyPartitions[Any]
_RARE = 0.1
"""Of the training rows: classes with fewer are spoken of."""


def report(**inputs: Any) -> bytes:
    """Write the report: one HTML file that needs nothing else."""
    from penstock.evaluate.report import write_report

    return write_report(_told(**inputs))


def card(**inputs: Any) -> bytes:
    """Write the model card: Markdown, to keep beside the code."""
    from penstock.evaluate.card import write_card

    return write_card(_told(**inputs))


def _rare(model: Model, featured: Parts, divided: Partitions[Any]) -> list[Note]:
    """Tell of a class with few training rows what was done about it."""
    if model.task == "regression":
        return []
    counts = np.zeros(len(model.labels.names), np.int64)
    for part in Table(featured).chosen(divided["kept"] & ~divided["test"]).column(model.labels.column):
        counts += np.bincount(model.labels.codes(part).astype(np.int64), minlength=len(counts))
    rarest = int(counts.argmin())
    if counts[rarest] > _RARE * counts.sum():
        return []
    text = (
        f"{model.labels.names[rarest]} is rare: {counts[rarest] / counts.sum():.2%} of the training rows; rows are not "
        "reweighted, so that probabilities mean what they say; where yes is answered, costs or a threshold decide"
    )
    return [Note("train", model.labels.column, int(counts[rarest]), text)]


def _judged(rows: int, of: int) -> list[Note]:
    """Tell of test rows that are so many that some of them judge."""
    return [Note("evaluate", None, rows, f"judge the model, evenly spaced among {of:,} test rows")] if rows < of else []


def _told(
    prepared: Parts,
    inferred: Parts,
    featured: Parts,
    divided: Partitions[Any],
    trained: Bundle,
    evaluated: Partitions[Any],
    gated: Any,
    checked: list[Any],
    trials: Any = None,
    curve: Any = None,
    refit: bool = False,
    **others: Parts,
) -> ReportData:
    """Gather what report and card tell."""
    model = Model(trained)
    verdict = convert(gated, Verdict)
    facts = facts_of(inferred, prepared)
    outcomes = evaluated["outcomes"]
    raw = {name for name, _ in facts.raw}
    notes = [
        *(
            Note("ingest", f"{item.table}: {item.column or 'rows'}", item.count, f"unlike the schema: {item.text}")
            for item in (convert(entry, Finding) for entry in checked)
        ),
        *facts.notes,
        *(
            Note(note.stage, f"{name}: {note.column or 'rows'}", note.count, note.text)
            for name in (item.removeprefix("prepared_") for item in others if item.startswith("prepared_"))
            for note in other_facts(name, others).notes
        ),
        *(Note("features", name, 0, f"left out: {why}") for name, why in model.manifest.encoding.ignored),
        *_rare(model, featured, divided),
        *_judged(convert(evaluated["evaluation"], Evaluation).rows, division_of(divided).test),
    ]
    return ReportData(
        pipeline=model.manifest.pipeline,
        task=model.task,
        target=model.labels.column,
        classes=model.labels.names,
        rows_in=facts.rows_in,
        rows_out=facts.rows_out,
        without_target=int((~divided["kept"]).sum()) - division_of(divided).left_out,
        columns=[*facts.raw, *((item, "made") for item in model.manifest.encoding.columns() if item not in raw)],
        kinds=model.manifest.encoding.kinds(),
        notes=[(note.stage, note.column or "", note.count, note.text) for note in notes],
        division=division_of(divided).text,
        n_train=division_of(divided).train,
        n_test=division_of(divided).test,
        learner=model.manifest.learner["kind"],
        search=trials,
        evaluation=msgspec.to_builtins(convert(evaluated["evaluation"], Evaluation)),
        passed=verdict.passed,
        reasons=list(verdict.reasons),
        champion=verdict.champion,
        codes=outcomes["target"],
        predicted=outcomes["predicted"],
        threshold=model.labels.threshold,
        curve=None if curve is None else convert(curve, Curve),
        refit=refit,
    )
