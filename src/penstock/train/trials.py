"""The search: learners tried by cross-validation until the list or the budget ends, and those that answer together.

Every fold fits its own encoding on its own training part, so that nothing is fitted on rows that judge it. Given the
list of trials, the model is the same byte for byte; how long the list is depends on the budget and the machine.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.train.cluster import warm_workers, workers_for
from penstock.train.folds import folds_of, spaced_rows
from penstock.train.learners import MONOTONE, WEIGHTED, installed, offered_to
from penstock.train.options import Search
from penstock.train.portfolio import of_things, portfolio
from penstock.train.searched import Parted, Problem, Searched, SearchError, Wishes, libraries
from penstock.train.searching import Running
from penstock.train.tried import skewness
from penstock.types.metrics import PRIMARY, Metric, metric_named, metric_of

Array = npt.NDArray[Any]
_SEARCHED_ROWS, _SEARCHED_ANSWERS = 200_000, 4_000_000
"""Cross-validation looks at so many rows at most, and so many rows times classes, each of which has trees of its own; the
model itself learns from all, or as many as there is time and memory for."""
_SEARCHED_LEAST, _SEARCHED_A_SECOND = 20_000, 1_000
"""Where there are more rows: at so many at most, by the seconds of the budget."""
_HURRIED = 10_000
"""Rows to learn from for each second of the budget, above which the list begins with the fastest."""
_REPEATS, _CELLS_A_SECOND = 3, 700
"""One division of few rows judges by luck: tables of so few cells for each second of the budget are divided three times
over. On larger ones the time is better spent on more trials (measured on titanic, attrition, credit_data, mlc_churn, ames)."""
_PLAIN = 2
"""Fewer trials than these are plain ones: a linear model and boosted trees."""
_SKEWED = 0.5
"""From this skewness on, logarithms of the target are tried."""


def run_trials(
    problem: Problem | Parted,
    how: Search,
    seed: int,
    groups: Array | None = None,
    times: Array | None = None,
    weights: Array | None = None,
    gap: float = 0.0,
) -> Searched:
    """Try combinations until the list or the budget ends.

    Parameters
    ----------
    problem : Problem
        The training rows and what is asked of them.
    groups, times : array, optional
        Rows of one group stay together; with times each fold judges rows later than it learnt from.
    weights : array, optional
        How much each row counts to the learners.
    gap : float
        In the units of `times`: by how much later the rows that judge are at least.

    Raises
    ------
    SearchError
        When no learner could be fitted.
    """
    metric = _metric(how, problem.task)
    wishes = Wishes(weights, how.monotone)
    began = time.monotonic()
    whole = problem.table.height
    most = min(_SEARCHED_ROWS, _SEARCHED_ANSWERS // max(problem.classes, 1))
    if whole > most:
        if how.trials is None:  # the rest of the time is better spent on more trials, and on more rows for the model
            most = min(most, max(_SEARCHED_LEAST, int(_SEARCHED_A_SECOND * how.seconds)))
        rows = spaced_rows(problem.target, problem.task, most)
        problem = problem.of(rows)
        groups = None if groups is None else groups[rows]
        times = None if times is None else times[rows]
        wishes = wishes.of(rows)
    problem = problem.read()
    table, target, task = problem.table, problem.target, problem.task
    skewed = task == "regression" and bool(target.min() >= 0) and skewness(target) > _SKEWED
    there, notes = _usable(how, task)
    hurried = how.trials is None and whole > max(_SEARCHED_ROWS, _HURRIED * how.seconds)
    rarest = 1.0 if task == "regression" else float(np.unique(target, return_counts=True)[1].min() / len(target))
    planned = portfolio(task, table.height, skewed, there, table.width, hurried, rarest)
    if times is None:
        planned = [item for item in planned if not item[1].get("trend")]
    used = libraries(learner for learner, _ in planned[: how.trials])
    warm_workers(used)
    few = how.trials is None and table.height * table.width <= _CELLS_A_SECOND * how.seconds
    divided = folds_of(target, task, how.folds, seed, groups, times, gap, _REPEATS if few else 1)
    offered = offered_to(parameters for _, parameters in planned[: how.trials])
    if how.trials is None or how.trials > _PLAIN:  # whether there are such columns says what the list begins with
        offered |= {"means"}
    with workers_for(len(divided), task, problem.classes, used) as workers:
        search = Running(workers, metric, how, seed, began, table.height, whole)
        for number, (learn, judge) in enumerate(divided):
            part = problem.of(learn)
            begun = time.monotonic()
            encoding, matrix = part.encoded(offered=offered)
            search.encoded.append((time.monotonic() - begun) / max(len(matrix), 1))
            search.put(
                number, wishes.of(learn).sample(part, encoding, matrix), encoding.matrix(table[judge]), target[judge]
            )
        offered = set(encoding.offers())
        planned = [item for item in planned if offered_to([item[1]]) <= offered]
        if groups is None and encoding.keyed():
            planned = of_things(planned)
        del encoding, matrix  # the workers have theirs
        search.run(planned, there, offered)
    took, fitting = time.monotonic() - began, sum(search.seconds.values()) / search.workers.count
    spent = f"searched for {took:.1f} s; the fits themselves took {fitting:.1f} s on {workers.where}"
    print(spent, flush=True)  # noqa: T201
    return search.found(seed, [*search.notes, *notes])


def _metric(how: Search, task: str) -> Metric:
    if how.metric is None or isinstance(how.metric, str):
        return metric_named(how.metric or PRIMARY[task], task, "ps.train.search(metric=...)")  # type: ignore[index, arg-type]
    return metric_of(how.metric, task, how.higher)  # type: ignore[arg-type]


def _usable(how: Search, task: str) -> tuple[list[str], list[str]]:
    """Return the learners that can do what is asked, and why others are left out."""
    if how.monotone and task == "multiclass":
        raise SearchError("ps.train.search(monotone=...) asks for a number or two classes to predict")
    there, notes = [], []
    for learner in how.learners:
        if not installed(learner):
            notes.append(f"left {learner} out, which is not installed: pip install 'penstock[{learner}]'")
        elif how.monotone and learner not in MONOTONE:
            notes.append(f"left {learner} out, which cannot keep a direction")
        elif how.weights and learner not in WEIGHTED:
            notes.append(f"left {learner} out, to which all rows count alike")
        else:
            there.append(learner)
    if not there:
        raise SearchError(f"no learner is left: the search {'; it '.join(notes)}")
    return there, notes
