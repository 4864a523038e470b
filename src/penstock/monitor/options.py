"""What an author may say about monitoring."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.errors import InputError


@dataclass(frozen=True)
class Drift:
    """When a window of predictions counts as drifted; made by :func:`drift`.

    Attributes
    ----------
    seconds, rows : float or int, optional
        The window: the latest so many seconds, or rows.
    effect : float
        A column has drifted when the difference is at least so large...
    significance : float
        ...and that unlikely by chance, over all columns together.
    least : int
        Fewer rows than this are not judged.
    """

    seconds: float | None = 86400.0
    rows: int | None = None
    effect: float = 0.1
    significance: float = 0.01
    least: int = 100


def drift(window: str | float = "1d", *, effect: float = 0.1, significance: float = 0.01, least: int = 100) -> Drift:
    """Compare the latest predictions with the training rows.

    A column has drifted when its difference is both large (`effect`) and surely not chance (`significance`,
    corrected for the number of columns), so that neither few rows nor very many raise false alarms.

    Parameters
    ----------
    window : str or float
        The latest ``"1d"``, ``"6h"``..., or ``"500 rows"``.
    effect : float
        Least difference of the distributions, from 0 (equal) to 1 (nothing in common).
    significance : float
        Greatest chance of one false alarm a look.
    least : int
        Rows that a window must hold to be judged.

    Raises
    ------
    InputError
        When a number is out of range.

    Examples
    --------
    >>> drift("500 rows").rows
    500
    """
    from penstock.types.durations import seconds_of

    if not 0 < effect < 1 or not 0 < significance < 1 or least < 2:
        raise InputError("ps.monitor.drift: effect and significance lie between 0 and 1, least is 2 or more")
    counted = re.fullmatch(r"\s*(\d+)\s*rows\s*", str(window))
    if counted:
        return Drift(None, int(counted[1]), effect, significance, least)
    return Drift(seconds_of(window), None, effect, significance, least)
