"""The paired test: sure of a real gain, not sure of luck."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.evaluate.gates import gate, judge, slice_checks
from penstock.evaluate.paired import paired_gain, slice_gains


def two_models(n, better, seed=0):
    """Probabilities of two models of the same rows; the first sees `better` more of the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n).astype(float)
    noise = random.normal(0, 1, n)
    answers = []
    for strength in (1.0 + better, 1.0):
        yes = 1 / (1 + np.exp(-(strength * (2 * truth - 1) + noise + random.normal(0, 0.3, n))))
        answers.append(np.column_stack([1 - yes, yes]))
    return truth, *answers


def test_a_real_gain_is_sure_and_luck_is_not():
    truth, one, other = two_models(4000, 0.3)
    real = paired_gain("roc_auc", truth, one, other, 0)
    assert 0 < real.low < real.value < real.high
    assert real.sure(0.95) > 0
    truth, one, other = two_models(300, 0.0)
    luck = paired_gain("roc_auc", truth, one, other, 0)
    assert luck.low < 0 < luck.high


def test_the_interval_holds_the_true_gain_as_often_as_it_says():
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        truth = random.normal(size=200)
        one, other = truth + random.normal(0, 1, 200), truth + random.normal(0, 1.2, 200)
        gain = paired_gain("mae", truth, one, other, seed)
        held += gain.low <= 0.2 * np.sqrt(2 / np.pi) <= gain.high
    assert held >= 88  # 95 expected; fewer than 88 of 100 has a chance of about 1 in 1,000


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["log_loss", "brier", "accuracy", "roc_auc"]))
def test_a_gain_turned_round_is_a_loss(seed, metric):
    truth, one, other = two_models(60, 0.2, seed)
    there, back = paired_gain(metric, truth, one, other, 0), paired_gain(metric, truth, other, one, 0)
    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)


def test_a_gate_with_confidence_refuses_a_gain_that_may_be_luck():
    truth, one, other = two_models(300, 0.02)
    gain = paired_gain("roc_auc", truth, one, other, 0)
    assert gain.value > 0 > gain.sure(0.95)
    found = {"roc_auc": {"value": 0.9, "low": 0.8, "high": 1.0}}
    champion = {"roc_auc": 0.9 - gain.value}
    assert judge(gate(), "roc_auc", found, champion, gain).passed
    strict = judge(gate(confidence=0.95), "roc_auc", found, champion, gain)
    assert not strict.passed
    assert "not surely more than 0: at 95 % confidence" in " ".join(strict.reasons)


def test_a_slice_that_loses_is_named_and_small_ones_say_nothing():
    truth, one, other = two_models(2000, 0.3)
    north = np.arange(2000) < 600
    worse = np.where(north[:, None], other, one)
    champion = np.where(north[:, None], one, other)
    groups = [("side", "north", north), ("side", "south", ~north), ("side", "tiny", np.arange(2000) < 5)]
    gains = slice_gains("log_loss", truth, worse, champion, groups, 0)
    assert [value for _, value, _ in gains] == ["north", "south"]
    (check,) = slice_checks(gate(max_slice_loss=0.01), "log_loss", gains)
    assert not check[0]
    assert "side = north" in check[1]
    assert slice_checks(gate(max_slice_loss=0.9), "log_loss", gains)[0][0]
    assert slice_checks(gate(), "log_loss", gains) == []


@pytest.mark.parametrize(
    "wrong", [{"confidence": 1.0}, {"confidence": 0.2}, {"max_slice_loss": -1}, {"fairness": {"sex": -0.1}}]
)
def test_a_gate_refuses_what_makes_no_sense(wrong):
    with pytest.raises(Exception, match=next(iter(wrong))):
        gate(**wrong)
