"""Intervals of numbers hold as much as they say on rows that they have not seen."""

import numpy as np
import pytest

from penstock.train.spread import Spread, fitted_spread


@pytest.mark.parametrize("level", ["0.5", "0.8", "0.9", "0.95"])
@pytest.mark.parametrize("skewed", [False, True])
def test_coverage_on_new_rows_is_what_was_asked_for(level, skewed):
    random = np.random.default_rng(3)
    answers = random.uniform(1, 100, 8000)
    truth = answers * np.exp(random.normal(0, 0.3, 8000)) if skewed else answers + random.normal(0, 3, 8000)
    spread = fitted_spread(truth[:4000], answers[:4000])
    assert spread.kind == ("ratio" if skewed else "absolute")
    assert spread.covered(truth[4000:], answers[4000:], level) == pytest.approx(float(level), abs=0.025)


def test_few_rows_have_no_interval():
    assert fitted_spread(np.arange(39.0), np.arange(39.0)) is None


def test_one_answer_is_covered_as_the_rows_are():
    spread = Spread("ratio", {"0.9": 0.5})
    low, high = spread.around(10.0, "0.9")
    assert spread.covered(np.array([low, high + 1e-9]), np.array([10.0, 10.0]), "0.9") == 0.5
