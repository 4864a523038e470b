"""What the catalog remembers of runs, and how two of them differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from penstock.engine.fingerprint import Fingerprint
from penstock.engine.memory import find_artifacts
from penstock.engine.plan import changed_parts
from penstock.engine.step import LazyPartitions, Ref, Step
from penstock.errors import InputError
from penstock.store.formats import TABLES
from penstock.store.schema import artifacts, notes, runs, sources, steps
from penstock.store.store import Store, opened
from penstock.types.columns import nearest
from penstock.types.writing import figure


@dataclass(frozen=True)
class PastRun:
    """One run as it was recorded."""

    run: str
    pipeline: str
    status: str
    started: float
    finished: float | None
    user: str
    host: str
    git_commit: str | None
    git_diff: str | None
    packages: dict[str, str]
    parameters: dict[str, Any]
    seed: int
    file: str | None
    summary: dict[str, Any]
    steps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class RunDiff:
    """What changed between two runs, in words by subject."""

    one: str
    other: str
    code: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)


def past_runs(
    store: Store, pipeline: str | None = None, limit: int = 20, *, offset: int = 0, where: Sequence[Any] = ()
) -> list[PastRun]:
    """Return the latest runs first, without their steps; `where` are conditions on the catalog's table of runs."""
    question = sa.select(runs).order_by(runs.c.started.desc()).limit(limit).offset(offset).where(*where)
    if pipeline:
        question = question.where(runs.c.pipeline == pipeline)
    with store.catalog.read() as connection:
        return [_run(row) for row in connection.execute(question)]


def past_run(store: Store, run: str) -> PastRun:
    """Return a run with its steps, by its id, the beginning of its id, a tag, ``latest`` or ``latest~1``.

    The name of a pipeline stands for its latest run, ``churn~1`` for the one before. Of several runs that have a tag, the
    latest.

    Raises
    ------
    InputError
        When there is none, or several begin so.
    """
    name, sign, ago = run.rpartition("~")
    name, back = (name, int(ago)) if sign and ago.isdigit() else (run, 0)
    if name == "latest":
        found = past_runs(store, limit=back + 1)[back:]
    else:
        question = sa.select(runs).where(runs.c.id.startswith(run, autoescape=True)).limit(2)
        with store.catalog.read() as connection:
            found = [_run(row) for row in connection.execute(question)]
        if not found:
            found = past_runs(store, limit=1, where=[tagged(run)]) or past_runs(store, name, limit=back + 1)[back:]
    if not found:
        known = ", ".join(item.run for item in past_runs(store, limit=3)) or "none yet"
        raise InputError(f"there is no run {run!r} in {store.location}; the latest are: {known}")
    if len(found) > 1:
        raise InputError(f"several runs begin with {run!r}: {found[0].run}, {found[1].run}, ...; give more of the id")
    with store.catalog.read() as connection:
        rows = connection.execute(sa.select(steps).where(steps.c.run == found[0].run).order_by(steps.c.position))
        listed = tuple({**dict(row._mapping), "causes": json.loads(row.causes) if row.causes else []} for row in rows)
    return PastRun(**{**vars(found[0]), "steps": listed})


def tagged(tag: str) -> Any:
    """Return the condition that a run has a tag."""
    return runs.c.id.in_(sa.select(notes.c.run).where(notes.c.tag == tag))


def _run(row: Any) -> PastRun:
    return PastRun(
        row.id, row.pipeline, row.status, row.started, row.finished, row.user, row.host, row.git_commit, row.git_diff,
        json.loads(row.packages), json.loads(row.parameters), row.seed, row.file, json.loads(row.summary) if row.summary else {},
    )  # fmt: skip


def artifact_of(store: Store, run: PastRun, step: str) -> Ref | None:
    """Return the artifact that a step had in a run, when it is still known."""
    key = next((item["key"] for item in run.steps if item["name"] == step), None)
    return find_artifacts(store, [key]).get(key) if key else None


def artifact(step: str, run: str = "latest", store: Store | str | Path | None = None) -> Any:
    """Return what a step wrote in an earlier run: a table in parts as one frame, records as dicts.

    Parameters
    ----------
    step : str
        Its name.
    run : str
        An id, its beginning, a tag, ``latest`` or ``latest~1``, the name of a pipeline or ``churn~1``.
    store : Store or path, optional
        ``PENSTOCK_STORE``, else ``.penstock/`` in the working folder, when left out.

    Raises
    ------
    InputError
        When there is no such run or step, or the step wrote nothing that is still known.

    Examples
    --------
    >>> import tempfile, types, penstock as ps
    >>> module = types.ModuleType("numbers_")
    >>> exec("import penstock as ps\\n@ps.step\\ndef one() -> tuple:\\n    return 1, 'a'", module.__dict__)
    >>> place = tempfile.mkdtemp()
    >>> _ = ps.Graph.of(module).run(place)
    >>> artifact("one", store=place)
    (1, 'a')
    """
    from penstock.engine.execute import load

    place = opened(store)
    ref = named_artifact(place, past_run(place, run), step)
    if ref.format == "partitions" and is_table(ref):
        import polars as pl

        return load(place, ref, pl.DataFrame)
    return load(place, ref)


