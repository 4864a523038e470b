"""Where tasks run. An executor has `submit(number, task)`, a queue of outcomes, and `close()`."""

from __future__ import annotations

import queue
from typing import Literal, Protocol

from penstock.engine.execute import Outcome, Task
from penstock.store.store import Store

ExecutorName = Literal["local", "processes"]


class Executor(Protocol):
    """What the scheduler asks of any place where tasks can run."""

    finished: queue.SimpleQueue[tuple[int, Outcome]]

    def submit(self, number: int, task: Task) -> None:
        """Begin a task; its outcome arrives on `finished` with the same number."""

    def close(self, *, cancel: bool = False) -> None:
        """Give back threads and processes; with `cancel`, without waiting for what runs."""


def make_executor(name: ExecutorName, store: Store, workers: int) -> Executor:
    """Return an executor by name.

    Parameters
    ----------
    name : {"local", "processes"}
        Threads of this process, or processes of this machine.
    store : Store
        Where inputs and outputs lie.
    workers : int
        How many tasks at once.
    """
    if name == "processes":
        from penstock.engine.executors.processes import ProcessExecutor

        return ProcessExecutor(store, workers)
    from penstock.engine.executors.local import LocalExecutor

    return LocalExecutor(store, workers)
