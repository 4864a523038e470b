"""A row encoded alone equals its line in the table's matrix, bit for bit."""

import datetime as dt

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import customers

import penstock.features.encoding as encoding_module
from penstock.errors import DataError, InputError
from penstock.features.columns import categories, text
from penstock.features.definitions import Written, apply_features, calendar, check_alone, cross, derive, expressions_of
from penstock.features.encoding import Encoding, fit_encoding, fit_learning
from penstock.types.table import ROW

MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.floats(allow_nan=False, allow_infinity=False, width=64),
            "whole": st.none() | st.integers(-(2**53), 2**53),
            "flag": st.none() | st.booleans(),
            "city": st.none() | st.sampled_from(["Oslo", "Rome", "Łódź", ""]),
            "note": st.none() | st.text(max_size=40),
            "when": st.none() | MOMENTS,
        }
    ),
    min_size=2,
    max_size=40,
)
SCHEMA = {
    "number": pl.Float64, "whole": pl.Int64, "flag": pl.Boolean, "city": pl.String, "note": pl.String, "when": pl.Datetime("us"),
}  # fmt: skip


@given(ROWS, ROWS, st.sampled_from([None, "when"]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_row_alone_equals_its_line_in_the_table(learnt, asked, clock, trend):
    encoding = fit_encoding(pl.DataFrame(learnt, schema=SCHEMA), list(SCHEMA), clock=clock, trend=trend)
    table = pl.DataFrame(asked, schema=SCHEMA)
    matrix = encoding.matrix(table)
    encode = encoding.row()
    rows = np.array([encode(row) for row in table.to_dicts()]).reshape(matrix.shape)
    assert np.array_equal(matrix, rows, equal_nan=True)
    assert len(encoding.names()) == len(encoding.categories()) == matrix.shape[1]


def test_unseen_categories_and_nulls_are_ordinary():
    encoding = fit_encoding(pl.DataFrame({"city": ["Oslo"] * 6 + ["Rome"] * 6}), ["city"])
    coded = encoding.matrix(pl.DataFrame({"city": ["Rome", "Atlantis", None]}))[:, 0]
    assert coded[0] != coded[1]
    assert coded[1] == len(encoding.encoders[0].levels)
    assert np.isnan(coded[2])


def test_identifiers_constants_and_empty_columns_are_left_out_with_the_reason():
    table = customers(200).with_columns(
        pl.lit(1).alias("one"), pl.lit(None, pl.Float64).alias("void"), pl.int_range(1, 201).alias("rownames")
    )
    encoding = fit_encoding(table, [name for name in table.columns if name not in ("left", "paid")])
    assert dict(encoding.ignored) == {
        "key": "is an identifier", "one": "is constant", "void": "is empty", "rownames": "is an identifier"
    }  # fmt: skip
    assert "note has 'great'" in encoding.names()


def test_whole_numbers_in_a_float_column_are_identifiers_as_integers_are():
    rows = [float(number) for number in range(1000, 1100)]
    table = pl.DataFrame(
        {"row": rows, "user_id": [None, *rows[:0:-1]], "half": [item / 2 for item in rows], "size": rows[::-1]}
    )
    assert dict(fit_encoding(table, table.columns).ignored) == {
        "row": "is an identifier",
        "user_id": "is an identifier",
    }


@pytest.mark.parametrize("name", ["no", "obs", "Case", "S.No", "Serial Number", "idno", "row", "key", "Record_No."])
def test_what_is_called_so_and_counts_the_rows_of_a_file_is_an_identifier_among_some_of_them_too(name):
    """`init` sees all rows, a run learns from some: both must say the same."""
    table = pl.DataFrame({ROW: range(300), name: range(7, 307), "size": range(0, 900, 3)})
    some = table.filter(pl.col(ROW).hash(1) % 3 != 0)
    for rows in (table, some, table.drop(ROW)):
        assert dict(fit_encoding(rows, [name, "size"]).ignored) == {name: "is an identifier"}
    other = some.with_columns(pl.col(name).shuffle(1))
    assert not fit_encoding(other, [name, "size"]).ignored


@pytest.mark.parametrize("name", ["year", "day", "x", "age", "t", "size", "subjects", "cases", "notes"])
def test_a_measure_that_happens_to_count_the_rows_is_learnt_from(name):
    table = pl.DataFrame({ROW: range(300), name: range(1, 301)})
    assert not fit_encoding(table, [name]).ignored


@pytest.mark.parametrize(
    "name", ["ID", "id", "Id", "CUSTOMER_ID", "Order ID", "order.id", "PassengerId", "Row ID", "UUID", "Index"]
)
def test_whole_numbers_that_are_called_identifiers_and_never_come_twice_are_left_out(name):
    table = pl.DataFrame({name: [at * 7919 % 1009 for at in range(100)], "x": range(0, 200, 2)})
    assert dict(fit_encoding(table, table.columns).ignored) == {name: "is an identifier"}


@pytest.mark.parametrize("name", ["paid", "Covid", "grid", "IDE", "identity", "humid", "VALID"])
def test_other_words_are_no_identifiers(name):
    table = pl.DataFrame({name: [at * 7919 % 1009 for at in range(100)]})
    assert not fit_encoding(table, table.columns).ignored


def test_ten_thousand_categories_are_kept_in_bounds():
    random = np.random.default_rng(0)
    values = [f"c{int(value)}" for value in random.zipf(1.3, 20_000).clip(0, 10_000)]
    encoding = fit_encoding(pl.DataFrame({"c": values}), ["c"])
    assert len(encoding.encoders[0].levels) <= 200
    assert encoding.names() == ["c", "c (rows)"]


def test_a_calendar_and_derived_features_are_written_and_read_back():
    table = pl.DataFrame({"day": [dt.datetime(2024, 2, 29, 13)], "a": [3.0], "b": [0]})
    made = [*expressions_of(calendar("day")), *expressions_of(derive(ratio=pl.col("a") / pl.col("b")))]
    again = [Written.of(name, item).read() for name, item in made]
    first, second = apply_features(table, made), apply_features(table, again)
    assert first.equals(second)
    assert first.row(0, named=True) | {"day_month": 2, "day_weekday": 4, "day_hour": 13, "ratio": None} == first.row(
        0, named=True
    )


@pytest.mark.parametrize(
    "made",
    [
        pl.col("a").mean(),
        pl.col("a").shift(1),
        pl.col("a").sum().over("b"),
        pl.len(),
        pl.col("a").rank(),
        pl.col("a").sort(),
    ],
    ids=str,
)
def test_a_feature_that_looks_at_other_rows_is_refused(made):
    table = pl.DataFrame({"a": [3.0, 1.0, 2.0, 5.0], "b": ["x", "y", "x", "y"]})
    with pytest.raises(Exception, match='feature "f" looks at other rows'):
        check_alone(table, [("f", made.alias("f"))])


def test_a_python_function_in_a_feature_is_refused():
    with pytest.raises(Exception, match="calls a Python function"):
        derive(x=pl.col("a").map_elements(lambda value: value, return_dtype=pl.Float64))


def test_a_copy_of_a_column_is_left_out_and_named():
    table = pl.DataFrame(
        {
            "a": [1.0, None, 3.0],
            "b": [1.0, None, 3.0],
            "c": [3.0, None, 1.0],
            "d": ["x", "y", "x"],
            "e": ["x", "y", "x"],
        }
    )
    made = fit_encoding(table, table.columns)
    assert made.ignored == [("b", "is a copy of a"), ("e", "is a copy of d")]
    assert made.columns() == ["a", "c", "d"]


def test_a_year_is_a_circle_and_holidays_are_known():
    days = [dt.datetime(2024, 12, 25), dt.datetime(2024, 1, 1, 6), None, dt.datetime(2024, 5, 3)]
    table = pl.DataFrame({"day": days}, schema={"day": pl.Datetime("us")})
    made = expressions_of(calendar("day", cyclic=True, holidays="US"))
    found = apply_features(table, made)
    assert found["day_holiday"].to_list() == [True, True, None, False]
    assert found["day_hour_sin"].to_list()[1] == 1.0
    assert found["day_month_cos"].to_list()[0] == 1.0
    again = apply_features(table, [Written.of(name, item).read() for name, item in made])
    assert again.equals(found)
    check_alone(table, made)
    with pytest.raises(Exception, match="ps.features.calendar"):
        calendar("day", holidays="XX")


def test_columns_together_are_one_category():
    table = pl.DataFrame({"a": ["x", None], "b": [1, 2]})
    assert apply_features(table, expressions_of(cross("a", "b")))["a_x_b"].to_list() == ["x × 1", None]


WORDS = st.lists(st.sampled_from(["great", "Bad", "room", "łóżko", "the", "x1"]), max_size=8).map(" ".join)
LEARNT = st.lists(
    st.fixed_dictionaries(
        {
            "note": st.none() | WORDS,
            "city": st.none() | st.sampled_from(["Oslo", "Rome", "Łódź", ""]),
            "shop": st.none() | st.integers(0, 5),
            "flag": st.none() | st.booleans(),
        }
    ),
    min_size=12,
    max_size=40,
)
LEARNT_SCHEMA = {"note": pl.String, "city": pl.String, "shop": pl.Int64, "flag": pl.Boolean}
ASKED = [text("note", size=3), categories("city", "shop", "flag")]


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 3), ("regression", 0)])
@given(learnt=LEARNT, asked=LEARNT)
@settings(max_examples=30, deadline=None)
def test_what_is_learnt_of_texts_and_targets_is_the_same_for_a_row(task, classes, learnt, asked):
    table = pl.DataFrame(learnt, schema=LEARNT_SCHEMA)
    target = np.arange(table.height) % (classes or 7)
    encoding, matrix = fit_learning(table, target, list(LEARNT_SCHEMA), ASKED, task, classes)
    assert matrix.shape == (table.height, len(encoding.names()))
    encoding = msgspec.convert(msgspec.json.decode(msgspec.json.encode(encoding)), Encoding)
    rows = pl.DataFrame(asked, schema=LEARNT_SCHEMA)
    encode = encoding.row()
    alone = np.array([encode(row) for row in rows.to_dicts()]).reshape(rows.height, -1)
    assert np.array_equal(encoding.matrix(rows), alone, equal_nan=True)
    assert [at.stop - at.start for _, at in encoding.blocks()] == [
        sum(len(one.names()) for one in encoding.encoders if one.column == name) for name in encoding.columns()
    ]


