"""Cleaning: what is done is counted, and done the same to later rows."""

import datetime as dt
import pickle

import numpy as np
import polars as pl
import pytest
from tests.conftest import customers

from penstock.errors import DataError, DataWarning, InputError
from penstock.prepare import cast, drop, drop_duplicates, filter, map, rename  # noqa: A004
from penstock.prepare.decisions import prepare
from penstock.prepare.inference import date_format
from penstock.prepare.tables import Facts, apply_facts
from penstock.types.parse import Parse
from penstock.types.table import ROW

TABLE = pl.DataFrame({"x": [1, 2]})


def upper(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("city").str.to_uppercase())


def average(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(usual=pl.col("orders").mean())


def numbered(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(number=pl.int_range(pl.len()))


def drawn(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(luck=pl.Series(np.random.default_rng().random(table.height)))


def known(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(answer=pl.col("left") == "gone")


def tidied(table: pl.DataFrame) -> pl.DataFrame:
    tidy = [pl.col("left").str.strip_chars()] if "left" in table.columns else []
    return table.with_columns(*tidy, pair=pl.concat_list("orders", "orders"), rate=(pl.col("orders") / 3).exp())


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (average, '"usual" looks at other rows'),
        (numbered, '"number" looks at other rows'),
        (drawn, '"luck" looks at other rows, or at chance'),
        (known, 'fails for a row that stands alone, without "left"'),
    ],
)
def test_a_function_that_a_service_could_not_call_alike_is_refused(function, says):
    with pytest.raises(DataError, match=says):
        prepare(customers(), [map(function)], "left")


def test_a_function_may_mend_the_target_and_make_lists():
    table, facts = prepare(customers(), [map(tidied)], "left")
    assert table["pair"][0] == f"[{table['orders'][0]}, {table['orders'][0]}]"
    assert apply_facts(customers()[3:4].drop("left"), facts).equals(table[3:4].drop(ROW, "left"))


@pytest.mark.parametrize(
    "names", [{"orders": "city"}, {"orders": "city", "city": "orders"}, {"key": "n", "orders": "n"}]
)
def test_a_name_that_is_taken_is_not_given_again(names):
    with pytest.raises(DataError, match="already; drop it, or give it another name"):
        prepare(customers(), [rename(names)], "left")


def test_text_is_read_for_what_it_is_and_counted():
    table, facts = prepare(customers(), [], "left")
    assert table.schema["paid"] == pl.Float64
    assert table.schema["member"] == pl.Boolean
    assert table.schema["birthday"] == pl.Datetime("us")
    notes = {note.column: note for note in facts.notes}
    assert notes["paid"].count == 20
    assert "blank" in notes["paid"].text


def test_short_integers_are_long_ones():
    raw = pl.DataFrame({"n": [2_000_000_000, None], "y": [1, 2]}, schema={"n": pl.Int32, "y": pl.Int16})
    table, facts = prepare(raw, [], "y")
    assert table.schema["n"] == table.schema["y"] == pl.Int64
    assert table.select(pl.col("n") * 3)["n"][0] == 6_000_000_000
    assert apply_facts(raw, facts).schema["n"] == pl.Int64


def test_later_rows_are_prepared_in_the_same_way():
    operations = [rename(orders="n"), cast("paid", pl.Float64), drop("note"), map(upper), drop_duplicates("key")]
    raw = customers()
    table, facts = prepare(raw, operations, "left")
    assert apply_facts(raw, facts).equals(table.drop(ROW))
    one = apply_facts(raw[5:6].drop("left"), facts)
    assert one.equals(table[5:6].drop(ROW, "left"))


def test_rows_are_dropped_and_counted_and_know_where_they_come_from():
    raw = pl.concat([customers(50), customers(50)[:7]])
    table, facts = prepare(raw, [drop_duplicates("key"), filter(pl.col("orders") > 2)], "left")
    counts = [note.count for note in facts.notes if note.column is None]
    assert counts == [7, 50 - table.height]
    assert raw[table[ROW].to_numpy()]["key"].to_list() == table["key"].to_list()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", " 2.5", "n/a"], pl.Float64),
        (["$1,000", "20%"], pl.Float64),
        (["yes", "NO", ""], pl.Boolean),
        (["2024-01-31", "2024-02-01"], pl.Datetime("us")),
        (["31.12.2024", "01.02.2024"], pl.Datetime("us")),
        (["1", "two"], pl.String),
        (["01/02/2024", "03/04/2024"], pl.String),
        (["", " "], pl.String),
        ([None, None], pl.String),
    ],
)
def test_a_column_is_read_as_what_every_cell_says(cells, kind):
    table, _ = prepare(pl.DataFrame({"c": pl.Series(cells, dtype=pl.String), "y": [0, 1, 2][: len(cells)]}), [], "y")
    assert table.schema["c"] == kind


