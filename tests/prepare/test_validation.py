"""The schema file: inferred, read by people, and held against later data."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import customers, make_pipeline

from penstock.errors import DataError, InputError
from penstock.prepare import rules as written
from penstock.prepare import validation
from penstock.prepare.rules import ColumnRules, TableRules, read_rules, write_rules
from penstock.store.store import open_store
from penstock.types.table import Table

TABLE = pl.DataFrame({
    "key": [f"k{i}" for i in range(1000)], "n": list(range(1, 101)) * 10, "x": [i / 7 for i in range(1000)],
    "city": ["Oslo", "Rome"] * 500, "note": [None, "a"] * 500, "day": [dt.date(2024, 1, 1)] * 1000,
})  # fmt: skip


def infer_rules(tables, *more):
    return written.infer_rules({name: Table.of(table) for name, table in tables.items()}, *more)


def check_rules(tables, expected):
    return validation.check_rules({name: Table.of(table) for name, table in tables.items()}, expected)


def rules(**changes):
    (found,) = infer_rules({"rows": TABLE}, {"rows": None}).values()
    return {"rows": TableRules(**{"min_rows": found.min_rows, "columns": found.columns, **changes})}


def levels(table, expected=None):
    return [
        (item.column, item.rule, item.level, item.count) for item in check_rules({"rows": table}, expected or rules())
    ]


def test_what_is_inferred_is_true_of_the_data_it_was_inferred_from():
    assert levels(TABLE) == []
    found = rules()["rows"].columns
    assert found["key"] == ColumnRules("text", nullable=False, unique=True)
    assert found["city"].values == ["Oslo", "Rome"]
    assert (found["n"].min, found["n"].max, found["n"].type) == (1, 100, "integer")
    assert found["note"].nullable
    zero = infer_rules({"t": pl.DataFrame({"a": [0, 0, 1]})}, {"t": None})
    assert "min = 0, max = 1" in write_rules(zero)


NAMES = st.text(min_size=1, max_size=8).filter(
    lambda name: not name.startswith("penstock ") and name != "*" and not (name.startswith("^") and name.endswith("$"))
)
CELLS = st.one_of(
    st.lists(st.none() | st.text(max_size=5), min_size=3, max_size=3),
    st.lists(st.none() | st.integers(-(2**53), 2**53), min_size=3, max_size=3),
    st.lists(st.none() | st.floats(), min_size=3, max_size=3),
    st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
)


@pytest.mark.parametrize("name", ["^{$", "^a.*$", "*", "penstock row"])
def test_a_name_that_means_something_else_is_told_before_anything_is_inferred(name):
    with pytest.raises(DataError, match="means something else in an expression"):
        infer_rules({"t": pl.DataFrame({name: [1, 2]})}, {"t": None})


@given(st.dictionaries(NAMES, CELLS, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_rules_are_read_back_as_they_were_written_and_hold_for_their_data(columns):
    table = pl.DataFrame({name: pl.Series(name, cells, strict=False) for name, cells in columns.items()})
    made = infer_rules({"t": table}, {"t": None})
    assert read_rules(write_rules(made), "f") == made
    assert check_rules({"t": table}, made) == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (TABLE.drop("x"), [("x", "type", "error", 1000)]),
        (TABLE.with_columns(n=pl.col("n").cast(pl.String)), [("n", "type", "error", 1000)]),
        (TABLE.with_columns(n=pl.col("n").cast(pl.Float64)), []),
        (TABLE.head(400), [("", "min_rows", "error", 400)]),
        (TABLE.with_columns(city=pl.when(pl.col("key") == "k5").then(pl.lit("Bergen")).otherwise("city")), [("city", "values", "warn", 1)]),
        (TABLE.with_columns(city=pl.when(pl.col("n") > 90).then(pl.lit("oslo")).otherwise("city")), [("city", "values", "error", 100)]),
        (TABLE.with_columns(x=pl.when(pl.col("n") > 90).then(None).otherwise("x")), [("x", "nullable", "error", 100)]),
        (TABLE.with_columns(x=pl.when(pl.col("key") == "k5").then(None).otherwise("x")), [("x", "nullable", "warn", 1)]),
        (TABLE.with_columns(n=pl.col("n") * 2), [("n", "max", "warn", 500)]),
        (TABLE.with_columns(key=pl.lit("k1")), [("key", "unique", "error", 1000)]),
        (TABLE.with_columns(new=pl.lit(1)), []),
        (TABLE.with_columns(note=pl.lit(None)), []),
    ],
    ids=["gone", "type", "wider", "rows", "one new", "many new", "nulls", "one null", "range", "unique", "new column", "all null"],
)  # fmt: skip
def test_growth_is_told_and_damage_stops(changed, found):
    assert levels(changed) == found


def test_a_finding_names_column_rule_count_and_three_rows():
    (found,) = check_rules({"rows": TABLE.with_columns(city=pl.lit("oslo"))}, rules())
    assert str(found) == (
        'rows, column "city": 1000 of 1000 values are none of the known values '
        "(first: 'oslo' in row 1, 'oslo' in row 2, 'oslo' in row 3)"
    )


def test_decimals_of_many_digits_are_held_against_their_range():
    prices = pl.DataFrame({"price": pl.Series(["1.25", "3.07", None]).cast(pl.Decimal(38, 2))})
    made = infer_rules({"sales": prices}, {"sales": None})
    assert check_rules({"sales": prices}, made) == []
    dear = prices.with_columns(pl.col("price") * 10)
    assert [item.rule for item in check_rules({"sales": dear}, made)] == ["max"]


def test_a_number_that_is_none_counts_as_missing_as_it_does_in_training():
    odd = pl.DataFrame({"x": [1.0, float("nan"), float("inf"), 3.0]})
    (found,) = infer_rules({"rows": odd}, {"rows": None}).values()
    assert found.columns["x"] == ColumnRules("number", nullable=True, min=1.0, max=3.0)
    strict = {"rows": TableRules(columns={"x": ColumnRules("number", nullable=False, min=1.0, max=3.0)})}
    (told,) = check_rules({"rows": odd}, strict)
    assert (told.rule, told.count) == ("nullable", 2)
    assert "nan in row 2, inf in row 3" in told.text


def test_keys_of_another_table_and_freshness():
    orders = pl.DataFrame({"shop": [1, 2, 3, 4] * 5, "at": [dt.datetime(2024, 1, 1)] * 20})
    shops = pl.DataFrame({"id": [1, 2, 3, 4]})
    made = infer_rules(
        {"orders": orders, "shops": shops}, {"orders": "at", "shops": None}, [("orders", "shop", "shops", "id")]
    )
    assert made["orders"].columns["shop"].refers_to == "shops.id"
    found = check_rules({"orders": orders, "shops": shops.head(3)}, made)
    assert [(item.column, item.level, item.count) for item in found if item.table == "orders"] == [("shop", "error", 5)]
    made["orders"].fresh = "2d"
    assert [item.rule for item in check_rules({"orders": orders}, made)] == ["fresh"]
    now = dt.datetime.now(dt.UTC)
    assert check_rules({"orders": orders.with_columns(at=pl.lit(now))}, made) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [("[rows", "is not TOML"), ('[rows]\nmin_row = "x"', "unknown field|min_row"), ("[rows.columns]\na = {type = 3}", "Expected `str`")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(text, says):
    with pytest.raises(InputError, match=f"s.toml: .*({says})"):
        read_rules(text, "s.toml")


def test_the_first_run_writes_the_file_and_later_data_are_held_against_it(tmp_path):
    customers(300).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path).run(store).raise_for_status()
    path = tmp_path / "pipeline.schema.toml"
    assert 'city = {type = "text", values = ["Oslo", "Rome", "Łódź"]}' in path.read_text()
    assert {step.status for step in make_pipeline(tmp_path).run(store).steps} == {"cached"}

    broken = customers(300).with_columns(city=pl.lit("OSLO")).drop("orders")
    broken.write_csv(tmp_path / "customers.csv")
    stopped = make_pipeline(tmp_path, features=[]).run(store)
    status = {step.name: step.status for step in stopped.steps}
    assert (status["checked"], status["divided"], status["trained"]) == ("failed", "skipped", "skipped")
    with pytest.raises(InputError, match="nothing was trained") as told:
        stopped.raise_for_status()
    assert 'rows, column "orders": is gone' in str(told.value)
    assert 'column "city": 300 of 300 values are none of the known values' in str(told.value)
    assert "pipeline.schema.toml expects" in str(told.value)

    lines = [line for line in path.read_text().splitlines() if not line.startswith("orders")]
    path.write_text("\n".join(lines).replace('"Łódź"]}', '"Łódź"], level = "warn"}'))
    meant = make_pipeline(tmp_path, features=[]).run(store)
    meant.raise_for_status()
    assert [item["rule"] for item in meant["checked"]] == ["values"]
    assert "unlike the schema" in Path(meant.report).read_text()
    store.close()


def test_a_folder_that_cannot_be_written_loses_no_run(tmp_path):
    customers(200).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    run = make_pipeline(tmp_path, file=str(tmp_path / "nowhere" / "pipeline.py")).run(store)
    run.raise_for_status()
    assert not (tmp_path / "nowhere").exists()
    store.close()
