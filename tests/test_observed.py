"""Rows of a file are looked at as those of a service are: the same verdict, in order of time, with their own past."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.errors import DataError
from penstock.monitor.log import Record
from penstock.observed import from_batch, from_log
from penstock.store import open_store
from penstock.watch import health, monitor
from tests.cli.test_commands import call, call_json
from tests.conftest import customers
from tests.test_performance import answered, place  # noqa: F401 - a fixture

DAY = dt.timedelta(days=1)


def test_a_file_gives_the_verdict_that_a_service_with_the_same_rows_gets(place, tmp_path):  # noqa: F811
    answered(place, pl.col("left"))
    customers(2000, seed=5).write_csv(tmp_path / "batch.csv")
    logged, found = monitor("customers", place), health("customers", tmp_path / "batch.csv", store=place)
    assert found.window.rows == 2000
    for name in ("status", "columns", "performance", "groups", "calibration", "bearing"):
        assert getattr(found, name) == getattr(logged, name), name
    assert found.estimate == pytest.approx(logged.estimate)
    assert found.skew is None


def test_rows_without_the_target_are_judged_by_what_moved(place):  # noqa: F811
    rows = customers(2000, seed=6, drifted=True).drop("left")
    found = health("customers", rows, store=place)
    assert found.status == "drift"
    assert {"age", "city"} <= {column.name for column in found.columns if column.drifted}
    assert found.performance is None
    assert found.estimate is not None


def test_of_very_many_rows_evenly_spaced_ones_are_looked_at(place):  # noqa: F811
    model = ps.load("customers", "champion", place)
    assert len(from_batch(model, customers(2000, seed=7), most=900).predicted) == 667


def test_a_class_that_training_did_not_know_is_told(place):  # noqa: F811
    rows = customers(2000, seed=5)
    some = pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.lit("unsure")).otherwise("left").alias("left")
    found = health("customers", rows.with_columns(some), store=place)
    assert (found.status, found.strange, found.performance.labels) == ("drift", 500, 1500)
    assert "500 rows are of a class that training did not know" in found.labels_in_words()


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """Orders of thirty people over a year; the model has learnt from nine months."""
    folder = tmp_path_factory.mktemp("orders")
    random, n = np.random.default_rng(0), 4000
    at = [dt.datetime(2025, 1, 1) + float(days) * DAY for days in sorted(random.uniform(0, 365, n))]
    who, amount = random.integers(0, 30, n), random.gamma(2, 10, n).round(2)
    table = pl.DataFrame({"who": who, "at": at, "amount": amount}).with_columns(
        late=pl.Series(random.random(n) < np.where(amount > 20, 0.7, 0.2))
    )
    seen, new = table[:3000], table[3000:]
    seen.write_csv(folder / "seen.csv")
    new.write_parquet(folder / "new.parquet")
    (folder / "orders.py").write_text(
        "import penstock as ps, polars as pl\n"
        'pipeline = ps.Pipeline("orders", ingest=ps.ingest.files("seen.csv", time="at"), target=ps.binary("late", positive=True),\n'
        '    features=[ps.features.window("rows", by="who", over="30d", spent=pl.col("amount").sum())],\n'
        '    train=ps.train.search(trials=1, learners=["linear"]))\n'
    )
    call_json("run", "orders.py", folder=folder)
    return folder, table


def test_rows_of_the_file_are_one_anothers_past(orders):
    folder, table = orders
    store = open_store(folder / ".penstock")
    model = ps.load("orders", "champion", store)
    seen = from_batch(model, table[3000:].sample(fraction=1.0, shuffle=True, seed=1))
    assert seen.times.tolist() == sorted(seen.times.tolist())
    name = next(item for item in seen.table.columns if item.startswith("spent"))
    for row in (0, 400, 999):
        mine = table.row(3000 + row, named=True)
        past = table.filter(
            (pl.col("who") == mine["who"]) & (pl.col("at") < mine["at"]) & (pl.col("at") >= mine["at"] - 30 * DAY)
        )
        assert seen.table[name][row] == pytest.approx(past["amount"].sum())
    store.close()


def test_rows_of_no_time_are_answered_too(orders):
    folder, table = orders
    some = pl.when(pl.int_range(pl.len()) % 2 == 0).then("at").alias("at")
    table[3000:].with_columns(some).write_parquet(folder / "some.parquet")
    told = call("monitor", "orders", "--data", "some.parquet", folder=folder, code=3).stdout
    assert "(1,000 rows, 2025-10-" in told
    table[3000:].with_columns(pl.lit(None, pl.Datetime("us")).alias("at")).write_parquet(folder / "none.parquet")
    told = call("monitor", "orders", "--data", "none.parquet", "-o", "none.html", folder=folder, code=3).stdout
    assert "(1,000 rows)" in told
    assert "10 parts of the rows" in told


def test_the_command_tells_when_the_rows_were_and_draws_the_report(orders):
    folder, table = orders
    told = call("monitor", "orders", "--data", "new.parquet", "-o", "new.html", folder=folder).stdout
    assert f"(1,000 rows, {table['at'][3000].date()}T" in told
    assert f"since {table['at'][3099].date()}" in told
    assert "on 1,000 rows with labels" in told
    assert "largest difference of a column" in (folder / "new.html").read_text()
    both = call("monitor", "orders", "--data", "new.parquet", "--window", "1d", folder=folder, code=2)
    assert "give one of them" in both.stderr


def test_fields_that_a_log_holds_only_as_hashes_are_missing_and_rows_that_cannot_be_read_are_refused(tmp_path):
    random = np.random.default_rng(0)
    days = [dt.datetime(2024, 1, 1) + dt.timedelta(days=int(day)) for day in random.integers(0, 300, 200)]
    rows = pl.DataFrame(
        {
            "size": random.normal(0, 1, 200),
            "count": random.integers(0, 9, 200),
            "old": random.random(200) < 0.5,
            "day": days,
        }
    ).with_columns(price=pl.col("size") * 3 + pl.col("count"))
    rows.write_parquet(tmp_path / "rows.parquet")
    pipeline = ps.Pipeline(
        "hashed", ingest=ps.ingest.files(str(tmp_path / "rows.parquet")), target=ps.regression("price"),
        train=ps.train.search(trials=1, learners=["lightgbm"], folds=2), file=str(tmp_path / "p.py"),
    )  # fmt: skip
    store = open_store(tmp_path / "s")
    pipeline.run(store).raise_for_status()
    model = ps.load("hashed", store=store)
    asked = rows.drop("price").head(50).to_dicts()
    answers = model.predict(asked)
    assert np.array_equal(answers, model.predict(rows.head(50)))
    for hidden in ("size", "count", "old", "day"):
        records = [
            Record(str(at), float(at), 1, {**row, hidden: "9f3ab2c0"}, float(answer))
            for at, (row, answer) in enumerate(zip(asked, answers, strict=True))
        ]
        for known in ({hidden: "hash"}, {}):  # {}: hashed by rules of before
            seen = from_log(model, records, {}, 50, known)
            assert seen.table[hidden].null_count() == 50
            assert (hidden in seen.absent) is bool(known)
    numpy = {"size": np.float64(asked[0]["size"]), "count": np.int64(asked[0]["count"])}
    assert model.predict([{**asked[0], **numpy}]) == answers[:1]
    with pytest.raises(DataError, match="column \"size\": expected a number.*found 'much' in row 2"):
        model.predict([asked[0], {**asked[1], "size": "much"}])
    store.close()