def test_nearly_numbers_are_kept_as_text_with_advice():
    cells = [str(i) for i in range(99)] + ["oops"]
    _, facts = prepare(pl.DataFrame({"c": cells, "y": range(100)}), [], "y")
    assert 'cast("c", pl.Float64, invalid="null")' in facts.notes[0].text


def test_days_or_months_first_is_not_guessed():
    assert date_format(pl.Series(["01/02/2024"])) is None
    assert date_format(pl.Series(["31/01/2024", "01/02/2024"])) == "%d/%m/%Y"


def test_nan_and_infinite_numbers_are_missing_and_counted():
    raw = pl.DataFrame({"x": [1.0, float("nan"), float("inf"), None], "y": [0, 1, 0, 1]})
    table, facts = prepare(raw, [], "y")
    assert table["x"].to_list() == [1.0, None, None, None]
    assert (facts.notes[0].column, facts.notes[0].count) == ("x", 2)


def test_zones_become_utc():
    zoned = pl.Series([dt.datetime(2024, 1, 1)]).dt.replace_time_zone("Europe/Oslo")
    table, _ = prepare(pl.DataFrame({"t": zoned, "y": [1]}), [], "y")
    assert table["t"][0] == dt.datetime(2023, 12, 31, 23)


def test_a_cast_that_fails_names_the_cell_and_the_row():
    raw = pl.DataFrame({"c": ["1", " ", "x"], "y": [0, 1, 0]})
    with pytest.raises(DataError, match=r"column \"c\": 1 of 3 values are not numbers \(first: 'x' in row 3\)"):
        prepare(raw, [cast("c", pl.Float64)], "y")
    table, facts = prepare(raw, [cast("c", pl.Float64, invalid="null")], "y")
    assert table["c"].to_list() == [1.0, None, None]
    assert [note.count for note in facts.notes if note.column] == [1, 1]


@pytest.mark.parametrize(
    "made",
    [cast("agee", "number"), drop("agee"), rename(agee="x"), drop_duplicates("agee"), filter(pl.col("agee") > 1)],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest(made):
    with pytest.raises(DataError, match='no column "agee". Did you mean "age"'):
        prepare(customers(20), [made], "left")


def test_a_map_must_keep_the_rows_and_be_found_again():
    with pytest.raises(DataError, match="must return a table with the same rows"):
        prepare(customers(20), [map(first_row)], "left")
    with pytest.raises(InputError, match="must be defined by name in a file"):
        prepare(customers(20), [map(lambda table: table)], "left")
    with pytest.raises(InputError, match="not a type that a column can be read as"):
        cast("age", "colour")


def first_row(table: pl.DataFrame) -> pl.DataFrame:
    return table[:1]


@pytest.mark.parametrize("name", ["*", "^a.*$", "penstock row"])
def test_a_column_whose_name_means_something_else_is_refused(name):
    with pytest.raises(DataError, match="give it another name in the source"):
        prepare(pl.DataFrame({name: [1, 2], "y": [0, 1]}), [], "y")


def test_columns_named_like_keywords_and_our_own_words_are_columns(tmp_path):
    from tests.conftest import customers

    import penstock as ps
    from penstock.store.store import open_store

    names = {"age": "class", "city": "rows", "paid": "prediction", "orders": "日本 語", "member": "table", "note": "id"}
    customers(200).rename(names).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    pipeline = ps.Pipeline(
        "words", ingest=ps.ingest.files(str(tmp_path / "customers.csv")), target=ps.binary("left"), file=str(tmp_path / "p.py"),
        features=[ps.features.derive(label=pl.col("日本 語") + pl.col("class"))], train=ps.train.search(trials=1, folds=2),
        evaluate=ps.evaluate.gate(beat_baseline=False),
    )  # fmt: skip
    pipeline.run(store).raise_for_status()
    row = customers(1, seed=4).rename(names).drop("left").with_columns(pl.col("birthday").cast(pl.String)).to_dicts()[0]
    assert ps.load("words", store=store).answer([row])[0].prediction in ("gone", "here")
    store.close()


def test_later_cells_that_cannot_be_read_count_as_missing_and_are_told(recwarn):
    raw = (("size", "text"), ("paid", "text"), ("when", "text"))
    parses = (
        Parse("size", "number", unit="CC"),
        Parse("paid", "boolean"),
        Parse("when", "date", "%d/%m/%Y", lenient=True),
    )
    later = pl.DataFrame(
        {"size": ["998 CC", "n/a", "998 kW"], "paid": ["yes", "", "no"], "when": ["31/12/2024", "soon", None]}
    )
    made = apply_facts(later, Facts(raw, parses, (), 0, 0))
    assert made["size"].to_list() == [998.0, None, None]
    assert made["when"].null_count() == 2
    told = [str(item.message) for item in recwarn if issubclass(item.category, DataWarning)]
    assert told == ["column \"size\": 1 of 3 cells are not numbers (first: '998 kW'): they count as missing"]
    assert str(pickle.loads(pickle.dumps(recwarn.list[-1].message))) == told[-1]  # as another process tells it
