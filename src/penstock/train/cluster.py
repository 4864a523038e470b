"""Where the fits of a search run: processes of this machine, or every node of the Ray cluster that the step runs on."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Any

from penstock.engine.executors.shipping import unlike, versions_here
from penstock.errors import InputError
from penstock.train.learners import Matrix, Sample, trees
from penstock.train.workers import SPARE, Done, Fit, Processes, Workers, done, warm
from penstock.types.cores import cores
from penstock.types.matrix import Batches

_RETRIES = 2
"""So often a fit is begun again after its node was lost."""
_STARTING = 60.0
"""Seconds that a node may take to start a worker and import its libraries."""


def workers_for(most: int, task: str, classes: int, packages: Sequence[str] = ()) -> Workers:
    """Return where to fit.

    Parameters
    ----------
    most : int
        So many fits at once are of use.
    task, classes
        As in :class:`~penstock.train.learners.Sample`.
    packages : sequence of str
        Libraries that processes of this machine import once for all.
    """
    nodes = _nodes()
    if len(nodes) > 1:
        return Cluster(sys.modules["ray"], nodes, most)
    return Processes(min(most, cores()), task, classes, packages)


def warm_workers(packages: Sequence[str]) -> None:
    """Begin to import what the fits of this machine will need, while something else is done here."""
    if len(_nodes()) < 2:
        warm(packages)


def _nodes() -> list[dict[str, float]]:
    """Return what each node has of the cluster that this step runs on; nothing at home."""
    ray: Any = sys.modules.get("ray")
    # A driver that has joined a cluster for ends of its own, such as a notebook, runs the step at home.
    if ray is None or not ray.is_initialized() or ray.get_runtime_context().get_task_id() is None:
        return []
    return [item["Resources"] for item in ray.nodes() if item["Alive"]]


class Cluster:
    """Nodes of a Ray cluster, each fit a task; the matrices lie in the object store.

    Parameters
    ----------
    ray : module
        Ray, of a task that runs on it.
    nodes : sequence of dict
        What each node has.
    most : int
        So many fits at once are of use.
    """

    def __init__(self, ray: Any, nodes: Sequence[dict[str, float]], most: int) -> None:
        each = [int(item.get("CPU", 0.0)) for item in nodes]
        self.count = max(1, min(most, sum(each)))
        self.threads = max(1, min(max(each), sum(each) // self.count))
        self.where = f"{self.count} cores on the {len(nodes)} nodes of the cluster"
        least = min(item["memory"] / max(item.get("CPU", 1.0), 1.0) for item in nodes if "memory" in item)
        self.bytes = int(SPARE * least)
        self.disk: int | None = None
        self._ray = ray
        self._fit = ray.remote(max_retries=_RETRIES)(_fit)
        self._versions = versions_here()
        self._folds: dict[int, Any] = {}
        self._running: dict[Future[Done], tuple[Any, float, float | None]] = {}

    def __enter__(self) -> Cluster:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the fits that still run."""
        for running, _until, _limit in self._running.values():
            self._ray.cancel(running, force=True)

    def put(self, fold: int, sample: Sample, judge: Matrix | None = None, judge_target: Matrix | None = None) -> None:
        """Put a fold's matrices into the object store."""
        if isinstance(sample.matrix, Batches):
            sample = sample._replace(matrix=sample.matrix.whole())
        self._folds[fold] = self._ray.put((sample, judge, judge_target))

    def start(self, fit: Fit, limit: float | None = None) -> Future[Done]:
        """Begin a fit."""
        options = {"num_cpus": fit.threads, "name": f"fit of {fit.learner}"}
        running = self._fit.options(**options).remote(fit, self._folds[fit.fold], self._versions)
        # Those before it may have to end first.
        waves = len(self._running) // self.count + 1
        until = float("inf") if limit is None else time.monotonic() + limit * waves + _STARTING
        told: Future[Done] = Future()
        self._running[told] = (running, until, limit)
        return told

    def wait(self, started: Collection[Future[Done]]) -> set[Future[Done]]:
        """Wait for at least one; the core of the step that waits is free for fits meanwhile."""
        while not (ended := {item for item in started if item.done()}):
            waiting = {running: (told, until, limit) for told, (running, until, limit) in self._running.items()}
            soonest = min(until for _, until, _ in waiting.values())
            left = None if soonest == float("inf") else max(0.0, soonest - time.monotonic())
            ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=left)
            for running in ready:
                self._end(waiting[running][0], self._result(running))
            for running, (told, until, limit) in waiting.items():
                if not told.done() and time.monotonic() > until:
                    self._ray.cancel(running, force=True)
                    self._end(told, Done(error=f"took longer than {limit:.0f} s and was ended"))
        return ended

    def _end(self, told: Future[Done], what: Done) -> None:
        del self._running[told]
        told.set_result(what)

    def _result(self, running: Any) -> Done:
        try:
            return self._ray.get(running)  # type: ignore[no-any-return]
        except self._ray.exceptions.OutOfMemoryError:
            return Done(error="its node ran out of memory")
        except self._ray.exceptions.RayError as problem:
            if isinstance(cause := getattr(problem, "cause", None), InputError):
                raise cause from None  # a node that is unlike would make another model, not a failed trial
            return Done(error=f"{type(problem).__name__}: {str(problem).strip().splitlines()[-1]}")


def _fit(fit: Fit, fold: tuple[Sample, Matrix | None, Matrix | None], versions: dict[str, str]) -> Done:
    difference = unlike(versions, versions_here())
    if difference is not None:
        raise InputError(f"this worker is not like the machine of the run: {difference}")
    trees.WORKING = True
    return done(fit, *fold)
