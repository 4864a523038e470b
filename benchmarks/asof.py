"""Point-in-time join: of each row to label the latest known row of its entity, as Feast does it offline, and as ``asof``.

Each engine in a process of its own, in turn, from and to Parquet; median wall seconds and peak memory. Feast runs in the
interpreter that ``--feast-python`` names; without it only Penstock is measured. Every answer is compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3


def make(folder: Path, events: int, entities: int, rows: int) -> None:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)

    def frame(n: int) -> pl.DataFrame:
        when = pl.Series("when", np.sort(random.integers(0, 365 * 86400, n)) * 1_000_000).cast(pl.Datetime("us"))
        return pl.DataFrame({"who": random.integers(0, entities, n), "when": when.dt.replace_time_zone("UTC")})

    known = frame(events).unique(["who", "when"], maintain_order=True)
    known.with_columns(paid=random.gamma(2, 50, known.height), level=random.normal(size=known.height)).write_parquet(
        folder / "events.parquet"
    )
    frame(rows).with_row_index("row").write_parquet(folder / "rows.parquet")


def penstock(folder: Path) -> None:
    import polars as pl

    import penstock as ps
    from penstock.features.resolve import resolve
    from penstock.features.stored import compacts, compute
    from penstock.prepare.tables import normalised
    from penstock.types.table import Table

    rows, events = (normalised(pl.read_parquet(folder / f"{name}.parquet")) for name in ("rows", "events"))
    times = {"rows": "when", "events": "when"}
    made = resolve(
        [ps.features.asof("events", by="who")], "rows", {"rows": rows.schema, "events": events.schema}, times
    )
    found = compute(rows, made, compacts(made, {"events": Table.of(events)}))
    found.select("row", paid="events_paid", level="events_level").write_parquet(folder / "penstock.parquet")


def feast(folder: Path) -> None:
    from datetime import timedelta

    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64

    config = RepoConfig(project="bench", provider="local", registry=str(folder / "registry.db"),
                        offline_store={"type": "file"}, entity_key_serialization_version=3)  # fmt: skip
    store = FeatureStore(config=config)
    who = Entity(name="who", join_keys=["who"])
    view = FeatureView(
        name="events", entities=[who], ttl=timedelta(days=4000), schema=[Field(name=name, dtype=Float64) for name in ("paid", "level")],
        source=FileSource(path=str(folder / "events.parquet"), timestamp_field="when"),
    )  # fmt: skip
    store.apply([who, view])
    rows = pd.read_parquet(folder / "rows.parquet").rename(columns={"when": "event_timestamp"})
    found = store.get_historical_features(rows, ["events:paid", "events:level"]).to_df()
    found[["row", "paid", "level"]].to_parquet(folder / "feast.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--feast-python")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        {"penstock": penstock, "feast": feast}[given.run[0]](Path(given.run[1]))
        return
    engines = {"penstock": sys.executable} | ({"feast": given.feast_python} if given.feast_python else {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, given.events, given.entities, given.rows)
        figures: dict[str, list[tuple[float, int]]] = {engine: [] for engine in engines}
        for _ in range(ROUNDS):
            for engine, python in engines.items():
                began = time.perf_counter()
                process = subprocess.Popen([python, __file__, "--run", engine, name], stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                assert status == 0, engine
                figures[engine].append((time.perf_counter() - began, usage.ru_maxrss))
        for engine, found in figures.items():
            seconds = sorted(item for item, _ in found)[ROUNDS // 2]
            print(json.dumps({"engine": engine, "events": given.events, "rows": given.rows, "seconds": round(seconds, 2),
                              "peak GB": round(max(item for _, item in found) / 1e6, 2)}))  # fmt: skip
        if "feast" in engines:
            import polars as pl

            one, two = (pl.read_parquet(folder / f"{engine}.parquet").cast({"row": pl.Int64}) for engine in engines)
            both = one.join(two.fill_nan(None), on="row", suffix=" feast")
            unlike = sum((~both[name].eq_missing(both[f"{name} feast"])).sum() for name in ("paid", "level"))
            lost = one.join(two, on="row", how="anti")
            print(json.dumps({"cells that differ": unlike, "cells": 2 * both.height, "rows that Feast leaves out": lost.height,
                              "of these without an answer": lost["paid"].null_count()}))  # fmt: skip


if __name__ == "__main__":
    main()
