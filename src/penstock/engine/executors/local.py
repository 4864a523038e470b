"""Tasks in threads of this process; those with a time limit in a process of their own, which can be ended."""

from __future__ import annotations

import queue
import threading
from typing import Any

from penstock.engine.execute import Outcome, Task, execute
from penstock.store.store import Store
from penstock.types.cores import cores
from penstock.types.memory import total_memory


class LocalExecutor:
    """Threads started when needed. They are daemons: a task that cannot be stopped does not hold the exit."""

    def __init__(self, store: Store, workers: int) -> None:
        self.finished: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self._store = store
        self._workers = workers
        self.cpus, self.memory, self.largest = (
            float(workers),
            float(total_memory()),
            float(max(workers, cores())),
        )
        self._waiting: queue.SimpleQueue[tuple[int, Task] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._lock = threading.Lock()
        self._processes: Any = None

    def submit(self, number: int, task: Task) -> None:
        """Begin a task."""
        if task.timeout is not None:
            self._limited().submit(number, task)
            return
        with self._lock:
            self._busy += 1
            if self._busy > len(self._threads) and len(self._threads) < self._workers:
                thread = threading.Thread(target=self._work, name="penstock-step", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._waiting.put((number, task))

    def close(self, *, cancel: bool = False) -> None:
        """End the threads once they are idle."""
        for _ in self._threads:
            self._waiting.put(None)
        if self._processes is not None:
            self._processes.close(cancel=cancel)

    def _limited(self) -> Any:
        if self._processes is None:
            from penstock.engine.executors.processes import ProcessExecutor

            self._processes = ProcessExecutor(self._store, self._workers, self.finished)
        return self._processes

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            number, task = item
            try:
                outcome = execute(self._store, task)
            except BaseException as problem:
                outcome = Outcome(None, error=f"{type(problem).__name__}: {problem}")
            with self._lock:
                self._busy -= 1
            self.finished.put((number, outcome))
