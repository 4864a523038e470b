"""What an author may say about training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.errors import InputError

LEARNERS = ("linear", "lightgbm")


@dataclass(frozen=True)
class Search:
    """Try learners and their parameters by cross-validation; made by :func:`search`."""

    budget: float | str = "60s"
    learners: tuple[str, ...] = LEARNERS
    metric: str | None = None
    trials: int = 12
    folds: int = 5

    @property
    def seconds(self) -> float:
        """The budget in seconds."""
        from penstock.types.durations import seconds_of

        return seconds_of(self.budget)


@dataclass(frozen=True)
class Estimator:
    """One given learner; made by :func:`estimator`."""

    estimator: Any
    trusted: tuple[str, ...] = ()


Train = Search | Estimator


def search(
    budget: float | str = "60s",
    learners: Sequence[str] = LEARNERS,
    metric: str | None = None,
    trials: int = 12,
    folds: int = 5,
) -> Search:
    """Try learners and their parameters by cross-validation inside the training rows.

    Ends with the last of `trials`, or when the budget is spent, whichever comes first. The list of trials is
    an artifact: given the list, the model is the same byte for byte.

    Parameters
    ----------
    budget : float or str
        Seconds, or such as ``"10m"``. One trial of each learner is always finished.
    learners : sequence of {"linear", "lightgbm"}
        What to try.
    metric : str, optional
        What decides; ROC AUC, log loss or RMSE by default.
    trials : int
        Most combinations to try.
    folds : int
        Of the cross-validation; large tables use fewer.

    Raises
    ------
    InputError
        For a learner that is not known, or numbers out of range.

    Examples
    --------
    >>> search(budget="2m").seconds
    120.0
    """
    unknown = [item for item in learners if item not in LEARNERS]
    if unknown or not learners:
        raise InputError(f"ps.train.search(learners={list(learners)}): known learners are {', '.join(LEARNERS)}")
    if trials < 1 or folds < 2:
        raise InputError("ps.train.search: trials must be at least 1 and folds at least 2")
    made = Search(budget, tuple(learners), metric, trials, folds)
    made.seconds  # noqa: B018 - a budget that cannot be read is refused here, not hours later
    return made


def estimator(learner: Any, trusted: Sequence[str] = ()) -> Estimator:
    """Train one given learner: any object with scikit-learn's ``fit`` and ``predict``.

    Parameters
    ----------
    learner : estimator
        It is copied, never changed. It gets a dense matrix without missing values.
    trusted : sequence of str
        Full names of types outside scikit-learn that the stored model may load again.

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
    if isinstance(learner, type) or not (hasattr(learner, "fit") and hasattr(learner, "predict")):
        raise InputError(f"ps.train.estimator({learner!r}): give an object with fit and predict, such as Ridge()")
    return Estimator(learner, tuple(trusted))
