"""What a search found, and the model that comes of it: the trials that answer together, fitted on all training rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import PenstockError
from penstock.train.cluster import workers_for
from penstock.train.folds import LARGE, spaced_rows
from penstock.train.learners import Fitted, Sample, fit_learner, offered_to
from penstock.train.learners.blend import blend
from penstock.train.options import Estimator
from penstock.train.portfolio import Parameters, named
from penstock.train.spread import Spread
from penstock.train.workers import Fit
from penstock.types.matrix import Batches
from penstock.types.table import Table

Array = npt.NDArray[Any]


class Encoding(Protocol):
    """Fitted on some rows; makes numbers of any."""

    def matrix(self, frame: pl.DataFrame) -> Array:
        """Encode a table: shape (n_rows, n_columns), NaN where missing."""
        ...

    def blocks(self) -> list[tuple[str, slice]]:
        """Each column of the table, and where it stands in the matrix."""
        ...

    def categories(self) -> list[int]:
        """Of each matrix column the number of codes; 0 for a number."""
        ...

    def keyed(self) -> bool:
        """Whether the means of the target are what there is to learn of some columns."""
        ...

    def offers(self) -> Mapping[str, Sequence[int]]:
        """Matrix columns that only some trials use, by what these are told to use: see :data:`OFFERS`."""
        ...


class FitEncoding(Protocol):
    """From rows and their targets to their fitted encoding, and these rows encoded to learn from."""

    def __call__(self, table: pl.DataFrame, target: Array, *, offered: Collection[str] = ...) -> tuple[Encoding, Array]:
        """Fit; with what is `offered` for trials to try."""
        ...


class SearchError(PenstockError):
    """No learner could be fitted."""


@dataclass(frozen=True)
class Problem:
    """What is to be learnt.

    Attributes
    ----------
    table : DataFrame
        Training rows.
    fit_encoding : callable
        From rows and targets to their fitted encoding and matrix; called anew for the training part of every fold.
    target : array, shape (n_rows,)
        Class codes or numbers.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    classes : int
        How many there are; 0 for numbers.
    """

    table: pl.DataFrame
    fit_encoding: FitEncoding
    target: Array
    task: str
    classes: int

    def of(self, rows: Array) -> Problem:
        """Return the same with some of the rows; of a table in parts they ascend."""
        return replace(self, table=self.table[rows], target=self.target[rows])

    def read(self) -> Problem:
        """Return the same: its rows are in memory."""
        return self

    def encoded(self, *, offered: Collection[str] = ()) -> tuple[Encoding, Array]:
        """Fit the encoding, and encode the rows to learn from."""
        return self.fit_encoding(self.table, self.target, offered=offered)


@dataclass(frozen=True)
class Parted:
    """What is to be learnt from rows that lie in parts, of which one is in memory at a time.

    Attributes
    ----------
    table : Table
        Training rows.
    fit_encoding, target, task, classes
        As in :class:`Problem`.
    """

    table: Table
    fit_encoding: FitEncoding
    target: Array
    task: str
    classes: int

    def of(self, rows: Array) -> Parted:
        """Return the same with some of the rows, whose positions ascend."""
        flags = np.zeros(self.table.height, dtype=np.bool_)
        flags[rows] = True
        return replace(self, table=self.table.chosen(flags), target=self.target[rows])

    def read(self) -> Problem:
        """Return the same with all rows in memory."""
        return Problem(self.table.whole(), self.fit_encoding, self.target, self.task, self.classes)

    def encoded(self, *, offered: Collection[str] = ()) -> tuple[Encoding, Batches]:
        """Fit the encoding to evenly spaced rows, where there are many, and encode all part by part."""
        table, step = self.table, self.table.step
        encoding, looked = self.fit_encoding(table.each(step).whole(), self.target[::step], offered=offered)

        def made() -> Iterator[Array]:
            for (_, part), start in zip(table.frames(), table.starts, strict=True):
                matrix = encoding.matrix(part)
                # Rows that the means of the target are made of have those of other rows.
                places = np.arange(-start % step, len(matrix), step)
                matrix[places] = looked[(start + places) // step]
                yield matrix

        return encoding, Batches((table.height, looked.shape[1]), made)


@dataclass(frozen=True)
class Trial:
    """One combination that was tried.

    Attributes
    ----------
    learner : str
        One of :data:`~penstock.train.learners.LEARNERS`, or ``estimator``.
    parameters : dict
        Of the learner; ``rounds`` is the number of trees that early stopping found, ``means`` says that it learnt from
        the mean of the target in each category too, ``trend`` from the days of the time by which rows are divided.
    metric : str
        What was measured.
    score : float
        Its mean over the folds.
    folds : list of float
        One a fold.
    weight : float
        Its part in the model's answers; 0 for most.
    size : int
        Bytes of the fitted learner. How long it took is in the log of the step: a clock would make two runs differ.
    """

    learner: str
    parameters: Parameters
    metric: str
    score: float
    folds: list[float] = field(default_factory=list)
    weight: float = 0.0
    size: int = 0

    def grown(self, growth: float) -> Parameters:
        """Return the parameters with so many times the rounds of boosting.

        Examples
        --------
        >>> Trial("lightgbm", {"num_leaves": 31, "rounds": 100}, "rmse", 1.0).grown(1.5)
        {'num_leaves': 31, 'rounds': 150}
        """
        if "rounds" not in self.parameters:
            return self.parameters
        return {**self.parameters, "rounds": max(1, round(self.parameters["rounds"] * growth))}


@dataclass(frozen=True)
class Option:
    """A number of trials together: what they are worth, and how large they are.

    Attributes
    ----------
    members : int
        How many.
    score : float
        On rows that they did not learn from.
    size : int
        Bytes, about.
    """

    members: int
    score: float
    size: int


@dataclass(frozen=True)
class Failure:
    """A trial that came to nothing, and why."""

    learner: str
    parameters: Parameters
    error: str


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were begun.
    sharpness : float or None
        Power that calibrates the probabilities; None where it does not help.
    score : float or None
        Of the weighted trials together, on rows that they did not learn from.
    threshold : float or None
        Of two classes, above which probability the answer is yes, where the metric looks at answers.
    spread : Spread or None
        Of a number, how far from the answers the truth lay.
    higher : bool
        Whether more of the metric is better.
    failures : list of Failure
        What was ended or crashed.
    frontier : list of Option
        What more or fewer trials together would give.
    notes : list of str
        In words, why it ended and what was left out.
    rows : int or None
        How many training rows the model is fitted on, evenly spaced: as many as the budget and the memory allow. None for all.
    growth : float
        How many times the rounds of boosting that early stopping found the model is fitted with, since it learns from more rows.
    """

    trials: list[Trial]
    sharpness: float | None = None
    score: float | None = None
    threshold: float | None = None
    spread: Spread | None = None
    higher: bool = True
    failures: list[Failure] = field(default_factory=list)
    frontier: list[Option] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int | None = None
    growth: float = 1.0


