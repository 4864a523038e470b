"""Point-in-time windows: 5 aggregates of the 30 days before each row to label, from and to Parquet.

Each engine runs in a process of its own, in turn; prints wall seconds and peak memory of the whole process, and the
largest difference from the first engine's answers. ``--engines`` chooses; pandas is an engine where it is installed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DAYS = 365


def make(folder: Path, events: int, entities: int, rows: int) -> None:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    second = 1_000_000

    def frame(n: int) -> pl.DataFrame:
        when = pl.Series("when", np.sort(random.integers(0, DAYS * 86400, n)) * second).cast(pl.Datetime("us"))
        return pl.DataFrame({"who": random.integers(0, entities, n), "when": when})

    frame(events).with_columns(pl.Series("paid", random.gamma(2, 50, events).round(2))).write_parquet(
        folder / "events.parquet"
    )
    frame(rows).write_parquet(folder / "rows.parquet")


def penstock(folder: Path) -> None:
    import polars as pl

    import penstock as ps
    from penstock.features.resolve import resolve
    from penstock.features.stored import compacts, compute
    from penstock.types.table import Table

    rows, events = (pl.read_parquet(folder / f"{name}.parquet") for name in ("rows", "events"))
    paid = pl.col("paid")
    window = ps.features.window(
        "events", by="who", over="30d", n=pl.len(), mean=paid.mean(), std=paid.std(), max=paid.max(), last=paid.last()
    )
    made = resolve([window], "rows", {"rows": rows.schema, "events": events.schema}, {"rows": "when", "events": "when"})
    past = compacts(made, {"events": Table.of(events)})
    del events
    compute(rows, made, past).write_parquet(folder / "penstock.parquet")


def polars(folder: Path) -> None:
    """Rows and events in one table: Polars has no window of one table over another."""
    import polars as pl

    rows = pl.scan_parquet(folder / "rows.parquet").with_row_index("row")
    events = pl.scan_parquet(folder / "events.parquet")
    paid = pl.col("paid")
    (
        pl.concat([events, rows], how="diagonal_relaxed")
        .sort("who", "when")
        .rolling("when", period="30d", closed="left", group_by="who")
        .agg(
            paid.count().alias("n"), paid.mean().alias("mean"), paid.std().alias("std"), paid.max().alias("max"),
            paid.drop_nulls().last().alias("last"),
        )
        .with_columns(pl.concat([events, rows], how="diagonal_relaxed").sort("who", "when").collect()["row"])
        .filter(pl.col("row").is_not_null())
        .sort("row")
        .drop("row")
        .collect()
        .write_parquet(folder / "polars.parquet")
    )  # fmt: skip


def pandas(folder: Path) -> None:
    """All five: pandas 3 has the last value too."""
    import pandas as pd

    rows = pd.read_parquet(folder / "rows.parquet").reset_index(names="row")
    both = pd.concat([pd.read_parquet(folder / "events.parquet"), rows], ignore_index=True)
    both = both.sort_values(["who", "when"], kind="stable", ignore_index=True)
    rolling = both.set_index("when").groupby("who")["paid"].rolling("30D", closed="left", min_periods=1)
    made = pd.DataFrame({
        "n": rolling.count().to_numpy(), "mean": rolling.mean().to_numpy(), "std": rolling.std().to_numpy(),
        "max": rolling.max().to_numpy(), "last": rolling.last().to_numpy(), "row": both["row"],
    })  # fmt: skip
    made[made["row"].notna()].sort_values("row").drop(columns="row").to_parquet(folder / "pandas.parquet")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--entities", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["penstock", "polars"])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        {"penstock": penstock, "polars": polars, "pandas": pandas}[chosen.one[0]](Path(chosen.one[1]))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make(folder, chosen.events, chosen.entities, chosen.rows)
        figures: dict[str, list[tuple[float, int]]] = {}
        for _ in range(chosen.rounds):
            for engine in chosen.engines:
                began = time.perf_counter()
                process = subprocess.Popen([sys.executable, __file__, "--one", engine, place])
                _, status, usage = os.wait4(process.pid, 0)
                if status:
                    sys.exit(f"{engine} failed")
                figures.setdefault(engine, []).append((time.perf_counter() - began, usage.ru_maxrss))
        import polars as pl

        first = pl.read_parquet(folder / f"{chosen.engines[0]}.parquet")
        for engine, found in figures.items():
            other = pl.read_parquet(folder / f"{engine}.parquet")
            gap = max(
                float((first[name].cast(pl.Float64) - other[name].cast(pl.Float64).fill_nan(None)).abs().max() or 0)
                for name in ("n", "mean", "std", "max", "last")
                if name in other.columns
            )
            seconds = sorted(item for item, _ in found)[len(found) // 2]
            peak = max(item for _, item in found) / 1e6
            print(json.dumps({"engine": engine, "seconds": round(seconds, 2), "peak GB": round(peak, 2), "gap": gap}))


if __name__ == "__main__":
    main()
