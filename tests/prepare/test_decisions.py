"""A table in parts is prepared as it is in one: the same rows, the same decisions, the same counts."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.conftest import customers

from penstock.errors import DataError
from penstock.prepare import cast, drop, drop_duplicates, filter, map, normalise, rename  # noqa: A004
from penstock.prepare.cleaning import clean, together
from penstock.prepare.decisions import decide, prepare
from penstock.prepare.inference import infer, infer_parts
from penstock.types.table import ROW, InMemory, Table

CELLS = {
    "n": st.none() | st.sampled_from(["1", "2.5", " ", "n/a", "$3"]),
    "d": st.none() | st.sampled_from(["2024-01-31", "2024-02-01T10:00:00", ""]),
    "y": st.sampled_from(["yes", "no", "YES ", "-"]),
    "t": st.none() | st.sampled_from(["Oslo", " oslo", "Łódź", "01/02/2024", "7"]),
    "x": st.none() | st.sampled_from([1.5, float("nan"), 2.0]),
    "k": st.integers(0, 4),
}
ROWS = st.lists(st.fixed_dictionaries({**CELLS, "left": st.sampled_from(["a", "b"])}), min_size=1, max_size=20)
SCHEMA = dict.fromkeys("ndyt", pl.String) | {"x": pl.Float64, "k": pl.Int64, "left": pl.String}
OPERATIONS = {
    "none": [],
    "duplicates": [drop_duplicates()],
    "key": [drop_duplicates("k"), filter(pl.col("k") > 0)],
    "latest": [drop_duplicates("k", latest="x")],
    "renamed": [rename(k="key"), drop("y"), normalise("t"), drop_duplicates("key", "t")],
    "cast": [cast("n", "number"), cast("d", "date"), filter(pl.col("n").is_null() | (pl.col("n") > 1))],
}


def in_parts(frame, size):
    return Table(InMemory({str(at): frame[at : at + size] for at in range(0, frame.height, size)}))


def prepare_in_parts(table, operations, target):
    made = decide(table, operations, target)
    done, notes = [], []
    for (name, raw), start in zip(table.frames(), table.starts, strict=True):
        frame, told = clean(raw, operations, made.of(name))
        done.append(frame.with_columns(pl.col(ROW) + start))
        notes.append(told)
    return pl.concat(done), made, [*together(notes), *made.notes]


@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=list(OPERATIONS))
@given(rows=ROWS, size=st.integers(1, 7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parts_change_nothing(operations, rows, size):
    raw = pl.DataFrame(rows, schema=SCHEMA)
    try:
        whole, facts = prepare(raw, operations, "left")
    except DataError as error:
        if "no row is left" not in str(error):
            with pytest.raises(DataError):
                prepare_in_parts(in_parts(raw, size), operations, "left")
        return
    found, made, notes = prepare_in_parts(in_parts(raw, size), operations, "left")
    assert_frame_equal(found.with_columns(pl.col(ROW).cast(pl.UInt32)), whole)
    assert made.changes == facts.changes
    assert [(note.column, note.count) for note in notes] == [(note.column, note.count) for note in facts.notes]


def double(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("age") * 2)


def test_a_function_of_the_authors_own_gets_each_part():
    raw = customers(100)
    found, _, _ = prepare_in_parts(in_parts(raw, 30), [map(double)], "left")
    assert found["age"].to_list() == [None if age is None else age * 2 for age in raw["age"]]


def test_duplicates_are_found_across_parts_however_they_are_dealt_out(monkeypatch):
    monkeypatch.setattr("penstock.prepare.decisions._BUCKET_ROWS", 50)
    raw = pl.concat([customers(300), customers(300, seed=1), customers(300)])
    operations = [drop_duplicates()]
    found, _, _ = prepare_in_parts(in_parts(raw, 70), operations, "left")
    assert found.height == 600
    assert found[ROW].to_list() == list(range(600))


TEXTS = [
    "7", "2.5", "7,5", "1,234", "1.234", "1234.567", "1.234.567", "12 kg", "3kg", "90+", "5k", "2M", "9:30", "1:02:03", "x", " ", "n/a",
    "2010-11", "2011-12", "2010-05", "2024-01-31", "2024-01-31 10:00:00", "2024-01-31 10:00:00.5", "31/01/2024", "01/02/2024", "1 234",
    "9007199254740993",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3),
    st.lists(st.integers(0, 2), min_size=1, max_size=9),
    st.integers(1, 4),
)
@settings(max_examples=300, deadline=None)
def test_a_column_is_read_in_one_way_however_its_rows_are_parted(some, places, size):
    table = pl.DataFrame({"t": [some[at % len(some)] for at in places]})
    parses, notes = infer(table, set())
    apart = [table[at : at + size] for at in range(0, table.height, size)]
    assert infer_parts(apart, set()) == (parses, notes)
    for parse in parses:
        blank = table.select(parse.blank()).to_series()
        assert (table.select(parse.expression()).to_series().is_null() == blank).all() or parse.to == "text"


@pytest.mark.parametrize(
    ("cells", "read"),
    [(["12 kg", "7 kg"], ["number"]), (["2024-01-31", "2024-02-01"], []), (["yes", "no"], []), (["a ", "b"], [])],
)
def test_the_target_of_a_regression_is_read_as_numbers_or_left_as_it_is(cells, read):
    parses, notes = infer_parts([pl.DataFrame({"y": cells * 10})], {"y"}, amounts="y")
    assert [parse.to for parse in parses] == read
    assert len(notes) == len(read)
    assert infer_parts([pl.DataFrame({"y": cells * 10})], {"y"}) == ([], [])
