"""Partial dependence: of a model that is known, the curve is known too."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from penstock.evaluate.dependence import dependence_of
from penstock.features.encoding import fit_encoding


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "size": random.normal(size=400),
            "city": random.choice(["Oslo", "Rome"], 400),
            "day": [dt.date(2024, 1, 1)] * 400,
        }
    )


def ask(table, column, predict):
    encoding = fit_encoding(table, ["size", "city"])
    blocks = dict(encoding.blocks())
    return dependence_of(column, table, encoding.matrix(table), blocks.get(column), encoding.part, predict)


def test_a_straight_line_is_found_whatever_the_other_columns_do(table):
    found = ask(table, "size", lambda matrix: 3 * matrix[:, 0] + 100 * matrix[:, 1])
    (line,) = found.means
    np.testing.assert_allclose(np.diff(line), 3 * np.diff(found.values))


def test_texts_are_told_apart_and_probabilities_are_those_of_yes(table):
    found = ask(table, "city", lambda matrix: np.column_stack([1 - matrix[:, 1] / 9, matrix[:, 1] / 9]))
    assert found.values == ["Oslo", "Rome"]
    assert abs(found.means[0][1] - found.means[0][0]) == pytest.approx(1 / 9)


def test_dates_have_none(table):
    assert ask(table, "day", lambda matrix: matrix[:, 0]) is None
