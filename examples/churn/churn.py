"""Which customers of a telephone company will leave? Real and messy: numbers as text, blanks, yes and no."""

import polars as pl

import penstock as ps

pipeline = ps.Pipeline(
    name="churn",
    ingest=ps.ingest.files("telco.csv.gz"),
    prepare=[ps.prepare.cast("TotalCharges", pl.Float64), ps.prepare.drop_duplicates("customerID")],
    features=[ps.features.derive(charge_per_month=pl.col("TotalCharges") / pl.col("tenure").clip(1))],
    target=ps.binary("Churn", positive="Yes"),
    split=ps.split.stratified(test=0.2),
    train=ps.train.search(budget="30s"),
    evaluate=ps.evaluate.gate(roc_auc=0.83, slices=["Contract", "InternetService", "SeniorCitizen"]),
    deploy=ps.deploy.api(),
    monitor=ps.monitor.drift(window="1d"),
)
