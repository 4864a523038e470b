"""The model learns from as many rows as the budget and the memory allow, and says so when these are not all."""

import functools
import time
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from penstock.features.encoding import fit_learning
from penstock.train import searching, trials
from penstock.train.options import Search
from penstock.train.refitting import OVERHEAD, holding, lasting
from penstock.train.searched import Option, Problem, Trial, fit_searched
from penstock.train.searching import Running
from penstock.train.tried import Tried
from penstock.types.metrics import metric_named

TREES, LINEAR = Trial("lightgbm", {}, "rmse", 1.0), Trial("linear", {}, "rmse", 1.0)


def test_all_rows_while_there_is_time_else_a_share_but_never_fewer_than_were_searched():
    assert lasting([LINEAR], [10.0], 4_000_000, 4_000_000, 2, left=30.0, budget=60.0) == (4_000_000, 1.0)
    assert lasting([LINEAR], [114.0], 4_000_000, 200_000, 2, left=30.0, budget=60.0) == (1_000_000, 1.0)
    assert lasting([LINEAR], [9000.0], 4_000_000, 200_000, 2, left=-5.0, budget=60.0) == (200_000, 1.0)
    assert lasting([LINEAR], [9000.0], 4_000_000, 1_000_000, 2, left=-5.0, budget=None) == (4_000_000, 2.0)


def test_trees_alone_have_all_cores_and_several_trials_share_them():
    assert lasting([TREES], [57.0], 1000, 10, 2, left=30.0, budget=60.0) == (1000, 1.0)
    assert lasting([TREES, LINEAR], [57.0, 57.0], 1000, 10, 2, left=30.0, budget=60.0) == (500, 1.0)


def test_trees_are_given_more_rounds_for_more_rows_when_there_is_time_for_all_rows():
    assert lasting([TREES], [5.0], 1600, 100, 2, left=30.0, budget=60.0) == (1600, 4.0)
    assert lasting([TREES], [28.5], 1600, 100, 2, left=30.0, budget=60.0) == (1600, 2.0)
    assert lasting([TREES, LINEAR], [19.0, 9.0], 1600, 100, 2, left=30.0, budget=60.0) == (1600, 1.5)


def test_the_model_has_more_rounds_than_the_trials_of_fewer_rows_and_as_many_as_those_of_all(problem):
    how = Search(trials=1, learners=("lightgbm",))
    found = trials.run_trials(problem, how, 0)
    assert found.growth == pytest.approx(10**0.5, rel=1e-5)
    rounds = found.trials[0].parameters["rounds"]
    assert fit_searched(problem, found, 0)[1].rounds == round(rounds * found.growth)
    few = problem.of(slice(0, 300))
    assert trials.run_trials(few, how, 0).growth == 1.0


def test_fewer_trials_together_where_they_learn_from_many_more_rows(monkeypatch):
    one, two = (Option(1, 1.0, 10), {0: 1.0}), (Option(2, 0.9, 20), {0: 0.5, 1: 0.5})
    monkeypatch.setattr(Tried, "enough", lambda *_: two)
    for alone, together, chosen in ((3000, 1000, one), (3000, 1600, two), (3000, 3000, two)):
        rows = {1: alone, 2: together}
        monkeypatch.setattr(Running, "_learnt", lambda _, weights, rows=rows: (rows[len(weights)], 1.0, ""))
        running = Running(None, metric_named("rmse", "regression", ""), Search(), 0, 0.0, 300, 3000)
        assert running._chosen([one, two]) == chosen


def test_a_budget_is_shared_by_the_fit_for_the_judge_and_the_one_for_the_answers():
    def running(budget, whole, refit, spent=0.0):
        workers, metric = SimpleNamespace(count=1, bytes=10**13, disk=None), metric_named("rmse", "regression", "")
        made = Running(workers, metric, Search(budget, refit=refit), 0, time.monotonic() - spent, 1000, whole)
        made.tried.trials, made.again, made.lengths = {0: LINEAR}, {0: 1.0}, [1000]
        made.tried.targets.append(np.empty(0))
        return made

    for refit, spent, rows in ((False, 0, 98_500), (True, 0, 48_500), (False, 100, 20_000), (True, 100, 10_000)):
        assert running(100, 100_000, refit, spent)._learnt({0: 1.0})[0] == pytest.approx(rows, abs=500)
    for refit, times in ((False, 1), (True, 2)):
        assert running(10_000, 1000, refit)._reserve() == pytest.approx(times * (1.0 + OVERHEAD))


