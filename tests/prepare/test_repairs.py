"""Repairs that learn: from training rows only, the same for a table and for one row."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import customers, make_pipeline

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.prepare import cast, clip, drop_duplicates, fill, normalise
from penstock.prepare.decisions import prepare
from penstock.prepare.inference import date_format
from penstock.prepare.repairs import fit_repairs
from penstock.store.store import open_store
from penstock.types.parse import Parse
from penstock.types.table import ROW


def test_what_is_filled_is_learnt_from_the_training_rows_alone():
    table = pl.DataFrame({"a": [1.0, 3.0, None, 1000.0], "c": ["x", "y", "y", None], "n": [1, 2, None, 9]})
    done, fitted, notes = fit_repairs(
        table, table[:3], [fill("a", how="median"), fill("c", how="mode"), fill("n", how="mean", indicator=True)], "t"
    )
    assert done["a"].to_list() == [1.0, 3.0, 2.0, 1000.0]
    assert done["c"].to_list() == ["x", "y", "y", "y"]
    assert done["n"].to_list() == [1.0, 2.0, 1.5, 9.0]
    assert done["n_missing"].to_list() == [False, False, True, False]
    assert [item.value for item in fitted] == [2.0, "y", 1.5]
    assert [note.count for note in notes] == [1, 1, 1]
    assert "the median of the training rows" in notes[0].text
    assert "mean" in notes[0].text and "->" in notes[0].text


def test_outliers_are_held_at_quantiles_of_the_training_rows():
    table = pl.DataFrame({"a": [*map(float, range(101)), -50.0, 1e9, None]})
    done, (fitted,), (note,) = fit_repairs(table, table[:101], [clip("a", low=0.05, high=0.95)], "t")
    assert (fitted.low, fitted.high) == (5.0, 95.0)
    assert done["a"].to_list()[-3:] == [5.0, 95.0, None]
    assert note.count == 12
    assert "held between 5 and 95" in note.text


VALUES = {
    "number": (pl.Float64, st.none() | st.floats(-1e6, 1e6)),
    "whole": (pl.Int64, st.none() | st.integers(-1000, 1000)),
    "text": (pl.String, st.none() | st.sampled_from(["a", "b", ""])),
    "yes": (pl.Boolean, st.none() | st.booleans()),
    "time": (pl.Datetime("us"), st.none() | st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1))),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_row_is_repaired_as_the_table_is(kind, data):
    dtype, values = VALUES[kind]
    cells = data.draw(st.lists(values, min_size=1, max_size=12).filter(lambda some: any(v is not None for v in some)))
    table = pl.DataFrame({"x": cells}, schema={"x": dtype})
    hows = ["mode"] if kind in ("text", "yes") else ["median", "mean", "mode"]
    repairs = [fill("x", how=data.draw(st.sampled_from(hows)), indicator=data.draw(st.booleans()))]
    if kind in ("number", "whole"):
        repairs.append(clip("x", low=0.1, high=0.9))
    done, fitted, _ = fit_repairs(table, table, repairs, None)
    rows = table.to_dicts()
    for row in rows:
        for item in fitted:
            item.row(row)
    assert rows == done.to_dicts()


@pytest.mark.parametrize(
    ("made", "problem", "says"),
    [
        (lambda: fill("a"), InputError, "give either how="),
        (lambda: fill("a", how="max"), InputError, "median"),
        (lambda: fill("a", value=[1]), InputError, "give a text"),
        (lambda: clip("a", low=0.9, high=0.1), InputError, "low first"),
        (lambda: fill("aa", how="mean"), DataError, 'no column "aa". Did you mean "a"'),
        (lambda: fill("t", how="mean"), DataError, "is the target"),
        (lambda: fill("c", how="mean"), DataError, 'which has no mean; use how="mode"'),
        (lambda: fill("a", value="x"), DataError, "'x' does not fit column \"a\""),
        (lambda: fill("e", how="median"), DataError, "is empty in the training rows"),
        (lambda: clip("c"), DataError, "not numbers"),
        (lambda: fill("a", how="mean", indicator=True), DataError, 'a column "a_missing" already'),
    ],
)  # fmt: skip
def test_repairs_that_cannot_be_are_refused(made, problem, says):
    table = pl.DataFrame({"a": [1.0, None], "c": ["x", None], "t": [1, 0], "e": [None, None], "a_missing": [1, 1]})
    with pytest.raises(problem, match=says):
        fit_repairs(table.cast({"e": pl.Float64}), table[:1].cast({"e": pl.Float64}), [made()], "t")


def test_a_pipeline_repairs_requests_as_it_repaired_the_table(tmp_path):
    random = np.random.default_rng(0)
    table = customers(400).with_columns(
        pl.Series("ratio", [None if i % 7 == 0 else f"{v:.1f} %" for i, v in enumerate(random.gamma(2, 10, 400))]),
        city=pl.when(pl.col("age") > 50).then(pl.col("city").str.to_uppercase() + "  ").otherwise(pl.col("city")),
    )
    table.write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    steps = [
        normalise("city"),
        fill("age", how="median", indicator=True),
        fill("city", how="mode"),
        clip("ratio", high=0.9),
        fill("orders", value=0),
    ]
    run = make_pipeline(tmp_path, prepare=steps).run(store)
    run.raise_for_status()
    assert "repaired" in [step.name for step in run.steps]
    featured = run["featured"]
    assert featured["age"].null_count() == 0
    assert set(featured["city"]) == {"oslo", "rome", "łódź"}
    train = featured.filter(pl.Series(~run["divided"]["test"]))
    model = ps.load("customers", store=store)
    raw = pl.read_csv(tmp_path / "customers.csv", try_parse_dates=True, null_values=[""])
    rows = raw.drop("left").with_columns(pl.col("birthday").cast(pl.String)).to_dicts()[:80]
    alone = [model.predict_rows([row])[0].probabilities["gone"] for row in rows]
    assert alone == pytest.approx(model.predict_table(raw[:80])[:, 1].tolist(), abs=1e-12)
    learnt = next(change for change in model.manifest.changes if getattr(change, "indicator", ""))
    assert learnt.value == train.filter(~pl.col("age_missing"))["age"].median()
    assert any("held between" in note["text"] for note in run["repaired"]["repairs"]["notes"])
    store.close()


def test_of_duplicates_the_latest_is_kept_and_rows_keep_their_order():
    raw = pl.DataFrame(
        {"k": ["a", "b", "a", "c", "b"], "at": [2, 5, 1, None, 5], "v": [1, 2, 3, 4, 5], "y": [0, 1, 0, 1, 0]}
    )
    table, facts = prepare(raw, [drop_duplicates("k", latest="at")], "y")
    assert table.select("k", "v").rows() == [("a", 1), ("c", 4), ("b", 5)]
    assert table[ROW].to_list() == [0, 3, 4]
    assert facts.notes[0].count == 2


def test_near_duplicates_are_counted_and_kept():
    raw = pl.DataFrame({"c": ["Oslo", "oslo ", "Oslo", "Rome"], "n": [1, 1, 1, 1], "y": [0, 1, 0, 1]})
    table, facts = prepare(raw, [], "y")
    counts = {note.text.split()[0]: note.count for note in facts.notes if note.column is None}
    assert table.height == 4
    assert counts == {"rows": 1, "more": 1}


@pytest.mark.parametrize("few", [True, False])
def test_to_drop_equal_rows_is_proposed_where_few_values_do_not_explain_them(few):
    rows = pl.DataFrame({"a": ["yes", "no", "no", "yes"] * 50, "b": [1, 2, 3] * 66 + [1, 2], "y": [0, 1] * 100})
    if not few:
        rows = rows.with_columns(at=pl.int_range(200))
        rows = pl.concat([rows, rows[:20]])
    (note,) = [note for note in prepare(rows, [], "y")[1].notes if note.column is None]
    assert (note.count, "drop_duplicates" in note.text) == ((194, False) if few else (20, True))


CELLS = (
    st.none()
    | st.text(max_size=12)
    | st.sampled_from(["  Ａ  b\u00a0C", "ﬁne", "É", "e\u0301", "İ", "ΑΣ", "ß", " \u3000 "])
)


@given(cells=st.lists(CELLS, min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_text_is_normalised_alike_in_tables_and_rows(cells):
    parse = Parse("c", "normal")
    table = pl.DataFrame({"c": cells}, schema={"c": pl.String}).select(parse.expression())["c"].to_list()
    assert table == [parse.reader()(cell) for cell in cells]


NUMERIC = st.none() | st.sampled_from(
    ["1.234,56", "1,234.56", "(1,200.50)", "(3)", "-4", "€ 5", "45 %", "12", "1.5e3", "(x)", "()", "1.000", "1,5", ".5", ",5", "(,)"]
) | st.text(alphabet="0123456789.,()-+eE $%", max_size=10)  # fmt: skip


@pytest.mark.parametrize("decimal", [".", ","])
@given(cells=st.lists(NUMERIC, min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_a_number_as_text_is_read_alike_in_tables_and_rows(decimal, cells):
    parse = Parse("c", "number", decimal=decimal)
    table = pl.DataFrame({"c": cells}, schema={"c": pl.String}).select(parse.expression())["c"].to_list()

    def read(cell):
        try:
            return parse.reader()(cell)
        except ValueError:
            return None

    assert table == [read(cell) for cell in cells]


def test_numbers_are_read_as_people_write_them():
    reader = Parse("c", "number").reader()
    assert [reader(x) for x in ("$1,200.50", "(1,200.50)", "45 %", "-3", "€5")] == [1200.5, -1200.5, 45.0, -3.0, 5.0]
    assert [Parse("c", "number", decimal=",").reader()(x) for x in ("1.234,56", "12,5 €")] == [1234.56, 12.5]


def test_yes_and_no_in_other_words():
    raw = pl.DataFrame({"c": ["Ja", "NEIN", "yes", " "], "y": [0, 1, 0, 1]})
    table, facts = prepare(raw, [cast("c", pl.Boolean, true=["ja"], false=["nein"])], "y")
    assert table["c"].to_list() == [True, False, True, None]
    assert [facts.changes[0].reader()(cell) for cell in raw["c"].to_list()] == [True, False, True, None]


def test_dates_in_several_clear_forms_are_read_and_unclear_ones_are_not():
    mixed = pl.Series("c", ["2024-01-31", "31.12.2023", "5 Feb 2024", "2024-03-01T10:30:00", " "])
    form = date_format(mixed)
    parse = Parse("c", "date", form)
    found = mixed.to_frame().select(parse.expression())["c"].to_list()
    assert found == [
        dt.datetime(2024, 1, 31),
        dt.datetime(2023, 12, 31),
        dt.datetime(2024, 2, 5),
        dt.datetime(2024, 3, 1, 10, 30),
        None,
    ]
    assert [parse.reader()(cell) for cell in mixed.to_list()] == found
    assert date_format(pl.Series(["2024-01-31", "01/02/2024"])) is None
    assert date_format(pl.Series(["Oslo", "2024-01-31"])) is None
    with_zone = cast("c", pl.Datetime, format="%Y-%m-%d|%Y-%m-%dT%H:%M:%S%z")
    table, _ = prepare(pl.DataFrame({"c": ["2024-01-31", "2024-01-31T02:00:00+0200"], "y": [0, 1]}), [with_zone], "y")
    assert table["c"].to_list() == [dt.datetime(2024, 1, 31), dt.datetime(2024, 1, 31)]
