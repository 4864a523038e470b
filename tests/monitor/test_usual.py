"""What seasons do to windows of the training rows is known, and only more than that is drift."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.monitor.compare import compare_columns
from penstock.monitor.options import Drift
from penstock.monitor.profile import profile_of
from penstock.monitor.usual import beyond, usual_in_groups, usual_of, usual_within
from penstock.store.store import open_store

DAY = 86_400.0
COLUMNS = ["warmth", "noise", "weather"]


def year(first, days, seed=0, each=100):
    """Rows of so many days: warmth and weather follow the season, noise does not."""
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(first, first + days, each * days)) * DAY
    season = np.sin(2 * np.pi * at / DAY / 365)
    wet = random.random(len(at)) < 0.5 - 0.4 * season
    table = pl.DataFrame(
        {"warmth": 10 * season + random.normal(0, 3, len(at)), "noise": random.normal(0, 1, len(at))},
    ).with_columns(weather=pl.Series(np.where(wet, "rain", "sun")))
    return table, at


def learnt(first=0, days=730):
    train, at = year(first, days)
    none = np.empty(0)
    return profile_of(train, COLUMNS), usual_of(profile_of(train, COLUMNS), train, train.clear(), (at, none))


def test_a_week_of_any_season_is_calm_and_one_like_no_other_is_not():
    reference, known = learnt()
    usual = usual_within(known, 7 * DAY)
    assert set(usual) == {"warmth", "weather"}
    for first in range(740, 1095, 60):
        week, _ = year(first, 7, seed=first)
        plain = compare_columns(reference, week, Drift())
        assert {item.name for item in plain if item.drifted} <= {"warmth", "weather"}
        assert not any(item.drifted for item in compare_columns(reference, week, Drift(), usual))
    hot = year(800, 7, seed=1)[0].with_columns(pl.col("warmth") + 15, pl.col("noise") + 0.5)
    found = compare_columns(reference, hot, Drift(), usual)
    assert {item.name for item in found if item.drifted} == {"warmth", "noise"}
    moved = next(item for item in found if item.name == "warmth")
    assert moved.effect > moved.usual > 0.5
    assert "windows at training up to 0." in moved.in_words


def test_a_group_that_swings_by_itself_has_its_own_usual():
    train, at = year(0, 730)
    half = pl.Series(np.random.default_rng(7).random(len(at)) < 0.5)
    train = train.with_columns(
        warmth=pl.when(half).then(pl.col("warmth")).otherwise(pl.col("noise")),
        where=pl.when(half).then(pl.lit("inland")).otherwise(pl.lit("coast")),
    )
    groups = [("where", "inland"), ("where", "coast"), ("where", "moon")]
    found = usual_in_groups(profile_of(train, [*COLUMNS, "where"]), train, train.clear(), (at, np.empty(0)), groups)
    inland, coast = (usual_within(item.usual, 7 * DAY) for item in found)
    assert [item.group for item in found] == ["inland", "coast"]
    whole = usual_within(usual_of(profile_of(train, COLUMNS), train, train.clear(), (at, np.empty(0))), 7 * DAY)
    assert inland["warmth"] > 1.5 * whole["warmth"] > 0
    assert "warmth" not in coast
    assert "where" not in inland


def test_some_weeks_of_all_seasons_are_no_excuse_where_a_year_moved():
    _, known = learnt()
    assert usual_within(known, 3 * 365 * DAY) == usual_within(known, None) == {}
    assert usual_within(known, 365 * DAY).get("warmth", 0) < usual_within(known, 30 * DAY)["warmth"]


def test_columns_that_are_the_same_in_all_windows_lose_no_power():
    train, at = year(0, 365)
    known = usual_of(profile_of(train, ["noise"]), train[["noise"]], train[["noise"]].clear(), (at, np.empty(0)))
    assert len(known) == 7
    assert all(not item.effects for item in known)


def test_what_came_once_is_not_usual_and_what_test_rows_showed_twice_is():
    train, at = year(0, 64)
    flat = train.select("noise")
    odd = flat.with_columns(
        pl.when(pl.Series((at >= 8 * DAY) & (at < 9 * DAY))).then(9.0).otherwise("noise").alias("noise")
    )
    reference, none = profile_of(flat, ["noise"]), np.empty(0)
    assert usual_within(usual_of(reference, odd, flat.clear(), (at, none)), DAY) == {}
    later, when = year(64, 8, seed=5)
    moved = later.select(pl.col("noise") + 2)
    usual = usual_within(usual_of(reference, flat, moved, (at, when)), DAY)
    assert usual["noise"] == pytest.approx(0.68, abs=0.05)  # Phi(1) - Phi(-1)


@given(
    cells=st.lists(st.tuples(st.none() | st.floats(0, 1e5), st.none() | st.floats(-5, 5), st.none() | st.sampled_from("abc")), max_size=300),
    cut=st.integers(0, 300),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_cells_and_times_give_effects_between_0_and_1(cells, cut):
    schema = {"t": pl.Float64, "x": pl.Float64, "c": pl.String}
    table = pl.DataFrame(cells, schema=schema, orient="row")
    times = table["t"].to_numpy()
    train, later = table[:cut], table[cut:]
    reference = profile_of(train, ["x", "c"])
    for item in usual_of(reference, train, later, (times[: train.height], times[train.height :])):
        assert all(0 < effect <= 1 for effect in item.effects.values())


def test_more_than_usual_counts_by_what_is_left():
    assert beyond(0.0, 0.1) == 0.1
    assert beyond(0.9, 0.1) == pytest.approx(0.91)
    assert beyond(1.0, 0.1) == 1.0


def test_a_seasonal_pipeline_is_calm_next_summer_and_alarms_where_it_should(tmp_path):
    start = dt.datetime(2022, 1, 1)

    def rows(first, days, seed, more=0.0):
        table, at = year(first, days, seed, each=20)
        when = pl.Series("at", [start + dt.timedelta(seconds=float(item)) for item in at])
        table = table.with_columns(warmth=pl.col("warmth") + more)
        sold = table["warmth"] * 2 + np.random.default_rng(seed).normal(0, 2, len(at))
        return table.with_columns(when, sold=sold).select("at", *COLUMNS, "sold")

    rows(0, 730, 0).write_parquet(tmp_path / "rows.parquet")
    pipeline = ps.Pipeline(
        "season", ingest=ps.ingest.files(str(tmp_path / "rows.parquet"), time="at"), target=ps.regression("sold"),
        train=ps.train.search(trials=1, learners=["lightgbm"], folds=2), file=str(tmp_path / "pipeline.py"),
    )  # fmt: skip
    with_store = open_store(tmp_path / "s")
    pipeline.run(with_store).raise_for_status()
    calm = ps.health("season", rows(900, 14, 3), store=with_store)
    assert calm.status == "calm", calm
    assert not calm.answers.drifted and calm.answers.usual > 0.3
    assert calm.behind / 86_400 == pytest.approx(914 - 730, abs=3)  # the test rows too were learnt from
    assert ps.health("season", rows(300, 14, 3), store=with_store).behind is None
    assert calm.together is None or calm.together.without >= 2
    hot = ps.health("season", rows(900, 14, 3, more=25.0), store=with_store)
    assert "warmth" in {item.name for item in hot.columns if item.drifted}
    with_store.close()
