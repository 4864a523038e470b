"""Windows of real tables whose truth is known: how often a metric counts as decayed, or probabilities as off, as they are and spoilt.

A pipeline learns from the first 60 % of a table, by time; later windows are answered and judged, once as they are and once with half
of the truths dealt out anew. "Plain" is by intervals alone, without what blocks of test rows came to.
Run: python benchmarks/decay.py TABLE.csv.gz TIME TARGET [--positive CLASS] [--days 7] [--drop A,B]
TIME is as for seasons.py.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from seasons import read

import penstock as ps
from penstock.deploy.registry import Registry
from penstock.observed import from_batch
from penstock.performance import calibration_of, performance_of
from penstock.store import open_store
from penstock.watch import judged_by

LEAST = 100


def main() -> None:
    """Print of how many windows what was said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table")
    parser.add_argument("time")
    parser.add_argument("target")
    parser.add_argument("--positive")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--drop", default="")
    said = parser.parse_args()
    table = read(said.table, said.time, [name for name in said.drop.split(",") if name]).drop_nulls(said.target)
    cut, random = table.height * 6 // 10, np.random.default_rng(0)
    windows = pl.col("at").dt.truncate(f"{said.days}d")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table[:cut].write_parquet(folder / "rows.parquet")
        store = open_store(folder / "store")
        ps.Pipeline(
            "decay",
            ingest=ps.ingest.files(str(folder / "rows.parquet"), time="at"),
            target=ps.binary(said.target, positive=said.positive) if said.positive else ps.regression(said.target),
            train=ps.train.search(trials=1, learners=["lightgbm"]),
            file=str(folder / "pipeline.py"),
        ).run(store).raise_for_status()
        registry = Registry(store, "decay")
        if registry.champion() is None:
            registry.promote(1, "the gate said no")
        version = registry.version("champion")
        model, outcomes = ps.load("decay", store=store), judged_by(store, version)["outcomes"]
        plain = {name: value for name, value in outcomes.items() if name != "order"}
        found: Counter[str] = Counter()
        for window in table[cut:].with_columns(window=windows).partition_by("window", maintain_order=True):
            known = from_batch(model, window.drop("window"), {}).known
            if window.height < LEAST or known is None:
                continue
            truth, some = known.target.copy(), random.random(len(known.target)) < 0.5
            truth[some] = random.permutation(truth[some])
            for state, rows in (("as they are", known), ("spoilt", replace(known, target=truth))):
                for way, judged in (("plain", plain), ("usual", outcomes)):
                    decay = performance_of(model, version, rows, judged)
                    off = calibration_of(model, rows, judged, 0.01, 0.1)
                    found[f"{state}, {way}: decayed"] += decay is not None and decay.decayed
                    found[f"{state}, {way}: probabilities off"] += off is not None and off.off
            found["windows"] += 1
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
