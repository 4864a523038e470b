"""The function that is written for a row: whatever a cell holds, as by readers and encoders one after the other, or it raises."""

from contextlib import closing

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.features.encoders import Boolean, Category, Number
from penstock.inputs import InputColumn, readers_of
from penstock.rowcode import Cell, compile_row
from penstock.store.store import open_store
from penstock.types.parse import Parse
from penstock.types.rows import RowsError
from tests.conftest import customers, make_pipeline

INPUTS = [
    InputColumn("n", "number", True), InputColumn("i", "integer", True), InputColumn("amount", "text", True, "number"),
    InputColumn("yes", "text", True, "boolean"), InputColumn("city", "text", True), InputColumn("true", "boolean", True),
]  # fmt: skip
CHANGES = [Parse("amount", "number"), Parse("yes", "boolean")]
ENCODERS = [
    Number("n"), Number("i"), Number("amount"), Boolean("yes"), Category("city", ["Oslo", "Rome"], []), Boolean("true"),
]  # fmt: skip
USUAL = {"n": 1.0, "i": 2, "amount": "3", "yes": "no", "city": "Oslo", "true": True}
CELLS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -3, 2.5, 1e300, float("nan"), float("inf"), 10**400, 2**70, "", "1.5", "1,000", "yes",
                     "No", "NO", "Oslo", "Rome", "Bergen", "nan", "x", [], {}, [1], b"x"]),
    st.integers(), st.floats(), st.text(max_size=4),
)  # fmt: skip


def written(needed=(), change=None):
    """Return the function of a row, and its cells; what `change` needs is read before it is encoded."""
    plan, by_table = readers_of(INPUTS, CHANGES)
    assert not by_table
    columns = {column.name: column for column in INPUTS}
    cells = [Cell(columns[raw], now, reader) for raw, now, reader in plan]
    return compile_row(cells, {"target"}, ENCODERS, change, needed), cells


def one_after_the_other(cells, row):
    out = []
    for cell, encoder in zip(cells, ENCODERS, strict=True):
        encoder.row()(cell.reader(row[cell.column.name]), out)
    return out


@settings(max_examples=400)
@given(name=st.sampled_from(sorted(USUAL)), value=CELLS)
@example(name="city", value="Bergen")
@example(name="n", value=float("inf"))
@example(name="yes", value="NO")
def test_a_cell_is_as_by_its_reader_and_its_encoder_or_the_row_is_refused(name, value):
    row = {**USUAL, name: value}
    for read, cells in (written(), written([encoder.column for encoder in ENCODERS], lambda _values: None)):
        try:
            expected = one_after_the_other(cells, row)
        except (ValueError, TypeError, OverflowError):
            with pytest.raises((ValueError, TypeError, OverflowError)):
                read(row)
        else:
            np.testing.assert_array_equal(read(row), expected)


def test_a_row_that_lacks_a_column_or_has_one_more_is_refused():
    read, _ = written()
    row = USUAL
    assert read({**row, "target": 1}) == read(row) == [1.0, 2.0, 3.0, 0.0, 0.0, 1.0]
    for wrong in ({**row, "other": 1}, {name: row[name] for name in row if name != "city"}):
        with pytest.raises(KeyError):
            read(wrong)
    with pytest.raises(KeyError):
        read({**{name: row[name] for name in row if name != "city"}, "target": 1})


def with_moment(frame):
    return frame.with_columns(
        at=pl.col("birthday").cast(pl.Datetime), paid=pl.col("paid").cast(pl.Float64, strict=False)
    )


def test_features_of_rows_that_a_function_of_the_authors_prepares_are_computed_row_by_row_and_are_as_of_a_table(
    tmp_path, monkeypatch
):
    customers(400).write_csv(tmp_path / "customers.csv")
    features = [
        ps.features.window(by="city", over=["900d"], mean_paid=pl.col("paid").mean(), n=pl.len()),
        ps.features.derive(year=pl.col("at").dt.year(), more=pl.col("paid") - pl.col("mean_paid_900d")),
    ]
    ingest = ps.ingest.files(str(tmp_path / "customers.csv"), time="at")
    pipeline = make_pipeline(tmp_path, ingest=ingest, prepare=[ps.prepare.map(with_moment)], features=features)
    with closing(open_store(tmp_path / "s")) as store:
        run = pipeline.run(store)
        run.raise_for_status()
        compared = run["compared"]
        assert compared["rows"] == int(run["divided"]["test"].sum()) and compared["equal"], compared
        model = ps.load("customers", store=store)
        raw = customers(60, seed=3).drop("left")
        expected = model.predict_table(raw)
        with monkeypatch.context() as patched:
            patched.setattr(model, "with_features", None)  # as a table they would fail
            rows = raw.with_columns(pl.col("birthday").cast(pl.String)).to_dicts()
            found = [list(answer.probabilities.values()) for answer in model.predict_rows(rows)]
            alone = [list(model.predict_rows([row])[0].probabilities.values()) for row in rows]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        np.testing.assert_allclose(alone, expected, atol=1e-12)
        with pytest.raises(RowsError, match="orders"):
            model.predict_rows([{**rows[0], "orders": "much"}])
