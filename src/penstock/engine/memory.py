"""What the engine asks of the catalog and tells it: artifacts by key, runs, steps, claims."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psutil
import sqlalchemy as sa

from penstock.engine.step import Ref
from penstock.errors import StoreError
from penstock.store.catalog import hostname
from penstock.store.schema import artifacts, claims, lineage, runs, sources, steps
from penstock.store.store import Store

CLAIM_SECONDS = 30.0
"""A claim that was not renewed for so long is free for others."""

_CHUNK = 500


def ref_of(row: Any) -> Ref:
    """Return the ref of an artifact's row."""
    value = None if row.value is None else bytes(row.value)
    if row.format == "partitions":
        raw = json.loads(value) if value is not None else None
        if raw is None:
            raise StoreError(f"artifact {row.digest[:12]} lacks its list of partitions")
        parts = tuple((name, Ref(digest, form, size)) for name, digest, form, size in raw)
        return Ref(row.digest, row.format, row.size, value, parts)
    return Ref(row.digest, row.format, row.size, value)


_COLUMNS = (artifacts.c.key, artifacts.c.digest, artifacts.c.format, artifacts.c.size, artifacts.c.value)


def latest_artifacts(store: Store, pipeline: str) -> dict[str, Ref]:
    """Return by key what the last run of a pipeline used: one query before a plan, instead of one a step."""
    last = sa.select(runs.c.id).where(runs.c.pipeline == pipeline).order_by(runs.c.started.desc()).limit(1)
    question = (
        sa.select(*_COLUMNS).join(steps, steps.c.key == artifacts.c.key).where(steps.c.run == last.scalar_subquery())
    )
    with store.catalog.read() as connection:
        return {row.key: ref_of(row) for row in connection.execute(question)}


def find_artifacts(store: Store, keys: Iterable[str]) -> dict[str, Ref]:
    """Return the refs of those keys that are in the catalog."""
    wanted = list(keys)
    found: dict[str, Ref] = {}
    with store.catalog.read() as connection:
        for start in range(0, len(wanted), _CHUNK):
            question = sa.select(*_COLUMNS).where(artifacts.c.key.in_(wanted[start : start + _CHUNK]))
            found.update({row.key: ref_of(row) for row in connection.execute(question)})
    return found


def latest_result(store: Store, pipeline: str, step: str) -> Ref | None:
    """Return what a step gave when it last ran, or None when that is no longer in the store."""
    question = (
        sa.select(*_COLUMNS)
        .where(artifacts.c.pipeline == pipeline, artifacts.c.step == step)
        .order_by(artifacts.c.created.desc())
        .limit(1)
    )
    with store.catalog.read() as connection:
        row = connection.execute(question).first()
    found = None if row is None else ref_of(row)
    return found if found is not None and is_there(store, found) else None


def previous_parts(store: Store, pipeline: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the components of the fingerprints with which steps last ran, for those that ever did."""
    found: dict[str, dict[str, Any]] = {}
    with store.catalog.read() as connection:
        for start in range(0, len(names), _CHUNK):
            other = artifacts.alias()
            last = (
                sa.select(sa.func.max(other.c.created))
                .where(other.c.pipeline == pipeline, other.c.step == artifacts.c.step)
                .scalar_subquery()
            )
            some = artifacts.c.step.in_(names[start : start + _CHUNK])
            question = sa.select(artifacts.c.step, artifacts.c.parts).where(
                artifacts.c.pipeline == pipeline, some, artifacts.c.created == last, artifacts.c.parts.is_not(None)
            )
            found.update({row.step: json.loads(row.parts) for row in connection.execute(question)})
    return found


def source_text(store: Store, digest: str) -> tuple[str, int, str] | None:
    """Return the file, first line and text of code, by its digest."""
    with store.catalog.read() as connection:
        written = connection.execute(sa.select(sources.c.text).where(sources.c.digest == digest)).scalar()
    if written is None:
        return None
    file, line, text = json.loads(written)
    return file, line, text


def is_there(store: Store, ref: Ref) -> bool:
    """Whether an artifact's bytes are still in the store."""
    if ref.format == "partitions":
        return all(is_there(store, part) for _, part in ref.partitions)
    return ref.value is not None or ref.format == "path" or store.blobs.exists(ref.digest)


def keep_artifact(
    store: Store,
    *,
    key: str,
    ref: Ref,
    pipeline: str,
    step: str,
    run: str,
    parts: Mapping[str, Any],
    inputs: Mapping[str, str],
    texts: Mapping[str, tuple[str, int, str]],
    owner: str,
) -> None:
    """Record a finished step and give back its claim, in one transaction; its blob is there already."""
    value = ref.value
    if ref.format == "partitions":
        value = json.dumps([[name, part.digest, part.format, part.size] for name, part in ref.partitions]).encode()
    row = {
        "key": key,
        "digest": ref.digest,
        "format": ref.format,
        "size": ref.size,
        "value": value,
        "pipeline": pipeline,
        "step": step,
        "run": run,
        "parts": json.dumps({**parts, **{f"input:{name}": digest for name, digest in inputs.items()}}),
        "created": time.time(),
    }
    with store.catalog.begin() as connection:
        store.catalog.put(connection, artifacts, row)
        used = [{"key": key, "input": name, "digest": digest} for name, digest in inputs.items()]
        if used:
            store.catalog.insert_new(connection, lineage, used)
        written = [{"digest": digest, "text": json.dumps(text)} for digest, text in texts.items()]
        store.catalog.insert_new(connection, sources, written)
        connection.execute(claims.delete().where(claims.c.key == key, claims.c.owner == owner))


class Claims:
    """Which keys this run is computing, so that two runs on one store do not compute the same.

    A claim names host, process and its start; one whose process has ended, or that was not renewed for
    :data:`CLAIM_SECONDS`, is taken over.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        started = psutil.Process().create_time()
        self.owner = f"{hostname()}|{os.getpid()}|{started:.2f}|{run}"

    def take(self, key: str) -> bool:
        """Try to claim a key; False when another run holds it."""
        now = time.time()
        row = {"key": key, "owner": self.owner, "expires": now + CLAIM_SECONDS}
        with self._store.catalog.begin() as connection:
            self._store.catalog.insert_new(connection, claims, [row])
            question = sa.select(claims.c.owner, claims.c.expires).where(claims.c.key == key)
            holder = connection.execute(question).one_or_none()
            if holder is None:  # given back between the two questions: its result is there, or is asked for again
                return False
            if holder.owner == self.owner:
                return True
            if holder.expires > now and _is_alive(holder.owner):
                return False
            taken = connection.execute(
                claims.update()
                .where(claims.c.key == key, claims.c.owner == holder.owner, claims.c.expires == holder.expires)
                .values(owner=self.owner, expires=now + CLAIM_SECONDS)
            )
            return bool(taken.rowcount == 1)

    def renew(self) -> None:
        """Say that this run still lives."""
        with self._store.catalog.begin() as connection:
            connection.execute(
                claims.update().where(claims.c.owner == self.owner).values(expires=time.time() + CLAIM_SECONDS)
            )

    def give_back(self, key: str | None = None) -> None:
        """Free one key, or all of this run's."""
        question = claims.delete().where(claims.c.owner == self.owner)
        if key is not None:
            question = question.where(claims.c.key == key)
        with self._store.catalog.begin() as connection:
            connection.execute(question)


def _is_alive(owner: str) -> bool:
    host, process, started, _run = owner.split("|", 3)
    if host != hostname():
        return True
    try:
        return bool(abs(psutil.Process(int(process)).create_time() - float(started)) < 1)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
