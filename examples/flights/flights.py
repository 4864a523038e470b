"""How late will a flight that leaves New York arrive? Four tables, and features over what has just happened.

Asked at departure: the delay at departure is known, and so is how late the carrier, the airport and the plane have
been until then. The same definitions answer in a service, which is told of departures by `POST /events`.
"""

import polars as pl

import penstock as ps

late = pl.col("dep_delay") > 15

pipeline = ps.Pipeline(
    name="flights",
    ingest={
        "flights": ps.ingest.files("flights.csv.gz", time="time"),
        "weather": ps.ingest.files("weather.csv.gz", time="time_hour"),
        "planes": ps.ingest.files("planes.csv.gz"),
        "airports": ps.ingest.files("airports.csv.gz"),
    },
    base="flights",  # one row to predict per row of this table
    features=[
        ps.features.window(
            "flights", by=["origin", "carrier"], over=["6h", "30d"], mean_delay=pl.col("dep_delay").mean(), flights=pl.len()
        ),
        ps.features.window("flights", by="origin", over="3h", late_here=late.mean(), worst_here=pl.col("dep_delay").max()),
        # An arrival is known only after the flight: twelve hours are enough for the longest.
        ps.features.window("flights", by="dest", over="7d", delay="12h", mean_arrival=pl.col("arr_delay").mean()),
        ps.features.lag("dep_delay", 1, by="tailnum"),
        ps.features.asof("weather", by="origin", within="3h"),
        ps.features.join("planes", on="tailnum"),
        ps.features.join("airports", on={"dest": "faa"}),
        ps.features.derive(against_carrier=pl.col("dep_delay") - pl.col("mean_delay_6h")),
        ps.features.calendar("time"),
    ],
    target=ps.regression("arr_delay"),
    split=ps.split.time("time", test="60d"),
    train=ps.train.search(budget="60s", trials=6),
    evaluate=ps.evaluate.gate(r2=0.75, baseline="prior"),
)  # fmt: skip
