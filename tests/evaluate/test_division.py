"""The two sides of a division: rows on both, and how unlike they are."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from penstock.evaluate.division import TELLING, shared_rows, shift_between
from penstock.types.table import InMemory, Table


@given(
    st.lists(st.tuples(st.integers(0, 3) | st.none(), st.sampled_from(["x", "y"]))),
    st.lists(st.tuples(st.integers(0, 3) | st.none(), st.sampled_from(["x", "y"]))),
)
def test_shared_rows_are_those_that_the_other_side_has(train, test):
    tables = [pl.DataFrame(rows, {"a": pl.Int64, "b": pl.String}, orient="row") for rows in (train, test)]
    learnt = Table(InMemory(first=tables[0][:2], rest=tables[0][2:]))
    assert shared_rows(learnt, tables[1], ["a", "b"]).tolist() == [row in set(train) for row in test]


def test_sides_that_differ_are_told_apart_by_the_column_that_differs():
    random = np.random.default_rng(0)
    train, test = random.normal(size=(800, 3)), random.normal(size=(400, 3))
    blocks = [("a", slice(0, 1)), ("b", slice(1, 3))]
    alike = shift_between(train, test, blocks, 0)
    assert alike.score < TELLING
    test[:, 0] += 2
    apart = shift_between(train, test, blocks, 0)
    assert apart.score > 0.85
    assert apart.columns[0][0] == "a"
    assert apart == shift_between(train, test, blocks, 0)
    (name, _), *_ = apart.columns
    assert shift_between(train, test, blocks, 0, without=name).score < 0.6


def test_few_rows_say_nothing():
    assert shift_between(np.zeros((99, 1)), np.zeros((500, 1)), [("a", slice(0, 1))], 0) is None
