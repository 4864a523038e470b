"""What is a house in California worth? A regression with missing values, by the census of 1990."""

import polars as pl

import penstock as ps

pipeline = ps.Pipeline(
    name="housing",
    ingest=ps.ingest.files("housing.csv.gz"),
    # The census wrote 500,001 for everything above half a million: such rows say little, and are left out.
    prepare=[ps.prepare.filter(pl.col("median_house_value") < 500_001)],
    features=[
        ps.features.derive(
            rooms_per_household=pl.col("total_rooms") / pl.col("households"),
            bedrooms_per_room=pl.col("total_bedrooms") / pl.col("total_rooms"),
            people_per_household=pl.col("population") / pl.col("households"),
        )
    ],
    target=ps.regression("median_house_value"),
    split=ps.split.random(test=0.2),
    train=ps.train.search(budget="60s", trials=6),
    evaluate=ps.evaluate.gate(r2=0.75),
)
