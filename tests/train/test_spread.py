"""Intervals of numbers hold as much as they say on rows that they have not seen."""

import numpy as np
import pytest

from penstock.train.spread import Spread, fitted_spread


@pytest.mark.parametrize("level", ["0.5", "0.8", "0.9", "0.95"])
@pytest.mark.parametrize("kind", ["absolute", "ratio", "scaled"])
def test_coverage_on_new_rows_is_what_was_asked_for(level, kind):
    random = np.random.default_rng(3)
    answers, noise = random.uniform(1, 100, 8000), random.normal(0, 1, 8000)
    truth = {
        "absolute": answers + 3 * noise,
        "ratio": answers * np.exp(0.3 * noise),
        "scaled": answers + np.abs(answers - 50) * noise,
    }[kind]
    spread = fitted_spread(truth[:4000], answers[:4000])
    assert spread.kind == kind
    assert spread.covered(truth[4000:], answers[4000:], level) == pytest.approx(float(level), abs=0.025)


def test_an_uncertain_answer_has_a_wider_interval_of_the_coverage_that_the_others_have():
    random = np.random.default_rng(4)
    answers = random.uniform(-100, 100, 20_000)
    truth = answers + (1 + np.abs(answers) / 10) * random.normal(0, 1, 20_000)
    spread = fitted_spread(truth[:10_000], answers[:10_000])
    for part in (np.abs(answers) < 20, np.abs(answers) > 80):
        new = part & (np.arange(20_000) >= 10_000)
        assert spread.covered(truth[new], answers[new], "0.9") == pytest.approx(0.9, abs=0.03)
        assert np.mean(truth[new] <= spread.quantile(answers[new], 0.9)) == pytest.approx(0.9, abs=0.03)


def test_one_answer_has_the_interval_that_it_has_among_others():
    spread = Spread("scaled", {"0.9": 1.7}, [0.3] * 199, answers=[-3.0, 0.1, 7.0], usual=[0.2, 0.7, 0.3])
    answers = np.random.default_rng(5).uniform(-5, 9, 1000)
    low, high = spread.around(answers, "0.9")
    assert [spread.around(answer, "0.9") for answer in answers.tolist()] == list(zip(low, high, strict=True))
    assert [spread.quantile(answer, 0.9) for answer in answers.tolist()] == spread.quantile(answers, 0.9).tolist()
    assert type(spread.around(1.0, "0.9")[0]) is float


@pytest.mark.parametrize(
    "answers",
    [np.full(4000, 3.0), np.repeat([1.0, 2.0], 2000), np.tile([1.0, 2.0], 2000)],
    ids=["one", "two", "two by turns"],
)
def test_equal_answers_and_errors_of_none_are_no_trouble(answers):
    truth = answers + np.random.default_rng(6).normal(0, answers)
    assert fitted_spread(truth, answers).covered(truth, answers, "0.9") == pytest.approx(0.9, abs=0.01)
    assert fitted_spread(answers, answers).radius["0.9"] == 0


def test_few_rows_have_no_interval():
    assert fitted_spread(np.arange(39.0), np.arange(39.0)) is None


def test_one_answer_is_covered_as_the_rows_are():
    spread = Spread("ratio", {"0.9": 0.5})
    low, high = spread.around(10.0, "0.9")
    assert spread.covered(np.array([low, high + 1e-9]), np.array([10.0, 10.0]), "0.9") == 0.5
