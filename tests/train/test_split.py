"""Test rows: chosen by content, kept apart, stable as the table grows."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import customers

from penstock.errors import DataError, InputError
from penstock.train.chance import chance_of, chances
from penstock.train.split import divide, looks_at, within_gap
from penstock.types.split import Split, group, random, stratified, time


@given(st.integers(0, 1000), st.floats(0.1, 0.9))
@settings(max_examples=30, deadline=None)
def test_a_row_stays_on_its_side_whatever_other_rows_there_are(seed, share):
    table = customers(900)
    whole, _ = divide(table, random(share), "left", "binary", None)
    rows = np.random.default_rng(seed).permutation(table.height)[:700]
    part, _ = divide(table[rows], random(share), "left", "binary", None)
    assert (whole[rows] == part).all()
    assert abs(whole.mean() - share) < 0.08


def test_classes_keep_their_shares_and_few_rows_are_divided_exactly():
    table = pl.DataFrame({"x": range(1100), "y": ["a"] * 1000 + ["rare"] * 100})
    flags, division = divide(table, stratified(0.2), "y", "binary", None)
    assert flags[1000:].sum() == 20
    assert abs(flags[:1000].mean() - 0.2) < 0.05
    assert division.train + division.test == 1100


def survey(rows, grades=4):
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {"smokes": random.random(rows) < 0.3, "grade": random.integers(0, grades, rows), "y": random.random(rows) < 0.4}
    )


@pytest.mark.parametrize("how", [random(0.25), stratified(0.25)])
def test_where_equal_inputs_have_different_answers_each_of_equal_rows_is_divided_by_itself(how):
    table = survey(3000)
    flags, division = divide(table, how, "y", "binary", None)
    assert "each of equal rows by itself" in division.text
    shares = table.with_columns(test=pl.Series(flags)).group_by(table.columns).agg(pl.col("test").mean())["test"]
    assert shares.len() == 16
    assert shares.is_between(0.1, 0.4).all()
    parts, _ = divide(table, how, "y", "binary", None, lambda: (table[at : at + 700] for at in range(0, 3000, 700)))
    assert (parts == flags).all()


def test_what_is_judged_does_not_contradict_what_is_learnt():
    table = survey(1000, grades=500)
    flags, _ = divide(table, random(0.25), "y", "binary", None)
    learnt, judged = (table.filter(pl.Series(side)) for side in (~flags, flags))
    known = learnt.group_by("smokes", "grade").agg(said=pl.col("y").mean() - learnt["y"].mean())
    both = judged.join(known, on=["smokes", "grade"])
    # The answers are chance: a value that was learnt says nothing of what is judged, where it said the opposite before.
    assert both.height > 100
    assert abs(both.select(pl.corr("said", "y")).item()) < 0.15


@pytest.mark.parametrize("shape", ["inputs say it", "no input comes twice"])
def test_the_same_thing_seen_twice_lies_on_one_side(shape):
    table = survey(1000)
    if shape == "inputs say it":
        table = table.with_columns(y=pl.col("smokes"))
    else:
        table = table.with_columns(income=pl.Series(np.random.default_rng(1).normal(size=1000)))
    twice = pl.concat([table, table])
    flags, _ = divide(twice, random(0.3), "y", "binary", None)
    assert (flags[:1000] == flags[1000:]).all()


def test_a_row_that_comes_once_falls_by_its_content_alone_in_a_survey_too():
    table = survey(1000, grades=500)
    found, apart = chances(lambda: [table], "y")
    once = ~table.is_duplicated().to_numpy()
    assert apart
    assert 0 < once.sum() < 1000
    np.testing.assert_array_equal(found[once], chance_of(table)[once])
    assert len(np.unique(found)) == 1000


def test_of_equal_rows_those_that_were_judged_stay_when_others_come():
    table = survey(3000)
    before, _ = divide(table[:2000], random(0.25), "y", "binary", None)
    after, _ = divide(table, random(0.25), "y", "binary", None)
    assert (after[:2000] == before).all()


def test_a_group_lies_on_one_side():
    table = pl.DataFrame({"x": range(900), "patient": [f"p{i % 60}" for i in range(900)], "y": [0, 1] * 450})
    flags, _ = divide(table, group("patient"), "y", "binary", None)
    sides = table.with_columns(pl.Series("test", flags)).group_by("patient").agg(pl.col("test").n_unique())
    assert sides["test"].max() == 1
    assert 0 < flags.sum() < 900


@pytest.mark.parametrize("sites", [2, 3, 5, 8])
@pytest.mark.parametrize("named", range(8))
def test_few_groups_are_divided_as_near_to_the_share_as_they_can_be(sites, named):
    table = pl.DataFrame({"site": [f"site {named} {at % sites}" for at in range(600)], "y": range(600)})
    flags, _ = divide(table, group("site"), "y", "regression", None)
    assert set(table["site"].filter(pl.Series(flags))).isdisjoint(table["site"].filter(pl.Series(~flags)))
    assert 0.1 <= flags.mean() <= max(0.4, 1 / sites)


def test_a_group_that_is_most_of_the_table_is_learnt_from():
    table = pl.DataFrame({"site": ["main"] * 800 + ["a"] * 100 + ["b"] * 100, "y": range(1000)})
    for seed in range(8):
        named = table.with_columns(pl.col("site") + str(seed))
        flags, _ = divide(named, group("site"), "y", "regression", None)
        assert flags.sum() in (100, 200)
    with pytest.raises(DataError, match="both sides need rows"):
        divide(table[:800], group("site"), "y", "regression", None)


def test_time_judges_by_the_latest_rows():
    days = [dt.datetime(2024, 1, 1) + dt.timedelta(days=i) for i in range(100)]
    table = pl.DataFrame({"day": days, "y": range(100)}).sample(fraction=1, shuffle=True, seed=1)
    for how in (time("day", test=0.2), Split("auto", 0.2), time("day", test="20d")):
        flags, division = divide(table, how, "y", "regression", None)
        assert division.kind == "time"
        assert flags.sum() == 20
        assert table["day"].filter(pl.Series(flags)).min() > table["day"].filter(pl.Series(~flags)).max()


@pytest.mark.parametrize("order", ["up", "down", "none"])
def test_rows_that_lie_in_the_order_of_a_date_are_divided_by_it_whatever_its_name(order):
    dates = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 2, 19), "1d", eager=True).sort(
        descending=order == "down"
    )
    table = pl.DataFrame({"seen": dates.shuffle(seed=0) if order == "none" else dates, "y": [0.5, 1.5] * 25})
    names = looks_at(table.schema, Split("auto"), "y", None)
    flags, division = divide(table.select(names), Split("auto", 0.2), "y", "regression", None)
    assert (division.kind, division.column) == (("random", None) if order == "none" else ("time", "seen"))
    if order != "none":
        assert table.filter(pl.Series(flags))["seen"].min() > table.filter(~pl.Series(flags))["seen"].max()


def test_birthdays_are_no_times_of_rows():
    table = customers(100).with_columns(pl.col("birthday").cast(pl.Datetime("us")))
    assert divide(table, Split("auto"), "left", "binary", None)[1].kind == "stratified"


def test_what_cannot_be_split_says_why():
    table = customers(100)
    for how, says in [
        (time("birthdate"), 'no column "birthdate"'),
        (time("city"), "holds String, not times|has 4 empty cells"),
        (time(), "no column says when"),
        (group("patient"), 'no column "patient"'),
    ]:
        with pytest.raises(DataError, match=says):
            divide(table, how, "left", "binary", None)
    with pytest.raises(DataError, match="both sides need rows"):
        divide(table[:1], random(), "left", "binary", None)
    with pytest.raises(InputError, match="between 0 and 1"):
        random(1.5)


def test_a_column_that_is_not_there_is_told_with_those_that_are():
    schema = {"penstock row": pl.Int64(), "a": pl.Int64(), "b": pl.String(), "y": pl.Int64()}
    with pytest.raises(DataError, match=r'no column "when"\. There are: a, b, y$'):
        looks_at(schema, time("when"), "y", None)
    assert looks_at(schema, time("a"), "y", None) == ["a"]


def test_rows_within_the_gap_are_found():
    days = pl.Series("day", [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(30)])
    test = np.arange(30) >= 25
    assert np.flatnonzero(within_gap(days, test, 7 * 86400.0)).tolist() == [19, 20, 21, 22, 23, 24]
    assert not within_gap(days, test, 86400.0).any()
    with pytest.raises(DataError, match="make it shorter"):
        within_gap(days, test, 300 * 86400.0)
