"""When a window is looked at again: when a quarter of it is new, whoever looks and however often.

Each look that judges may raise a false alarm. So many a window, each at that share of the significance, raise one as
rarely as a single look may (Bonferroni).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LOOKS = 4
"""So often the rows of one window are judged."""


def is_due(new: int, rows: int, least: int) -> bool:
    """Whether so many new rows, of a window of `rows`, are cause for another look.

    Examples
    --------
    >>> is_due(100, rows=1_000, least=100), is_due(250, rows=1_000, least=100)
    (False, True)
    """
    return new >= max(least, rows / LOOKS)


def latest_look(
    times: np.ndarray[Any, np.dtype[np.float64]], least: int, seconds: float | None = None, rows: int | None = None
) -> float | None:
    """Return when one has looked last who was there from the first row on; None where there are too few.

    So a look that knows of none before it, such as cron's, judges what a watcher that stays has judged, and
    the same at the next call until enough is new.

    Parameters
    ----------
    times : array of float64, (n,)
        Of rows, in seconds since 1970, in order.
    least : int
        Fewer are not judged.
    seconds, rows : float, int, optional
        How long the window is.

    Examples
    --------
    >>> minutes = np.arange(0.0, 1_000.0)
    >>> latest_look(minutes[:99], 100), latest_look(minutes[:150], 100), latest_look(minutes[:950], 100, rows=800)
    (None, 99.0, 781.0)
    """
    last = least - 1
    if last >= len(times):
        return None
    while True:
        last = int(np.searchsorted(times, times[last], side="right")) - 1  # the rows of a request have one time
        first = 0 if seconds is None else int(np.searchsorted(times, times[last] - seconds))
        width = last + 1 - first if rows is None else min(rows, last + 1 - first)
        following = last + max(least, math.ceil(width / LOOKS))
        if following >= len(times):
            return float(times[last])
        last = following
