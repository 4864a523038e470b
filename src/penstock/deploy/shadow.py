"""A version that answers unseen: in a thread of its own, and only as much as it can."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

_WAITING = 64
"""So many requests may wait for the shadow; more are left out."""

Told = Callable[[int, list[str], Sequence[Any]], None]
"""Keeps a shadow's answers: version, ids of the champion's answers, answers."""


class Shadow:
    """Answers what the champion answers.

    Parameters
    ----------
    model : Served
        The version that is tried.
    keep : callable
        Keeps its answers.
    skipped : callable
        Told how many rows were left out, because the shadow was behind.
    failed : callable
        Told the error when it could not answer.
    """

    def __init__(
        self, model: Any, keep: Told, skipped: Callable[[int], None], failed: Callable[[Exception], None]
    ) -> None:
        self.model, self._keep, self._skipped, self._failed = model, keep, skipped, failed
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def __call__(self, ids: list[str], rows: Sequence[Any] | None, table: Any) -> None:
        """Take a request that was answered, unless too many wait."""
        if self._queue.qsize() < _WAITING:
            self._queue.put((ids, rows, table))
        else:
            self._skipped(len(ids))

    def run(self, work: Callable[[], None]) -> None:
        """Do something between two answers, after those that wait: the model is the thread's own."""
        self._queue.put(work)

    def end(self) -> None:
        """Answer no more."""
        self._queue.put(None)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if callable(item):
                    item()
                    continue
                ids, rows, table = item
                answers = self.model.predict_rows(rows) if rows is not None else self.model.answer(table)
                self._keep(self.model.version, ids, answers)
            except Exception as error:
                self._failed(error)
