"""What an author may say about monitoring."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from penstock.errors import InputError
from penstock.monitor.telling import Channel

_CAUSES = ("drift", "data")


@dataclass(frozen=True)
class Retrain:
    """When a watcher trains a challenger, and what it may do with it; made by :func:`retrain`."""

    on: tuple[str, ...] = ("drift",)
    every: float | None = None
    labels: int | None = None
    growth: float | None = None
    cool_down: float = 6 * 3600.0
    most_per_day: int = 3
    approve: bool = False
    canary: float | None = None
    hold: float = 86_400.0


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
    retrain: Retrain | None = None
    tell: tuple[Channel, ...] = ()


def drift(
    window: str | float = "1d", *, effect: float = 0.1, significance: float = 0.01, least: int = 100,
    retrain: Retrain | None = None, tell: Sequence[Channel] = (),
) -> Drift:  # fmt: skip
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
        Greatest chance of one false alarm a look: of columns, answers and rows as wholes together. Groups, calibration
        and losses, which need labels, have as much each; of losses it holds for all looks.
    least : int
        Rows that a window must hold to be judged.
    retrain : Retrain, optional
        From :func:`retrain`: what ``penstock watch`` does about it. Without it, it only tells.
    tell : sequence
        From :func:`webhook`, :func:`email` and :func:`command`: who is told of alarms, recoveries and decisions.

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
    if retrain is not None and not isinstance(retrain, Retrain):
        raise InputError(f"ps.monitor.drift(retrain={retrain!r}): give ps.monitor.retrain(...)")
    counted = re.fullmatch(r"\s*(\d+)\s*rows\s*", str(window))
    if not isinstance(tell, Sequence) or not all(isinstance(item, get_args(Channel)) for item in tell):
        raise InputError("ps.monitor.drift(tell=[...]): give ps.monitor.webhook(...), email(...) or command(...)")
    if counted:
        if int(counted[1]) < 1:
            raise InputError(f'ps.monitor.drift({window!r}): give a row at least, such as "500 rows"')
        return Drift(None, int(counted[1]), effect, significance, least, retrain, tuple(tell))
    return Drift(seconds_of(window), None, effect, significance, least, retrain, tuple(tell))


def retrain(
    on: Sequence[Literal["drift", "data"]] = ("drift",),
    *,
    every: float | str | None = None,
    labels: int | str | None = None,
    cool_down: float | str = "6h",
    most_per_day: int = 3,
    approve: bool = False,
    canary: float | str | None = None,
    hold: float | str = "1d",
) -> Retrain:
    """Let ``penstock watch`` train a challenger; the gate judges it as in any run.

    Parameters
    ----------
    on : sequence of {"drift", "data"}
        Causes: columns that drifted or a metric that decayed; new data at the source.
    every : float or str, optional
        Also when the champion is so old, such as ``"30d"``.
    labels : int or str, optional
        Also when so many labels came for the champion's answers, or, such as ``"25%"``, so large a share of the rows
        that it has learnt from: often while there are few, rarely when a few more teach little.
    cool_down : float or str
        Between the end of one retraining and the begin of the next.
    most_per_day : int
        So many retrainings in any 24 hours.
    approve : bool
        Ask a person before a challenger that passed becomes the champion.
    canary : float or str, optional
        The share of requests, such as ``"10%"``, that it answers first, for as long as `hold`.
    hold : float or str
        How long a canary is tried, and a new champion compared with the one before on rows with labels; one that is
        surely worse, its mean loss 5 % higher or more, is rolled back.

    Raises
    ------
    InputError
        For causes that are not known, or numbers out of range.

    Examples
    --------
    >>> retrain(every="30d").every
    2592000.0
    """
    from penstock.types.durations import seconds_of

    causes = (on,) if isinstance(on, str) else tuple(on)
    unknown = [item for item in causes if item not in _CAUSES]
    if unknown:
        raise InputError(f"ps.monitor.retrain(on={unknown[0]!r}): there are {', '.join(_CAUSES)}")
    share = _share(canary, "canary") if isinstance(canary, str) else canary
    growth = _share(labels, "labels") if isinstance(labels, str) else None
    count = None if isinstance(labels, str) else labels
    if isinstance(labels, str) and not labels.strip().endswith("%"):
        raise InputError(f"ps.monitor.retrain(labels={labels!r}): a number, or a share such as '25%', is expected")
    few = most_per_day < 1 or (count is not None and count < 1) or (growth is not None and not 0 < growth < 1e9)
    if few or (share is not None and not 0 < share < 1):
        raise InputError(
            "ps.monitor.retrain: most_per_day and labels are 1 or more, canary lies between 0 and 100 %, "
            'and labels="..." above 0 %'
        )
    return Retrain(
        causes, None if every is None else seconds_of(every), count, growth, seconds_of(cool_down), most_per_day, approve,
        share, seconds_of(hold),
    )  # fmt: skip


def _share(text: str, name: str) -> float:
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise InputError(f"ps.monitor.retrain({name}={text!r}): a share such as '25%' is expected") from None
