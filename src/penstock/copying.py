"""A run, or a model with the run that made it, from one store to another: from a laptop to the team, from staging to production."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from penstock.deploy.registry import ModelVersion, Registry
from penstock.engine.execute import read_bytes
from penstock.engine.history import PastRun, past_run
from penstock.engine.memory import find_artifacts, is_there
from penstock.engine.step import Ref
from penstock.errors import InputError
from penstock.store.schema import artifacts, lineage, runs, steps
from penstock.store.store import Store

_OF_DATA = ("ingest", "prepare", "features")
"""What these stages made are the rows themselves, which are many, and may be nobody else's business."""


@dataclass(frozen=True)
class Copied:
    """What was copied: a run, with how many of its artifacts and bytes; and the version that a model has there."""

    run: str | None
    artifacts: int
    bytes: int
    version: ModelVersion | None = None


def copy_run(source: Store, target: Store, run: PastRun, *, data: bool = False) -> Copied:
    """Copy a run with the artifacts of its steps; what is there already is left as it is.

    Parameters
    ----------
    source, target : Store
        From where, to where.
    run : PastRun
        From :func:`penstock.engine.history.past_run`.
    data : bool
        Also the tables: what the stages before training made.
    """
    keys = {item["key"] for item in run.steps if item["key"] and (data or item["stage"] not in _OF_DATA)}
    there = {key: ref for key, ref in find_artifacts(source, keys).items() if is_there(source, ref)}
    size = sum(_copy_bytes(source, target, ref) for ref in there.values())
    with source.catalog.read() as connection:
        rows = {
            table: [dict(row._mapping) for row in connection.execute(sa.select(table).where(condition))]
            for table, condition in (
                (runs, runs.c.id == run.run),
                (steps, steps.c.run == run.run),
                (artifacts, artifacts.c.key.in_(there)),
                (lineage, lineage.c.key.in_(there)),
            )
        }
    with target.catalog.begin() as connection:
        for table, found in rows.items():
            target.catalog.insert_new(connection, table, found)
    return Copied(run.run, len(there), size)


def copy_model(
    source: Store, target: Store, name: str, version: int | str, *, promote: bool = False, data: bool = False
) -> Copied:
    """Copy a version of a model, and the run that made it; it gets the next number there.

    Parameters
    ----------
    name : str
        The pipeline.
    version : int or str
        A number or an alias.
    promote : bool
        Let it answer there; else it is the challenger.

    Raises
    ------
    InputError
        When there is no such version.
    """
    found = Registry(source, name).version(version)
    model = read_bytes(source, found.digest)
    target.blobs.write(model)
    if found.judged != found.digest:
        target.blobs.write(read_bytes(source, found.judged))
    try:
        made = copy_run(source, target, past_run(source, found.run), data=data)
    except InputError:  # cleaned, or itself a copy without its run
        made = Copied(None, 0, 0)
    registered = Registry(target, name).register(
        found.digest, found.run, found.evaluation, passed=True, promote=promote, judged_against=found.judged_against,
        why=f"copied: v{found.version} of {source.location}",
    )  # fmt: skip
    return Copied(made.run, made.artifacts, made.bytes + len(model), registered)


def _copy_bytes(source: Store, target: Store, ref: Ref) -> int:
    if ref.format == "partitions":
        return sum(_copy_bytes(source, target, part) for _, part in ref.partitions)
    if ref.value is not None or ref.format == "path" or target.blobs.exists(ref.digest):
        return 0
    data = read_bytes(source, ref.digest)
    target.blobs.write(data)
    return len(data)
