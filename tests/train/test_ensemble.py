"""Which trials answer together, and how sharp."""

import numpy as np

from penstock.train.ensemble import best_threshold, chosen_weights, fitted_sharpness, mixed
from penstock.types.metrics import METRICS

random = np.random.default_rng(0)
TRUTH = random.normal(size=2000)
NOISY = [TRUTH + random.normal(size=2000) for _ in range(4)]


def test_errors_that_differ_cancel_out():
    weights = chosen_weights(NOISY, TRUTH, METRICS["rmse"])
    assert min(weights) > 0.1 and abs(sum(weights) - 1) < 1e-9
    alone = min(METRICS["rmse"].value(TRUTH, item) for item in NOISY)
    assert METRICS["rmse"].value(TRUTH, mixed(NOISY, weights)) < 0.6 * alone


def test_no_more_take_part_than_are_wanted_and_what_they_cost_is_limited():
    assert sum(weight > 0 for weight in chosen_weights(NOISY, TRUTH, METRICS["rmse"], 2)) == 2
    costs = [(1.0, 1.0), (1.0, 9.0), (1.0, 1.0), (1.0, 1.0)]
    weights = chosen_weights(NOISY, TRUTH, METRICS["rmse"], 5, costs, (2.5, 5.0))
    assert weights[1] == 0 and sum(weight > 0 for weight in weights) == 2


def test_a_trial_whose_metric_is_no_number_takes_no_part():
    weights = chosen_weights([np.full(2000, np.nan), NOISY[0]], TRUTH, METRICS["rmse"])
    assert weights == [0.0, 1.0]


def test_probabilities_that_are_too_sure_are_made_less_so_and_good_ones_are_left():
    score = random.normal(size=4000) * 2
    true = 1 / (1 + np.exp(-score))
    codes = (random.random(4000) < true).astype(float)
    sure = 1 / (1 + np.exp(-3 * score))
    found = fitted_sharpness(np.column_stack([1 - sure, sure]), codes, 0)
    assert found is not None and 0.25 < found < 0.45
    assert fitted_sharpness(np.column_stack([1 - true, true]), codes, 0) is None
    assert fitted_sharpness(np.column_stack([1 - sure, sure])[:50], codes[:50], 0) is None


def test_the_best_threshold_is_better_than_a_half_where_yes_is_rare():
    random = np.random.default_rng(0)
    chances = random.beta(1, 8, 4000)
    truth = (random.random(4000) < chances).astype(float)
    predicted, f1 = np.column_stack([1 - chances, chances]), METRICS["f1"]
    threshold = best_threshold(predicted, truth, f1)
    assert threshold < 0.4
    assert f1.at(threshold).value(truth, predicted) > f1.value(truth, predicted) + 0.1
