"""Weeks of real tables beside the months before them: how many raise an alarm as they are, and where a column was moved.

The first 60 % of a table, by time, are the reference; of these, Penstock takes the last sixth as test rows, as a run does. Each later
week is compared as it is, and once for each column with that column moved: numbers by half a deviation of the reference, every
fourth cell of others made a new value. NannyML gets the same reference and weeks, by its own chunks of a week, at its defaults; Evidently,
with its preset for drift, weeks as they are. What alarms a week as it is may be a season, a trend or chance, nobody knows; an alarm
each week says nothing.
Run: python benchmarks/seasons.py TABLE.csv.gz TIME [--drop A,B] [--nannyml PYTHON] [--evidently PYTHON]
TIME is a column, or columns such as year,month,day, or the number of minutes between rows that are in order.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from penstock.monitor.compare import compare_columns
from penstock.monitor.options import Drift
from penstock.monitor.profile import profile_of
from penstock.monitor.usual import usual_of, usual_within

WEEK, LEAST = 7 * 86_400.0, 100
NANNYML = """
import json, os, sys
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml, pandas as pd
def read(path):
    table = pd.read_parquet(path)
    return table.astype({name: "category" for name in table if not pd.api.types.is_numeric_dtype(table[name]) and name != "at"})
def alerts(found):
    return {name[0]: found[name].tolist() for name in found if name[-1] == "alert"}
reference = read(sys.argv[1])
columns = [name for name in reference if name != "at"]
texts = [name for name in columns if str(reference[name].dtype) == "category"]
watch = nannyml.UnivariateDriftCalculator(columns, timestamp_column_name="at", treat_as_categorical=texts, chunk_period="W")
watch.fit(reference)
found = {}
for path in sys.argv[2:]:
    told = watch.calculate(read(path)).filter(period="analysis").to_df()
    found[path] = {name: [bool(item) for item in told[[key for key in told if key[0] == name and key[-1] == "alert"]].any(axis=1)] for name in columns}
print(json.dumps(found))
"""
EVIDENTLY = """
import json, sys
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
reference = pd.read_parquet(sys.argv[1]).drop(columns="at")
later = pd.read_parquet(sys.argv[2])
counts = []
for _, week in later.groupby(pd.Grouper(key="at", freq="W")):
    if len(week) >= 100:
        found = Report([DataDriftPreset()]).run(week.drop(columns="at"), reference).dict()
        counts.append(int(next(item["value"]["count"] for item in found["metrics"] if "DriftedColumnsCount" in str(item))))
print(json.dumps(counts))
"""


def moved(table: pl.DataFrame, column: str, spread: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Move one column of all rows."""
    if table.schema[column].is_numeric():
        return table.with_columns(
            pl.col(column).cast(pl.Float64) + 0.5 * (spread[column].cast(pl.Float64).std() or 0.0)
        )
    new = pl.Series(random.random(table.height) < 0.25)
    return table.with_columns(pl.when(new).then(pl.lit("new")).otherwise(pl.col(column).cast(pl.String)).alias(column))


