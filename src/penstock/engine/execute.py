"""Executing one step: its inputs from the store, its output to the store, measured, its output captured.

The same function runs in a thread here, in another process, or on another machine.
"""

from __future__ import annotations

import contextvars
import io
import logging
import sys
import threading
import time
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from penstock.engine.files import partitions_ref
from penstock.engine.graph import is_frame
from penstock.engine.packages import owner_of_file
from penstock.engine.recall import recalling
from penstock.engine.step import LazyPartitions, Partitions, Ref
from penstock.errors import PenstockError, StoreError
from penstock.store.blobs import digest_of
from penstock.store.formats import decode, encode
from penstock.store.schema import artifacts
from penstock.store.store import INLINE_BYTES, Store
from penstock.store.tables import parquet_shape, read_columns

_PARSED_AT_ONCE, _PARSINGS = "AST constructor recursion depth mismatch", 5
"""Python 3.11 fails so, by chance, where two threads parse at once, as reading an array does (python/cpython#106905): the step is not at
fault, and is called again, so many times in all."""
LOG_BYTES = 100_000
"""Of a step's output so much is kept: the beginning and the end."""


@dataclass(frozen=True)
class Task:
    """One call of a step's function, with everything that it needs."""

    name: str
    function: Callable[..., Any]
    inputs: Mapping[str, Ref]
    parameters: Mapping[str, Any]
    types: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    backoff: float = 1.0
    timeout: float | None = None
    cpus: float = 1.0
    memory: int = 0

    @property
    def limit(self) -> float | None:
        """Seconds after which all attempts together are ended."""
        if self.timeout is None:
            return None
        return float(self.timeout * (self.retries + 1) + self.backoff * (2**self.retries - 1))


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes
    ----------
    ref : Ref or None
        Where the result lies; None after a failure.
    seconds, cpu_seconds : float
        Wall time, and processor time of the whole process meanwhile (steps that overlap share it).
    peak_bytes : int
        Highest resident memory of the process while the step ran.
    bytes_in : int
        Stored size of the inputs.
    log : str
        What the step printed and logged.
    error : str or None
        What went wrong, in words.
    trace : str
        The user's part of the traceback.
    exit_code : int
        2 when the error is the user's input.
    started : float or None
        When it began, in seconds since 1970 by the clock of where it ran.
    """

    ref: Ref | None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    bytes_in: int = 0
    log: str = ""
    error: str | None = None
    trace: str = ""
    exit_code: int = 1
    started: float | None = None


def execute(store: Store, task: Task) -> Outcome:
    """Run a task to its outcome; errors of the step are told in the outcome, not raised."""
    reset_peak()
    began, started, cpu = time.time(), time.perf_counter(), time.process_time()
    log = io.StringIO()
    ref, error, trace, exit_code = None, None, "", 1
    with _captured(log), recalling(store):
        for attempt in range(task.retries + 1):
            try:
                ref, error = _called(store, task), None
                break
            except PenstockError as problem:
                error, trace, exit_code = str(problem), "", problem.exit_code
            except Exception as problem:
                error = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
                trace = _users_traceback(problem)
            if attempt < task.retries:
                pause = task.backoff * 2**attempt
                log.write(f"attempt {attempt + 1} failed: {error}; trying again in {pause:g} s\n")
                time.sleep(pause)
    return Outcome(
        ref=ref,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu,
        peak_bytes=peak_bytes(),
        bytes_in=sum(item.size for item in task.inputs.values()),
        log=_shortened(log.getvalue()),
        error=error,
        trace=trace,
        exit_code=exit_code,
        started=began,
    )


def _called(store: Store, task: Task) -> Ref:
    """Load the inputs, call the step and save what it returns."""
    called = 0
    while True:
        called += 1
        try:
            arguments = {name: load(store, item, task.types.get(name)) for name, item in task.inputs.items()}
            return save(store, task.function(**arguments, **task.parameters))
        except SystemError as problem:
            if _PARSED_AT_ONCE not in str(problem) or called == _PARSINGS:
                raise


def save(store: Store, value: Any) -> Ref:
    """Write a value to the store (small ones are kept in the ref, for the catalog).

    A step that yields pairs of name and value gives partitions, each written while it makes the next: memory holds
    two. A name that comes again takes the place of the first; a :class:`Ref` stands for what the store has already.
    """
    if isinstance(value, types.GeneratorType):
        return partitions_ref(_save_stream(store, value))
    if isinstance(value, Partitions):
        return partitions_ref([(str(name), _save_one(store, item, inline=False)) for name, item in value.items()])
    return _save_one(store, value, inline=True)


def _save_stream(store: Store, pairs: Iterator[tuple[str, Any]]) -> list[tuple[str, Ref]]:
    found: dict[str, Ref] = {}
    with ThreadPoolExecutor(1, thread_name_prefix="penstock-writing") as pool:
        waiting: tuple[str, Future[Ref]] | None = None
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise StoreError(
                    f"a step that yields gives pairs of a part's name and its value, not {type(pair).__name__}; write "
                    "yield name, value"
                )
            name, item = pair
            if waiting is not None:
                found[waiting[0]] = waiting[1].result()
            found[str(name)] = Ref("", "")  # its place in the order
            waiting = str(name), pool.submit(_save_one, store, item, inline=False)
            del item, pair
        if waiting is not None:
            found[waiting[0]] = waiting[1].result()
    return list(found.items())


def _save_one(store: Store, value: Any, *, inline: bool) -> Ref:
    if isinstance(value, Ref):
        if not store.blobs.exists(value.digest):  # it lies in the catalog alone
            store.blobs.write(_bytes_of(store, value))
        return Ref(value.digest, value.format, value.size)
    written = encode(value)
    size = len(written.data)
    if inline and size <= INLINE_BYTES:
        return Ref(digest_of(written.data), written.format, size, written.data)
    return Ref(store.blobs.write(written.data), written.format, size)


def load(store: Store, ref: Ref, annotation: Any = None) -> Any:
    """Read a value, its digest checked.

    Raises
    ------
    DamagedArtifactError, MissingArtifactError
        When the store no longer holds what it was given.
    """
    if ref.format == "path":
        return str(ref.path) if "://" in str(ref.path) else Path(str(ref.path))
    if annotation is LazyPartitions or typing.get_origin(annotation) is LazyPartitions:
        return _lazy(store, ref, _inner(annotation))
    if ref.format == "partitions":
        if is_frame(annotation):
            import polars as pl

            return pl.concat([load(store, part) for _, part in ref.partitions])
        return Partitions({name: load(store, part, _inner(annotation)) for name, part in ref.partitions})
    return decode(ref.format, _bytes_of(store, ref), annotation)


def _bytes_of(store: Store, ref: Ref) -> bytes:
    return ref.value if ref.value is not None else read_bytes(store, ref.digest)


def _lazy(store: Store, ref: Ref, inner: Any) -> LazyPartitions[Any]:
    """Return an artifact's parts, unread; one that has none is a single part."""

    def read(part: Ref, columns: Sequence[str] | None) -> Any:
        if columns is not None and part.format == "parquet":
            return read_columns(_bytes_of(store, part), columns)
        return load(store, part, inner)

    parts = dict(ref.partitions) if ref.format == "partitions" else {"all": ref}
    return LazyPartitions(parts, read, lambda part: parquet_shape(_bytes_of(store, part)))


