"""Rows further from what is known of a table than any was in training: what features say of the past is out of date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from penstock.features.events import Ints, moments
from penstock.features.stored import StoredAsof, StoredWindow
from penstock.types.durations import length_of

TIME = "penstock time"


def known_times(tables: Sequence[pl.DataFrame]) -> Ints:
    """Return when rows of compact tables were, each time once, in order.

    Examples
    --------
    >>> known_times([pl.DataFrame({TIME: [8, 1]}), pl.DataFrame({TIME: [3, 3, None]})])
    array([1, 3, 8])
    """
    return np.unique(np.concatenate([moments(table[TIME].drop_nulls()) for table in tables]))


def told_ahead(
    features: Sequence[tuple[StoredWindow | StoredAsof, int]], known: Mapping[str, Ints], rows: pl.DataFrame
) -> Iterator[str]:
    """Say in words for which tables some of these rows are further from the newest row known before them than any was in training.

    Parameters
    ----------
    features : sequence of (feature, int)
        With the longest time between successive rows of their tables in training: no row was further away there.
    known : mapping
        By table, its times as :func:`known_times` says.
    rows : DataFrame
        Prepared rows to answer.
    """
    late: dict[str, list[str]] = {}
    shown: dict[str, tuple[str, str, str]] = {}
    for made, silence in features:
        times = rows[made.row_time].drop_nulls()
        # A window looks strictly before the row, and before what comes late; as-of also at its very time.
        delay, side = (made.spans[0].delay, "left") if isinstance(made, StoredWindow) else (0, "right")
        asked = moments(times) - delay
        before = np.searchsorted(known[made.table], asked, side=side) - 1  # type: ignore[call-overload]
        age = np.where(before >= 0, asked - known[made.table][before.clip(0)], 0)
        if len(age) and age.max() > silence:
            late.setdefault(made.table, []).extend(made.names)
            last = int(age.argmax())
            newest = pl.Series([known[made.table][before[last]]]).cast(times.dtype)
            usual = length_of(silence / 1e6) if times.dtype.is_temporal() else str(silence)
            shown[made.table] = _written(times[last : last + 1]), _written(newest), usual
    for table, names in late.items():
        row, newest_known, usual = shown[table]
        which = ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
        yield (
            f'table "{table}": a row of {row} is asked about, and the newest one known before it is of {newest_known}. In '
            f"training rows came at least every {usual}, so {which} may say less than they did there. Tell what came between "
            f"(--events {table}=FILES, or POST /events), or let features do without it (delay=)"
        )


def _written(moment: pl.Series) -> str:
    text = moment.dt.strftime("%Y-%m-%d %H:%M") if moment.dtype.is_temporal() else moment.cast(pl.String)
    return str(text[0]).removesuffix(" 00:00")
