"""What travels with a task to a machine that does not reach the store: the bytes of its inputs, and of what it made."""

from __future__ import annotations

import contextvars
import functools
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle

from penstock.engine.execute import Outcome, Task, capture_output, execute, read_bytes
from penstock.engine.packages import installed_packages
from penstock.engine.step import Ref
from penstock.store.store import Store, open_store
from penstock.types.scratch import Scratch
from penstock.version import __version__

_DECIDING = (
    "polars",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "lightgbm",
    "xgboost",
    "xgboost-cpu",
    "catboost",
    "torch",
)
"""Of other packages a difference shows as an error, if at all; of these, as another result under the same key."""


@dataclass(frozen=True)
class Home:
    """Where a run was started.

    Attributes
    ----------
    store : str
        Its store.
    node : str or None
        The node it is on, whose workers reach that folder; None when it is on none.
    shared : bool
        Whether every machine reaches the store.
    versions : dict of str to str
        Of Python, Penstock and the packages that decide what comes out.
    """

    store: str
    node: str | None
    shared: bool
    versions: dict[str, str]


def versions_here() -> dict[str, str]:
    """Return what must be equal on every machine, lest one key stood for two results."""
    found = installed_packages()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, "penstock": __version__} | {name: found[name] for name in _DECIDING if name in found}


def unlike(home: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """Say how a machine differs from the one that the run was started on, or None.

    Examples
    --------
    >>> unlike({"polars": "2.1"}, {"polars": "2.2"})
    'polars 2.1 there, 2.2 here'
    """
    names = [name for name in home if here.get(name) != home[name]]
    return ", ".join(f"{name} {home[name]} there, {here.get(name, 'none')} here" for name in names) or None


def leaves(ref: Ref) -> Iterator[Ref]:
    """Yield what a value lies in: its parts, or itself."""
    if ref.format == "partitions":
        for _, part in ref.partitions:
            yield from leaves(part)
    else:
        yield ref


def packed_input(store: Store, ref: Ref) -> bytes | None:
    """Return the bytes of an input; None where they need not travel: it is a URL, or lies in the ref itself."""
    if ref.value is not None or ref.format == "none" or (ref.format == "path" and "://" in str(ref.path)):
        return None
    return Path(str(ref.path)).read_bytes() if ref.format == "path" else read_bytes(store, ref.digest)


def run_there(
    packed: bytes, home: Home, node: str, fetch: Callable[[Any], bytes], inputs: Mapping[str, Any]
) -> tuple[Outcome, dict[str, bytes]]:
    """Run a task on a worker.

    Parameters
    ----------
    packed : bytes
        The task, by cloudpickle.
    home : Home
        Where the run was started.
    node : str
        Where this worker is.
    fetch : callable
        Returns the bytes of an input.
    inputs : dict
        Digest to what `fetch` takes; empty where the store is reached.

    Returns
    -------
    Outcome, dict of str to bytes
        What came of it, and the blobs that the store at home does not have yet.
    """
    difference = unlike(home.versions, versions_here())
    if difference is not None:
        return Outcome(None, error=f"this worker is not like the machine of the run: {difference}", exit_code=2), {}
    task: Task = cloudpickle.loads(packed)
    with capture_output():
        if home.shared or node == home.node:
            return _limited(_reached(home.store), task), {}
        with Scratch("worker") as folder:
            (Path(folder) / "catalog.db").write_bytes(_empty_catalog())
            return _isolated(Path(folder), task, fetch, inputs)


def _isolated(
    folder: Path, task: Task, fetch: Callable[[Any], bytes], inputs: Mapping[str, Any]
) -> tuple[Outcome, dict[str, bytes]]:
    store, known = open_store(folder), set()
    there: dict[str, Ref] = {}
    for name, whole in task.inputs.items():
        for ref in leaves(whole):
            known.add(ref.digest)
            if ref.digest in inputs and ref.format != "path":
                store.blobs.write(fetch(inputs[ref.digest]))
        there[name] = _placed(whole, folder, fetch, inputs)
    try:
        outcome = _limited(store, replace(task, inputs=there))
        made = [] if outcome.ref is None else [ref for ref in leaves(outcome.ref) if ref.value is None]
        return outcome, {ref.digest: store.blobs.read(ref.digest) for ref in made if ref.digest not in known}
    finally:
        store.close()


def _placed(ref: Ref, folder: Path, fetch: Callable[[Any], bytes], inputs: Mapping[str, Any]) -> Ref:
    """Write files from outside below a folder, under the names that they have at home: folders can be columns."""
    if ref.format == "partitions":
        return replace(
            ref, partitions=tuple((name, _placed(part, folder, fetch, inputs)) for name, part in ref.partitions)
        )
    if ref.format != "path" or ref.digest not in inputs:
        return ref
    path = folder / "files" / ref.digest[:16] / str(ref.path).lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fetch(inputs[ref.digest]))
    return replace(ref, path=str(path))


def _limited(store: Store, task: Task) -> Outcome:
    """Run a task; one that takes too long is left, and its worker ends after this call."""
    if task.timeout is None:
        return execute(store, task)
    found: list[Outcome] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: found.append(context.run(execute, store, task)), daemon=True)
    thread.start()
    thread.join(task.limit)
    return (
        found[0] if found else Outcome(None, error=f"took longer than its timeout of {task.timeout:g} s and was ended")
    )


@functools.cache
def _reached(location: str) -> Store:
    return open_store(location)


@functools.cache
def _empty_catalog() -> bytes:
    """To make its tables anew for each task would cost more than many a task."""
    with tempfile.TemporaryDirectory() as folder:
        open_store(folder).close()
        return (Path(folder) / "catalog.db").read_bytes()
