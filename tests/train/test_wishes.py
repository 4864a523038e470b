"""What an author wishes of a search: weights, directions, a metric of one's own."""

import functools

import numpy as np
import polars as pl
import pytest

from penstock.errors import InputError, PenstockError
from penstock.features.encoding import fit_learning
from penstock.train.learners import read_predictor
from penstock.train.options import Search, search
from penstock.train.searched import Problem, SearchError, Wishes, fit_searched
from penstock.train.trials import run_trials

random = np.random.default_rng(0)
N = 600
TABLE = pl.DataFrame({"size": random.normal(size=N), "city": random.choice(["x", "y", "z"], N)})
FIT = functools.partial(fit_learning, columns=TABLE.columns)
PRICE = np.sin(TABLE["size"].to_numpy() * 2) + TABLE["size"].to_numpy() + random.normal(0, 0.2, N)


def test_a_direction_is_kept_by_what_answers_and_learners_that_cannot_are_left_out():
    how = search(trials=3, folds=3, monotone={"size": 1})
    found = run_trials(Problem(TABLE, FIT, PRICE, "regression", 0), how, 0)
    assert {trial.learner for trial in found.trials} <= {"lightgbm", "xgboost", "catboost"}
    assert "left linear out, which cannot keep a direction" in found.notes
    encoding, fitted = fit_searched(Problem(TABLE, FIT, PRICE, "regression", 0), found, 0, Wishes(None, how.monotone))
    asked = pl.DataFrame({"size": np.linspace(-3, 3, 200), "city": ["y"] * 200})
    answers = read_predictor(fitted.written, fitted.files).predict(encoding.matrix(asked))
    assert np.diff(answers).min() >= -1e-12
    free = run_trials(Problem(TABLE, FIT, PRICE, "regression", 0), search(trials=3, folds=3), 0)
    encoding, fitted = fit_searched(Problem(TABLE, FIT, PRICE, "regression", 0), free, 0)
    assert np.diff(read_predictor(fitted.written, fitted.files).predict(encoding.matrix(asked))).min() < -1e-3


def test_a_column_of_texts_has_no_direction():
    with pytest.raises(SearchError, match='"city" is not a column of numbers'):
        run_trials(Problem(TABLE, FIT, PRICE, "regression", 0), search(trials=1, monotone={"city": 1}), 0)
    with pytest.raises(SearchError, match='"cost" is not learnt from'):
        run_trials(Problem(TABLE, FIT, PRICE, "regression", 0), search(trials=1, monotone={"cost": -1}), 0)
    with pytest.raises(InputError, match="give 1 or -1"):
        search(monotone={"size": 2})
    with pytest.raises(SearchError, match="no learner is left"):
        run_trials(Problem(TABLE, FIT, PRICE, "regression", 0), search(learners=["linear"], monotone={"size": 1}), 0)


def test_weights_change_what_is_learnt():
    target = np.where(np.arange(N) % 2, 10.0, 0.0)  # no column tells them apart
    how = search(trials=2, folds=3, weights="w")
    weights = np.where(np.arange(N) % 2, 3.0, 1.0)
    found = run_trials(Problem(TABLE, FIT, target, "regression", 0), how, 0, weights=weights)
    encoding, fitted = fit_searched(Problem(TABLE, FIT, target, "regression", 0), found, 0, Wishes(weights))
    answers = read_predictor(fitted.written, fitted.files).predict(encoding.matrix(TABLE))
    assert answers.mean() == pytest.approx(7.5, abs=0.4)


def worst(target, predicted):
    return float(np.abs(target - predicted).max())


def test_a_metric_of_ones_own_decides():
    found = run_trials(
        Problem(TABLE, FIT, PRICE, "regression", 0), search(trials=3, folds=3, metric=worst, higher=False), 0
    )
    assert {trial.metric for trial in found.trials} == {"worst"}
    best = min(found.trials, key=lambda trial: trial.score)
    assert found.score <= max(best.folds) + 1e-9
    assert not found.higher


def test_a_metric_that_raises_or_is_no_number_is_told():
    def broken(target, predicted):
        raise KeyError("profit")

    with pytest.raises(SearchError, match=r"its broken is not a number \(KeyError: 'profit'\)"):
        run_trials(Problem(TABLE, FIT, PRICE, "regression", 0), Search(trials=2, folds=3, metric=broken), 0)
    with pytest.raises(SearchError, match="is not a number"):
        run_trials(
            Problem(TABLE, FIT, PRICE, "regression", 0), Search(trials=1, folds=3, metric=lambda t, p: float("nan")), 0
        )
    with pytest.raises(PenstockError, match="a function"):
        search(metric=3)
