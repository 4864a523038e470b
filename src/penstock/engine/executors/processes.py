"""Tasks in processes of this machine, through Pebble, which can end one that takes too long.

Functions travel by cloudpickle, values through the store: the digests are those of any other executor.
"""

from __future__ import annotations

import linecache
import os
import queue
import re
import sys
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

import cloudpickle
from pebble import ProcessExpired, ProcessPool

from penstock.engine.execute import Outcome, Task, capture_output, execute
from penstock.engine.packages import owner_of
from penstock.store.store import Store, open_store
from penstock.types.cores import cores
from penstock.types.mainless import Spawn
from penstock.types.memory import total_memory

_TRAVELLED = "<dynamic-code>"
"""What cloudpickle names the file of a function that it pickles by value."""


class ProcessExecutor:
    """A pool of worker processes, each with its own connection to the store."""

    def __init__(
        self, store: Store, workers: int, finished: queue.SimpleQueue[tuple[int, Outcome]] | None = None
    ) -> None:
        self.finished = finished if finished is not None else queue.SimpleQueue()
        self.cpus, self.memory, self.largest = (
            float(workers),
            float(total_memory()),
            float(max(workers, cores())),
        )
        self._pool = ProcessPool(
            max_workers=workers,
            # Forking a process whose libraries run threads can hang it, so workers start afresh.
            context=Spawn(),
            initializer=_prepare,
            initargs=(store.location, list(sys.path)),
        )

    def submit(self, number: int, task: Task) -> None:
        """Begin a task."""
        future = self._pool.schedule(_run, args=[packed(task)], timeout=task.limit)
        future.add_done_callback(lambda done: self.finished.put((number, _outcome(done, task))))

    def close(self, *, cancel: bool = False) -> None:
        """End the processes."""
        if cancel:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()


def packed(task: Task) -> bytes:
    """Pickle a task with the user's own modules by value, for a worker may not find them by name."""
    registered = []
    for name, module in list(sys.modules.items()):
        if name != "__main__" and module is not None and getattr(module, "__file__", None) and owner_of(name) == "user":
            try:
                cloudpickle.register_pickle_by_value(module)
                registered.append(module)
            except ValueError:
                continue
    try:
        return bytes(cloudpickle.dumps(task))
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def with_lines(outcome: Outcome, task: Task) -> Outcome:
    """Name the file again, and show the line, where a traceback came from a function that had travelled."""
    code = getattr(task.function, "__code__", None)
    if code is None or _TRAVELLED not in outcome.trace:
        return outcome

    def at_home(found: re.Match[str]) -> str:
        text = linecache.getline(code.co_filename, int(found[1])).strip()
        return f'File "{code.co_filename}", line {found[1]}, in {code.co_name}' + (f"\n    {text}" if text else "")

    frame = rf'File "{_TRAVELLED}", line (\d+), in {re.escape(code.co_name)}\b'
    return replace(outcome, trace=re.sub(frame, at_home, outcome.trace))


def _outcome(future: Any, task: Task) -> Outcome:
    try:
        return with_lines(future.result(), task)
    except TimeoutError:
        return Outcome(None, error=f"took longer than its timeout of {task.timeout:g} s and was ended")
    except ProcessExpired as problem:
        return Outcome(None, error=f"its process ended (exit code {problem.exitcode}): killed, or out of memory")
    except (CancelledError, Exception) as problem:
        return Outcome(None, error=f"{type(problem).__name__}: {problem}")


_store: Store | None = None


def _prepare(location: str, path: list[str]) -> None:
    import signal

    global _store
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    sys.path[:] = path
    _store = open_store(location)


def _run(packed: bytes) -> Outcome:
    assert _store is not None, f"worker {os.getpid()} was not prepared"
    with capture_output():
        try:
            return execute(_store, cloudpickle.loads(packed))
        except BaseException as problem:  # told, not raised: the process that asked may not be able to read its class
            return Outcome(None, error=f"{type(problem).__name__}: {problem}")
