"""Will the price of electricity in New South Wales go up or down? Half-hours of 1996 and 1997, and the world changes.

In May 1997 the market is joined with that of Victoria: `vicprice`, `vicdemand` and `transfer`, constant until
then, begin to move. A model of the time before does not know them.
"""

import os

import penstock as ps

pipeline = ps.Pipeline(
    name="electricity",
    # One file a month, each read once; `time` says that rows are judged by the latest of them.
    ingest=ps.ingest.files(os.environ.get("ELECTRICITY_DATA", "data/*.csv.gz"), time="time"),
    prepare=[ps.prepare.drop("period")],  # the half-hour of the day, which `calendar` gives anyway
    features=[ps.features.calendar("time")],
    target=ps.binary("target", positive="UP"),
    train=ps.train.search(budget="30s", trials=6),
    # The last price's direction is not known yet when a prediction is wanted: class frequencies are the baseline.
    evaluate=ps.evaluate.gate(roc_auc=0.7, baseline="prior"),
    monitor=ps.monitor.drift(window="1000 rows"),
)