def test_no_row_learns_from_its_own_target():
    """A category of its own for nearly each row: a mean that saw the row's target would know it."""
    random = np.random.default_rng(0)
    table = pl.DataFrame({"who": [f"w{item}" for item in random.integers(0, 600, 900)]})
    target = random.integers(0, 2, 900)
    encoding, matrix = fit_learning(table, target, ["who"], [categories("who")], "binary", 2)
    at = encoding.names().index("who (mean of target)")
    assert abs(np.corrcoef(matrix[:, at], target)[0, 1]) < 0.15
    assert np.corrcoef(encoding.matrix(table)[:, at], target)[0, 1] > 0.5


def test_means_are_offered_for_categories_that_the_author_did_not_ask_for():
    table = pl.DataFrame({"two": ["a", "b"] * 50, "ten": list("abcdefghij") * 10, "asked": list("vwxyz") * 20})
    encoding, matrix = fit_learning(
        table, np.arange(100) % 2, table.columns, [categories("asked")], "binary", 2, offered=["means"]
    )
    assert [encoding.names()[at] for at in encoding.offers()["means"]] == ["ten (mean of target)"]
    assert matrix.shape == (100, len(encoding.names()))
    assert "asked (mean of target)" in encoding.names()
    many = fit_learning(table, np.arange(100) % 20, table.columns, (), "multiclass", 20, offered=["means"])[0]
    assert not many.offers()


