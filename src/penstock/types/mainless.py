"""Processes that do not run the user's script again: no ``if __name__ == "__main__"`` is asked of anyone."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from typing import Any

_starting = threading.Lock()


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Hide the user's script while a process is started, which else would import it."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = type(sys)("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class _Forked(ForkServerProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802 - multiprocessing's own name
        from multiprocessing.popen_forkserver import Popen

        with without_main():
            return Popen(process)


class _Spawned(SpawnProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802 - multiprocessing's own name
        from multiprocessing.popen_spawn_posix import Popen

        with without_main():
            return Popen(process)


class ForkServer(ForkServerContext):
    """Processes that are forked from one that has imported what they need."""

    Process = _Forked


class Spawn(SpawnContext):
    """Processes that start afresh."""

    Process = _Spawned
