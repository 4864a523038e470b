"""Fits in processes of their own: one that crashes, hangs or eats memory is ended and told of, and the rest goes on.

The processes are forked from a server that has imported the learners' libraries once; the matrices of the folds are
read from files, whose pages all of them share.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pebble import ProcessExpired, ProcessPool

from penstock.train.learners import (
    TIMED,
    Fitted,
    Matrix,
    Sample,
    Watch,
    fit_learner,
    read_predictor,
    row_latency,
    trees,
)
from penstock.types.cores import cores
from penstock.types.mainless import ForkServer, without_main
from penstock.types.matrix import Stored, save
from penstock.types.memory import spare_memory
from penstock.types.scratch import Scratch

SPARE = 0.8
"""This share of the disk, or of another node's memory, may be used."""
BATCHED = ("lightgbm",)
"""Learners that take a matrix from a file, some rows at a time."""
_OFFER = "offer "
FROM_FILE = 500_000
"""Rows from which they do: of fewer they would look at nearly all at once."""


@dataclass(frozen=True)
class Fit:
    """One fit: which rows, which learner, and how long it may take."""

    fold: int
    learner: str
    parameters: Mapping[str, Any]
    seed: int
    seconds: float | None = None
    threads: int = 1


@dataclass(frozen=True)
class Done:
    """What came of a fit.

    Attributes
    ----------
    predicted : array or None
        Answers to the rows that judge.
    seconds, again, latency : float
        Wall time of the fit, of fitting the same once more, and of answering one row.
    size : int
        Bytes of the fitted learner.
    fitted : Fitted or None
        The learner itself, when it was fitted on all rows.
    error : str or None
        Why there is none.
    """

    predicted: Matrix | None = None
    rounds: int = 0
    seconds: float = 0.0
    again: float = 0.0
    latency: float = 0.0
    size: int = 0
    fitted: Fitted | None = None
    error: str | None = None


class Workers(Protocol):
    """Places where fits run; a context, which ends them.

    Attributes
    ----------
    count : int
        How many fits run at once.
    bytes : int
        How much memory one of them may take.
    threads : int
        How many threads one of them may use.
    where : str
        What all of them run on, in words.
    disk : int or None
        Bytes that a matrix of many rows may take on disk; None where it is held in memory.
    """

    count: int
    bytes: int
    threads: int
    where: str
    disk: int | None

    def __enter__(self) -> Workers:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End the fits that still run."""

    def put(self, fold: int, sample: Sample, judge: Matrix | None = None, judge_target: Matrix | None = None) -> None:
        """Lay a fold's matrices where every fit reads them."""

    def start(self, fit: Fit, limit: float | None = None) -> Future[Done]:
        """Begin a fit, which is ended after `limit` seconds; its result says what came of it and never raises."""

    def wait(self, started: Collection[Future[Done]]) -> set[Future[Done]]:
        """Wait until at least one of these fits is done, and return those that are."""


class Processes:
    """Processes of this machine.

    Parameters
    ----------
    count : int
        How many.
    task, classes
        As in :class:`~penstock.train.learners.Sample`.
    packages : sequence of str
        Libraries that the first of a process's searches imports for all of them.
    """

    def __init__(self, count: int, task: str, classes: int, packages: Sequence[str] = ()) -> None:
        self.count, self._task, self._classes = max(1, count), task, classes
        self._folder = Scratch("folds")
        self.bytes = spare_memory() // self.count
        self.threads = max(1, cores() // self.count)
        self.where = f"{self.count} cores"
        self.disk: int | None = int(shutil.disk_usage(self._folder.name).free * SPARE)
        warm(packages)
        self._pool = ProcessPool(
            max_workers=self.count,
            context=ForkServer(),
            initializer=_prepare,
            initargs=(list(sys.path), self.bytes),
        )

    def __enter__(self) -> Processes:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, also those that still fit."""
        self._pool.stop()
        self._pool.join()
        self._folder.cleanup()

    def put(self, fold: int, sample: Sample, judge: Matrix | None = None, judge_target: Matrix | None = None) -> None:
        """Write a fold's matrices where the workers read them."""
        place = Path(self._folder.name)
        save(place / f"{fold}-x.npy", sample.matrix)
        more = {
            "weights": sample.weights,
            "monotone": sample.monotone,
            **{_OFFER + name: at for name, at in sample.offers.items()},
        }
        np.savez(
            place / f"{fold}.npz", target=sample.target, categories=np.array(sample.categories, dtype=np.int64),
            **{name: np.asarray(value) for name, value in more.items() if value is not None},  # type: ignore[arg-type]
        )  # fmt: skip
        if judge is not None and judge_target is not None:
            np.save(place / f"{fold}-judge.npy", np.ascontiguousarray(judge))
            np.save(place / f"{fold}-judge-target.npy", judge_target)

    def start(self, fit: Fit, limit: float | None = None) -> Future[Done]:
        """Begin a fit."""
        waiting = self._pool.schedule(_run, args=[self._folder.name, self._task, self._classes, fit], timeout=limit)
        told: Future[Done] = Future()
        waiting.add_done_callback(lambda done: told.set_result(_told(done, limit, self.bytes)))
        return told

    def wait(self, started: Collection[Future[Done]]) -> set[Future[Done]]:
        """Wait for at least one."""
        return wait(started, return_when=FIRST_COMPLETED).done


def _told(done: Any, limit: float | None, memory: int) -> Done:
    try:
        return done.result()  # type: ignore[no-any-return]
    except TimeoutError:
        return Done(error=f"took longer than {limit:.0f} s and was ended")
    except ProcessExpired as problem:
        return Done(error=f"its process ended (exit code {problem.exitcode}): it crashed, or was killed")
    except MemoryError:
        return Done(error=f"needed more than the {memory / 1e9:.1f} GB that a fit may take")
    except BaseException as problem:
        return Done(error=f"{type(problem).__name__}: {problem}")


def _prepare(path: Sequence[str], memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    sys.path[:] = path
    trees.WORKING = True
    held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + memory, resource.RLIM_INFINITY))


