"""Losses that have grown are seen, and the same losses never: by the odds, not by luck."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.monitor.concept import LossWatch


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_losses_as_at_training_raise_hardly_ever_an_alarm(spread):
    def alarmed(seed):
        random = np.random.default_rng(seed)
        watch = LossWatch(random.lognormal(0, spread, 400))
        return any(watch.tell(random.lognormal(0, spread, 500)).drifted for _ in range(4))

    assert sum(alarmed(seed) for seed in range(100)) <= 2


def test_a_change_is_seen_wherever_it_comes_and_dated():
    random = np.random.default_rng(1)
    for before in (0, 1000, 4000):
        watch = LossWatch(random.exponential(1, 500))
        if before:
            assert not watch.tell(random.exponential(1, before)).drifted
        found = watch.tell(random.exponential(2, 600))
        assert found.drifted
        assert abs(found.since - before) <= 150
        assert found.effect == pytest.approx(1 / 3, abs=0.12)  # P(Exp(1/2) > Exp(1)) - 1/2, twice
        assert found.labels == before + 600


def test_a_change_for_the_better_is_none():
    random = np.random.default_rng(2)
    assert not LossWatch(random.exponential(2, 500)).tell(random.exponential(1, 3000)).drifted


def test_a_change_that_does_not_matter_is_none_however_many_answers_show_it():
    random = np.random.default_rng(3)
    found = LossWatch(random.normal(5, 1, 2000), effect=0.2).tell(random.normal(5.15, 1, 20_000))
    assert found.capital > 100
    assert not found.drifted


def test_right_and_wrong_alone_are_enough():
    random = np.random.default_rng(4)
    watch = LossWatch((random.random(1000) < 0.1).astype(float))
    assert not watch.tell((random.random(2000) < 0.1).astype(float)).drifted
    assert watch.tell((random.random(2000) < 0.25).astype(float)).drifted


def test_a_loss_that_came_down_again_is_no_alarm_any_more():
    random = np.random.default_rng(6)
    watch = LossWatch(random.exponential(1, 1000))
    assert watch.tell(random.exponential(2, 500)).drifted
    assert not watch.tell(random.exponential(1, 10_000)).drifted


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3).map(float), min_size=1, max_size=120), st.integers(1, 119))
def test_what_is_said_does_not_depend_on_how_often_one_looks(losses, cut):
    one, other = LossWatch([0.0, 1.0, 2.0]), LossWatch([0.0, 1.0, 2.0])
    other.tell(losses[:cut])
    assert one.tell(losses) == other.tell(losses[cut:])


def test_answers_that_are_less_sure_and_more_often_right_are_no_drift():
    random = np.random.default_rng(0)
    # At training sure, and wrong one time in four; now less sure, and wrong one time in ten.
    before = np.where(random.random(2000) < 0.25, 3.0, 0.02) * random.uniform(0.9, 1.1, 2000)
    now = np.where(random.random(2000) < 0.10, 2.0, 0.10) * random.uniform(0.9, 1.1, 2000)
    found = LossWatch(before).tell(now)
    assert found.effect > 0.1
    assert not found.drifted


def test_a_good_model_that_is_wrong_six_times_as_often_is_seen_though_most_losses_stay():
    random = np.random.default_rng(3)

    def losses(n, wrong):
        return np.where(random.random(n) < wrong, random.uniform(2, 4, n), random.exponential(0.03, n)).tolist()

    watch = LossWatch(losses(1000, 0.012), 0.01, 0.05)
    assert not watch.tell(losses(6000, 0.012)).drifted
    found = watch.tell(losses(1000, 0.07))
    assert found.drifted
    assert found.times > 3
    assert 5500 < found.since < 6600


def test_no_number_runs_over_however_long_a_change_lasts():
    watch = LossWatch([0.1, 0.2, 0.3] * 100)
    found = watch.tell([5.0] * 9000)
    assert found.drifted
    assert np.isfinite(found.capital)


def test_a_model_that_made_no_error_at_all_and_makes_them_now_is_seen_with_finite_numbers():
    found = LossWatch([0.0] * 500).tell([0.0] * 200 + [1.0] * 200)
    assert found.drifted
    assert np.isfinite(found.times)


@pytest.mark.parametrize("together", [20, 100])
def test_errors_that_come_together_are_no_change_and_a_change_among_them_is(together):
    def losses(random, count):
        levels = np.repeat(random.normal(0, 0.6, count // together), together)
        return np.exp(random.normal(0, 1, count) + levels)

    false = found = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        watch = LossWatch(losses(random, 3000), 0.01, 0.05)
        false += any(watch.tell(losses(random, 1000)).drifted for _ in range(4))
        watch = LossWatch(losses(random, 3000), 0.01, 0.05)
        watch.tell(losses(random, 1000))
        found += watch.tell(1.8 * losses(random, 4000)).drifted
    assert false <= 1
    assert found >= 9
