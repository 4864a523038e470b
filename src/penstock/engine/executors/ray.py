"""Tasks on a Ray cluster: this machine's cores as one, or many machines.

Values travel through the store where every machine reaches it (``postgresql://... + s3://...``). A folder is reached by the
workers of its own machine alone: to others the inputs are sent through Ray's object store, and what they made comes back
the same way and is written here. Digests are those of any other executor. A task whose worker or node dies is done
again elsewhere.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import math
import os
import queue
import threading
from dataclasses import dataclass
from typing import Any

from penstock.engine.execute import Outcome, Task
from penstock.engine.executors.processes import packed, with_lines
from penstock.engine.executors.shipping import Home, leaves, packed_input, run_there, versions_here
from penstock.errors import InputError, PenstockError
from penstock.store.store import Store

_DEATHS = 3
_CONNECTIONS = 3  # tries of a client to reach a cluster
"""So often a task is begun again after its worker or node died."""
_AHEAD = 2.0
"""So much more than the cluster has room for is handed to Ray, lest a core waits for this process."""


@dataclass(frozen=True)
class _Cluster:
    """A cluster that was joined: its room, twice what it has lest it waits for us, and the function that runs there.

    `once` ends its process afterwards: a task that was left at its limit may still be at work in it.
    """

    ray: Any
    home: Any
    cpus: float
    memory: float
    node_cpus: float
    client: bool
    plain: Any
    once: Any


class RayExecutor:
    """Ray's workers.

    Parameters
    ----------
    store : Store
        Where inputs and outputs lie.
    workers : int, optional
        How many tasks at once; as many as the cluster has room for by default.
    address : str, optional
        ``ray://host:port`` of a cluster. Without it: the one that ``RAY_ADDRESS`` names, as it does within a Ray job,
        else one of this machine's cores for as long as the run lasts.

    Raises
    ------
    InputError
        When Ray is not installed; later, when nothing answers at the address.
    """

    def __init__(self, store: Store, workers: int | None = None, address: str | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise InputError("running on Ray needs the package ray; install it with: pip install 'penstock[ray]'")
        self.finished: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self.largest = math.inf
        self._store, self._workers, self._address = store, workers, address
        self._sent: dict[str, Any] = {}
        self._running: dict[int, Any] = {}
        self._arrived: queue.SimpleQueue[tuple[int, Task] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._collect, name="penstock-ray", daemon=True)

    @functools.cached_property
    def _cluster(self) -> _Cluster:
        """Joined when the first task is to run: a run in which nothing changed does not wait for it."""
        ray = _connected(self._address)
        client = self._address is not None and self._address.startswith("ray://")
        node = None if client else str(ray.get_runtime_context().get_node_id())
        there = ray.cluster_resources()
        alive = [float(item["Resources"].get("CPU", 0.0)) for item in ray.nodes() if item["Alive"]]
        self._thread.start()
        return _Cluster(
            ray,
            ray.put(Home(self._store.location, node, self._store.shared, versions_here())),
            float(self._workers or max(1.0, there.get("CPU", 1.0)) * _AHEAD),
            float(there.get("memory", 0.0)) * _AHEAD,
            max(alive, default=1.0),
            client,
            ray.remote(_run),
            ray.remote(max_calls=1)(_run),
        )

    @property
    def cpus(self) -> float:
        """What running tasks may ask for together, in cores."""
        return self._cluster.cpus

    @property
    def memory(self) -> float:
        """What running tasks may ask for together, in bytes."""
        return self._cluster.memory

    def submit(self, number: int, task: Task) -> None:
        """Begin a task."""
        cluster = self._cluster
        # Who asks for more than any node has is given the largest.
        options = {"num_cpus": min(task.cpus, cluster.node_cpus), "max_retries": _DEATHS, "name": task.name}
        if task.memory:
            options["memory"] = task.memory
        remote = cluster.plain if task.timeout is None else cluster.once
        try:
            self._running[number] = remote.options(**options).remote(packed(task), cluster.home, self._inputs(task))
        except PenstockError as problem:  # an input is lost
            self.finished.put((number, Outcome(None, error=str(problem), exit_code=problem.exit_code)))
            return
        self._running[number].future().add_done_callback(lambda _done: self._arrived.put((number, task)))

    def close(self, *, cancel: bool = False) -> None:
        """Leave the cluster; with `cancel`, what runs there is ended."""
        if "_cluster" not in vars(self):
            return
        ray = self._cluster.ray
        if cancel:
            for running in list(self._running.values()):
                ray.cancel(running, force=True)
        self._arrived.put(None)
        self._thread.join(5.0)
        self._sent.clear()
        ray.shutdown()

    def _inputs(self, task: Task) -> dict[str, Any]:
        """Put into the object store what a worker elsewhere would need; once, however many tasks need it."""
        ray = self._cluster.ray
        if self._store.shared or not (self._cluster.client or sum(node["Alive"] for node in ray.nodes()) > 1):
            return {}
        found = {}
        for whole in task.inputs.values():
            for ref in leaves(whole):
                if ref.digest not in self._sent:
                    data = packed_input(self._store, ref)
                    if data is None:
                        continue
                    self._sent[ref.digest] = ray.put(data)
                found[ref.digest] = self._sent[ref.digest]
        return found

    def _collect(self) -> None:
        while (item := self._arrived.get()) is not None:
            number, task = item
            self.finished.put((number, self._outcome(self._running.pop(number), task)))

    def _outcome(self, running: Any, task: Task) -> Outcome:
        try:
            outcome, made = self._cluster.ray.get(running)
            for data in made.values():
                self._store.blobs.write(data)
            return with_lines(outcome, task)
        except PenstockError as problem:
            return Outcome(None, error=str(problem), exit_code=problem.exit_code)
        except Exception as problem:
            return Outcome(None, error=_in_words(problem, task))


def _run(packed_task: bytes, home: Home, inputs: dict[str, Any]) -> tuple[Outcome, dict[str, bytes]]:
    import ray

    node = str(ray.get_runtime_context().get_node_id())
    return run_there(packed_task, home, node, ray.get, inputs)


def _in_words(problem: Exception, task: Task) -> str:
    kind, text = type(problem).__name__, str(problem).strip().splitlines()
    if kind == "OutOfMemoryError":
        asked = f"it asks for {task.memory / 1e9:.1f} GB" if task.memory else "it does not say how much it needs"
        return f"its node ran out of memory, {_DEATHS + 1} times; {asked}: ps.step(memory=...)"
    if kind in ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError", "ObjectLostError", "OwnerDiedError"):
        return f"its worker died, {_DEATHS + 1} times: killed, or its node was lost"
    if "No module named 'penstock'" in str(problem):
        return "the cluster's workers do not have penstock: install the same version there"
    return f"{kind}: {text[-1] if text else ''}"


def _connected(address: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # what is held back is printed in the end, among our answer
    import ray

    # Without an address Ray looks for one that was started here once, and may be dead by now.
    named = address or os.environ.get("RAY_ADDRESS")
    for tries_left in range(_CONNECTIONS - 1, -1, -1):
        try:
            ray.init(
                address=named or "local", log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True
            )
            break
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            # A busy head may fail to start the server it makes for each client; the next one has another port.
            if tries_left and isinstance(error, ConnectionAbortedError):
                continue
            advice = "" if "RAY_AUTH_MODE" in os.environ else " If it asks for a token, set RAY_AUTH_MODE=token."
            raise InputError(f"Ray at {named or 'this machine'} cannot be used: {_reason(error)}.{advice}") from error
    return ray


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines()]
    # Where the error came from another process its traceback is in the text; the last line says what happened.
    traced = any(line.startswith("Traceback") for line in lines)
    return " ".join([lines[0], lines[-1]] if traced else lines[:2]).rstrip(".")
