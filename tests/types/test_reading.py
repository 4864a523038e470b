"""Cells of rows are read as what a table's column is, whatever holds them."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from penstock.types.parse import Parse
from penstock.types.reading import reader_of, shown

KINDS = ("integer", "number", "boolean", "text", "date")


@pytest.mark.parametrize("kind", KINDS)
def test_what_pandas_has_for_a_missing_cell_is_one_of_any_kind(kind):
    pandas = pytest.importorskip("pandas")
    for nothing in (None, float("nan"), np.float64("nan"), pandas.NaT, pandas.NA):
        assert reader_of(kind)(nothing) is None


@pytest.mark.parametrize("to", ["number", "boolean", "text", "normal", "date"])
def test_also_where_training_had_text(to):
    pandas = pytest.importorskip("pandas")
    read = Parse("a", to, "%d/%m/%Y" if to == "date" else None).reader()
    for nothing in (None, float("nan"), np.float64("nan"), pandas.NaT, pandas.NA):
        assert read(nothing) is None
    if to == "number":
        assert (read(np.float64(1.5)), read(np.int64(3))) == (1.5, 3)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("integer", "12", 12), ("integer", np.int64(12), 12), ("number", Decimal("1.5"), 1.5), ("number", float("inf"), None),
        ("number", "1e3", 1000.0), ("boolean", "yes", True), ("boolean", False, False), ("boolean", np.True_, True), ("boolean", 0, False), ("text", "", None), ("text", " ", " "),
        ("date", dt.date(2024, 5, 31), dt.datetime(2024, 5, 31)), ("date", "2024-05-31T10:00:00+02:00", dt.datetime(2024, 5, 31, 8)),
    ],
)  # fmt: skip
def test_a_cell_is_read(kind, cell, value):
    assert reader_of(kind)(cell) == value


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("integer", True), ("number", []), ("boolean", 3.5), ("text", 3), ("text", 1.5), ("date", 3), ("date", 1.5)],
)
def test_what_is_something_else_is_refused(kind, cell):
    with pytest.raises(ValueError, match="expected"):
        reader_of(kind)(cell)


def test_a_long_value_is_cut_for_an_error():
    assert shown("x" * 100) == f"'{'x' * 56}..."
