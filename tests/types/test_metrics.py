"""Metrics equal scikit-learn's, with weights too."""

import numpy as np
import pytest
import sklearn.metrics as sk

from penstock.types.metrics import METRICS, metric_named, metrics_for

random = np.random.default_rng(1)
N = 400
YES = random.integers(0, 2, N)
P = np.round(random.random(N), 2)
BINARY = np.column_stack([1 - P, P])
CLASSES = random.integers(0, 3, N)
MULTI = random.dirichlet([1, 1, 1], N)
TRUE, GUESS = random.normal(size=N), random.normal(size=N)
WEIGHTS = random.integers(0, 4, N).astype(float)

THEIRS = {
    "roc_auc": lambda w: sk.roc_auc_score(YES, P, sample_weight=w),
    "average_precision": lambda w: sk.average_precision_score(YES, P, sample_weight=w),
    "log_loss": lambda w: sk.log_loss(YES, BINARY, sample_weight=w),
    "brier": lambda w: sk.brier_score_loss(YES, P, sample_weight=w),
    "accuracy": lambda w: sk.accuracy_score(YES, BINARY.argmax(1), sample_weight=w),
    "f1": lambda w: sk.f1_score(YES, BINARY.argmax(1), sample_weight=w),
    "precision": lambda w: sk.precision_score(YES, BINARY.argmax(1), sample_weight=w),
    "recall": lambda w: sk.recall_score(YES, BINARY.argmax(1), sample_weight=w),
    "f1_macro": lambda w: sk.f1_score(CLASSES, MULTI.argmax(1), average="macro", sample_weight=w),
    "roc_auc_ovr": lambda w: sk.roc_auc_score(CLASSES, MULTI, multi_class="ovr", sample_weight=w),
    "rmse": lambda w: sk.root_mean_squared_error(TRUE, GUESS, sample_weight=w),
    "mae": lambda w: sk.mean_absolute_error(TRUE, GUESS, sample_weight=w),
    "r2": lambda w: sk.r2_score(TRUE, GUESS, sample_weight=w),
}


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("weights", [np.ones(N), WEIGHTS], ids=["equal", "weighted"])
def test_a_metric_equals_scikit_learns(name, weights):
    metric = METRICS[name]
    target, predicted = {"binary": (YES, BINARY), "multiclass": (CLASSES, MULTI), "regression": (TRUE, GUESS)}[
        metric.tasks[0]
    ]
    assert metric.bind(target, predicted)(weights) == pytest.approx(THEIRS[name](weights), rel=1e-9)


def test_one_class_only_has_no_auc():
    assert np.isnan(METRICS["roc_auc"].value(np.ones(5), np.full((5, 2), 0.5)))


def test_a_metric_of_another_task_is_refused_with_those_that_fit():
    with pytest.raises(Exception, match="rmse, mae, r2"):
        metric_named("roc_auc", "regression", "gate")
    assert all("binary" in metric.tasks for metric in metrics_for("binary"))


def test_a_calibrated_model_has_a_small_calibration_error_and_a_sure_one_a_large():
    chances = random.random(20_000)
    came = (random.random(20_000) < chances).astype(float)
    metric = METRICS["calibration_error"]
    assert metric.value(came, np.column_stack([1 - chances, chances])) < 0.02
    sure = (chances > 0.5).astype(float)
    assert metric.value(came, np.column_stack([1 - sure, sure])) == pytest.approx(0.25, abs=0.02)
    assert all(name in THEIRS or name == "calibration_error" for name in METRICS)


def test_a_threshold_moves_answers_and_nothing_else():
    for threshold in (0.1, 0.37, 0.8):
        said = (threshold < P).astype(int)
        assert METRICS["f1"].at(threshold).value(YES, BINARY) == pytest.approx(sk.f1_score(YES, said))
        assert METRICS["accuracy"].at(threshold).value(YES, BINARY) == pytest.approx(sk.accuracy_score(YES, said))
        assert METRICS["roc_auc"].at(threshold) is METRICS["roc_auc"]