@pytest.mark.parametrize("there", [[0, 1, 2], [0, 1], [0, 2], [2]])
def test_means_are_of_each_class_also_where_some_are_not_among_the_rows(there):
    who, target = (
        pl.DataFrame({"who": list("abcde") * 20}),
        np.resize(there, 100)[np.random.default_rng(0).permutation(100)],
    )
    encoding, matrix = fit_learning(who, target, ["who"], [categories("who")], "multiclass", 3)
    means = [at for at, name in enumerate(encoding.names()) if "mean" in name]
    assert len(means) == 3
    for found in (matrix[:, means], encoding.matrix(pl.DataFrame({"who": ["a", "b", "x"]}))[:, means]):
        np.testing.assert_allclose(found.sum(1), 1, atol=0.02)
        assert (found[:, there] > 0).all()
        assert set(np.flatnonzero(found.sum(0))) == set(there)
    shares = np.mean(target[who["who"].to_numpy() == "a"] == there[-1])
    near = encoding.matrix(pl.DataFrame({"who": ["a"]}))[0, means[there[-1]]]
    assert abs(near - shares) < 0.15


def test_of_too_many_categories_the_rarest_share_a_mean_with_those_never_seen(monkeypatch):
    monkeypatch.setattr(encoding_module, "OFFERED", 3)
    who = pl.Series("who", [*"aaaa", *"bbb", *"ccc", *"de", None])
    target = np.array([1.0] * 4 + [2.0] * 3 + [3.0] * 3 + [10.0, 12.0, 14.0])
    encoding, matrix = fit_learning(who.to_frame(), target, ["who"], offered=["means"])
    at = encoding.offers()["means"][0]
    found = encoding.matrix(pl.DataFrame({"who": ["a", "b", "c", "d", "e", None, "never seen"]}))[:, at]
    assert len(set(found[:4])) == 4
    assert set(found[3:]) == {found[3]}
    assert found[3] > 8
    assert np.isfinite(matrix[:, at]).all()
    row = encoding.row()
    assert [row({"who": cell})[at] for cell in ("a", "e", None, "x")] == [found[0], *[found[3]] * 3]
    asked = fit_learning(who.to_frame(), target, ["who"], [categories("who")])[0]
    assert len(set(asked.matrix(pl.DataFrame({"who": [*"abcde", None]}))[:, at])) > 4, "as the author asked, of all"