def weeks_of(table: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut a table by calendar weeks, of which those with a hundred rows count."""
    parts = table.with_columns(pl.col("at").dt.truncate("1w").alias("week")).partition_by("week", maintain_order=True)
    return [part.drop("week") for part in parts if part.height >= LEAST]


def seconds(table: pl.DataFrame) -> np.ndarray:
    """Return the times of rows."""
    return table["at"].cast(pl.Datetime("us")).to_physical().cast(pl.Float64).to_numpy() / 1e6


def read(path: str, when: str, drop: list[str]) -> pl.DataFrame:
    """Read a table with its time as column ``at``, in order of time."""
    table = pl.read_csv(path, null_values="NA", infer_schema_length=None)
    if when.replace(".", "").isdigit():
        at = pl.datetime(2000, 1, 3) + pl.duration(minutes=float(when)) * pl.int_range(pl.len())
    elif "," in when:
        at = pl.datetime(*when.split(","))
    else:
        at = pl.col(when).cast(pl.String).str.to_datetime(time_zone="UTC").dt.replace_time_zone(None)
    table = table.with_columns(at.cast(pl.Datetime("us")).alias("at"))
    return (
        table.drop([*drop, *([when] if when in table.columns else [])]).drop_nulls("at").sort("at", maintain_order=True)
    )


def asked(python: str, script: str, paths: list[Path]) -> object:
    """Ask a peer, in the environment of its own."""
    made = subprocess.run(
        [python, "-W", "ignore", "-c", script, *map(str, paths)], capture_output=True, text=True, check=True
    )
    return json.loads(made.stdout.splitlines()[-1])


def main() -> None:
    """Print, of each system, weeks with an alarm and the share of moved columns that it calls."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table")
    parser.add_argument("time")
    parser.add_argument("--drop", default="")
    parser.add_argument("--nannyml")
    parser.add_argument("--evidently")
    said = parser.parse_args()
    table = read(said.table, said.time, [name for name in said.drop.split(",") if name])
    first, cut, random = table.height // 2, table.height * 6 // 10, np.random.default_rng(0)
    reference, later = table[:cut], table[cut:]
    columns = [name for name in table.columns if name != "at"]
    train, test = table[:first], table[first:cut]
    profile, how = profile_of(train, columns), Drift(significance=Drift().significance / 4)
    began = time.perf_counter()
    known = usual_of(profile, train, test, (seconds(train), seconds(test)))
    cost = time.perf_counter() - began
    weeks = weeks_of(later)
    changed = {name: weeks_of(moved(later, name, reference, random)) for name in columns}
    print(
        json.dumps(
            {
                "rows": table.height,
                "columns": len(columns),
                "weeks": len(weeks),
                "rows a week": int(np.median([w.height for w in weeks])),
            }
        )
    )
    for system, usual in (("Penstock, without what is usual", {}), ("Penstock", usual_within(known, WEEK))):
        alarms = [sum(item.drifted for item in compare_columns(profile, week, how, usual)) for week in weeks]
        called = [
            any(item.drifted and item.name == name for item in compare_columns(profile, week, how, usual))
            for name in columns
            for week in changed[name]
        ]
        print(json.dumps({
            "system": system, "weeks with an alarm": sum(item > 0 for item in alarms), "columns an alarm": round(float(np.mean(alarms)), 1),
            "moved columns called": round(float(np.mean(called)), 2), "seconds to learn it": round(cost, 2) if usual else 0,
        }), flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        reference.write_parquet(folder / "reference.parquet")
        pl.concat(weeks).write_parquet(folder / "later.parquet")
        if said.nannyml:
            paths = [folder / "reference.parquet", folder / "later.parquet"]
            for number, name in enumerate(columns):
                paths.append(folder / f"moved-{number}.parquet")
                pl.concat(changed[name]).write_parquet(paths[-1])
            found = asked(said.nannyml, NANNYML, paths)
            plain = np.array(list(found[str(paths[1])].values()))
            called = [np.mean(found[str(path)][name]) for path, name in zip(paths[2:], columns, strict=True)]
            print(json.dumps({
                "system": "NannyML", "weeks": plain.shape[1], "weeks with an alarm": int(plain.any(0).sum()),
                "columns an alarm": round(float(plain.sum(0).mean()), 1), "moved columns called": round(float(np.mean(called)), 2),
            }), flush=True)  # fmt: skip
        if said.evidently:
            counts = asked(said.evidently, EVIDENTLY, [folder / "reference.parquet", folder / "later.parquet"])
            print(json.dumps({
                "system": "Evidently", "weeks": len(counts), "weeks with an alarm": sum(item > 0 for item in counts),
                "columns an alarm": round(float(np.mean(counts)), 1),
            }))  # fmt: skip


if __name__ == "__main__":
    main()
