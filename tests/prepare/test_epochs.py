"""Numbers are dates where the column's name and all of its values say so."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import InputError
from penstock.prepare import cast
from penstock.prepare.decisions import prepare
from penstock.prepare.epochs import look_at_numbers
from penstock.prepare.tables import apply_facts
from penstock.types.dates import EPOCHS
from penstock.types.parse import Parse, read_columns

DAY = 86_400
FROM = 1_700_000_000


def prepared(name, values, operations=(), time=None, kind=None):
    raw = pl.DataFrame({name: pl.Series(values, dtype=kind), "y": range(len(values))})
    rows, facts = prepare(raw, list(operations), "y", time=time)
    return raw, rows[name], facts


@pytest.mark.parametrize(
    ("name", "values", "first"),
    [
        ("timestamp", [FROM, FROM + DAY], dt.datetime(2023, 11, 14, 22, 13, 20)),
        ("occurredAt", [FROM * 1000 + 5, None], dt.datetime(2023, 11, 14, 22, 13, 20, 5000)),
        ("startTimeMs", [FROM * 1000], dt.datetime(2023, 11, 14, 22, 13, 20)),
        ("date_key", [20240131, 20240201], dt.datetime(2024, 1, 31)),
        ("ts", [FROM * 10**6 + 7], dt.datetime(2023, 11, 14, 22, 13, 20, 7)),
        ("epoch", [FROM * 10**9], dt.datetime(2023, 11, 14, 22, 13, 20)),
        ("event_time", [FROM + 0.25, FROM + 1.0], dt.datetime(2023, 11, 14, 22, 13, 20, 250_000)),
        ("sale_date", [20240131, 20240201], dt.datetime(2024, 1, 31)),
        ("sale_date", [20240131.0, None], dt.datetime(2024, 1, 31)),
    ],
)
def test_numbers_under_a_name_of_times_are_dates_and_later_rows_too(name, values, first):
    raw, read, facts = prepared(name, values)
    assert read[0] == first
    assert read.dtype == pl.Datetime("us")
    assert "dates as numbers" in facts.notes[0].text
    assert apply_facts(raw.drop("y"), facts)[name].to_list() == read.to_list()
    assert apply_facts(raw.drop("y").cast(pl.Float64), facts)[name][0] == first


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("price", [FROM, FROM + DAY]),  # an amount
        ("lifetime_revenue", [FROM, FROM + DAY]),
        ("holiday_sales", [FROM, FROM + DAY]),
        ("week", [FROM, FROM + DAY]),
        ("candidate_id", [FROM, FROM + 1]),  # a number by which it is known
        ("time", [1, 2, 300]),  # an ordinal number, or seconds since the start
        ("time", [FROM, 5]),
        ("year_built_date", [1998, 2004]),
        ("date", [20240131, 20241331]),  # no such month
        ("period", [202401, 202402]),  # a number as well
        ("days", [None, None]),
    ],
)
def test_other_numbers_stay_numbers(name, values):
    _, read, facts = prepared(name, values, kind=pl.Int64)
    assert read.dtype == pl.Int64
    assert not [note for note in facts.notes if "dates as numbers" in note.text]


def test_what_the_author_says_counts():
    assert prepared("when", [202401, 202402], time="when")[1].to_list() == [
        dt.datetime(2024, 1, 1),
        dt.datetime(2024, 2, 1),
    ]
    assert prepared("seen", [FROM], time="seen")[1].dtype == pl.Datetime("us")
    assert prepared("seen", [FROM])[1].dtype == pl.Int64
    assert prepared("seen", [FROM], [cast("seen", "date", unit="s")])[1][0] == dt.datetime(2023, 11, 14, 22, 13, 20)
    assert prepared("timestamp", [FROM], [cast("timestamp", "number")])[1].to_list() == [FROM]
    assert prepared("year", [1998], [cast("year", "date", format="%Y")])[1].to_list() == [dt.datetime(1998, 1, 1)]


def test_parts_are_looked_at_together():
    one, other = look_at_numbers(pl.Series([FROM])), look_at_numbers(pl.Series([3]))
    nothing = look_at_numbers(pl.Series([None], dtype=pl.Int64))
    assert one.with_more(other).form(declared=True) is None
    assert nothing.with_more(one).with_more(nothing).form(declared=False) == "s since 1970"


@pytest.mark.parametrize("options", [{"unit": "h"}, {"unit": "s", "format": "%Y"}])
def test_a_unit_that_says_nothing_is_refused(options):
    with pytest.raises(InputError, match="give s, ms, us or ns"):
        cast("at", "date", **options)
    with pytest.raises(InputError, match="of a date"):
        cast("at", "number", unit="s")


@example(value="1e999", form="s since 1970")
@example(value=11400714819320000000, form="s since 1970")
@example(value=-(2**63), form="us since 1970")
@given(
    st.one_of(st.integers(-(10**21), 10**21), st.floats(-1e20, 1e20), st.integers().map(float), st.text(max_size=8)),
    st.sampled_from([*EPOCHS]),
)
def test_a_number_is_the_same_date_in_a_table_and_alone(value, form):
    parse = Parse("c", "date", form)
    try:
        alone = parse.reader()(value)
    except ValueError:
        alone = None
    kind = pl.String if isinstance(value, str) else pl.Float64 if isinstance(value, float) else pl.Int128
    assert read_columns(pl.DataFrame({"c": [value]}, schema={"c": kind}), [parse]).item() == alone
