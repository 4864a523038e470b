"""Trials of learners by cross-validation, and the fitting of the best one on all training rows.

Every fold fits its own encoding on its own training part, so that nothing is fitted on rows that judge it.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.train.options import Estimator, Search
from penstock.types.metrics import METRICS, PRIMARY, Metric, metric_named

Array = npt.NDArray[Any]
_LARGE = 100_000
_SEARCHED_ROWS = 200_000
"""Cross-validation looks at so many rows at most; the model itself is fitted on all."""


class Encoding(Protocol):
    """Fitted on some rows; makes numbers of any."""

    def matrix(self, frame: pl.DataFrame) -> Array:
        """Encode a table: shape (n_rows, n_columns), NaN where missing."""
        ...

    def categories(self) -> list[int]:
        """Of each matrix column the number of codes; 0 for a number."""
        ...


FitEncoding = Callable[[pl.DataFrame, Array], tuple[Encoding, Array]]
"""From rows and their targets to their fitted encoding, and these rows encoded to learn from."""
_Fold = tuple[Array, Array, Array, Array, list[int]]
"""Rows to learn from and their targets, rows to judge by and theirs, and the matrix columns' numbers of codes."""


@dataclass(frozen=True)
class Trial:
    """One combination that was tried.

    Attributes
    ----------
    learner : str
        ``linear``, ``lightgbm`` or ``estimator``.
    parameters : dict
        Of the learner; ``rounds`` is the number of trees that early stopping found.
    metric : str
        What was measured.
    score : float
        Its mean over the folds.
    folds : list of float
        One a fold.
    """

    learner: str
    parameters: dict[str, float | int]
    metric: str
    score: float
    folds: list[float] = field(default_factory=list)


