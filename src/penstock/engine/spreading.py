"""Work of one step that is spread over the nodes of the Ray cluster on which the step runs; at home it is done one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from penstock.engine.executors.shipping import unlike, versions_here
from penstock.errors import InputError, PenstockError

R = TypeVar("R")
RETRIES = 2
"""So often work is begun again after its node was lost."""
_AHEAD = 2
"""For each core so much is handed out at once, lest it waits for this process."""


def nodes() -> list[dict[str, float]]:
    """Return what each node has of the cluster that this step runs on; nothing at home."""
    ray: Any = sys.modules.get("ray")
    # A driver that has joined a cluster for ends of its own, such as a notebook, runs the step at home.
    if ray is None or not ray.is_initialized() or ray.get_runtime_context().get_task_id() is None:
        return []
    return [item["Resources"] for item in ray.nodes() if item["Alive"]]


def room() -> int:
    """Return on how many cores work is spread: those of all nodes, if they are several, else one."""
    there = nodes()
    return max(1, sum(int(item.get("CPU", 0.0)) for item in there)) if len(there) > 1 else 1


def spread(work: Callable[..., R], given: Iterable[tuple[Any, ...]]) -> Iterator[R]:
    """Yield what a function makes of each of many arguments, in their order.

    Parameters
    ----------
    work : callable
        What it raises is raised here.
    given : iterable of tuple
        Its arguments, taken when there is room for them.

    Examples
    --------
    >>> list(spread(pow, [(2, 3), (3, 2)]))
    [8, 9]
    """
    most = _AHEAD * room()
    if most == _AHEAD:
        yield from (work(*arguments) for arguments in given)
        return
    ray = sys.modules["ray"]
    remote = ray.remote(max_retries=RETRIES)(_there).options(name=work.__name__)
    versions, running = versions_here(), list[Any]()
    try:
        for arguments in given:
            if len(running) == most:
                yield _result(ray, running.pop(0))
            running.append(remote.remote(work, arguments, versions))
        while running:
            yield _result(ray, running.pop(0))
    finally:  # what still runs after a failure is not waited for by anyone
        for task in running:
            ray.cancel(task)


def _there(work: Callable[..., R], arguments: tuple[Any, ...], versions: dict[str, str]) -> R:
    difference = unlike(versions, versions_here())
    if difference is not None:
        raise InputError(f"this worker is not like the machine of the run: {difference}")
    return work(*arguments)


def _result(ray: Any, running: Any) -> Any:
    try:
        return ray.get(running)
    except ray.exceptions.RayTaskError as problem:
        if isinstance(problem.cause, PenstockError):
            raise problem.cause from None
        raise
