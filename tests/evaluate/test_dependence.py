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


def test_of_many_classes_the_likeliest_are_shown(table):
    shares = np.array([0.01, 0.3, 0.02, 0.2, 0.03, 0.4, 0.04])
    found = ask(table, "size", lambda matrix: np.tile(shares, (len(matrix), 1)))
    assert found.classes == [5, 1, 3, 6]
    assert [line[0] for line in found.means] == pytest.approx([0.4, 0.3, 0.2, 0.04])


def test_of_groups_of_equal_size_the_first_by_name_are_shown():
    names = [f"group {number:02}" for number in range(20)]
    table = pl.DataFrame({"size": np.arange(200.0), "city": names[::-1] * 10})
    assert ask(table, "city", lambda matrix: matrix[:, 1]).values == names[:8]
