"""How many cores there are: the machine's, or what a container, a limit or a pinning leaves of them."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

from penstock.errors import InputError
from penstock.types.memory import own_groups


@functools.cache
def cores() -> int:
    """Return how many cores this process may use at once: at least one.

    The least of those it may be scheduled on and the quotas of its control groups; ``PENSTOCK_CORES`` sets another number.
    Looked up once.

    Raises
    ------
    InputError
        When that is no whole number from 1 on.

    Examples
    --------
    >>> 1 <= cores() <= os.cpu_count()
    True
    """
    told = os.environ.get("PENSTOCK_CORES")
    if told:
        if not told.isdecimal() or int(told) < 1:
            raise InputError(f"PENSTOCK_CORES={told}: a whole number from 1 on is expected")
        return int(told)
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for path in ["/sys/fs/cgroup/cpu.max", *own_groups("cpu", "cpu.max", "cpu.cfs_quota_us")]:
        found = min(found, _quota(Path(path)))
    return max(1, found)


def _quota(path: Path) -> int:
    """Return the cores of a control group, rounded up; very many where it has no limit."""
    try:
        quota, *more = path.read_text(encoding="ascii").split()
        period = more[0] if more else path.with_name("cpu.cfs_period_us").read_text(encoding="ascii")
        cores = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such group, or "max"
        return 1_000_000
    return cores if cores > 0 else 1_000_000
