"""Classes are answered as they stand in the data, all of one type."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import DataError
from penstock.types.labels import fit_labels
from penstock.types.target import binary, multiclass, regression


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]),
        ([0.0, 1.0, 2.0], [0, 1, 2]),
        ([7, 8, 9], [7, 8, 9]),
        (["1", "b", "2.5"], ["1", "2.5", "b"]),
    ],
    ids=["fractions", "whole", "integers", "texts"],
)
def test_classes_are_of_one_type(cells, values):
    labels = fit_labels(pl.Series("y", cells * 3), multiclass("y"))
    assert labels.values == values
    assert {type(value) for value in labels.values} == {type(values[0])}
    assert pl.Series(labels.values).to_list() == values


CELLS = st.one_of(
    st.lists(st.sampled_from([0.0, 1.0, 2.5, None, float("nan")]), max_size=12),
    st.lists(st.sampled_from(["a", " a", "b", "", None, "1"]), max_size=12),
    st.lists(st.sampled_from([True, False, None]), max_size=12),
)
KINDS = {float: pl.Float64, str: pl.String, bool: pl.Boolean}


@given(CELLS, st.integers(0, 12), st.sampled_from([binary("y"), multiclass("y"), regression("y")]))
def test_labels_of_parts_are_those_of_the_whole(cells, cut, target):
    kind = next((KINDS[type(cell)] for cell in cells if cell is not None), pl.String)
    whole = pl.Series("y", cells, dtype=kind)

    def told(column):
        try:
            return fit_labels(column, target)
        except DataError as problem:
            return str(problem)

    assert told(iter([whole[:cut], whole[cut:]])) == told(whole)


def test_a_cell_that_is_no_number_is_told_by_its_row_in_the_whole():
    parts = [pl.Series("y", ["1", "2"]), pl.Series("y", ["3", "much"])]
    with pytest.raises(DataError, match="'much' in row 4"):
        fit_labels(parts, regression("y"))


def test_what_is_not_a_number_is_no_class():
    assert fit_labels(pl.Series("y", [0.0, 1.0, float("nan"), 0.0, 1.0]), binary("y")).values == [0, 1]


def test_a_target_without_a_number_is_empty():
    with pytest.raises(DataError, match="every cell is empty"):
        fit_labels(pl.Series("y", [float("nan")] * 3), regression("y"))
    with pytest.raises(DataError, match=r"every value is 2\.0"):
        fit_labels([pl.Series("y", [2.0, float("nan")]), pl.Series("y", [2.0])], regression("y"))


def test_a_long_text_is_told_by_how_it_begins():
    with pytest.raises(DataError, match=r"every value is 'It is a herbal .*\.\.\.; ") as told:
        fit_labels(pl.Series("review", ["It is " + "a herbal " * 400 + "tea."] * 5), binary("review"))
    assert len(str(told.value)) < 200
