"""What an author may say about training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.errors import InputError

Scorer = Callable[[Any, Any], float]
"""A metric of one's own: from targets and predictions to a number."""
LEARNERS = ("linear", "lightgbm", "catboost", "xgboost", "extra_trees", "neighbours", "network")


@dataclass(frozen=True)
class Search:
    """Try learners and their parameters by cross-validation; made by :func:`search`."""

    budget: float | str = "60s"
    learners: tuple[str, ...] = LEARNERS
    metric: str | Scorer | None = None
    trials: int | None = None
    folds: int = 5
    max_latency: float | str | None = None
    max_size: int | str | None = None
    weights: str | None = None
    monotone: tuple[tuple[str, int], ...] = ()
    higher: bool = True
    window: str = "auto"
    refit: bool = True

    @property
    def fits(self) -> int:
        """How often what was found is fitted to the end: for the judge, and for the model that answers."""
        return 2 if self.refit else 1

    @property
    def latency(self) -> float:
        """The most seconds that one row may take."""
        from penstock.types.durations import seconds_of

        return math.inf if self.max_latency is None else seconds_of(self.max_latency)

    @property
    def size(self) -> float:
        """The most bytes that the learners may take."""
        from penstock.types.durations import bytes_of

        return math.inf if self.max_size is None else bytes_of(self.max_size)

    @property
    def seconds(self) -> float:
        """The budget in seconds."""
        from penstock.types.durations import seconds_of

        return seconds_of(self.budget)


@dataclass(frozen=True)
class Estimator:
    """One given learner; made by :func:`estimator`.

    `code`, by which a stored model finds classes of the author's own, is noted before it travels to a worker.
    """

    estimator: Any
    trusted: tuple[str, ...] = ()
    refit: bool = True
    code: tuple[Any, ...] = ()


Train = Search | Estimator


def search(
    budget: float | str = "60s",
    learners: Sequence[str] = LEARNERS,
    metric: str | Scorer | None = None,
    trials: int | None = None,
    folds: int = 5,
    max_latency: float | str | None = None,
    max_size: int | str | None = None,
    weights: str | None = None,
    monotone: Mapping[str, int] | Sequence[tuple[str, int]] = (),
    higher: bool = True,
    window: str = "auto",
    refit: bool = True,
) -> Search:
    """Try learners and their parameters by cross-validation inside the training rows, and let the best answer together.

    Begins with a list of configurations that complement each other, goes on with draws near the best, and ends when the
    budget is spent, with the last of `trials`, or when trials bring no gain any more. Up to five of them answer
    together, weighted by how they did on rows that they did not learn from, and are fitted on all training rows, or on as
    many, evenly spaced, as the budget and the memory last for; the report says so. The list of trials is an artifact: given the list, the model is the same byte for byte. A trial is kept in the store: a
    search that is begun again, with a larger budget or after Ctrl-C, does not fit it again.

    Parameters
    ----------
    budget : float or str
        Seconds, or such as ``"10m"``, for the trials and the fitting of the model; the first trial, a linear model, is
        always finished.
    learners : sequence of str
        What to try: ``linear`` (where columns are many for the rows, the lasso too), ``lightgbm``, ``catboost``, ``xgboost`` (these two where they are installed),
        ``extra_trees``, ``neighbours``, ``network``.
    metric : str or callable, optional
        What decides between trials; ROC AUC, log loss or RMSE by default. A function takes class codes, shape
        (n_rows,), and probabilities, shape (n_rows, n_classes), or numbers and numbers, and returns a number; of two
        classes the positive one has code 1. The gate and the report have their own.
    trials : int, optional
        Most combinations to try.
    folds : int
        Of the cross-validation. Large tables use fewer; tables that are small for the budget (700 cells a second) and are
        not divided by time are divided three times over.
    max_latency : float or str, optional
        Most seconds, or such as ``"200us"``, in which the learners answer one encoded row, on one core of this machine:
        fewer or smaller ones answer together. The report shows what that costs.
    max_size : int or str, optional
        Most bytes of the learners, or such as ``"1MB"``; likewise.
    weights : str, optional
        Column that says how much each row counts to the learners; it is not learnt from, and not asked for later.
        Metrics count all rows alike.
    monotone : mapping of str to {1, -1}, optional
        Columns with which the answer may only rise (1) or only fall (-1); only gradient-boosted trees keep to that, so
        only they are tried.
    higher : bool
        Whether more of a metric that is a function is better.
    window : str
        Of rows that are divided by time, how much of the past to learn from: ``"all"``, the latest ``"90d"``, or
        ``"auto"``: the newest training rows decide between all, the latest part, and weights that fade.
    refit : bool
        Whether what was found is fitted once more for the model that answers, on the rows too that judged: the newest ones,
        where rows are divided by time. Gate and report are about the model that had not seen them; so are the gates of
        later challengers.

    Raises
    ------
    InputError
        For a learner that is not known, or numbers out of range.

    Examples
    --------
    >>> search(budget="2m").seconds
    120.0
    """
    wanted = (learners,) if isinstance(learners, str) else tuple(learners)
    unknown = [item for item in wanted if item not in LEARNERS]
    if unknown or not wanted:
        raise InputError(f"ps.train.search(learners={list(wanted)}): known learners are {', '.join(LEARNERS)}")
    whole = all(isinstance(item, int) and not isinstance(item, bool) for item in (trials or 1, folds))
    if not whole or (trials is not None and trials < 1) or folds < 2:
        raise InputError("ps.train.search: trials must be at least 1 and folds at least 2")
    directions = tuple(sorted(dict(monotone).items()))
    wrong = [name for name, direction in directions if direction not in (1, -1)]
    if wrong:
        raise InputError(
            f'ps.train.search(monotone=...): "{wrong[0]}" has {dict(directions)[wrong[0]]!r}; give 1 or -1'
        )
    if metric is not None and not isinstance(metric, str) and not callable(metric):
        raise InputError(f"ps.train.search(metric={metric!r}): the name of a metric, or a function")
    made = Search(
        budget, wanted, metric, trials, folds, max_latency, max_size, weights, directions, higher, window, refit
    )
    made.seconds, made.latency, made.size  # noqa: B018 - what cannot be read is refused here, not hours later
    if window not in ("auto", "all"):
        from penstock.types.durations import seconds_of

        seconds_of(window)
    return made


def estimator(learner: Any, trusted: Sequence[str] = (), refit: bool = True) -> Estimator:
    """Train one given learner: any object with scikit-learn's ``fit`` and ``predict``.

    Parameters
    ----------
    learner : estimator
        It is copied, never changed. It gets a dense matrix without missing values, and the pipeline's seed as
        ``random_state`` where it takes one and has none.
    trusted : sequence of str
        Full names of types outside scikit-learn that the stored model may load again.
    refit : bool
        As for :func:`search`.

    Raises
    ------
    InputError
        When it cannot fit or predict.

    Examples
    --------
    >>> class Mean:
    ...     def fit(self, X, y): ...
    ...     def predict(self, X): ...
    >>> type(estimator(Mean()).estimator).__name__
    'Mean'
    """
    # Asked of the class too: some, such as StackingClassifier, show what they predict only once they are fitted.
    able = all(hasattr(learner, name) or hasattr(type(learner), name) for name in ("fit", "predict"))
    if isinstance(learner, type) or not able:
        raise InputError(f"ps.train.estimator({learner!r}): give an object with fit and predict, such as Ridge()")
    return Estimator(learner, tuple(trusted), refit)
