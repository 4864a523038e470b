"""What is expected of answers before labels come: right where probabilities are, and no more sure than it may be."""

import numpy as np
import pytest

from penstock.monitor.estimate import estimated, estimated_loss, learn_calibration, learn_losses
from penstock.types.metrics import METRICS


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "brier", "roc_auc", "precision", "recall", "f1"])
def test_what_probabilities_expect_comes_true_when_they_are_right(metric):
    random = np.random.default_rng(0)
    yes = random.beta(0.7, 1.4, 200_000)
    truth = (random.random(len(yes)) < yes).astype(float)
    shares = np.column_stack([1 - yes, yes])
    expected = estimated(metric, shares, 0.4)
    assert expected == pytest.approx(METRICS[metric].at(0.4).value(truth, shares), abs=0.01)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "brier", "roc_auc", "precision", "recall", "f1"])
def test_what_probabilities_expect_comes_true_where_test_rows_show_by_how_much_they_are_wrong(metric):
    random = np.random.default_rng(0)
    yes = random.beta(0.7, 1.4, 200_000)
    truth = (random.random(len(yes)) < yes).astype(float)
    odds = 0.6 * np.log(yes / (1 - yes)) + 1.5
    said = np.clip(1 / (1 + np.exp(-odds)), 1e-6, 1 - 1e-6)
    shares, half = np.column_stack([1 - said, said]), len(yes) // 2
    expected = estimated(metric, shares[half:], 0.4, learn_calibration(truth[:half], shares[:half]))
    assert expected == pytest.approx(METRICS[metric].at(0.4).value(truth[half:], shares[half:]), abs=0.01)
    if metric != "roc_auc":
        assert expected != pytest.approx(estimated(metric, shares[half:], 0.4), abs=0.02)


def test_of_several_classes_some_metrics_can_be_expected():
    random = np.random.default_rng(0)
    shares = random.dirichlet([1, 1, 2], 100_000)
    truth = (shares.cumsum(1) < random.random((len(shares), 1))).sum(1).astype(float)
    for metric in ("accuracy", "log_loss"):
        assert estimated(metric, shares) == pytest.approx(METRICS[metric].value(truth, shares), abs=0.01)
    assert estimated("roc_auc", shares) is None
    assert estimated("accuracy", shares[:0]) is None


def test_large_errors_that_come_by_chance_are_not_foreseen():
    random = np.random.default_rng(0)
    rows, errors = random.normal(size=(3000, 8)), random.standard_t(2.5, 3000)
    learnt = learn_losses(rows, np.zeros(3000), errors, 0)
    usual = float(np.sqrt((errors**2).mean()))
    assert [estimated_loss("rmse", learnt, part) for part in np.split(rows, 30)] == pytest.approx(
        [usual] * 30, rel=0.05
    )
