"""Several processes that answer on one port: forked from one that has loaded the model, whose memory they share."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from penstock.deploy.notices import tell

_SOON = 1.0
"""Seconds: a worker that ends sooner than so is begun again no faster."""


def run_workers(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in `count` processes until this one is told to stop; one that dies is replaced.

    Parameters
    ----------
    work : callable
        Called with the number of the worker; answers until told to stop by SIGTERM or SIGINT.
    """
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every page of the model
    workers: dict[int, tuple[int, float]] = {}
    stopping = False

    def stop(_signal: int, _frame: Any) -> None:
        nonlocal stopping
        stopping = True
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for number in range(count):
        workers[_fork(number, work)] = number, time.monotonic()
    while workers:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        except ChildProcessError:
            break
        if pid not in workers:
            continue
        number, since = workers.pop(pid)
        if stopping:
            continue
        tell(f"worker {number + 1} ended ({_why(status)}); another takes its place", "warning")
        if time.monotonic() - since < _SOON:
            time.sleep(_SOON)
        if not stopping:  # the signal may have come while this one slept
            workers[_fork(number, work)] = number, time.monotonic()


def _fork(number: int, work: Callable[[int], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work(number)
        code = 0
    except KeyboardInterrupt:
        code = 0
    except BaseException as error:
        tell(f"worker {number + 1}: {type(error).__name__}: {error}", "error")
    finally:
        os._exit(code)


def _why(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
