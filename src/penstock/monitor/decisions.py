"""What a watcher decided, and why: rows of the catalog, each made once.

A decision has a cause, such as the alarm that it answers; a second one of the same cause is not made, so that a watcher
that was killed, or two of them, do nothing twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from penstock.errors import InputError
from penstock.store.catalog import whoami
from penstock.store.schema import decisions
from penstock.store.store import Store


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes
    ----------
    cause : str
        What it answers.
    what : str
        ``retrain``, ``promote``, ``canary``, ``rollback``; ``alarm``, ``calm``; ``wait``: nothing, for the reason given.
    status : str
        ``begun``, ``done``, ``failed``; ``asked``, ``approved``, ``rejected`` where a person decides.
    answered_by : str or None
        Who approved or rejected it.
    """

    id: int
    pipeline: str
    cause: str
    what: str
    status: str
    why: str
    version: int | None
    run: str | None
    at: float
    ended: float | None
    told: float | None
    answered_by: str | None = None


def decide(
    store: Store, name: str, cause: str, what: str, why: str, status: str = "done", version: int | None = None
) -> Decision | None:
    """Keep a decision; None when one of this cause was made before."""
    now = time.time()
    row = {
        "pipeline": name, "cause": cause, "what": what, "status": status, "why": why, "version": version, "run": None, "at": now,
        "ended": None if status in ("begun", "asked") else now, "told": None,
    }  # fmt: skip
    with store.catalog.begin() as connection:
        here = (decisions.c.pipeline == name) & (decisions.c.cause == cause)
        if connection.execute(sa.select(decisions.c.id).where(here)).first() is not None:
            return None
        store.catalog.insert_new(connection, decisions, [row])
        found = connection.execute(sa.select(decisions).where(here)).one()
    made = Decision(**found._mapping)
    # Another watcher may have been a moment faster: then the row is theirs.
    return made if made.at == now else None


def end(
    store: Store,
    decision: int,
    status: str,
    why: str | None = None,
    version: int | None = None,
    run: str | None = None,
    answered_by: str | None = None,
) -> None:
    """Write what came of a decision; it is told anew."""
    known = {"why": why, "version": version, "run": run, "answered_by": answered_by}
    values = {"status": status, "ended": time.time(), "told": None}
    values |= {name: value for name, value in known.items() if value is not None}
    with store.catalog.begin() as connection:
        connection.execute(decisions.update().where(decisions.c.id == decision).values(**values))


def told(store: Store, decision: int) -> None:
    """Note that all were told."""
    with store.catalog.begin() as connection:
        connection.execute(decisions.update().where(decisions.c.id == decision).values(told=time.time()))


def decisions_of(store: Store, name: str, what: str | None = None, status: str | None = None) -> list[Decision]:
    """Return decisions, the latest first."""
    question = sa.select(decisions).where(decisions.c.pipeline == name).order_by(decisions.c.id.desc())
    if what is not None:
        question = question.where(decisions.c.what == what)
    if status is not None:
        question = question.where(decisions.c.status == status)
    with store.catalog.read() as connection:
        return [Decision(**row._mapping) for row in connection.execute(question)]


def answer(store: Store, name: str, decision: int, status: str, why: str, by: str | None = None) -> Decision:
    """Approve or reject what a watcher asked.

    Parameters
    ----------
    by : str, optional
        Who answers; the user of this process by default.

    Raises
    ------
    InputError
        When nothing was asked under that number.
    """
    found = next((item for item in decisions_of(store, name) if item.id == decision), None)
    if found is None or found.status != "asked":
        waiting = ", ".join(str(item.id) for item in decisions_of(store, name, status="asked")) or "none"
        what = "is not asked any more" if found is not None else "is not there"
        raise InputError(f"decision {decision} of {name} {what}; waiting for an answer: {waiting}")
    end(store, decision, status, f"{found.why}; {status}: {why}", answered_by=by or whoami())
    return found
