"""Draws of few rows and of many scatter as theory says."""

import numpy as np
import pytest

from penstock.evaluate import resampling
from penstock.evaluate.measure import intervals
from penstock.evaluate.paired import paired_gain
from penstock.evaluate.resampling import MANY, MANY_NUMBERS, resampled


def mean_of(values):
    return lambda rows: lambda weights: np.array([weights @ values[rows] / weights.sum()])


@pytest.mark.parametrize("n", [2_000, MANY_NUMBERS, 3 * MANY_NUMBERS])
def test_the_scatter_of_a_mean_is_its_standard_error(n):
    values = np.random.default_rng(1).exponential(2.0, n)
    whole, draws = resampled(mean_of(values), values, "regression", 500, 0)
    assert whole[0] == pytest.approx(values.mean())
    assert draws.shape == (500, 1)
    assert draws.std() == pytest.approx(values.std() / np.sqrt(n), rel=0.1)
    assert abs(draws.mean() - whole[0]) < 4 * values.std() / np.sqrt(n * 500)
    again = resampled(mean_of(values), values, "regression", 500, 0)[1]
    np.testing.assert_array_equal(draws, again)


def test_a_ranking_metric_of_many_rows_has_the_interval_of_plain_draws(monkeypatch):
    random, n = np.random.default_rng(2), MANY + 10_000
    truth = (random.random(n) < 0.2).astype(float)
    yes = np.clip(0.2 + 0.1 * truth + 0.1 * random.normal(size=n), 0.01, 0.99)
    asked = "binary", truth, np.column_stack([1 - yes, yes]), 0, ["roc_auc"]
    few = intervals(*asked)["roc_auc"]
    monkeypatch.setattr(resampling, "MANY", n)
    plain = intervals(*asked)["roc_auc"]
    assert few.value == plain.value
    assert few.high - few.low == pytest.approx(plain.high - plain.low, rel=0.12)


def test_rows_of_a_class_too_rare_for_a_sample_are_all_drawn_from():
    n = 2 * MANY
    truth = np.zeros(n)
    truth[:: n // 40] = 1.0  # forty
    seen = []

    def bind(rows):
        seen.append(rows)
        return lambda weights: np.array([weights @ truth[rows] / weights.sum()])

    draws = resampled(bind, truth, "binary", 50, 0)[1]
    assert seen == [slice(None)]
    assert draws.std() == pytest.approx(np.sqrt(40) / n, rel=0.3)


def test_samples_are_larger_where_a_class_is_rare():
    n = 10 * MANY
    truth = np.zeros(n)
    truth[::1000] = 1.0
    seen = []

    def bind(rows):
        seen.append(truth[rows])
        return lambda weights: np.array([weights @ truth[rows] / weights.sum()])

    draws = resampled(bind, truth, "binary", 100, 0)[1]
    assert {len(rows) for rows in seen[1:]} == {5 * MANY}
    assert draws.std() == pytest.approx(np.sqrt(0.001 / n), rel=0.3)


def test_a_gain_that_many_rows_show_is_sure_and_one_of_nothing_is_not():
    random, n = np.random.default_rng(3), 2 * MANY_NUMBERS
    truth = random.normal(size=n)
    one, other = truth + random.normal(size=n), truth + random.normal(size=n)
    gain = paired_gain("rmse", truth, one, other, 0)
    assert gain.low < 0.0 < gain.high or abs(gain.value) < 0.01
    error = (
        np.sqrt(np.var((truth - one) ** 2 - (truth - other) ** 2) / n) / 2
    )  # of the difference of both, by the delta method
    assert gain.draws.std() == pytest.approx(error, rel=0.15)
    assert paired_gain("rmse", truth, one, one + 0.2, 0).sure(0.95) > 0
