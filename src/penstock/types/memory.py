"""How much memory there is: the machine's, or what a container or a limit leaves of it."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from penstock.types.durations import bytes_of

_SPARE = 0.8
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@functools.cache
def total_memory() -> int:
    """Return the bytes that this process may use at most: the least of the machine's and its control groups'.

    ``PENSTOCK_MEMORY``, such as ``4GB``, sets another limit. Looked up once: it is asked before every step.

    Raises
    ------
    GraphError
        When that cannot be read.

    Examples
    --------
    >>> total_memory() > 2**20
    True
    """
    told = os.environ.get("PENSTOCK_MEMORY")
    if told:
        return bytes_of(told)
    import psutil

    found = int(psutil.virtual_memory().total)
    for path in [*_LIMITS, *own_groups("memory", "memory.max", "memory.limit_in_bytes")]:
        try:
            limit = int(Path(path).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such group, or "max"
            continue
        found = min(found, limit)
    return found


def spare_memory() -> int:
    """Return what other processes may use beside this one: four fifths of all, less what this one has, and a fifth at least.

    Examples
    --------
    >>> total_memory() // 5 <= spare_memory() < total_memory()
    True
    """
    import psutil

    total = total_memory()
    return max(int(_SPARE * total) - int(psutil.Process().memory_info().rss), total // 5)


def own_groups(kind: str, new: str, old: str) -> list[str]:
    """Return where the control groups of this process keep a limit: the file `new` of version 2, `old` of version 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kinds, place = line.split(":", 2)
        if not kinds:
            found.append(f"/sys/fs/cgroup{place}/{new}")
        elif kind in kinds.split(","):
            found.append(f"/sys/fs/cgroup/{kind}{place}/{old}")
    return found
