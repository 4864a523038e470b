"""Classes are answered as they stand in the data, all of one type."""

import polars as pl
import pytest

from penstock.types.labels import fit_labels
from penstock.types.target import multiclass


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