def test_memory_is_counted_by_the_learner_that_copies_most_and_shared_by_those_fitted_at_once():
    assert holding([TREES], 10, 0, 2, 1_000_000, None) == 3125
    assert holding([TREES, LINEAR], 10, 0, 2, 1_000_000, None) == 1250
    assert holding([TREES, LINEAR], 10, 0, 1, 1_000_000, None) == 2500


def test_trees_alone_learn_from_a_file_as_many_rows_as_their_bins_leave_room_for():
    memory, disk = 2_000_000_000, 10**12
    held, more = (holding([TREES], 10, 0, 2, memory, each) for each in (None, disk))
    assert more > 3 * held
    assert holding([TREES, TREES], 10, 0, 2, memory, disk) < more / 2
    assert holding([TREES, LINEAR], 10, 0, 2, memory, disk) == holding([TREES, LINEAR], 10, 0, 2, memory, None)
    assert holding([TREES], 10, 20, 2, memory, disk) < more / 3
    assert holding([TREES], 10, 0, 2, memory, 80 * (held + 7)) == held + 7
    assert holding([TREES], 10, 0, 2, 40_000_000, disk) == holding([TREES], 10, 0, 2, 40_000_000, None)


@pytest.fixture
def problem(monkeypatch):
    monkeypatch.setattr(trials, "_SEARCHED_ROWS", 300)
    random = np.random.default_rng(0)
    table = pl.DataFrame({"a": random.normal(size=3000), "b": random.normal(size=3000)})
    target = table["a"].to_numpy() ** 2 + random.normal(size=3000)
    return Problem(table, functools.partial(fit_learning, columns=["a", "b"]), target, "regression", 0)


def test_a_budget_that_is_short_for_all_rows_is_kept_and_said(problem, monkeypatch, capsys):
    monkeypatch.setattr(searching, "lasting", lambda *_: (1200, 1.5))
    found = trials.run_trials(problem, Search(budget=2.0, learners=("lightgbm",)), 0)
    assert found.rows == 1200
    assert found.growth == 1.5
    assert "lets the model learn from 1,200 of 3,000 rows" in found.notes[-1]
    assert "as many as the budget of 2 s allows" in capsys.readouterr().out
    rows = np.linspace(0, 2999, 1200).round().astype(int)
    fewer = fit_searched(problem.of(rows), found.__class__(found.trials, growth=found.growth), 0)[1]
    assert fit_searched(problem, found, 0)[1].files == fewer.files


def test_a_number_of_trials_learns_from_all_rows_unless_memory_is_short(problem, monkeypatch):
    how = Search(trials=1, learners=("lightgbm",))
    assert trials.run_trials(problem, how, 0).rows is None
    monkeypatch.setattr(searching, "holding", lambda *_: 700)
    found = trials.run_trials(problem, how, 0)
    assert found.rows == 700
    assert "as many as the memory allows" in found.notes[-1]


def test_of_many_classes_fewer_rows_are_searched_and_all_are_learnt_from(monkeypatch):
    monkeypatch.setattr(trials, "_SEARCHED_ANSWERS", 12_000)
    random = np.random.default_rng(0)
    table = pl.DataFrame({"a": random.normal(size=2000), "b": random.normal(size=2000)})
    target = np.floor(random.random(2000) * 20)
    problem = Problem(table, functools.partial(fit_learning, columns=["a", "b"]), target, "multiclass", 20)
    seen = []
    real = Problem.of

    def of(self, rows):
        seen.append(len(self.table[rows]))
        return real(self, rows)

    monkeypatch.setattr(Problem, "of", of)
    found = trials.run_trials(problem, Search(trials=1, learners=("linear",)), 0)
    assert seen[0] == 600  # of 20 classes: 12,000 answers
    assert found.rows is None


def test_a_disk_that_is_short_is_said_to_be(problem, monkeypatch):
    class Usage:
        free = 14_000  # of which four fifths: 700 rows of two columns

    monkeypatch.setattr("penstock.train.workers.shutil.disk_usage", lambda _: Usage)
    monkeypatch.setattr(searching, "holding", lambda *_: 700)
    found = trials.run_trials(problem, Search(trials=1, learners=("lightgbm",)), 0)
    assert "as many as the disk allows" in found.notes[-1]