@pytest.mark.parametrize(
    ("different", "more", "offered"), [(180, "", True), (300, "", False), (180, " of words" * 8, False)]
)
def test_texts_of_several_words_that_come_again_have_means_unless_they_are_long(different, more, offered):
    names = [f"the old {number % different} mill{more}" for number in range(400)]
    encoding, _ = fit_learning(pl.DataFrame({"name": names}), np.arange(400.0), ["name"], offered=["means"])
    assert encoding.kinds() == {"name": "text, target mean" if offered else "text"}


@pytest.mark.parametrize("name", ["user_id", "userId", "PULocationID", "Store", "zip code", "store_nbr", "customer"])
def test_whole_numbers_that_name_things_are_offered_as_means_of_the_target_too(name):
    random = np.random.default_rng(0)
    who = random.integers(10_000, 10_040, 400)
    target = (who % 7).astype(float)

    def fitted(column, values):
        return fit_learning(pl.DataFrame({column: values}), target, [column], offered=["means"])[0]

    encoding = fitted(name, who)
    assert encoding.kinds() == {name: "number, target mean"}
    assert encoding.keyed()
    assert not fitted(name, who % 20).keyed(), "of so few, trees tell each apart"
    assert not fitted(name, np.arange(400)).offers(), "each has a row of its own"
    assert not fitted(name, who + 0.5).offers()
    for amount in ("paid", "grid", "orders", "age", "casino"):
        assert not fitted(amount, who).offers()


def test_texts_of_one_meaning_are_near_each_other():
    notes = [
        "the goods were broken",
        "broken goods again",
        "goods broken on arrival",
        "paid by card",
        "card payment",
        "the card was paid",
    ] * 20
    encoding = fit_encoding(pl.DataFrame({"note": notes}), ["note"], [text("note", size=2)])
    broken, more, card = encoding.matrix(pl.DataFrame({"note": ["broken goods", "the goods broken", "by card"]}))
    assert np.linalg.norm(broken - more) < np.linalg.norm(broken - card)
    assert np.isnan(encoding.matrix(pl.DataFrame({"note": pl.Series([None], dtype=pl.String)}))).all()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (text("nots"), 'no column "nots"'),
        (text("n"), 'column "n" holds Int64, not text'),
        (categories("x"), 'column "x" holds Float64; categories are'),
        (categories("cty"), 'no column "cty"'),
    ],
)
def test_columns_that_cannot_be_encoded_so_are_named(asked, says):
    table = pl.DataFrame({"n": [1, 2, 3, 4] * 5, "x": [0.5, 1.5] * 10, "c": ["a", "b"] * 10})
    with pytest.raises(DataError, match=says):
        fit_learning(table, np.arange(20) % 2, table.columns, [asked], "binary", 2)


def test_options_that_make_no_sense_are_refused():
    for wrong in (lambda: text("a", size=0), categories, lambda: categories([]), lambda: text("a", model="nowhere")):
        with pytest.raises(InputError, match="ps.features"):
            wrong()


@pytest.mark.parametrize(
    ("days", "parts"), [(1, []), (5, ["hour"]), (20, ["weekday", "hour"]), (900, ["month", "day", "weekday", "hour"])]
)
def test_of_the_times_that_divide_the_rows_only_what_comes_round_is_learnt(days, parts):
    start = dt.datetime(2024, 1, 1)
    table = pl.DataFrame({"x": range(100), "when": [start + dt.timedelta(days=days * i / 99) for i in range(100)]})
    encoding = fit_encoding(table, ["x", "when"], clock="when")
    assert [name for name in encoding.names() if name != "x"] == [f"when ({part})" for part in parts]
    assert ("when" in dict(encoding.ignored)) == (not parts)
    assert "when (days)" in fit_encoding(table, ["x", "when"]).names()
    offering = fit_encoding(table, ["x", "when"], clock="when", trend=True)
    assert [offering.names()[at] for at in offering.offers()["trend"]] == ["when (days)"]
    assert not encoding.offers()
