"""Rows further ahead of what is known of a table than any was in training: what features say of the past is out of date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from penstock.features.events import moments
from penstock.features.stored import StoredAsof, StoredWindow
from penstock.types.durations import length_of

TIME = "penstock time"


def longest_silence(past: pl.DataFrame) -> int | None:
    """Return the longest time between successive rows of a compact table, in microseconds or its own whole numbers.

    Examples
    --------
    >>> longest_silence(pl.DataFrame({TIME: [8, 1, 3, 3]}))
    5
    """
    times = np.unique(moments(past[TIME].drop_nulls()))
    return int(np.diff(times).max()) if len(times) > 1 else None


def told_ahead(
    features: Sequence[tuple[StoredWindow | StoredAsof, int | None]], newest: Mapping[str, Any], rows: pl.DataFrame
) -> Iterator[str]:
    """Say in words of which tables the newest known row is further from some of these rows than it was in training.

    There, it was never further than the longest time between successive rows of that table.

    Parameters
    ----------
    features : sequence of (feature, int)
        With the longest silence of the table, as :func:`longest_silence` says.
    newest : mapping
        By table, the time of the newest row that is known.
    rows : DataFrame
        Prepared rows to answer.
    """
    late: dict[str, list[str]] = {}
    shown: dict[str, tuple[Any, str]] = {}
    for made, silence in features:
        known = newest.get(made.table)
        if silence is None or known is None:
            continue
        times = rows[made.row_time].drop_nulls()
        delay = made.spans[0].delay if isinstance(made, StoredWindow) else 0
        ahead = times.filter(
            pl.Series(moments(times) - delay > moments(pl.Series([known], dtype=times.dtype)) + silence)
        )
        if ahead.len():
            late.setdefault(made.table, []).extend(made.names)
            usual = length_of(silence / 1e6) if times.dtype.is_temporal() else str(silence)
            shown[made.table] = ahead.max(), usual
    for table, names in late.items():
        last, usual = shown[table]
        which = ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
        yield (
            f'table "{table}": its newest row that is known is of {_written(newest[table])}, and a row of {_written(last)} is '
            f"asked about. In training rows came at least every {usual}, so {which} say less than they did there. Tell what has "
            f"come since (--events {table}=FILES, or POST /events), or let features do without it (delay=)"
        )


def _written(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}".removesuffix(" 00:00") if isinstance(moment, dt.datetime) else str(moment)
