"""A run: the stale steps of a graph executed, everything recorded, nothing computed twice."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from penstock.engine.execute import capture_output
from penstock.engine.executors import ExecutorName, make_executor
from penstock.engine.graph import Graph
from penstock.engine.results import RunResult, RunStatus
from penstock.engine.schedule import Observer, Scheduler
from penstock.errors import InputError
from penstock.store.schema import runs
from penstock.store.store import Store
from penstock.types.memory import total_memory


def run_graph(
    graph: Graph,
    store: Store,
    *,
    executor: ExecutorName = "local",
    workers: int | None = None,
    seed: int = 0,
    file: str | None = None,
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
    executor : {"local", "processes"}
        Where steps run.
    workers : int, optional
        How many at once; the machine's cores by default.
    seed : int
        Recorded with the run.
    file : str, optional
        The pipeline file, recorded with the run.
    force : callable
        Step name to whether it is to run whatever is known.
    observe : callable
        Told when a step starts and ends.

    Returns
    -------
    RunResult
        Also after a failure or Ctrl-C; ask :meth:`RunResult.raise_for_status`.
    """
    _check_resources(graph, workers)
    scheduler = Scheduler(graph, store, workers or os.cpu_count() or 1, force, observe)
    scheduler.begin(seed, file)
    status: RunStatus = "failed"
    pool = make_executor(executor, store, scheduler.workers)
    try:
        with capture_output():
            scheduler.loop(pool)
        failed = any(item.status in {"failed", "skipped"} for item in scheduler.results.values())
        status = "failed" if failed else "succeeded"
    except KeyboardInterrupt:
        status = "cancelled"
    finally:
        pool.close(cancel=status != "succeeded")
        scheduler.end(status)
    return RunResult(
        scheduler.run,
        graph.name,
        status,
        tuple(scheduler.results[name] for name in graph.steps if name in scheduler.results),
        {name: ref for name, ref in scheduler.refs.items() if name in graph.steps},
        store,
        {name: graph.result_type(name) for name in graph.steps},
    )


def _check_resources(graph: Graph, workers: int | None) -> None:
    cores, memory = workers or os.cpu_count() or 1, total_memory()
    for step in graph.steps.values():
        if step.memory > memory:
            raise InputError(
                f"{step.location}: step {step.name} asks for {step.memory / 1e9:.1f} GB of memory; "
                f"this machine has {memory / 1e9:.1f} GB"
            )
        if step.cpus > max(cores, os.cpu_count() or 1):
            raise InputError(
                f"{step.location}: step {step.name} asks for {step.cpus:g} cores; this machine has {os.cpu_count()}"
            )


def set_summary(store: Store, run: str, summary: Mapping[str, Any]) -> None:
    """Keep with a run what its pipeline made of it, as JSON."""
    with store.catalog.begin() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == run).values(summary=json.dumps(summary)))
