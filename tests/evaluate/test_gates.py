"""The gate: bounds, baseline, champion; and the words it gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InputError
from penstock.evaluate.gates import baseline_check, gate, judge
from penstock.evaluate.measure import baseline_predictions, intervals, point_metrics
from penstock.evaluate.paired import paired_gain

FOUND = {"roc_auc": {"value": 0.84, "low": 0.8, "high": 0.9}, "brier": {"value": 0.15, "low": 0.1, "high": 0.2}}


@pytest.mark.parametrize(
    ("how", "champion", "passed", "says"),
    [
        (gate(), None, True, "no champion to compare with"),
        (gate(roc_auc=0.83, brier=0.2), None, True, "roc_auc 0.84 reaches the bound 0.83"),
        (gate(roc_auc=0.85), None, False, "roc_auc 0.84 misses the bound 0.85"),
        (gate(brier=0.1), None, False, "brier 0.15 misses the bound 0.1"),
        (gate(), {"roc_auc": 0.86}, False, "roc_auc 0.84 is worse than the champion's 0.86 on the same rows"),
        (gate(), {"roc_auc": 0.84}, True, "equals the champion's"),
        (gate(min_gain=0.01), {"roc_auc": 0.835}, False, "wanted: better by 0.01"),
    ],
)
def test_the_verdict(how, champion, passed, says):
    verdict = judge(how, "roc_auc", FOUND, champion)
    assert verdict.passed is passed
    assert says in " | ".join(verdict.reasons)


def against_baseline(how, apart, rows=200):
    """Judge a model whose answers are better than the mean by so much, in units of the noise."""
    random = np.random.default_rng(0)
    truth = random.normal(size=rows)
    answers = apart * truth + 0.1 * random.normal(size=rows)
    simple = np.full(rows, truth.mean())
    value, other = (point_metrics("regression", truth, item)["rmse"] for item in (answers, simple))
    return baseline_check(how, "rmse", value, other, paired_gain("rmse", truth, answers, simple, 0))


def test_a_model_no_better_than_the_baseline_is_refused_and_luck_is_told():
    good, text = against_baseline(gate(), 0.0)
    assert not good
    assert "is worse than the baseline's" in text
    good, text = against_baseline(gate(), 0.5)
    assert good
    assert "luck" not in text
    good, text = against_baseline(gate(), 0.02)
    assert good
    assert "which may be luck: the gain's 95 % interval is -" in text


def test_with_a_confidence_a_gain_over_the_baseline_that_may_be_luck_is_refused():
    good, text = against_baseline(gate(confidence=0.95), 0.02)
    assert not good
    assert "at 95 % confidence it is better by at least -" in text
    assert against_baseline(gate(confidence=0.95), 0.5)[0]


def test_a_metric_that_is_none_is_refused():
    with pytest.raises(InputError, match="known are roc_auc"):
        gate(auc=0.8)
    with pytest.raises(InputError, match="not a metric of this target"):
        judge(gate(rmse=3), "roc_auc", FOUND, None)


def test_intervals_hold_the_value_and_narrow_with_rows():
    random = np.random.default_rng(0)
    widths = []
    for n in (100, 10_000):
        y = random.integers(0, 2, n).astype(float)
        p = np.clip(y * 0.2 + random.random(n) * 0.8, 0, 1)
        found = intervals("binary", y, np.column_stack([1 - p, p]), 0)["roc_auc"]
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 5


def test_a_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    covered = 0
    for seed in range(120):
        truth = random.normal(0, 1, 200)
        found = intervals("regression", truth, np.zeros(200), seed, ["mae"])["mae"]
        covered += found.low <= np.sqrt(2 / np.pi) <= found.high
    assert covered >= 105


def test_baselines():
    learnt, judged = np.array([0.0, 0, 1]), np.array([1.0, 0])
    np.testing.assert_allclose(baseline_predictions("prior", "binary", learnt, judged, 2), [[2 / 3, 1 / 3]] * 2)
    assert baseline_predictions("last value", "regression", learnt, judged, 0).tolist() == [1.0, 1.0]
    assert baseline_predictions("last value", "binary", learnt, judged, 2).tolist() == [[0, 1], [0, 1]]
    assert point_metrics("regression", judged, np.full(2, 0.5))["mae"] == 0.5


def test_the_last_value_is_one_of_an_earlier_time_whatever_the_order_of_the_rows():
    times = np.array([3.0, 1.0]), np.array([5.0, 4.0, 5.0])
    found = baseline_predictions(
        "last value", "regression", np.array([30.0, 10.0]), np.array([50.0, 40.0, 51.0]), 0, times
    )
    assert found.tolist() == [40.0, 30.0, 40.0]


MOMENTS = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=8)


@given(MOMENTS, MOMENTS)
def test_the_last_value_is_that_of_the_latest_row_strictly_before(trained, tested):
    rows = [
        *((at, number) for number, at in enumerate(trained)),
        *((at, 100 + number) for number, at in enumerate(tested)),
    ]
    learnt, judged = np.arange(len(trained)) * 1.0, 100.0 + np.arange(len(tested))
    found = baseline_predictions("last value", "regression", learnt, judged, 0, (np.array(trained), np.array(tested)))
    ordered = sorted(rows, key=lambda row: row[0])
    for at, value in zip(tested, found, strict=True):
        before = [number for when, number in ordered if when < at]
        assert value == (before[-1] if before else ordered[0][1])
