"""Searching and fitting: the same trials give the same bytes; what crashes, hangs or eats memory is told and left out."""

import dataclasses
import datetime as dt
import functools
import os
import signal
import sys
import threading
import time

import numpy as np
import polars as pl
import psutil
import pytest
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingRegressor
from sklearn.linear_model import Ridge

from penstock.engine.recall import recalling
from penstock.errors import InputError
from penstock.features.encoding import fit_learning
from penstock.store.store import open_store
from penstock.train.folds import folds_of
from penstock.train.learners import LEARNERS, Sample, fit_learner, read_predictor
from penstock.train.learners.estimator import fit_estimator, own_classes
from penstock.train.options import Estimator, Search, estimator, search
from penstock.train.portfolio import portfolio
from penstock.train.searched import Problem, SearchError, fit_searched
from penstock.train.trials import run_trials
from penstock.train.workers import Fit, Processes
from penstock.types.metrics import METRICS

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
    "binary": ((TABLE["a"] + (TABLE["b"] == "x")).to_numpy() + random.normal(size=N) > 0.5).astype(float),
    "multiclass": random.integers(0, 3, N).astype(float),
    "regression": np.exp(TABLE["a"].to_numpy()) * 3 + 10,
}


def same(found):
    """What does not depend on the clock."""
    return [(item.learner, item.parameters, item.score, item.folds, item.weight) for item in found.trials]


def test_the_search_is_the_same_each_time_and_the_fit_too():
    how = Search(budget="60s", trials=5, folds=3)
    first = run_trials(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), how, 7)
    second = run_trials(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), how, 7)
    assert same(first) == same(second)
    assert [trial.learner for trial in first.trials[:3]] == ["linear", "lightgbm", "xgboost"]
    assert sum(trial.weight for trial in first.trials) == pytest.approx(1)
    assert first.score >= max(trial.score for trial in first.trials) - 0.01
    fits = [fit_searched(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), first, 7)[1] for _ in range(2)]
    assert fits[0] == fits[1]
    answers = read_predictor(fits[0].written, fits[0].files)
    np.testing.assert_allclose(
        answers.predict(X[:20]), [answers.predict_row(row) for row in X[:20].tolist()], rtol=1e-12
    )


def test_draws_after_the_list_do_not_depend_on_which_fit_ends_first():
    how = Search(trials=12, folds=2, learners=("lightgbm",))
    one, two = (run_trials(Problem(TABLE, FIT, TARGETS["multiclass"], "multiclass", 3), how, 1) for _ in range(2))
    assert same(one) == same(two) and len(one.trials) == 12


def test_a_spent_budget_still_gives_the_linear_model_and_says_how_much_is_needed():
    found = run_trials(Problem(TABLE, FIT, TARGETS["regression"], "regression", 0), Search(budget=0, folds=3), 0)
    assert [trial.learner for trial in found.trials] == ["linear"]
    assert any("give it at least" in note for note in found.notes)


def test_the_budget_is_kept():
    began = time.monotonic()
    found = run_trials(Problem(TABLE, FIT, TARGETS["regression"], "regression", 0), Search(budget=4), 0)
    fit_searched(Problem(TABLE, FIT, TARGETS["regression"], "regression", 0), found, 0)
    assert len(found.trials) > 1
    assert time.monotonic() - began < 60  # far off only if the budget is not looked at


def test_a_latency_and_a_size_limit_leave_out_what_is_too_slow_or_large():
    free = run_trials(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), Search(trials=9, folds=3), 0)
    assert [item.members for item in free.frontier] == sorted({item.members for item in free.frontier})
    limit = 20_000
    tight = run_trials(
        Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), Search(trials=9, folds=3, max_size=limit), 0
    )
    assert sum(trial.size for trial in tight.trials if trial.weight) <= limit
    assert sum(trial.size for trial in free.trials) > limit


