"""Columns that move within one group, though not in all rows together."""

import time
from contextlib import closing

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.cli.common import load_pipeline
from penstock.deploy.registry import Registry
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.monitor.options import Drift
from penstock.monitored import in_words
from penstock.outcome import load
from penstock.sliced import moved_within
from penstock.store import open_store
from penstock.watch import judged_by, monitor

PIPELINE = """
import penstock as ps
pipeline = ps.Pipeline(
    "visits",
    ingest=ps.ingest.files("visits.csv"),
    target=ps.regression("y"),
    train=ps.train.search(trials=1, learners=["lightgbm"]),
)
"""
CITIES = ["Oslo", "Rome", "Łódź", "São Paulo", "Paris", "Wien"]


def visits(n, seed, *, change=None):
    """Fees depend on the city; `change` is done to the rows of Łódź, one in six."""
    random = np.random.default_rng(seed)
    city = random.choice(CITIES, n)
    fee = random.gamma(3.0, 2.0, n) + 3 * (city == "Rome")
    plan = random.choice(["basic", "full", "none"], n, p=[0.5, 0.3, 0.2])
    new = random.random(n) < 0.3
    y = fee + (plan == "full") + random.normal(0, 1, n)
    table = pl.DataFrame({"city": city, "fee": fee, "plan": plan, "new": new, "y": y})
    if change is None:
        return table
    name = change.meta.output_name()
    return table.with_columns(pl.when(pl.col("city") == "Łódź").then(change).otherwise(pl.col(name)).alias(name))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("visits")
    visits(6000, 1).write_csv(folder / "visits.csv")
    (folder / "visits.py").write_text(PIPELINE)
    store = open_store(folder / "s")
    load_pipeline(str(folder / "visits.py")).run(store).raise_for_status()
    yield store
    store.close()


def within(store, table, known=()):
    model = load("visits", 1, store)
    judged = judged_by(store, Registry(store, "visits").version("champion"))
    rows = model.prepare(table.drop("y"))
    return moved_within(model, rows, judged["evaluation"], judged["outcomes"], Drift(), known)


@pytest.mark.parametrize(
    ("change", "column", "says"),
    [
        (pl.col("fee") * 2, "fee", "median"),
        (pl.col("plan").replace("basic", "full"), "plan", "basic"),
        (~pl.col("new"), "new", "false"),
        (pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("fee")), "fee", "missing 0.0% -> "),
    ],
)  # fmt: skip
def test_what_moves_in_one_city_is_named_with_the_city(place, change, column, says):
    found = within(place, visits(3000, 2, change=change))
    (seen,) = [item for item in found if item.by == "city"]
    assert (seen.group, seen.drift.name) == ("Łódź", column)
    assert 400 < seen.rows < 600
    assert says in seen.drift.text
    others = {(item.by, item.drift.name) for item in found if item is not seen}
    assert others <= {(column, "city")}  # the same, seen from the other side


def test_a_move_of_all_rows_is_told_once_not_of_each_group(place):
    everywhere = visits(3000, 3).with_columns(pl.col("fee") * 2)
    groups = {(item.by, item.group) for item in within(place, everywhere)}
    assert {group for by, group in groups if by == "city"} == set(CITIES)
    assert within(place, everywhere, ["fee"]) == []


def test_few_rows_and_cities_never_seen_say_nothing(place):
    double = pl.col("fee") * 2
    assert within(place, visits(400, 4, change=double)) == []
    unseen = visits(3000, 5, change=double).with_columns(pl.col("city").replace("Łódź", "Atlantis"))
    assert not any(item.by == "city" for item in within(place, unseen))
    assert within(place, visits(3000, 6).clear()) == []


def test_a_hundred_windows_of_the_same_world_raise_one_alarm_at_most(place):
    assert sum(bool(within(place, visits(1200, 100 + seed))) for seed in range(100)) <= 1


def test_a_column_of_more_categories_than_are_counted_is_not_looked_at_in_groups(tmp_path):
    def streets(n, seed, most):
        random = np.random.default_rng(seed)
        return visits(n, seed).with_columns(street=pl.Series([f"street {at}" for at in random.integers(0, most, n)]))

    streets(2000, 1, 150).write_csv(tmp_path / "visits.csv")
    (tmp_path / "visits.py").write_text(PIPELINE)
    with closing(open_store(tmp_path / "s")) as store:
        load_pipeline(str(tmp_path / "visits.py")).run(store).raise_for_status()
        assert not any(item.drift.name == "street" for item in within(store, streets(2000, 2, 40)))


def test_an_alarm_says_where(place):
    table = visits(3000, 7, change=pl.col("fee") * 2)
    model = ps.load("visits", "champion", place)
    rows = table.drop("y").to_dicts()
    log, now = PredictionLog(log_folder(place.folder, "visits")), time.time()
    answers = model.answer(rows)
    log.append([Record(str(at), now, 1, row, answers[at].prediction) for at, row in enumerate(rows)])
    log.close()
    found = monitor("visits", place, Drift(None, 3000))
    assert not any(column.drifted for column in found.columns)
    assert found.status == "drift"
    assert "where city is Łódź" in in_words(found)
    assert found.as_json()["within"][0]["drift"]["name"] == "fee"


def years(first, days, seed):
    """Visits by day, of which the fees in Łódź follow the seasons and those elsewhere do not."""
    random = np.random.default_rng(seed)
    n = 60 * days
    day = np.sort(random.uniform(first, first + days, n))
    city = random.choice(CITIES, n)
    season = 6 * np.sin(2 * np.pi * day / 365) * (city == "Łódź")
    fee = random.normal(20, 2, n) + season
    at = np.datetime64("2020-01-01T00:00:00") + (day * 86_400_000).astype("timedelta64[ms]")
    return pl.DataFrame({"at": at, "city": city, "fee": fee, "y": fee + random.normal(0, 1, n)})


def test_what_swings_in_one_city_anyway_is_no_alarm_and_what_does_not_is(tmp_path):
    years(0, 730, 1).write_csv(tmp_path / "visits.csv")
    (tmp_path / "visits.py").write_text(PIPELINE.replace('"visits.csv"', '"visits.csv", time="at"'))
    store = open_store(tmp_path / "s")
    load_pipeline(str(tmp_path / "visits.py")).run(store).raise_for_status()
    for first in (740, 820, 1000):
        found = ps.health("visits", years(first, 30, first), store=store)
        assert found.within == []
    broken = years(820, 30, 820).with_columns(pl.col("fee") + 4 * (pl.col("city") == "Oslo"))
    found = ps.health("visits", broken, store=store)
    assert {(item.by, item.group, item.drift.name) for item in found.within} == {("city", "Oslo", "fee")}
    store.close()
