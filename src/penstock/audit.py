"""Who did what: one list of runs, versions, changes of what answers, keys, decisions and notes, from the catalog's own tables.

Nothing is written twice for it, so that it can say nothing else than what is so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from penstock.store.schema import api_keys, decisions, deployments, models, notes, rollouts, runs
from penstock.store.store import Store


@dataclass(frozen=True)
class Act:
    """One thing that was done.

    Attributes
    ----------
    at : float
        Seconds since 1970.
    user : str
        Who did it; ``watcher`` for what no person did, empty where that is not kept.
    pipeline : str
        Of which it was done.
    what : str
        In a word: run, version, champion, challenger, canary, shadow, key, revoked, decision, note or tag.
    detail : str
        The rest, in words.
    run : str or None
        That it belongs to.
    """

    at: float
    user: str
    pipeline: str
    what: str
    detail: str
    run: str | None = None


def acts(store: Store, pipeline: str | None = None, limit: int = 100) -> list[Act]:
    """Return what was done, the latest first.

    Parameters
    ----------
    pipeline : str, optional
        Of this one alone.
    limit : int
        At most so many.
    """
    return heapq.nlargest(limit, _all(store, pipeline, limit), key=lambda act: act.at)


def _all(store: Store, pipeline: str | None, limit: int) -> Iterator[Act]:
    said = sa.select(notes, runs.c.pipeline).join(runs, runs.c.id == notes.c.run)
    revoked = sa.select(api_keys).where(api_keys.c.revoked.is_not(None))
    questions: list[tuple[Any, Any, Any]] = [
        (sa.select(runs), runs.c.started, lambda row: Act(row.started, row.user, row.pipeline, "run", f"{row.status}, on {row.host}", row.id)),
        (sa.select(models), models.c.created, lambda row: Act(row.created, row.user, row.pipeline, "version", f"v{row.version}", row.run)),
        (sa.select(deployments), deployments.c.at, lambda row: Act(row.at, row.user, row.pipeline, row.alias, f"{_version(row.version)}: {row.why}")),
        (sa.select(rollouts), rollouts.c.at, lambda row: Act(row.at, row.user, row.pipeline, row.kind, f"{_version(row.version)}, {row.share:.0%}: {row.why}")),
        (sa.select(api_keys), api_keys.c.created, lambda row: Act(row.created, row.user, row.pipeline, "key", f"{row.id} for {row.scope}")),
        (revoked, api_keys.c.revoked, lambda row: Act(row.revoked, "", row.pipeline, "revoked", f"key {row.id} for {row.scope}")),
        (sa.select(decisions), decisions.c.at, lambda row: Act(row.at, row.answered_by or "watcher", row.pipeline, "decision", f"{row.what}, {row.status}: {row.why}", row.run)),
        (said, notes.c.at, lambda row: Act(row.at, row.user, row.pipeline, "tag" if row.tag else "note", row.tag or row.text, row.run)),
    ]  # fmt: skip
    with store.catalog.read() as connection:
        for question, when, act in questions:
            table = runs if question is said else when.table
            if pipeline is not None:
                question = question.where(table.c.pipeline == pipeline)
            yield from map(act, connection.execute(question.order_by(when.desc()).limit(limit)))


def _version(number: int | None) -> str:
    return "none" if number is None else f"v{number}"
