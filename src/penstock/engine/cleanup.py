"""Removing what no kept run and no model needs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from penstock.errors import StoreError
from penstock.store.schema import JUDGED, artifacts, claims, lineage, models, notes, runs, steps
from penstock.store.store import Store

_CHUNK = 500


@dataclass(frozen=True)
class Cleanup:
    """What was, or would be, removed.

    Attributes
    ----------
    runs, artifacts, blobs : int
        How many.
    bytes : int
        Freed.
    kept_bytes : int
        That stay.
    """

    runs: int
    artifacts: int
    blobs: int
    bytes: int
    kept_bytes: int


def clean(store: Store, keep: int = 10, *, older: float = 0.0, dry_run: bool = False) -> Cleanup:
    """Keep the latest runs of each pipeline, those that have a tag, and every model; remove the rest.

    Parameters
    ----------
    store : Store
        To be cleaned.
    keep : int
        Runs of each pipeline that stay with all their artifacts.
    older : float
        Seconds: a run that began later than so long ago stays too.
    dry_run : bool
        Only count.

    Raises
    ------
    StoreError
        While a run is going on.
    """
    with store.catalog.read() as connection:
        busy = connection.execute(sa.select(claims.c.owner).where(claims.c.expires > time.time())).first()
        if busy is not None and not dry_run:
            raise StoreError(
                f"store {store.location}: a run is going on ({busy.owner.split('|')[-1]}); clean when it has ended"
            )
        rank = sa.func.row_number().over(partition_by=runs.c.pipeline, order_by=runs.c.started.desc()).label("rank")
        ranked = sa.select(runs.c.id, rank).subquery()
        kept = set(connection.execute(sa.select(ranked.c.id).where(ranked.c.rank <= keep)).scalars())
        recent = sa.select(runs.c.id).where(runs.c.started > time.time() - older)
        kept |= set(connection.execute(recent).scalars()) if older else set()
        kept |= set(connection.execute(sa.select(notes.c.run).where(notes.c.tag.is_not(None))).scalars())
        kept_models = connection.execute(sa.select(models.c.digest, models.c.evaluation)).all()
        needed = {
            digest for row in kept_models for digest in (row.digest, json.loads(row.evaluation).get(JUDGED)) if digest
        }
        of_models = set(connection.execute(sa.select(models.c.run)).scalars())
        old = [run for run in connection.execute(sa.select(runs.c.id)).scalars() if run not in kept | of_models]
        used = set(
            connection.execute(sa.select(steps.c.key).where(steps.c.run.in_(kept), steps.c.key.is_not(None))).scalars()
        )
        rows = connection.execute(
            sa.select(artifacts.c.key, artifacts.c.digest, artifacts.c.format, artifacts.c.value)
        ).all()
    parts = {digest for row in rows if row.key in used for digest in _parts(row)}
    stay = {row.key for row in rows if row.key in used or row.digest in needed or row.digest in parts}
    digests = needed | {digest for row in rows if row.key in stay for digest in (row.digest, *_parts(row))}
    blobs = list(store.blobs.list())
    loose = [(digest, size) for digest, size in blobs if digest not in digests]
    gone = [row.key for row in rows if row.key not in stay]
    if not dry_run:
        with store.catalog.begin() as connection:
            for start in range(0, len(gone), _CHUNK):
                some = gone[start : start + _CHUNK]
                connection.execute(artifacts.delete().where(artifacts.c.key.in_(some)))
                connection.execute(lineage.delete().where(lineage.c.key.in_(some)))
            for start in range(0, len(old), _CHUNK):
                connection.execute(steps.delete().where(steps.c.run.in_(old[start : start + _CHUNK])))
                connection.execute(runs.delete().where(runs.c.id.in_(old[start : start + _CHUNK])))
        for digest, _ in loose:
            store.blobs.remove(digest)
        for path in store.blobs.leftovers():
            path.unlink(missing_ok=True)
        for run in old:
            for path in (store.folder / "reports").glob(f"*-{run}.html"):
                path.unlink(missing_ok=True)
    freed = sum(size for _, size in loose)
    return Cleanup(len(old), len(gone), len(loose), freed, sum(size for _, size in blobs) - freed)


def _parts(row: Any) -> list[str]:
    if row.format != "partitions" or row.value is None:
        return []
    return [digest for _, digest, _, _ in json.loads(row.value)]