@dataclass(frozen=True)
class Wishes:
    """What learners are to heed of the rows and columns.

    Attributes
    ----------
    weights : array, shape (n_rows,), or None
        How much each training row counts.
    monotone : tuple of (str, int)
        Columns, and 1 where the answer may only rise with them, -1 where it may only fall.
    """

    weights: Array | None = None
    monotone: tuple[tuple[str, int], ...] = ()

    def of(self, rows: Array) -> Wishes:
        """Return the same for some of the rows."""
        return self if self.weights is None else Wishes(self.weights[rows], self.monotone)

    def sample(self, problem: Problem | Parted, encoding: Encoding, matrix: Array | Batches) -> Sample:
        """Return a problem's rows to learn from.

        Raises
        ------
        SearchError
            When a column that is to have a direction is not one of numbers.
        """
        categories, directions = encoding.categories(), [0] * matrix.shape[1]
        blocks = dict(encoding.blocks())
        for name, direction in self.monotone:
            block = blocks.get(name)
            if block is None or block.stop - block.start != 1 or categories[block.start]:
                why = "is not learnt from" if block is None else "is not a column of numbers"
                raise SearchError(f'ps.train.search(monotone=...): "{name}" {why}')
            directions[block.start] = direction
        directed = directions if self.monotone else None
        asked = problem.target, problem.task, problem.classes
        return Sample(matrix, *asked, categories, self.weights, directed, encoding.offers())


