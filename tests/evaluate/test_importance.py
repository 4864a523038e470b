"""Importance finds the columns that answers rest on, wherever they stand."""

import numpy as np
import pytest

from penstock.evaluate.importance import importances


def table(columns, rows=600):
    matrix = np.random.default_rng(0).normal(size=(rows, columns))
    return matrix, [(f"c{at}", slice(at, at + 1)) for at in range(columns)]


def test_few_columns_are_all_shuffled():
    matrix, blocks = table(5)
    found = importances(lambda rows: rows[:, 3], matrix, blocks, "rmse", matrix[:, 3], seed=0)
    assert found[0].column == "c3"
    assert found[0].mean == pytest.approx(np.sqrt(2), rel=0.1)
    assert [item.mean for item in found[1:]] == [0.0] * 4


def test_of_many_columns_those_at_the_end_are_found_too():
    matrix, blocks = table(1500)
    weights = {7: 0.5, 800: 1.0, 1499: 2.0}

    def predict(rows):
        return sum(weight * rows[:, at] for at, weight in weights.items())

    found = importances(predict, matrix, blocks, "rmse", predict(matrix), seed=0)
    assert [item.column for item in found[:3]] == ["c1499", "c800", "c7"]
    assert 3 < len(found) <= 30
    assert all(item.mean == 0.0 for item in found[3:])


def test_a_column_of_several_numbers_is_shuffled_as_one():
    matrix, _ = table(4)
    blocks = [("wide", slice(0, 3)), ("other", slice(3, 4))]
    found = importances(lambda rows: rows[:, :3].sum(1), matrix, blocks, "rmse", matrix[:, :3].sum(1), seed=0)
    assert [item.column for item in found] == ["wide", "other"]
    assert found[0].mean > 1.0


def test_no_column_gives_none():
    matrix, _ = table(0)
    assert importances(lambda rows: np.zeros(len(rows)), matrix, [], "rmse", np.ones(600), seed=0) == []


def test_a_rare_class_is_among_the_rows_that_are_looked_at():
    matrix, blocks = table(120, rows=20_000)
    truth = np.zeros(len(matrix))
    truth[:40] = 1.0
    matrix[:40, 100] += 10.0

    def predict(rows):
        yes = 1 / (1 + np.exp(5 - rows[:, 100]))
        return np.column_stack([1 - yes, yes])

    found = importances(predict, matrix, blocks, "roc_auc", truth, seed=0)
    assert found[0].column == "c100"
    assert found[0].mean > 0.3


@pytest.mark.parametrize(("classes", "most"), [(2, 1000), (60, 500), (400, 200)])
def test_of_many_classes_fewer_rows_are_looked_at(classes, most):
    matrix, blocks = table(8, rows=2000)
    truth, asked = np.arange(2000.0) % classes, []

    def predict(rows):
        asked.append(len(rows))
        return np.full((len(rows), classes), 1 / classes)

    importances(predict, matrix, blocks, "log_loss", truth, seed=0)
    assert max(asked) == most
