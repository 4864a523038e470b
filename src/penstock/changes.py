"""How the snapshots of two runs differ: what moved in the distribution of each column."""

from __future__ import annotations

import polars as pl

from penstock.engine.execute import load
from penstock.engine.history import artifact_of, past_run
from penstock.monitor.compare import compare_columns
from penstock.monitor.options import Drift
from penstock.monitor.profile import profile_of
from penstock.prepare.tables import normalised
from penstock.store.store import Store


def moved_columns(store: Store, one: str, other: str, how: Drift | None = None) -> list[str]:
    """Say of each snapshot which columns moved from run `one` to run `other`, in words.

    A column has moved when the difference is large and surely not chance, as :func:`penstock.monitor.drift` has it.
    """
    old, new = past_run(store, one), past_run(store, other)
    found: list[str] = []
    for step in new.steps:
        name = str(step["name"])
        if name != "snapshot" and not name.startswith("snapshot_"):
            continue
        was, now = artifact_of(store, old, name), artifact_of(store, new, name)
        if was is None or now is None or was.digest == now.digest or "parquet" not in (was.format, now.format):
            continue
        before, after = (normalised(load(store, ref)) for ref in (was, now))
        shared = [
            column for column in before.columns if column in after.columns and _alike(before[column], after[column])
        ]
        compared = compare_columns(profile_of(before, shared), after, how or Drift())
        found += [
            f"{name}: column {item.name} moved by {item.effect:.2f}: {item.text}" for item in compared if item.drifted
        ]
    return found


def _alike(one: pl.Series, two: pl.Series) -> bool:
    """Whether two columns can be compared: both numbers or both not; columns that tell rows apart say nothing."""
    if one.dtype.is_temporal() or (one.dtype == pl.String and one.n_unique() > 0.5 * max(one.len(), 1)):
        return False
    return one.dtype.is_numeric() == two.dtype.is_numeric()
