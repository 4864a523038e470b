"""A run: the stale steps of a graph executed, everything recorded, nothing computed twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.engine.execute import capture_output
from penstock.engine.executors import Executor, make_executor
from penstock.engine.graph import Graph
from penstock.engine.results import RunResult, RunStatus
from penstock.engine.schedule import Observer, Scheduler
from penstock.errors import InputError
from penstock.store.schema import runs
from penstock.store.store import Store

_REMEMBERED = 1_000
"""So many numbers that steps returned are kept with a run."""


def run_graph(
    graph: Graph,
    store: Store,
    *,
    executor: str = "local",
    workers: int | None = None,
    seed: int = 0,
    file: str | None = None,
    settings: Sequence[str] = (),
    force: Callable[[str], bool] = lambda _name: False,
    observe: Observer = lambda _event, _step, _result: None,
) -> RunResult:
    """Run what is stale and return what happened; a failing step fails its followers, not its siblings.

    Parameters
    ----------
    graph : Graph
        What to run.
    store : Store
        Where everything lies.
    executor : str
        Where steps run: ``"local"``, ``"processes"``, ``"ray"`` or ``"ray://host:port"``.
    workers : int, optional
        How many at once; as many as there are cores by default.
    seed : int
        Recorded with the run.
    file : str, optional
        The pipeline file, recorded with the run.
    settings : sequence of str
        What was changed in it for this run, as ``--set`` has it, recorded with the run.
    force : callable
        Step name to whether it is to run whatever is known.
    observe : callable
        Told when a step starts and ends.

    Returns
    -------
    RunResult
        Also after a failure or Ctrl-C; ask :meth:`RunResult.raise_for_status`.
    """
    pool = make_executor(executor, store, workers)
    status: RunStatus = "failed"
    with capture_output():
        try:
            _check_resources(graph, pool)
            scheduler = Scheduler(graph, store, pool, force, observe)
            scheduler.begin(seed, file, settings)
            try:
                scheduler.loop()
                failed = any(item.status in {"failed", "skipped"} for item in scheduler.results.values())
                status = "failed" if failed else "succeeded"
            except KeyboardInterrupt:
                status = "cancelled"
            finally:
                scheduler.end(status)
        finally:
            pool.close(cancel=status != "succeeded")
    result = RunResult(
        scheduler.run,
        graph.name,
        status,
        tuple(scheduler.results[name] for name in graph.steps if name in scheduler.results),
        {name: ref for name, ref in scheduler.refs.items() if name in graph.steps},
        store,
        {name: graph.result_type(name) for name in graph.steps},
    )
    if metrics := dict(itertools.islice(result.metrics.items(), _REMEMBERED)):
        set_summary(store, result.run, {"metrics": {name: {"value": value} for name, value in metrics.items()}})
    return result


def _check_resources(graph: Graph, pool: Executor) -> None:
    for step in graph.steps.values():
        if step.memory and step.memory > pool.memory:
            raise InputError(
                f"{step.location}: step {step.name} asks for {step.memory / 1e9:.1f} GB of memory; "
                f"there are {pool.memory / 1e9:.1f} GB"
            )
        if step.cpus > pool.largest:
            raise InputError(
                f"{step.location}: step {step.name} asks for {step.cpus:g} cores; this machine has {pool.largest:g}"
            )


def set_summary(store: Store, run: str, summary: Mapping[str, Any]) -> None:
    """Keep with a run what its pipeline made of it, as JSON."""
    with store.catalog.begin() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == run).values(summary=json.dumps(summary)))
