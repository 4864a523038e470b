"""A feature compiled for one row equals Polars on a table, bit for bit."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import DataError
from penstock.features import calendar, derive
from penstock.features.compiled import compile_feature
from penstock.features.definitions import Written, apply_features, check_alone, expressions_of
from penstock.rows import _apart

KINDS = {
    "f": "Float64", "g": "Float64", "i": "Int64", "j": "Int64", "t": "Datetime(time_unit='us', time_zone=None)",
    "u": "Datetime(time_unit='us', time_zone=None)", "b": "Boolean",
    "s": "String",
}  # fmt: skip
FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 0.1])
INTEGERS = st.none() | st.integers(-(2**62), 2**62) | st.integers(-5, 5)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "f": FLOATS,
            "g": FLOATS,
            "i": INTEGERS,
            "j": INTEGERS,
            "t": st.none() | st.datetimes(),
            "u": st.none() | st.datetimes(),
            "b": st.none() | st.booleans(),
            "s": st.none() | st.sampled_from(["", "Oslo", "Łódź", "oslo"]),
        }
    ),
    min_size=1,
    max_size=12,
)
SCHEMA = {
    "f": pl.Float64, "g": pl.Float64, "i": pl.Int64, "j": pl.Int64, "t": pl.Datetime("us"), "u": pl.Datetime("us"), "b": pl.Boolean, "s": pl.String,
}  # fmt: skip
EXPRESSIONS = [
    pl.col("t").dt.year(),
    pl.col("t").dt.month(),
    pl.col("t").dt.day(),
    pl.col("t").dt.hour(),
    pl.col("t").dt.minute(),
    pl.col("t").dt.second(),
    pl.col("t").dt.week(),
    pl.col("t").dt.quarter(),
    pl.col("t").dt.ordinal_day(),
    pl.col("t").dt.weekday() >= 6,
    pl.col("t") - pl.col("u"),
    pl.col("t") - dt.datetime(2020, 2, 29),
    (pl.col("t") - pl.col("u")).dt.total_days(),
    (pl.col("u") - pl.col("t")).dt.total_hours() > 5,
    dt.datetime(2020, 2, 29) - pl.col("t"),
    (pl.lit(dt.datetime(2020, 2, 29)) - pl.col("t")).dt.total_minutes() * 2,
    (pl.col("t") - pl.col("u")).dt.total_seconds() / 7,
    (pl.col("t") - pl.col("u")).dt.total_milliseconds(),
    (pl.col("t") - pl.col("u")).dt.total_microseconds().cast(pl.Float64) / 3.0,
    pl.col("f").abs(),
    pl.col("i").abs() - pl.col("g").abs(),
    pl.col("f").sqrt(),
    (pl.col("f") / pl.col("g")).sqrt() > 1.5,
    pl.col("f").fill_null(0) + 1,
    pl.col("i").fill_null(-3),
    (pl.col("f") / pl.col("g")).fill_null(2.5),
    pl.col("i").cast(pl.Float64) * pl.col("f"),
    pl.col("b").cast(pl.Float64) + pl.col("t").dt.month().cast(pl.Float64),
    pl.col("s").str.len_chars(),
    pl.col("s").str.len_chars() > 3,
    pl.col("f") > pl.col("g"),
    pl.col("i") < 3,
    pl.col("f") / pl.col("g"),
    pl.col("f") / 3.7,
    pl.col("i") / 7,
    pl.lit(3.7) / pl.col("f"),
    pl.col("f") / pl.col("i").clip(1),
    pl.col("i") / pl.col("j"),
    pl.col("i") * pl.col("j") + 3,
    pl.col("i") - pl.col("f") * 0.1,
    (pl.col("f") + pl.col("g")).clip(-1, 2.5) * 2,
    pl.col("i").clip(-2, 2) / (pl.col("j") + 1),
    1 - pl.col("i"),
    pl.col("f") > 0,
    pl.col("i") <= 2.5,
    pl.col("f") / pl.col("g") > 1.5,
    pl.col("f") / pl.col("g") <= pl.col("g") / pl.col("f"),
    pl.col("f") / pl.col("g") == pl.col("g") / pl.col("f"),
    pl.col("i") == pl.col("j"),
    pl.col("i") != 3,
    pl.col("t").dt.month() == 3,
    pl.col("s") == "Oslo",
    pl.lit("Łódź") != pl.col("s"),
    pl.col("s") == pl.col("s"),
    pl.col("s").is_null(),
    pl.col("t").is_not_null(),
    ~pl.col("b"),
    pl.col("b") & (pl.col("f") > 0),
    pl.col("b") | (pl.col("s") == "Oslo") | (pl.col("i") > pl.col("j")),
    pl.sum_horizontal(pl.col("f").is_null(), pl.col("s").is_null(), pl.col("b")),
    pl.sum_horizontal(pl.col("f").is_null(), pl.col("b")) >= 2,
    pl.when(pl.col("f") > 0).then(1).otherwise(0),
    pl.when(pl.col("b")).then(pl.col("f")).otherwise(0),
    pl.when(pl.col("b")).then(0.5).otherwise(2),
    pl.when(pl.col("s") == "Oslo").then(pl.col("i")).otherwise(pl.col("j") + 1),
    pl.when(pl.col("f") > pl.col("g")).then(pl.col("f") - pl.col("g")),
    pl.when(pl.col("b")).then(pl.col("s")).otherwise(pl.col("s")),
    pl.when(pl.col("b")).then(pl.col("i")).otherwise(-1),
    pl.when(pl.col("b")).then(pl.col("t").dt.month()).otherwise(pl.col("t").dt.day()),
]


@pytest.mark.parametrize("made", EXPRESSIONS, ids=str)
@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_a_compiled_feature_equals_polars(made, rows):
    compiled = compile_feature(made.meta.serialize(format="json"), KINDS)
    assert compiled is not None
    table = apply_features(pl.DataFrame(rows, schema=SCHEMA), [("x", made.alias("x"))])["x"].to_list()
    assert [compiled(row) for row in rows] == table


@pytest.mark.parametrize(
    "made",
    [
        pl.col("f").log1p(),
        pl.col("f").mean(),
        pl.col("s").str.len_bytes(),
        pl.col("s") > "a",
        pl.col("b") == pl.col("i"),
        pl.col("s").is_in(["a", "b"]),
        pl.sum_horizontal(pl.col("f"), pl.col("g")),
        (pl.col("f") + 1).is_null(),
        pl.when(pl.col("b")).then(pl.col("i")).otherwise(0.5),
        pl.when(pl.col("b")).then(pl.col("i")).otherwise(pl.col("f")),
        pl.when(pl.col("b")).then(pl.col("s")).otherwise(pl.lit("x")),
        pl.when(pl.col("b")).then(2**40).otherwise(1),
        pl.when(pl.col("b")).then(None).otherwise(None),
        pl.col("f") ** 2,
        pl.col("f").clip(pl.col("g")),
        pl.col("t").dt.millisecond(),
        pl.col("t").dt.month() * 100,
        (pl.col("t") - pl.col("u")) / 2,
        (pl.col("t") - pl.col("u")).dt.total_days(fractional=True),
        (pl.col("t") - pl.col("u")) > dt.timedelta(days=1),
        pl.col("t").fill_null(0),
        pl.col("i").fill_null(0.5),
        pl.col("i").sqrt(),
        pl.col("f").cast(pl.Int64),
        pl.col("s").cast(pl.Float64),
        pl.col("t") + pl.col("i"),
        pl.col("f") > pl.col("i"),
        pl.lit(1) / 0,
    ],
)
def test_what_is_not_surely_equal_is_left_to_polars(made):
    assert compile_feature(made.meta.serialize(format="json"), KINDS) is None


@pytest.mark.parametrize(
    "made", [*EXPRESSIONS, pl.col("f") / 1e7, (pl.col("f") * 1.1).round(3), pl.col("i") % 7], ids=str
)
def test_a_row_alone_has_the_value_that_it_has_in_the_table(made):
    table = pl.DataFrame(
        {"f": [i * 0.377 for i in range(50)], "g": [i + 0.3 for i in range(50)], "i": range(50), "j": range(1, 51),
         "t": [dt.datetime(2024, 1, 1) + dt.timedelta(hours=31 * i) for i in range(50)],
         "u": [dt.datetime(2024, 3, 1) - dt.timedelta(minutes=977 * i) for i in range(50)],
         "b": [None if i % 7 == 0 else i % 3 == 0 for i in range(50)], "s": [None if i % 5 == 0 else ["Oslo", "Łódź"][i % 2] for i in range(50)]}
    )  # fmt: skip
    check_alone(table, [("x", made.alias("x"))])
    whole = apply_features(table, [("x", made.alias("x"))])["x"].to_list()
    assert [apply_features(table[i : i + 1], [("x", made.alias("x"))])["x"][0] for i in range(50)] == whole


def test_calendars_and_derived_features_have_names():
    names = [name for name, _ in [*expressions_of(calendar("day")), *expressions_of(derive(a=pl.col("f")))]]
    assert names == ["day_year", "day_month", "day_day", "day_weekday", "day_hour", "day_weekend", "a"]


def test_one_expression_that_needs_a_frame_does_not_take_the_others_with_it():
    named = [
        ("a", pl.col("f") + 1), ("b", pl.col("f").log1p()), ("c", pl.col("i") * 2), ("d", pl.col("b_of") * pl.col("g")),
        ("e", pl.col("a") + pl.col("b")),
    ]  # fmt: skip
    written = [Written.of(name, made.alias(name)) for name, made in named]
    compiled, framed = _apart(written, {**KINDS, "b_of": "Float64"})
    assert [name for name, _ in compiled] == ["a", "c", "d"]
    assert [item.name for item in framed] == ["a", "b", "e"]  # e needs a
    twice = [*written, Written.of("a", pl.col("g").alias("a"))]
    assert _apart(twice, KINDS) == ([], twice)
    assert _apart([Written.of("f", (pl.col("f") * 2).alias("f"))], KINDS)[0] == []  # a column of training itself


def test_features_that_need_one_another_are_computed_in_order_and_errors_name_one():
    frame = pl.DataFrame({"x": [1.0, 2.0], "s": ["a", "b"]})
    made = [("x", pl.col("x") * 10), ("y", pl.col("x") + 1), ("z", pl.col("x") / 0), ("w", pl.col("z").is_null())]
    found = apply_features(frame, [(name, one.alias(name)) for name, one in made])
    assert found["y"].to_list() == [11.0, 21.0]
    assert found["z"].to_list() == [None, None]
    assert found["w"].to_list() == [True, True]
    with pytest.raises(DataError, match='feature "bad" cannot be computed from s: String'):
        apply_features(frame, [("y", pl.col("x").alias("y")), ("bad", (pl.col("s") * 2).alias("bad"))])
