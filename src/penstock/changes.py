"""How the snapshots of two runs differ: what moved in the distribution of each column."""

from __future__ import annotations

import polars as pl

from penstock.engine.execute import load
from penstock.engine.history import artifact_of, past_run
from penstock.engine.step import LazyPartitions
from penstock.monitor.compare import compare_columns
from penstock.monitor.options import Drift
from penstock.monitor.profile import Profile, sample
from penstock.prepare.tables import normalised
from penstock.store.store import Store
from penstock.types.table import Table

_ROWS = 200_000
"""Of a larger snapshot so many rows, spread over it, are compared."""


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
        profile = artifact_of(store, old, name.replace("snapshot", "profiled", 1))
        if was is None or now is None or profile is None or was.digest == now.digest:
            continue
        before: Profile = load(store, profile, Profile)
        table = Table(load(store, now, LazyPartitions))
        after = normalised(sample(table, -(-table.height // _ROWS)))
        compared = compare_columns(_comparable(before, after), after, how or Drift())
        found += [
            f"{name}: column {item.name} moved by {item.effect:.2f}: {item.text}" for item in compared if item.drifted
        ]
    return found


def _comparable(before: Profile, after: pl.DataFrame) -> Profile:
    """Leave out columns that cannot be compared, and those that tell rows apart, which say nothing."""
    found = []
    for item in before.columns:
        if item.name not in after.columns:
            continue
        now = after[item.name]
        kind = "number" if now.dtype.is_numeric() else "category"
        if now.dtype.is_temporal() or item.kind != kind:
            continue
        if now.dtype == pl.String and now.n_unique() > 0.5 * max(now.len(), 1):
            continue
        found.append(item)
    return Profile(found)