def run_trials(
    table: pl.DataFrame,
    fit_encoding: FitEncoding,
    target: Array,
    task: str,
    n_classes: int,
    how: Search,
    seed: int,
    groups: Array | None = None,
    times: Array | None = None,
) -> list[Trial]:
    """Try combinations until the list or the budget ends.

    Parameters
    ----------
    table : DataFrame
        Training rows.
    fit_encoding : callable
        From rows and targets to their fitted encoding and matrix; called anew for the training part of every fold.
    target : array, shape (n_rows,)
        Class codes or numbers.
    groups, times : array, optional
        Rows of one group stay together; with times each fold judges rows later than it learnt from.
    """
    metric = metric_named(how.metric or PRIMARY[task], task, "ps.train.search(metric=...)")  # type: ignore[index, arg-type]
    started = time.monotonic()
    if table.height > _SEARCHED_ROWS:
        rows = np.arange(table.height)[:: -(-table.height // _SEARCHED_ROWS)]
        table, target = table[rows], target[rows]
        groups = None if groups is None else groups[rows]
        times = None if times is None else times[rows]
    prepared: list[_Fold] = []
    for learn, judge in folds_of(target, task, how.folds, seed, groups, times):
        encoding, matrix = fit_encoding(table[learn], target[learn])
        part = matrix, target[learn], encoding.matrix(table[judge]), target[judge]
        prepared.append((*part, encoding.categories()))
    trials: list[Trial] = []
    for number, (learner, parameters) in enumerate(proposals(how, seed)):
        if number >= len(how.learners) and time.monotonic() - started > how.seconds:
            break
        judge_fold = functools.partial(_judge, learner, parameters, metric, task, n_classes, seed)
        # One thread a fold instead of all threads on one: as fast on an idle machine, and on a busy one threads that
        # wait for each other inside a fit made it nine times slower (two runs at once on two cores: 122 s, not 14).
        with _one_blas_thread(), ThreadPoolExecutor(min(len(prepared), _cores())) as pool:
            judged = list(pool.map(judge_fold, prepared))
        scores, rounds = [score for score, _ in judged], [n_rounds for _, n_rounds in judged]
        if learner == "lightgbm":
            parameters = {**parameters, "rounds": max(1, round(float(np.mean(rounds))))}
        trials.append(Trial(learner, dict(parameters), metric.name, round(float(np.mean(scores)), 10), scores))
        print(f"trial {number + 1}: {learner} {metric.name} {np.mean(scores):.5f} {dict(parameters)}")  # noqa: T201
    return trials


def _judge(
    learner: str, parameters: Mapping[str, Any], metric: Metric, task: str, n_classes: int, seed: int, fold: _Fold
) -> tuple[float, int]:
    """Fit on a fold's training part and return the score on the rest, and the number of trees."""
    from penstock.train.learners import read_predictor

    x, y, judge_x, judge_y, categories = fold
    rounds = 0
    if learner == "linear":
        from penstock.train.learners.linear import fit_linear

        written, files = fit_linear(x, y, task, categories, parameters, seed)
    else:
        from penstock.train.learners.trees import fit_trees

        written, files, rounds = fit_trees(
            x, y, task, categories, parameters, seed, n_classes=n_classes, watch=(judge_x, judge_y)
        )
    predicted = read_predictor(written, files).predict(judge_x)
    return round(metric.value(judge_y, predicted), 10), rounds


def _one_blas_thread() -> Any:
    """Sums of several threads end in other last bits: with one, the model is the same on a machine of any size.

    Stated for the whole process, so never inside a fold that runs beside others.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def _cores() -> int:
    return os.cpu_count() or 1


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the best score; the earlier of equals.

    Examples
    --------
    >>> best_trial([Trial("linear", {}, "rmse", 2.0), Trial("lightgbm", {}, "rmse", 1.0)]).learner
    'lightgbm'
    """
    higher = METRICS[trials[0].metric].higher
    return max(trials, key=lambda trial: trial.score if higher else -trial.score)


def fit_trial(
    table: pl.DataFrame,
    fit_encoding: FitEncoding,
    target: Array,
    task: str,
    n_classes: int,
    trial: Trial,
    seed: int,
    given: Estimator | None = None,
) -> tuple[Encoding, dict[str, Any], dict[str, bytes]]:
    """Fit one combination on all training rows: the same bytes each time.

    Returns
    -------
    Encoding
        Of the columns.
    dict, dict of str to bytes
        The learner, for the model's manifest, and its files.
    """
    encoding, matrix = fit_encoding(table, target)
    categories = encoding.categories()
    if given is not None:
        from penstock.train.learners.estimator import fit_estimator

        written, files = fit_estimator(matrix, target, task, categories, given.estimator, given.trusted)
    elif trial.learner == "linear":
        from penstock.train.learners.linear import fit_linear

        with _one_blas_thread():
            written, files = fit_linear(matrix, target, task, categories, trial.parameters, seed)
    else:
        from penstock.train.learners.trees import fit_trees

        written, files, _ = fit_trees(
            matrix,
            target,
            task,
            categories,
            trial.parameters,
            seed,
            n_classes=n_classes,
            threads=_cores() if len(matrix) > _LARGE else 1,
        )
    return encoding, written, files


def proposals(how: Search, seed: int) -> Iterator[tuple[str, dict[str, float | int]]]:
    """Yield what to try: one good default of each learner, then draws from the seed."""
    random = np.random.default_rng(seed)
    strengths = iter((0.1, 10.0, 0.01))
    made = 0
    for learner in how.learners:
        if made < how.trials:
            made += 1
            yield learner, {"C": 1.0} if learner == "linear" else _TREES
    turn = 0
    while made < how.trials:
        turn += 1
        strength = (
            next(strengths, None) if "linear" in how.learners and (turn % 3 == 1 or len(how.learners) == 1) else None
        )
        if strength is not None:
            yield "linear", {"C": strength}
        elif "lightgbm" in how.learners:
            yield "lightgbm", _drawn(random)
        else:
            return
        made += 1


_TREES: dict[str, float | int] = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.8,
}


def _drawn(random: np.random.Generator) -> dict[str, float | int]:
    return {
        "learning_rate": round(float(np.exp(random.uniform(np.log(0.02), np.log(0.12)))), 4),
        "num_leaves": int(np.exp(random.uniform(np.log(4), np.log(96)))),
        "min_data_in_leaf": int(np.exp(random.uniform(np.log(5), np.log(100)))),
        "feature_fraction": round(float(random.uniform(0.4, 1.0)), 2),
        "bagging_fraction": round(float(random.uniform(0.6, 1.0)), 2),
        "bagging_freq": 1,
        "lambda_l2": round(float(np.exp(random.uniform(np.log(0.01), np.log(20.0)))), 3),
    }


def folds_of(
    target: Array, task: str, folds: int, seed: int, groups: Array | None, times: Array | None
) -> list[tuple[Array, Array]]:
    """Divide training rows for cross-validation: by time, by group, by class or by chance.

    Returns
    -------
    list of (array, array)
        Positions of the rows to learn from and to judge by.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    count = min(folds, 3) if len(target) > _LARGE else folds
    rows = np.arange(len(target))
    if times is not None:
        order = np.argsort(times, kind="stable")
        found = [(order[a], order[b]) for a, b in TimeSeriesSplit(count).split(rows)]
        if task != "regression":  # an early part may know one class only
            found = [(a, b) for a, b in found if len(np.unique(target[a])) == len(np.unique(target))]
        return found or [(order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :])]
    if groups is not None and len(np.unique(groups)) >= count:
        return list(GroupKFold(count, shuffle=True, random_state=seed).split(rows, groups=groups))
    if task != "regression":
        fewest = int(np.unique(target, return_counts=True)[1].min())
        if fewest >= 2:
            return list(StratifiedKFold(min(count, fewest), shuffle=True, random_state=seed).split(rows, target))
    return list(KFold(min(count, len(rows)), shuffle=True, random_state=seed).split(rows))
