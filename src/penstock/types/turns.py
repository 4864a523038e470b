"""Who uses all cores through LightGBM, which keeps one number of threads for the whole process.

A prediction that raises it while another thread fits or predicts ends the process: what was made for one thread is used by several.
So predictions use one thread as long as something else does, and a fit waits for those on all cores to end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.types.cores import cores

_turns = threading.Condition()
_held = {"narrow": 0, "wide": 0}


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread, to fit or to predict: a context during which nothing raises the number."""
    with _turns:
        _turns.wait_for(lambda: not _held["wide"])
        _held["narrow"] += 1
    try:
        yield
    finally:
        with _turns:
            _held["narrow"] -= 1


@contextmanager
def predicting(*, many: bool) -> Iterator[int]:
    """Give the number of threads that a prediction is to use: for many rows all cores, unless something uses one; else one, unless something uses all.

    Examples
    --------
    >>> with one_thread(), predicting(many=True) as threads:
    ...     threads
    1
    """
    with _turns:
        wide = not _held["narrow"] if many else bool(_held["wide"])
        kind = "wide" if wide else "narrow"
        _held[kind] += 1
    try:
        yield cores() if wide else 1
    finally:
        with _turns:
            _held[kind] -= 1
            _turns.notify_all()
