"""One row's window features while serving: 10 aggregates over an entity of 1,000 events, microseconds a row.

Beside it Polars on the same events as a frame, which is what a service has that reuses its training code.
"""

import json
import time

import numpy as np
import polars as pl

import penstock as ps
from penstock.features.resolve import resolve

EVENTS, ROWS = 1000, 2000


def main() -> None:
    random = np.random.default_rng(0)
    when = pl.Series("when", np.sort(random.integers(0, 30 * 86400, EVENTS)) * 1_000_000).cast(pl.Datetime("us"))
    events = pl.DataFrame({"who": ["a"] * EVENTS, "when": when, "paid": random.gamma(2, 50, EVENTS).round(2)})
    paid = pl.col("paid")
    aggregates = {
        "n": pl.len(), "count": paid.count(), "sum": paid.sum(), "mean": paid.mean(), "std": paid.std(), "min": paid.min(),
        "max": paid.max(), "first": paid.first(), "last": paid.last(), "median": paid.median(),
    }  # fmt: skip
    window = ps.features.window("events", by="who", over="30d", **aggregates)
    schemas = {"rows": {"who": pl.String(), "when": pl.Datetime("us")}, "events": events.schema}
    (made,) = resolve([window], "rows", schemas, {"rows": "when", "events": "when"})
    live = made.live(made.compact(events))
    row = {"who": "a", "when": when.max()}
    figures: dict[str, list[float]] = {"penstock": [], "polars": [], "one event told": []}
    for number in range(ROWS):
        began = time.perf_counter()
        live.row(row)
        figures["penstock"].append(time.perf_counter() - began)
        if number % 10 == 0:
            began = time.perf_counter()
            events.filter((pl.col("who") == "a") & (pl.col("when") < row["when"])).select(
                item.alias(name) for name, item in aggregates.items()
            ).to_dicts()
            figures["polars"].append(time.perf_counter() - began)
    for number in range(200):
        event = events[number : number + 1]
        began = time.perf_counter()
        live.add(made.compact(event))
        figures["one event told"].append(time.perf_counter() - began)
    for name, found in figures.items():
        low, middle, high = np.percentile(np.array(found) * 1e6, [5, 50, 99])
        print(json.dumps({"what": name, "median us": round(middle, 1), "p5": round(low, 1), "p99": round(high, 1)}))


if __name__ == "__main__":
    main()