def _inner(annotation: Any) -> Any:
    arguments = typing.get_args(annotation)
    return arguments[0] if arguments else None


def read_bytes(store: Store, digest: str) -> bytes:
    """Return an artifact's bytes wherever they lie; errors name the step that wrote them."""
    if not store.blobs.exists(digest):
        with store.catalog.read() as connection:
            question = sa.select(artifacts.c.value).where(artifacts.c.digest == digest, artifacts.c.value.is_not(None))
            value = connection.execute(question.limit(1)).scalar()
        if value is not None:
            return bytes(value)
    try:
        return store.blobs.read(digest)
    except PenstockError as error:
        with store.catalog.read() as connection:
            question = sa.select(artifacts.c.step, artifacts.c.pipeline).where(artifacts.c.digest == digest).limit(1)
            maker = connection.execute(question).first() or _maker_of_part(connection, digest)
        if maker is None:
            raise
        raise type(error)(
            f"the artifact of step {maker.step} of {maker.pipeline}: {str(error).strip()} "
            f"Remove {store.blobs.path(digest)} and run {maker.pipeline} again: it is then computed anew."
        ) from error


def _maker_of_part(connection: sa.Connection, digest: str) -> Any:
    """Find the step whose result has a part of that digest."""
    question = sa.select(artifacts.c.step, artifacts.c.pipeline, artifacts.c.value).where(
        artifacts.c.format == "partitions", artifacts.c.value.is_not(None)
    )
    return next((row for row in connection.execute(question) if digest.encode() in bytes(row.value)), None)


def reset_peak() -> None:
    """Begin a new measurement of peak memory (Linux; elsewhere the peak is that of the whole process)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
            file.write("5")
    except OSError:
        pass


def peak_bytes() -> int:
    """Return the highest resident memory since :func:`reset_peak`, in bytes."""
    try:
        with open("/proc/self/status", "rb") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(b"VmHWM"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_log: contextvars.ContextVar[io.StringIO | None] = contextvars.ContextVar("penstock_step_log", default=None)


class _Redirect(io.TextIOBase):
    """Stands in for a standard stream: a step's thread writes to its log, the main one to the stream.

    Others, such as those of Ray, write to stderr: stdout is for what the program answers.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        target: Any = _log.get()
        if target is None:
            target = self.stream if threading.current_thread() is threading.main_thread() else sys.__stderr__
        return int(target.write(text))

    def flush(self) -> None:
        if _log.get() is None:
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        target = _log.get()
        if target is not None:
            target.write(self.format(record) + "\n")


_capture_lock = threading.Lock()
_capturing = 0
_handler = _LogHandler()
_handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))


@contextmanager
def capture_output() -> Iterator[None]:
    """While open, what steps print and log goes to their logs; one for all threads of a run."""
    global _capturing
    with _capture_lock:
        _capturing += 1
        if _capturing == 1:
            sys.stdout, sys.stderr = _Redirect(sys.stdout), _Redirect(sys.stderr)
            logging.getLogger().addHandler(_handler)
    try:
        yield
    finally:
        with _capture_lock:
            _capturing -= 1
            if _capturing == 0:
                for name in ("stdout", "stderr"):
                    if isinstance(getattr(sys, name), _Redirect):
                        setattr(sys, name, getattr(sys, name).stream)
                logging.getLogger().removeHandler(_handler)


@contextmanager
def _captured(log: io.StringIO) -> Iterator[None]:
    token = _log.set(log)
    try:
        yield
    finally:
        _log.reset(token)


def _shortened(text: str) -> str:
    if len(text) <= LOG_BYTES:
        return text
    half = LOG_BYTES // 2
    return f"{text[:half]}\n... {len(text) - LOG_BYTES} characters left out ...\n{text[-half:]}"


def _users_traceback(problem: BaseException) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(problem.__traceback__)
        if owner_of_file(frame.filename) == "user" or frame.filename.startswith("<")
    ]
    return "".join(traceback.format_list(frames))