def libraries(learners: Iterable[str]) -> list[str]:
    """Libraries that the workers import before the first fit: only those that will be used."""
    names = {"linear": "sklearn.linear_model", "extra_trees": "sklearn.ensemble", "network": "sklearn.neural_network"}
    return [names.get(learner, learner) for learner in dict.fromkeys(learners)]


def fit_searched(
    problem: Problem | Parted, searched: Searched, seed: int, wishes: Wishes = Wishes()
) -> tuple[Encoding, Fitted]:
    """Fit the trials that answer together on all training rows, or as many as the search says: the same bytes each time.

    Raises
    ------
    SearchError
        When one of them cannot be fitted.
    """
    members = [trial for trial in searched.trials if trial.weight] or [searched.trials[0]]
    if searched.rows is not None:
        some = spaced_rows(problem.target, problem.task, searched.rows)
        problem, wishes = problem.of(some), wishes.of(some)
    if isinstance(problem, Parted) and problem.table.step == 1:
        problem = problem.read()
    encoding, matrix = problem.encoded(offered=offered_to(item.parameters for item in members))
    packages = libraries(trial.learner for trial in members)
    rows = len(matrix)
    with workers_for(len(members), problem.task, problem.classes, packages) as workers:
        workers.put(0, wishes.sample(problem, encoding, matrix))
        del matrix  # the workers have theirs
        # Only LightGBM gives the same bytes with any number of threads.
        threads = workers.threads if rows > LARGE else 1
        started = []
        for item in members:
            own = threads if item.learner == "lightgbm" else 1
            started.append(workers.start(Fit(0, item.learner, item.grown(searched.growth), seed, None, own)))
        fitted: list[Fitted] = []
        for item, future in zip(members, started, strict=True):
            workers.wait([future])
            done = future.result()
            if done.fitted is None:
                raise SearchError(f"{item.learner} ({named(item.parameters)}) on all {rows:,} rows: {done.error}")
            fitted.append(done.fitted)
    total = sum(item.weight for item in members) or 1.0
    weights = [item.weight / total if item.weight else 1.0 for item in members]
    return encoding, blend(fitted, weights, problem.task, searched.sharpness)


_QUICK = 4_000
"""Trees, of all classes together, that are fitted in a second or two."""


def small_trial(searched: Searched, classes: int = 1) -> Trial:
    """Return the smallest LightGBM that was tried; where its trees for so many classes take long, a linear model; else the smallest of all.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> tried = [Trial("linear", {}, "log_loss", 1.0), Trial("lightgbm", {"rounds": 100}, "log_loss", 0.9)]
    >>> [small_trial(SimpleNamespace(trials=tried), classes).learner for classes in (2, 200)]
    ['lightgbm', 'linear']
    """

    def cost(trial: Trial) -> tuple[bool, bool, bool, int]:
        trees = trial.learner == "lightgbm"
        slow = trees and int(trial.parameters.get("rounds", 1)) * classes > _QUICK
        return slow, not trees, trial.learner != "linear", trial.size

    return min(searched.trials, key=cost)


def fit_small(problem: Problem, searched: Searched, seed: int, growth: float = 1.0) -> tuple[Encoding, Fitted] | None:
    """Fit the smallest trial here and now, for questions about the data, with so many times its rounds of boosting.

    Returns
    -------
    tuple of Encoding and Fitted, or None
        None where no column can be learnt from.
    """
    from threadpoolctl import threadpool_limits

    trial = small_trial(searched, problem.classes)
    encoding, matrix = problem.encoded()
    if not matrix.shape[1]:
        return None
    sample = Wishes().sample(problem, encoding, matrix)
    with threadpool_limits(1, user_api="blas"):
        fitted = fit_learner(trial.learner, sample, trial.grown(growth), seed, None, 1)
    return encoding, fitted


def fit_given(problem: Problem, given: Estimator, seed: int) -> tuple[Encoding, Fitted]:
    """Fit the learner that the author gave."""
    from penstock.train.learners.estimator import fit_estimator

    encoding, matrix = problem.encoded()
    written, files = fit_estimator(
        matrix, problem.target, problem.task, encoding.categories(), given.estimator, given.trusted, seed, given.code
    )
    return encoding, Fitted(written, files)
