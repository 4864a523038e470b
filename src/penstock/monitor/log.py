"""The log of predictions: lines of JSON appended to files of one process each.

A line is written before its answer leaves. Fast: to pages of the file that lie in memory, which outlive the process, so
that a killed service loses nothing that it answered; the disk is told to keep them once a second: a power failure costs
the last second, and a killed service leaves zeros behind its last line. Durable: the answer
waits until the disk holds it; what waits together is written together (group commit). A line cut short is skipped when
the log is read.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

WAITING_BYTES = 32 * 1024 * 1024
"""So much may wait for the disk; what comes then is refused."""
FILE_BYTES = 256 * 1024 * 1024
"""After so much a new file is begun."""
CHUNK = 1024 * 1024
"""The disk is taken by so much at a time."""
_SYNC_SECONDS = 1.0


class Record(msgspec.Struct, omit_defaults=True):
    """One prediction, or one label that came later.

    Attributes
    ----------
    id : str
        Of the prediction.
    at : float
        Seconds since 1970.
    version : int
        The model's; 0 for a label.
    row : dict, optional
        As it was asked.
    prediction, probabilities
        As answered.
    label : optional
        The truth.
    took : float
        Seconds from the request's arrival to its answer.
    shadow : bool
        Answered beside the champion, and not given; `id` is the champion's answer's.
    """

    id: str
    at: float
    version: int = 0
    row: dict[str, Any] | None = None
    prediction: Any = None
    probabilities: dict[str, float] | None = None
    label: Any = None
    took: float = 0.0
    shadow: bool = False


_encode_lines = msgspec.json.Encoder().encode_lines
_decoder = msgspec.json.Decoder(Record)


class LogBehindError(OSError):
    """More waits for the disk than may."""


class PredictionLog:
    """Appends records of one pipeline.

    Parameters
    ----------
    folder : Path
        Where its files lie.
    durable : bool
        Answers wait until the disk holds them (``fdatasync``): safe against a power failure too.
    wrote : callable, optional
        Told the seconds that the disk took each time.
    """

    def __init__(
        self, folder: Path, *, durable: bool = False, wrote: Callable[[float], None] = lambda _seconds: None
    ) -> None:
        self.folder, self.durable, self._wrote = folder, durable, wrote
        self.process = uuid.uuid4().hex[:12]
        self._day, self._file, self._size, self._number, self._torn = -1, -1, 0, 0, False
        self._pages: mmap.mmap | None = None
        self._first = self._space = 0
        self._waiting: list[tuple[bytes, Future[None]]] = []
        self.waiting_bytes = 0
        self._lock, self._ready, self._closed, self._unsynced = threading.Lock(), threading.Event(), False, False
        self._thread: threading.Thread | None = None

    def append(self, records: list[Record]) -> Future[None] | None:
        """Write records, together.

        Returns
        -------
        Future or None
            What to wait for before they are kept; None when they are.

        Raises
        ------
        OSError
            When the disk cannot take them, or too much waits for it.
        """
        data = _encode_lines(records)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="prediction log", daemon=True)
            self._thread.start()
        if not self.durable:
            with self._lock:
                self._write(data)
                self._unsynced = True
            return None
        told: Future[None] = Future()
        with self._lock:
            if self.waiting_bytes + len(data) > WAITING_BYTES:
                raise LogBehindError(11, "the disk does not keep up")
            self._waiting.append((data, told))
            self.waiting_bytes += len(data)
        self._ready.set()
        return told

    def _work(self) -> None:
        while not self._closed:
            if self.durable:
                self._ready.wait()
                self._ready.clear()
                self._commit()
            else:
                time.sleep(_SYNC_SECONDS)
                with self._lock:
                    file, self._unsynced = (
                        (os.dup(self._file), False) if self._unsynced and self._file >= 0 else (-1, False)
                    )
                if file >= 0:
                    with contextlib.suppress(OSError):
                        self._sync(file)
                    os.close(file)

    def _commit(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        problem: OSError | None = None
        data = b"".join([item for item, _ in waiting])
        try:
            self._write(data)
            self._sync(self._file)
        except OSError as error:
            problem = error
        with self._lock:
            self.waiting_bytes -= len(data)
        for _, told in waiting:
            if problem is None:
                told.set_result(None)
            else:
                told.set_exception(problem)

    def _sync(self, file: int) -> None:
        began = time.perf_counter()
        os.fdatasync(file)
        self._wrote(time.perf_counter() - began)

    def _write(self, data: bytes) -> None:
        day = int(time.time()) // 86_400
        if day != self._day or self._size > FILE_BYTES:
            self._begin_file(day)
        if self.durable:
            self._append(data)
            return
        end = self._size + len(data)
        if end > self._space:
            self._grow(end)
        assert self._pages is not None
        self._pages[self._size - self._first : end - self._first] = data
        self._size = end

    def _append(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        self._torn = True
        left = data
        while left:
            left = left[os.write(self._file, left) :]
        self._torn = False
        self._size += len(data)

    def _grow(self, end: int) -> None:
        """Take more of the disk, and map it: what is copied there outlives this process without a call a line."""
        space = -(-end // CHUNK) * CHUNK
        os.posix_fallocate(self._file, 0, space)  # a full disk says so here
        self._first = self._size // CHUNK * CHUNK
        if self._pages is not None:
            self._pages.close()
        self._pages = mmap.mmap(self._file, space - self._first, offset=self._first)
        self._space = space

    def _begin_file(self, day: int) -> None:
        self._end_file()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        written = time.strftime("%Y%m%d", time.gmtime(day * 86_400))
        path = self.folder / f"{written}-{self.process}-{self._number}.jsonl"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._day, self._size, self._torn = day, 0, False

    def _end_file(self) -> None:
        if self._file < 0:
            return
        if self._pages is not None:
            self._pages.close()
            self._pages, self._space = None, 0
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._size)
            os.fdatasync(self._file)
        os.close(self._file)
        self._file, self._day = -1, -1

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._closed = True
        self._ready.set()
        if self.durable:
            if self._thread is not None:
                self._thread.join(10)
            self._commit()
        with self._lock:
            self._end_file()


def log_folder(store_folder: Path, name: str) -> Path:
    """Return where the log of a pipeline lies."""
    return store_folder / "predictions" / name


def files_since(folder: Path, since: float | None = None) -> list[Path]:
    """Return the files that may hold records from a moment on, and labels of those."""
    first = time.strftime("%Y%m%d", time.gmtime(since)) if since is not None else ""
    return [path for path in sorted(folder.glob("*.jsonl")) if path.name[:8] >= first]


def decoded(line: bytes) -> Record | None:
    """Read a line of a log; None where it was cut short."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None


def find_record(folder: Path, wanted: str) -> tuple[Record | None, Any]:
    """Return a prediction by its id, and its label; None for what is not there."""
    sought, record, label = wanted.encode(), None, None
    process = wanted.partition("-")[0]
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: process not in path.name):
        with path.open("rb") as file:
            for line in file:
                if sought not in line:
                    continue
                found = decoded(line)
                if found is None or found.id != wanted:
                    continue
                if not found.version:
                    label = found.label
                elif not found.shadow:
                    record = found
    return record, label


def drop_old(folder: Path, seconds: float) -> int:
    """Remove the files whose last record is older; return how many.

    A file is as old as its last line, so that none goes that still is written to.
    """
    oldest, gone = time.time() - seconds, 0
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                gone += 1
    for path in folder.glob("*.index*"):  # also what was cut short while it was written
        if not (folder / f"{path.name.partition('.')[0]}.jsonl").exists():
            path.unlink(missing_ok=True)
    return gone
