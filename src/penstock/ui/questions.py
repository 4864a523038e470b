"""What the pages ask of the catalog; statements grow with the pipelines, never with the runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from penstock.deploy.registry import CHAMPION
from penstock.engine.history import PastRun, past_runs
from penstock.monitor.decisions import Decision, decisions_of
from penstock.store.schema import artifacts, decisions, deployments, lineage, notes, runs, steps
from penstock.store.store import Store

_TREND = 30
PAGE = 50
"""Runs on one page."""
_FOUND = 20


@dataclass(frozen=True)
class Health:
    """One pipeline at a glance.

    Attributes
    ----------
    name : str
        The pipeline.
    runs : int
        How many were recorded.
    latest : PastRun
        The run that began last.
    trend : list of float
        The deciding metric of the latest runs that have one, the oldest first.
    champion : int or None
        The version that answers.
    alarm : Decision or None
        The latest alarm, unless calm came after it.
    waiting : int
        Decisions that wait for a person.
    """

    name: str
    runs: int
    latest: PastRun
    trend: list[float]
    champion: int | None
    alarm: Decision | None
    waiting: int

    @property
    def health(self) -> str:
        """One word: ``asks``, ``alarm``, ``failed``, ``running``, ``refused`` (by the gate) or ``well``."""
        if self.waiting:
            return "asks"
        if self.alarm is not None:
            return "alarm"
        if self.latest.status in ("failed", "running", "cancelled"):
            return self.latest.status
        return "well" if self.latest.summary.get("gate", {}).get("passed", True) else "refused"


def pipelines(store: Store) -> list[Health]:
    """Return every pipeline that was run, the latest first."""
    counts = sa.select(runs.c.pipeline, sa.func.count(), sa.func.max(runs.c.started)).group_by(runs.c.pipeline)
    # A champion is pointed at by the latest row of its alias.
    last = (
        sa.select(sa.func.max(deployments.c.id)).where(deployments.c.alias == CHAMPION).group_by(deployments.c.pipeline)
    )
    with store.catalog.read() as connection:
        counted = sorted(connection.execute(counts), key=lambda row: -row[2])
        pointed = connection.execute(
            sa.select(deployments.c.pipeline, deployments.c.version).where(deployments.c.id.in_(last))
        )
        champions = {row.pipeline: row.version for row in pointed}
    found = []
    for name, count, _ in counted:
        said = decisions_of(store, name)
        sign = next((item for item in said if item.what in ("alarm", "calm")), None)
        found.append(
            Health(
                name, count, past_runs(store, name, 1)[0], _trend(store, name),
                champions.get(name), sign if sign is not None and sign.what == "alarm" else None,
                sum(item.status == "asked" for item in said),
            )
        )  # fmt: skip
    return found


def _trend(store: Store, name: str) -> list[float]:
    """Return the deciding metric of the latest runs; of their rows the summary alone is read, which is small."""
    question = sa.select(runs.c.summary).where(runs.c.pipeline == name).order_by(runs.c.started.desc()).limit(_TREND)
    with store.catalog.read() as connection:
        texts = connection.execute(question).scalars().all()
    found = [json.loads(text) for text in texts if text]
    return [float(item["metrics"][item["metric"]]["value"]) for item in reversed(found) if item.get("metric")]


def runs_page(
    store: Store, pipeline: str | None = None, status: str | None = None, page: int = 1
) -> tuple[list[PastRun], bool]:
    """Return one page of runs, the latest first, and whether older ones follow."""
    where = [runs.c.status == status] if status else []
    found = past_runs(store, pipeline, PAGE + 1, offset=PAGE * (page - 1), where=where)
    return found[:PAGE], len(found) > PAGE


@dataclass(frozen=True)
class Drawn:
    """A run's steps without their parts, and which of them feeds which."""

    steps: list[dict[str, Any]]
    parts: dict[str, list[dict[str, Any]]]
    edges: list[tuple[str, str]]


def graph_of(store: Store, run: PastRun) -> Drawn:
    """Return the graph of a run, as its artifacts' lineage tells it.

    A step that was neither cached nor run has no lineage yet and stands alone.
    """
    whole = [item for item in run.steps if "[" not in item["name"]]
    parts: dict[str, list[dict[str, Any]]] = {}
    for item in run.steps:
        if "[" in item["name"]:
            parts.setdefault(item["name"].split("[", 1)[0], []).append(item)
    keys = {item["key"]: item["name"] for item in whole if item["key"]}
    made: dict[str, list[dict[str, Any]]] = {}
    for item in whole:
        if item["digest"]:
            made.setdefault(item["digest"], []).append(item)
    edges = []
    with store.catalog.read() as connection:
        question = sa.select(lineage).where(lineage.c.key.in_(list(keys)))
        used = connection.execute(question).all()
    positions = {item["name"]: item["position"] for item in whole}
    for row in used:
        to = keys[row.key]
        # Two steps may have made the same bytes: the one whose name is asked for, else the nearest one before.
        before = [item for item in made.get(row.digest, []) if item["position"] < positions[to]]
        named = [item for item in before if item["name"] == row.input]
        if before:
            edges.append(((named or before)[-1]["name"], to))
    return Drawn(whole, parts, sorted(set(edges)))


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    pipelines: list[str] = field(default_factory=list)
    runs: list[PastRun] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


def search(store: Store, text: str) -> Found:
    """Find pipelines by part of the name, runs by the beginning of the id or commit, by
    person, tag or note, steps by part of the name.
    """
    text = text.strip()
    if not text:
        return Found()
    named = sa.select(runs.c.pipeline).where(runs.c.pipeline.icontains(text, autoescape=True)).distinct().limit(_FOUND)
    where = [
        sa.or_(
            runs.c.id.startswith(text, autoescape=True), runs.c.git_commit.startswith(text, autoescape=True), runs.c.user == text,
            runs.c.summary.icontains(text, autoescape=True),
            runs.c.id.in_(sa.select(notes.c.run).where(sa.or_(notes.c.tag == text, notes.c.text.icontains(text, autoescape=True)))),
        )
    ]  # fmt: skip
    within = (
        sa.select(sa.func.max(runs.c.started), runs.c.pipeline, steps.c.name)
        .join(runs, runs.c.id == steps.c.run)
        .where(steps.c.name.icontains(text, autoescape=True), ~steps.c.name.contains("["))
        .where(runs.c.id.in_(sa.select(runs.c.id).order_by(runs.c.started.desc()).limit(200)))
        .group_by(runs.c.pipeline, steps.c.name)
        .limit(_FOUND)
    )
    with store.catalog.read() as connection:
        names = list(connection.execute(named).scalars())
        inside = [(row[1], row[2]) for row in connection.execute(within)]
        told = (
            sa.select(decisions).where(decisions.c.why.icontains(text, autoescape=True)).order_by(decisions.c.id.desc())
        )
        said = [Decision(**row._mapping) for row in connection.execute(told.limit(_FOUND))]
    return Found(names, past_runs(store, limit=_FOUND, where=where), inside, said)


def parts_of(store: Store, key: str) -> dict[str, Any]:
    """Return the components of a fingerprint: what an artifact's bytes depend on."""
    with store.catalog.read() as connection:
        text = connection.execute(sa.select(artifacts.c.parts).where(artifacts.c.key == key)).scalar()
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def plain(value: object) -> str:
    """Write a value as JSON for people, within 20,000 characters."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= 20_000 else text[:20_000] + "\n…"