def named_artifact(store: Store, run: PastRun, step: str) -> Ref:
    """Return the artifact that a step had in a run; of a pipeline's own tables without what it notes beside them.

    Raises
    ------
    InputError
        When the run has no such step, or its artifact is no longer known.
    """
    names = [item["name"] for item in run.steps]
    if step not in names:
        whole = [name for name in names if "[" not in name]
        hint = nearest(step, names) or f" There are: {', '.join(whole)}."
        raise InputError(f"run {run.run} has no step {step!r}.{hint}")
    ref = artifact_of(store, run, step)
    if ref is None:
        raise InputError(f"run {run.run}: step {step} wrote nothing that is still known; run its pipeline again")
    tables = tuple((name, part) for name, part in ref.partitions if part.format in TABLES)
    of_pipeline = next(item["stage"] for item in run.steps if item["name"] == step) is not None
    return replace(ref, partitions=tables) if of_pipeline and tables else ref


def diff_runs(store: Store, one: str, other: str) -> RunDiff:
    """Say what changed from run `one` to run `other`.

    Raises
    ------
    InputError
        When a run is not there.
    """
    old, new = past_run(store, one), past_run(store, other)
    found = RunDiff(old.run, new.run)
    before, after = _parts(store, old), _parts(store, new)
    for name in after:
        if name not in before:
            found.steps.append(f"step {name} is new")
            continue
        marks = {key: value for key, value in after[name].items() if not key.startswith(("input:", "partitions:"))}
        texts = _texts(store, marks)
        dummy = Step(name=name, function=diff_runs)
        for cause in changed_parts(before[name], Fingerprint(marks, texts), dummy, store):
            kind = "environment" if _is_package(cause, marks) else "code" if _is_code(cause) else "parameters"
            line = f"{name}: {cause}" if kind != "environment" else cause
            if line not in getattr(found, kind):
                getattr(found, kind).append(line)
    found.steps.extend(f"step {name} is gone" for name in before if name not in after)
    _differences(old.packages, new.packages, found.environment)
    if old.git_commit != new.git_commit:
        found.code.append(f"git commit {(old.git_commit or 'none')[:12]} -> {(new.git_commit or 'none')[:12]}")
    if old.host != new.host:
        found.environment.append(f"host {old.host} -> {new.host}")
    _data(store, old, new, found.data)
    for name, item in new.summary.get("metrics", {}).items():
        was = old.summary.get("metrics", {}).get(name)
        if was is not None and was["value"] != item["value"]:
            found.metrics.append(
                f"{name} {figure(was['value'])} -> {figure(item['value'])} ({figure(item['value'] - was['value'], signed=True)})"
            )
    return found


def _parts(store: Store, run: PastRun) -> dict[str, dict[str, Any]]:
    keys = {item["key"]: item["name"] for item in run.steps if item["key"] and "[" not in item["name"]}
    found: dict[str, dict[str, Any]] = {}
    with store.catalog.read() as connection:
        for row in connection.execute(
            sa.select(artifacts.c.key, artifacts.c.parts).where(artifacts.c.key.in_(list(keys)))
        ):
            found[keys[row.key]] = json.loads(row.parts) if row.parts else {}
    return found


def _texts(store: Store, marks: Mapping[str, str]) -> dict[str, tuple[str, int, str]]:
    wanted = [value for key, value in marks.items() if key.startswith(("code:", "class:", "module:"))]
    with store.catalog.read() as connection:
        rows = connection.execute(sa.select(sources).where(sources.c.digest.in_(wanted)))
        return {row.digest: tuple(json.loads(row.text)) for row in rows}


def _is_code(cause: str) -> bool:
    return cause.startswith(("code of", "version ", "now uses", "no longer uses", "the way"))


def _is_package(cause: str, marks: Mapping[str, str]) -> bool:
    return f"package:{cause.split(' ', 1)[0]}" in marks


def _differences(old: Mapping[str, str], new: Mapping[str, str], found: list[str]) -> None:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            line = f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
            if line not in found:
                found.append(line)


def _data(store: Store, old: PastRun, new: PastRun, found: list[str]) -> None:
    """Compare every stored table that both runs read: rows and columns."""
    from penstock.engine.execute import load

    for item in new.steps:
        was, now = artifact_of(store, old, item["name"]), artifact_of(store, new, item["name"])
        if item["stage"] not in (None, "ingest") or was is None or now is None or was.digest == now.digest:
            continue
        if not (is_table(was) and is_table(now)):
            continue
        try:
            (one, rows), (two, rows_now) = (_shape(load(store, ref, LazyPartitions)) for ref in (was, now))
        except Exception:
            found.append(f"{item['name']}: content changed (an earlier artifact is no longer in the store)")
            continue
        found.append(f"{item['name']}: {rows} rows -> {rows_now} rows ({rows_now - rows:+d})")
        found.extend(f"{item['name']}: column {name} is new ({kind})" for name, kind in two.items() if name not in one)
        found.extend(f"{item['name']}: column {name} is gone" for name in one if name not in two)
        found.extend(
            f"{item['name']}: column {name} {one[name]} -> {kind}"
            for name, kind in two.items()
            if name in one and one[name] != kind
        )


def is_table(ref: Ref) -> bool:
    """Whether an artifact is a table, or parts that all are."""
    return ref.format in TABLES or (
        ref.format == "partitions" and all(part.format in TABLES for _, part in ref.partitions)
    )


def _shape(parts: LazyPartitions[Any]) -> tuple[Mapping[str, Any], int]:
    """Return the columns of the first part, and the rows of all."""
    shapes = [parts.shape(name) for name in parts]
    return shapes[0][0], sum(rows for _, rows in shapes)