def test_trials_are_found_again_in_the_store(tmp_path, capsys):
    store = open_store(tmp_path)
    how = Search(trials=3, folds=3)
    with recalling(store):
        first = run_trials(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), how, 0)
        fitted = {line for line in capsys.readouterr().out.splitlines() if line.startswith("trial ")}
        more = run_trials(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), Search(trials=4, folds=3), 0)
    assert [(t.learner, t.score) for t in more.trials[:3]] == [(t.learner, t.score) for t in first.trials]
    assert len(more.trials) == 4
    assert fitted < set(capsys.readouterr().out.splitlines())  # seconds included: nothing was fitted a second time
    with recalling(store):  # other rows are other trials
        other = run_trials(Problem(TABLE[:400], FIT, TARGETS["binary"][:400], "binary", 2), how, 0)
    assert [t.score for t in other.trials] != [t.score for t in first.trials]


def sample(rows=400, columns=4):
    matrix = np.random.default_rng(0).normal(size=(rows, columns))
    return Sample(matrix, (matrix[:, 0] > 0).astype(float), "binary", 2, [0] * columns)


def test_a_fit_that_hangs_fails_crashes_or_eats_memory_is_told_and_the_next_one_goes_on(monkeypatch):
    monkeypatch.setattr("penstock.train.workers.spare_memory", lambda: 8 * (2 << 30) // 10)
    data = sample()
    long = {"num_leaves": 200, "min_data_in_leaf": 1, "rounds": 10**7}
    with Processes(1, "binary", 2, ["lightgbm"]) as workers:
        workers.put(0, data, data.matrix, data.target)
        workers.put(1, data)  # nothing to stop early on
        assert "took longer than 2 s" in workers.start(Fit(1, "lightgbm", long, 0), limit=2).result(60).error
        assert "num_leaves" in workers.start(Fit(0, "lightgbm", {"num_leaves": 1}, 0)).result(60).error
        crashing = workers.start(Fit(1, "lightgbm", long, 0), limit=60)
        killer = threading.Thread(target=kill_busiest, daemon=True)
        killer.start()
        assert "its process ended" in crashing.result(60).error
        killer.join()
        large = {"layers": [100_000, 10_000], "max_iter": 1}
        assert "more than the" in workers.start(Fit(0, "network", large, 0), limit=60).result(60).error
        good = workers.start(Fit(0, "lightgbm", {"rounds": 5}, 0)).result(60)
        assert good.error is None and good.predicted.shape == (400, 2)


def test_a_learners_own_error_is_told_to_a_process_that_has_not_imported_the_learner(monkeypatch):
    monkeypatch.delitem(sys.modules, "_catboost", raising=False)  # where CatBoost says that its errors are from
    flat = sample()._replace(matrix=np.zeros((400, 4)))
    with Processes(1, "binary", 2, ["catboost"]) as workers:
        workers.put(0, flat, flat.matrix, flat.target)
        told = workers.start(Fit(0, "catboost", {"rounds": 5}, 0)).result(120)
    assert told.error.startswith("CatBoostError:")


def kill_busiest():
    """Kill the worker that burns most, as the kernel does when memory runs out."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            try:
                if process.cpu_percent(0.3) > 50:
                    os.kill(process.pid, signal.SIGKILL)
                    return
            except psutil.Error:
                continue


def test_a_search_in_which_nothing_can_be_fitted_says_why():
    nothing = np.full(N, np.inf)
    with pytest.raises(SearchError, match="no learner could be fitted.*linear"):
        fit = functools.partial(fit_learning, columns=["a"])
        run_trials(Problem(TABLE, fit, nothing, "regression", 0), Search(trials=1, folds=2, learners=("linear",)), 0)


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
    written, files = fit_estimator(X, TARGETS[task], task, CATEGORIES, made, [], 0)
    predictor = read_predictor(written, files)
    alone = [predictor.predict_row(row) for row in X[:5].tolist()]
    np.testing.assert_allclose(predictor.predict(X[:5]), alone)
    assert not hasattr(made, "n_features_in_")


def test_an_estimator_that_draws_gets_the_seed_unless_it_has_its_own():
    bag = BaggingClassifier(RandomForestClassifier(3), n_estimators=3)

    def written(made, seed):
        return fit_estimator(X, TARGETS["binary"], "binary", CATEGORIES, made, [], seed)[1]

    assert written(bag, 1) == written(bag, 1) != written(bag, 2)
    own = RandomForestClassifier(3, random_state=5)
    assert written(own, 1) == written(own, 2)


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
        fit_estimator(X, TARGETS["regression"], "regression", CATEGORIES, Mean(), [], 0)
    name = f"{Mean.__module__}.Mean"
    written, files = fit_estimator(X, TARGETS["regression"], "regression", CATEGORIES, Mean(), [name], 0)
    assert read_predictor(written, files).predict(X[:2])[0] == pytest.approx(TARGETS["regression"].mean())


def test_options_that_cannot_be_are_refused():
    for wrong in (
        lambda: search(learners=["catbost"]),
        lambda: search(budget="soon"),
        lambda: estimator(Ridge),
        lambda: search(trials=0),
        lambda: search(max_latency="fast"),
    ):
        with pytest.raises(InputError):
            wrong()
    assert isinstance(estimator(Ridge()), Estimator)
    # What it predicts shows itself only once it is fitted.
    assert isinstance(estimator(StackingRegressor([("one", Ridge())])), Estimator)


def test_folds_by_time_keep_the_gap():
    times = np.random.default_rng(0).permutation(N).astype(float)
    for learn, judge in folds_of(TARGETS["regression"], "regression", 4, 0, None, times, gap=30.0):
        assert times[judge].min() - times[learn].max() >= 30


def test_every_fold_knows_every_class_and_rare_ones_take_no_folds_away():
    target = np.repeat([0.0, 1.0, 2.0, 3.0], [60, 30, 2, 1])
    groups, times = np.arange(len(target)) // 10, np.arange(len(target), dtype=float)
    for by in ({}, {"groups": groups}, {"times": times}):
        divided = folds_of(target, "multiclass", 5, 0, **{"groups": None, "times": None} | by)
        assert all(set(target[learnt]) == {0.0, 1.0, 2.0, 3.0} for learnt, _ in divided)
        assert not any(set(learnt) & set(judged) for learnt, judged in divided)
    assert len(folds_of(target, "multiclass", 5, 0, None, None)) == 5


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_of_fewer_groups_than_folds_each_is_one(task):
    groups = np.arange(N) % 3
    divided = folds_of(TARGETS[task], task, 5, 0, groups, None, repeats=3)
    assert len(divided) == 3
    assert all(not set(groups[learn]) & set(groups[judge]) for learn, judge in divided)


def test_of_two_classes_a_fold_that_knows_one_is_dropped_for_the_rest_would_judge_one():
    target = np.where(np.arange(200) % 50 == 45, 1.0, 0.0)  # two in a hundred, the first late
    divided = folds_of(target, "binary", 4, 0, None, np.arange(200.0))
    assert len(divided) == 3
    assert all(len(set(target[part])) == 2 for fold in divided for part in fold)


def test_of_two_classes_a_fold_that_judges_by_one_is_dropped_and_where_all_are_rows_are_divided_by_chance():
    target = np.where(np.arange(200) % 2 + (np.arange(200) > 130) == 1, 1.0, 0.0)
    target[150:] = 0.0
    for by in ({"times": np.arange(200.0), "groups": None}, {"times": None, "groups": np.arange(200) // 25}):
        divided = folds_of(target, "binary", 4, 0, **by)
        assert divided
        assert all(len(set(target[part])) == 2 for fold in divided for part in fold)
    late = np.r_[np.ones(5), np.zeros(195)]
    divided = folds_of(late, "binary", 4, 0, None, np.arange(200.0))
    assert len(divided) == 4
    assert all(len(set(late[part])) == 2 for fold in divided for part in fold)


def test_a_table_that_is_small_for_the_budget_is_divided_three_times_over():
    divided = folds_of(TARGETS["binary"], "binary", 5, 0, None, None, repeats=3)
    judged = [np.sort(np.concatenate([judge for _, judge in divided[at : at + 5]])).tolist() for at in (0, 5, 10)]
    assert judged == [list(range(N))] * 3
    assert divided[0][1].tolist() != divided[5][1].tolist()
    patient, hasty = (
        run_trials(Problem(TABLE, FIT, TARGETS["binary"], "binary", 2), Search(budget=budget, learners=("linear",)), 0)
        for budget in (60, 1)
    )
    assert [len(trial.folds) for trial in patient.trials] == [15]
    assert {len(trial.folds) for trial in hasty.trials} == {5}


@pytest.mark.parametrize("multiplied", [True, False])
def test_logarithms_are_tried_by_all_where_they_win_with_one_and_by_none_else(multiplied):
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 600))
    noise = random.normal(size=600)
    # Near zero the second is noise, of which logarithms make much.
    target = np.exp(1.2 * a + b + 0.1 * noise) if multiplied else np.abs(5 * a**2 + noise)
    table = pl.DataFrame({"a": a, "b": b})
    fit = functools.partial(fit_learning, columns=table.columns)
    how = Search(trials=8, folds=3, learners=("linear", "lightgbm"))
    tried = run_trials(Problem(table, fit, target, "regression", 0), how, 0).trials
    logs = [trial.learner for trial in tried if trial.parameters.get("target") == "log"]
    assert logs == (["lightgbm", "linear"] if multiplied else ["lightgbm"])


def levels(rows=1500, seed=3):
    """A category of 40 levels in no order, each with its own mean; a number that says nothing."""
    random = np.random.default_rng(seed)
    which = random.integers(0, 40, rows)
    table = pl.DataFrame({"who": [f"w{number}" for number in which], "noise": random.normal(size=rows)})
    return table, random.normal(size=40)[which] * 3 + random.normal(size=rows)


def test_trials_with_means_of_the_target_are_tried_and_the_model_has_them_only_where_they_helped():
    table, target = levels()
    fit = functools.partial(fit_learning, columns=table.columns)
    found = run_trials(
        Problem(table, fit, target, "regression", 0), Search(trials=5, folds=3, learners=("catboost",)), 0
    )
    with_means = [trial for trial in found.trials if trial.parameters.get("means")]
    without = [trial for trial in found.trials if not trial.parameters.get("means")]
    assert min(trial.score for trial in with_means) < min(trial.score for trial in without) - 0.03  # noise alone is 1
    encoding, _ = fit_searched(Problem(table, fit, target, "regression", 0), found, 0)
    assert encoding.offers()
    alone = dataclasses.replace(found, trials=[dataclasses.replace(without[0], weight=1.0)])
    assert not fit_searched(Problem(table, fit, target, "regression", 0), alone, 0)[0].offers()


def test_where_things_are_named_by_numbers_all_learn_from_means_of_the_target_but_where_rows_are_divided_by_them():
    random = np.random.default_rng(3)
    which = random.integers(0, 80, 800)
    table = pl.DataFrame({"user_id": which, "noise": random.normal(size=800)})
    target = random.normal(size=80)[which] * 3 + random.normal(size=800)
    problem = Problem(table, functools.partial(fit_learning, columns=table.columns), target, "regression", 0)

    def tried(trials, learners=("linear", "lightgbm"), **how):
        return run_trials(problem, Search(trials=trials, folds=3, learners=learners), 0, **how).trials

    found = tried(3)
    asked = sorted((trial.learner, trial.parameters.get("means", False)) for trial in found)
    assert asked == [("lightgbm", False), ("lightgbm", True), ("linear", True)]
    assert found[0].score < 1.2  # noise alone is 1; numbers in no order tell little
    assert next(trial for trial in found if trial.learner == "lightgbm" and "means" not in trial.parameters).score > 1.3
    assert not any(trial.parameters.get("means") for trial in tried(3, groups=which))
    assert not any(trial.parameters.get("means") for trial in tried(2)), "so few are plain ones"


def grown(rows=600, slope=0.01):
    """Two years of days, a number that says little, and a target that rises with the days."""
    random = np.random.default_rng(5)
    start = dt.datetime(2023, 1, 1)
    table = pl.DataFrame({
        "when": [start + dt.timedelta(days=1.2 * number) for number in range(rows)], "x": random.normal(size=rows),
    })  # fmt: skip
    days = np.arange(rows) * 1.2
    return table, days * slope + table["x"].to_numpy() * 0.1 + random.normal(size=rows) * 0.1, days


def test_the_trend_of_time_is_tried_where_rows_are_divided_by_it_and_learnt_where_it_goes_on():
    table, target, days = grown()
    fit = functools.partial(fit_learning, columns=table.columns, clock="when")
    problem = Problem(table[:450], fit, target[:450], "regression", 0)
    how = Search(trials=4, folds=3, learners=("linear", "lightgbm"))
    found = run_trials(problem, how, 0, times=days[:450])
    assert [trial.parameters.get("trend", False) for trial in sorted(found.trials, key=lambda item: item.learner)] == [
        False,
        True,
    ] * 2
    assert found.trials[0].learner == "linear"
    encoding, fitted = fit_searched(problem, found, 0)
    assert encoding.names()[0] == "when (days)"
    later = read_predictor(fitted.written, fitted.files).predict(encoding.matrix(table[450:]))
    assert np.sqrt(np.mean((later - target[450:]) ** 2)) < 0.2  # the last value known would be 1 off
    level = dataclasses.replace(problem, target=problem.target - days[:450] * 0.01)
    assert not run_trials(level, how, 0, times=days[:450]).trials[0].parameters.get("trend")
    assert not any(trial.parameters.get("trend") for trial in run_trials(problem, how, 0).trials)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_learner_that_is_not_to_use_means_does_not_heed_them(learner):
    table, target = levels(300)
    encoding, matrix = fit_learning(table, target, table.columns, offered=["means"])
    first = dict(portfolio("regression", 300, False, [learner]))[learner]
    sample = Sample(matrix, target, "regression", 0, encoding.categories(), offers=encoding.offers())
    fitted = fit_learner(learner, sample, {**first, "rounds": 20}, 0)
    predictor = read_predictor(fitted.written, fitted.files)
    other = matrix.copy()
    other[:, encoding.offers()["means"]] = np.random.default_rng(0).normal(size=(300, 1)) * 100
    np.testing.assert_array_equal(predictor.predict(matrix), predictor.predict(other))
    assert predictor.predict_row(matrix[0].tolist()) == predictor.predict_row(other[0].tolist())


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost"])
def test_rare_classes_do_not_make_trees_overshoot(learner):
    random = np.random.default_rng(0)
    target = np.minimum(random.geometric(0.2, 4_000) - 1, 19).astype(float)
    matrix = np.column_stack([target + random.normal(0, 0.7, 4_000), random.normal(size=(4_000, 2))])
    rarest = np.unique(target, return_counts=True)[1].min() / len(target)
    learnt, judged = Sample(matrix[:3_000], target[:3_000], "multiclass", 20, [0, 0, 0]), slice(3_000, None)
    losses = []
    for share in (1.0, rarest):
        first = dict(portfolio("multiclass", 3_000, False, [learner], rarest=share)[:1])[learner]
        made = fit_learner(learner, learnt, {**first, "rounds": 100}, 0)
        answers = read_predictor(made.written, made.files).predict(matrix[judged])
        losses.append(METRICS["log_loss"].value(target[judged], answers))
    assert losses[1] < 0.97 * losses[0]


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost", "catboost"])
def test_trees_look_at_some_of_many_columns_at_a_time(learner):
    few, many = (dict(portfolio("binary", 300, False, [learner], columns))[learner] for columns in (100, 101))
    assert few != many
    random = np.random.default_rng(0)
    matrix = random.normal(size=(200, 120))
    sample = Sample(matrix, (matrix[:, 0] > 0).astype(float), "binary", 2, [0] * 120)
    made = fit_learner(learner, sample, {**many, "rounds": 60}, 0)
    yes = read_predictor(made.written, made.files).predict(matrix)[:, 1]
    assert np.mean((yes > 0.5) == (matrix[:, 0] > 0)) > 0.9


class Named:
    """Stands for an author's learner."""


def test_a_stored_model_asks_for_classes_of_the_authors_own_and_no_others():
    names = [f"{__name__}.Named", f"{__name__}.NotThere", "__main__.Named", "sklearn.linear_model.Ridge", "not_there.X"]
    assert own_classes(names) == [Named]
