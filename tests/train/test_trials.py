"""Searching and fitting: the same trials give the same bytes, and predictors equal the libraries that fitted."""

import functools

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

from penstock.errors import InputError
from penstock.features.encoding import fit_learning
from penstock.train.learners import read_predictor
from penstock.train.learners.estimator import fit_estimator
from penstock.train.learners.linear import fit_linear
from penstock.train.learners.trees import fit_trees, parameters_for
from penstock.train.options import Estimator, Search, estimator, search
from penstock.train.trials import Trial, best_trial, fit_trial, folds_of, proposals, run_trials

random = np.random.default_rng(0)
N = 500
TABLE = pl.DataFrame(
    {
        "a": random.normal(size=N),
        "b": random.choice(["x", "y", "z"], N),
        "c": [None if i % 9 == 0 else float(i % 50) for i in range(N)],
    }
)
FIT = functools.partial(fit_learning, columns=TABLE.columns)
ENCODING, X = FIT(TABLE, random.normal(size=N))
CATEGORIES = ENCODING.categories()
TARGETS = {
    "binary": ((TABLE["a"] + (TABLE["b"] == "x")).to_numpy() > 0.5).astype(float),
    "multiclass": random.integers(0, 3, N).astype(float),
    "regression": TABLE["a"].to_numpy() * 3 + 10,
}


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_one_row_alone_is_answered_as_in_a_table(task, learner):
    y = TARGETS[task]
    if learner == "linear":
        written, files = fit_linear(X, y, task, CATEGORIES, {"C": 1.0}, 0)
    else:
        written, files, _ = fit_trees(
            X, y, task, CATEGORIES, {"rounds": 20}, 0, n_classes=3 if task == "multiclass" else 2
        )
    predictor = read_predictor(written, files)
    table = predictor.predict(X[:40])
    alone = np.array([predictor.predict_row(row) for row in X[:40].tolist()])
    np.testing.assert_allclose(table, alone, rtol=1e-12, atol=1e-12)
    if task != "regression":
        np.testing.assert_allclose(table.sum(1), 1)


@pytest.mark.parametrize("task", TARGETS)
def test_trees_answer_as_lightgbm_itself_does(task):
    import lightgbm as lgb

    classes = 3 if task == "multiclass" else 2
    written, files, _ = fit_trees(X, TARGETS[task], task, CATEGORIES, {"rounds": 15}, 0, n_classes=classes)
    made = parameters_for(task, classes, {}, 0, 1)
    data = lgb.Dataset(
        X, TARGETS[task], categorical_feature=[i for i, count in enumerate(CATEGORIES) if count], params=made
    )
    theirs = lgb.train(made, data, num_boost_round=15).predict(X)
    ours = read_predictor(written, files).predict(X)
    np.testing.assert_array_equal(ours[:, 1] if task == "binary" else ours, theirs)


def test_the_number_of_threads_does_not_change_the_bytes():
    one = fit_trees(X, TARGETS["binary"], "binary", CATEGORIES, {"rounds": 30}, 0, threads=1)
    two = fit_trees(X, TARGETS["binary"], "binary", CATEGORIES, {"rounds": 30}, 0, threads=2)
    assert one == two


def test_a_linear_model_answers_unseen_categories_and_gaps():
    written, files = fit_linear(X, TARGETS["binary"], "binary", CATEGORIES, {}, 0)
    asked = ENCODING.matrix(
        pl.DataFrame({"a": [None, 1e9], "b": ["new", None], "c": [None, None]}, schema=TABLE.schema)
    )
    predictor = read_predictor(written, files)
    np.testing.assert_allclose(predictor.predict(asked), [predictor.predict_row(row) for row in asked.tolist()])


def test_the_search_is_the_same_each_time_and_the_fit_too():
    how = Search(budget="60s", trials=4, folds=3)
    first = run_trials(TABLE, FIT, TARGETS["binary"], "binary", 2, how, 7)
    second = run_trials(TABLE, FIT, TARGETS["binary"], "binary", 2, how, 7)
    assert first == second
    assert [trial.learner for trial in first[:2]] == ["linear", "lightgbm"]
    best = best_trial(first)
    assert best.score == max(trial.score for trial in first)
    fits = [fit_trial(TABLE, FIT, TARGETS["binary"], "binary", 2, best, 7) for _ in range(2)]
    assert fits[0][1:] == fits[1][1:]


def test_a_spent_budget_still_tries_each_learner_once():
    trials = run_trials(TABLE, FIT, TARGETS["regression"], "regression", 0, Search(budget=0, trials=50, folds=3), 0)
    assert [trial.learner for trial in trials] == ["linear", "lightgbm"]


def test_the_best_of_an_error_is_the_least():
    assert best_trial([Trial("linear", {}, "rmse", 2.0), Trial("lightgbm", {}, "rmse", 1.0)]).score == 1.0


def test_proposals_end_with_the_number_of_trials():
    assert len(list(proposals(Search(trials=9), 0))) == 9
    assert {name for name, _ in proposals(Search(trials=4, learners=("linear",)), 0)} == {"linear"}


def test_folds_by_time_judge_later_rows_and_groups_stay_whole():
    times = np.random.default_rng(0).permutation(N).astype(float)
    for learn, judge in folds_of(TARGETS["regression"], "regression", 4, 0, None, times):
        assert times[learn].max() < times[judge].min()
    groups = np.arange(N) % 25
    for learn, judge in folds_of(TARGETS["binary"], "binary", 5, 0, groups, None):
        assert not set(groups[learn]) & set(groups[judge])


@pytest.mark.parametrize(
    ("task", "made"), [("binary", RandomForestClassifier(5, random_state=0)), ("regression", Ridge())]
)
def test_any_estimator_of_scikit_learn_is_written_without_pickle(task, made):
    written, files = fit_estimator(X, TARGETS[task], task, CATEGORIES, made, [])
    predictor = read_predictor(written, files)
    alone = [predictor.predict_row(row) for row in X[:5].tolist()]
    np.testing.assert_allclose(predictor.predict(X[:5]), alone)
    assert not hasattr(made, "n_features_in_")


class Mean:
    def fit(self, x, y):
        self.value_ = float(np.mean(y))
        return self

    def predict(self, x):
        return np.full(len(x), self.value_)

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self


def test_a_type_of_ones_own_is_loaded_only_when_trusted():
    with pytest.raises(InputError, match="may not load unasked.*Mean"):
        fit_estimator(X, TARGETS["regression"], "regression", CATEGORIES, Mean(), [])
    name = f"{Mean.__module__}.Mean"
    written, files = fit_estimator(X, TARGETS["regression"], "regression", CATEGORIES, Mean(), [name])
    assert read_predictor(written, files).predict(X[:2])[0] == pytest.approx(TARGETS["regression"].mean())


def test_options_that_cannot_be_are_refused():
    for wrong in (
        lambda: search(learners=["catboost"]),
        lambda: search(budget="soon"),
        lambda: estimator(Ridge),
        lambda: search(trials=0),
    ):
        with pytest.raises(InputError):
            wrong()
    assert isinstance(estimator(Ridge()), Estimator)