def _run(folder: str, task: str, classes: int, fit: Fit) -> Done:
    place = Path(folder)
    kept = np.load(place / f"{fit.fold}.npz")
    matrix: Any = Stored(place / f"{fit.fold}-x.npy")
    judge = place / f"{fit.fold}-judge.npy"
    if fit.learner not in BATCHED or len(matrix) < FROM_FILE or judge.exists():
        matrix = np.load(matrix.path, mmap_mode="r")
    sample = Sample(
        matrix, kept["target"], task, classes, kept["categories"].tolist(),
        kept.get("weights"), kept["monotone"].tolist() if "monotone" in kept else None,
        {name.removeprefix(_OFFER): kept[name].tolist() for name in kept.files if name.startswith(_OFFER)},
    )  # fmt: skip
    if not judge.exists():
        return done(fit, sample)
    return done(fit, sample, np.load(judge, mmap_mode="r"), np.load(place / f"{fit.fold}-judge-target.npy"))


def done(fit: Fit, sample: Sample, judge: Matrix | None = None, judge_target: Matrix | None = None) -> Done:
    """Fit here and now, and answer the rows that judge where there are some; a learner's error is told, not raised.

    An exception of a library that the process which asked has not imported could not be read there.
    """
    try:
        return _done(fit, sample, judge, judge_target)
    except MemoryError:
        raise MemoryError from None
    except Exception as problem:
        return Done(error=f"{type(problem).__name__}: {problem}")


def _done(fit: Fit, sample: Sample, judge: Matrix | None, judge_target: Matrix | None) -> Done:
    from threadpoolctl import threadpool_limits

    began = time.monotonic()
    # Copied: some libraries refuse arrays that cannot be written to, such as those that processes share.
    if not isinstance(sample.matrix, Stored):
        sample = sample._replace(matrix=np.array(sample.matrix))
    # Sums of several threads end in other last bits: with one, the model is the same on a machine of any size.
    with threadpool_limits(1, user_api="blas"):
        if judge is None or judge_target is None:
            fitted = fit_learner(fit.learner, sample, fit.parameters, fit.seed, None, fit.threads)
            return Done(rounds=fitted.rounds, seconds=time.monotonic() - began, fitted=fitted)
        asked = np.array(judge)
        watch = Watch(asked, judge_target, fit.seconds)
        fitted = fit_learner(fit.learner, sample, fit.parameters, fit.seed, watch, fit.threads)
        again = (time.monotonic() - began) * fitted.share
        predictor = read_predictor(fitted.written, fitted.files)
        predicted = predictor.predict(asked)
    if not np.isfinite(predicted).all():
        return Done(error="gave answers that are no numbers")
    seconds = time.monotonic() - began
    size = sum(map(len, fitted.files.values()))
    return Done(predicted, fitted.rounds, seconds, again, row_latency(predictor, asked[:TIMED].tolist()), size)


def warm(packages: Sequence[str] = ()) -> None:
    """Let a process that does nothing else import libraries, which takes a second or two: fits will be forked from it."""
    from multiprocessing import forkserver

    ForkServer().set_forkserver_preload(
        ["penstock.train.workers", *(item for item in packages if item != "neighbours")]
    )
    with without_main():
        forkserver.ensure_running()
