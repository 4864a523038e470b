"""Where tasks run. An executor has `submit(number, task)`, a queue of outcomes, its room, and `close()`."""

from __future__ import annotations

import queue
from typing import Protocol

from penstock.engine.execute import Outcome, Task
from penstock.errors import InputError
from penstock.store.store import Store
from penstock.types.cores import cores


class Executor(Protocol):
    """What the scheduler asks of any place where tasks can run.

    Attributes
    ----------
    finished : queue
        Numbers of tasks with what came of them.
    largest : float
        So many cores one task can have.
    """

    finished: queue.SimpleQueue[tuple[int, Outcome]]
    largest: float

    @property
    def cpus(self) -> float:
        """What running tasks may ask for together, in cores."""

    @property
    def memory(self) -> float:
        """What running tasks may ask for together, in bytes."""

    def submit(self, number: int, task: Task) -> None:
        """Begin a task; its outcome arrives on `finished` with the same number."""

    def close(self, *, cancel: bool = False) -> None:
        """Give back threads and processes; with `cancel`, without waiting for what runs."""


def make_executor(name: str, store: Store, workers: int | None = None) -> Executor:
    """Return an executor by name.

    Parameters
    ----------
    name : str
        ``"local"``, threads of this process; ``"processes"`` of this machine; ``"ray"``, or ``"ray://host:port"``.
    store : Store
        Where inputs and outputs lie.
    workers : int, optional
        How many tasks at once; as many as there are cores by default.

    Raises
    ------
    InputError
        For another name, or when Ray is not installed.
    """
    if name == "ray" or name.startswith("ray://"):
        from penstock.engine.executors.ray import RayExecutor

        return RayExecutor(store, workers, None if name == "ray" else name)
    here = workers or cores()
    if name == "processes":
        from penstock.engine.executors.processes import ProcessExecutor

        return ProcessExecutor(store, here)
    if name != "local":
        raise InputError(f"there is no executor {name!r}: give local, processes, ray or ray://host:port")
    from penstock.engine.executors.local import LocalExecutor

    return LocalExecutor(store, here)
