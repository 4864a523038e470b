"""Rows further ahead of what is known of a table than any was in training are told, and no others."""

import datetime as dt
import warnings
from contextlib import closing

import polars as pl
import pytest

import penstock as ps
from penstock.errors import DataWarning
from penstock.outcome import load
from penstock.store.store import open_store
from tests.cli.test_commands import call

DAY = dt.date(2024, 3, 1)
DAYS = 60


def sales(first, last, shops=("a", "b")):
    days = [(shop, at) for at in range(first, last) for shop in shops]
    return pl.DataFrame(
        {
            "shop": [shop for shop, _ in days],
            "day": [DAY + dt.timedelta(days=at) for _, at in days],
            "sold": [float(at % 7 + (shop == "b") * 3) for shop, at in days],
        }
    )


def trained(folder, *features, weather=range(0, DAYS + 4, 4), **more):
    sales(0, DAYS).write_csv(folder / "sales.csv")
    days = pl.DataFrame({"day": [DAY + dt.timedelta(days=at) for at in weather]})
    days.with_columns(warm=pl.int_range(pl.len()) % 5).write_csv(folder / "weather.csv")
    pipeline = ps.Pipeline(
        "sales",
        ingest={
            "sales": ps.ingest.files(str(folder / "sales.csv"), time="day"),
            "weather": ps.ingest.files(str(folder / "weather.csv"), time="day"),
        },
        base="sales",
        features=list(features),
        target=ps.regression("sold"),
        train=ps.train.search(trials=1, learners=["linear"]),
        file=str(folder / "sales.py"),
        **more,
    )
    with closing(open_store(folder / "s")) as store:
        run = pipeline.run(store)
        run.raise_for_status()
        return load("sales", 1, store), run["evaluated"]["evaluation"]["early"]


def told(model, rows):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.predict(rows.drop("sold"))
    warned = [item for item in found if issubclass(item.category, DataWarning)]
    assert {item.filename for item in warned} <= {__file__}  # where it was asked
    return [str(item.message) for item in warned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ahead")


@pytest.fixture(scope="module")
def model(folder):
    lags = ps.features.lag("sold", 1, 7, by="shop")
    return trained(folder, lags, ps.features.asof("weather", columns=["warm"]))[0]


def test_a_row_as_far_from_the_newest_known_one_as_in_training_is_answered_silently(model):
    assert told(model, sales(DAYS, DAYS + 1)) == []
    assert told(model, sales(20, DAYS)) == []


def test_a_row_further_ahead_is_told_with_the_table_and_the_features(model):
    (text,) = told(model, sales(DAYS, DAYS + 2))
    assert text.startswith(
        'table "sales": a row of 2024-05-01 is asked about, and the newest one known before it is of 2024-04-29. In training '
        "rows came at least every 1d, so sold_lag_1, sold_lag_7 may say less than they did there."
    )
    assert "--events sales=FILES" in text


def test_a_table_that_rarely_changes_is_told_of_later(model):
    weather = [told(model, sales(DAYS + ahead, DAYS + ahead + 1))[1:] for ahead in (4, 5)]
    assert weather[0] == []
    assert weather[1][0].startswith(
        'table "weather": a row of 2024-05-05 is asked about, and the newest one known before it is of 2024-04-30'
    )
    assert "weather_warm may say" in weather[1][0]


def test_the_command_tells_it_once_and_not_where_events_make_up_for_it(model, folder):
    sales(DAYS, DAYS + 3).drop("sold").write_csv(folder / "asked.csv")
    sales(DAYS, DAYS + 2).write_csv(folder / "since.csv")
    asked = [
        "predict",
        "sales",
        folder / "asked.csv",
        "-o",
        folder / "out.csv",
        "--version",
        1,
        "--store",
        folder / "s",
    ]
    assert call(*asked).stderr.count('warning: table "sales"') == 1
    assert "warning" not in call(*asked, "--events", f"sales={folder / 'since.csv'}").stderr


def test_monitoring_says_that_events_are_missing_where_they_are(model, folder):
    rows = sales(DAYS, DAYS + 6)
    (text,) = ps.health("sales", rows, store=folder / "s").ahead  # they are one another's past
    assert text.startswith('table "weather"')
    tables = [text[:15] for text in ps.health("sales", rows.drop("sold"), store=folder / "s").ahead]
    assert tables == ['table "sales": ', 'table "weather"']


def test_features_that_are_declared_for_a_delay_may_look_so_far_ahead(tmp_path):
    model, _ = trained(tmp_path, ps.features.lag("sold", 1, 8, by="shop", delay="6d"))
    assert told(model, sales(DAYS, DAYS + 7)) == []
    assert len(told(model, sales(DAYS, DAYS + 8))) == 1


def test_a_gap_in_what_is_known_is_told_too(model, folder):
    month = sales(DAYS + 20, DAYS + 40)
    texts = ps.health("sales", month, store=folder / "s").ahead
    assert "a row of 2024-05-20 is asked about, and the newest one known before it is of 2024-04-29" in texts[0]
    before = sales(DAYS, DAYS + 20)
    texts = ps.health("sales", month, events={"sales": before}, store=folder / "s").ahead
    assert [text[:15] for text in texts] == ['table "weather"']


def test_a_table_of_one_moment_says_nothing_of_how_often_rows_come(tmp_path):
    model, _ = trained(tmp_path, ps.features.asof("weather", columns=["warm"]), weather=[0])
    assert told(model, sales(DAYS + 100, DAYS + 101)) == []


def test_features_that_see_truths_sooner_than_the_gap_of_the_split_says_are_told(tmp_path):
    rows = pl.col("sold").filter(pl.col("sold") > 2).mean()
    features = [
        ps.features.window("sales", by="shop", over="14d", before=rows, days=pl.len()),
        ps.features.lag("sold", 1, by="shop", delay="4d"),  # of daily rows, that of 5 days before
        ps.features.asof("weather", columns=["warm"]),
    ]
    _, early = trained(tmp_path, *features, split=ps.split.time("day", gap="5d"))
    assert early == {"columns": ["before"], "gap": "5d"}
    _, early = trained(tmp_path, *features)
    assert early is None
