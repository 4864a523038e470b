"""What a pipeline predicts: a column, and the kind of question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import InputError

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Shares of truths that intervals may be asked to hold."""
STEP = 0.005
"""Quantiles that may be asked for are so far apart."""
Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Target:
    """A column to predict; made by :func:`binary`, :func:`multiclass` or :func:`regression`.

    Attributes
    ----------
    column : str
        Its name in the prepared table.
    task : {"binary", "multiclass", "regression"}
        The kind of question.
    positive : object, optional
        Of a binary target, the value whose probability is asked for.
    threshold : float, optional
        Of a binary target, the probability above which the answer is yes.
    costs : tuple of float, optional
        Of a binary target, what a yes that was missed costs, and what a false alarm.
    interval : float or None
        Of a number, the share of truths that the intervals of the answers are to hold.
    quantiles : tuple of float
        Of a number, the shares of truths that are to lie below the quantiles of the answers.
    """

    column: str
    task: Task
    positive: Any = None
    threshold: float | None = None
    costs: tuple[float, float] | None = None
    interval: float | None = None
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.column, str) or not self.column:
            raise InputError(f"a target is the name of a column, not {self.column!r}")


def binary(
    column: str,
    positive: str | int | bool | None = None,
    *,
    threshold: float | None = None,
    costs: Mapping[str, float] | None = None,
) -> Target:
    """Predict one of two values.

    Parameters
    ----------
    column : str
        The column to predict.
    positive : optional
        The value that counts as yes. When left out: yes, true or 1, else the rarer value in the training rows.
    threshold : float, optional
        The probability above which the answer is yes; 0.5 when left out. With ``metric="f1"`` or ``"accuracy"`` given
        to the search it is the one that was best on rows that the learners did not learn from.
    costs : mapping, optional
        What a mistake costs: ``{"missed": 5, "false_alarm": 1}``. The threshold is then the one at which both answers
        are expected to cost the same, ``false_alarm / (missed + false_alarm)`` (Elkan 2001).

    Raises
    ------
    InputError
        For a threshold that is no probability, costs that are not both positive, or both given.

    Examples
    --------
    >>> binary("Churn", positive="Yes").task
    'binary'
    >>> round(binary("Churn", costs={"missed": 4, "false_alarm": 1}).threshold, 3)
    0.2
    """
    if costs is not None:
        if threshold is not None:
            raise InputError("ps.binary: give threshold= or costs=, not both")
        if set(costs) != {"missed", "false_alarm"} or not all(_positive(cost) for cost in costs.values()):
            raise InputError(f'ps.binary(costs={dict(costs)}): write {{"missed": 5, "false_alarm": 1}}, both above 0')
        missed, alarm = float(costs["missed"]), float(costs["false_alarm"])
        return Target(column, "binary", positive, alarm / (missed + alarm), (missed, alarm))
    if threshold is not None and not (_positive(threshold) and threshold < 1):
        raise InputError(f"ps.binary(threshold={threshold!r}): a probability between 0 and 1, such as 0.3")
    return Target(column, "binary", positive, threshold)


def _positive(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < math.inf


def multiclass(column: str) -> Target:
    """Predict one of several values.

    Examples
    --------
    >>> multiclass("class").task
    'multiclass'
    """
    return Target(column, "multiclass")


def regression(column: str, interval: float | None = 0.9, quantiles: Sequence[float] = ()) -> Target:
    """Predict a number.

    Parameters
    ----------
    column : str
        The column to predict; text such as ``$1,200.50``, ``12 kg`` or ``1:34:45`` is read as numbers, in what it is written in.
    interval : {0.9, 0.5, 0.8, 0.95, None}
        The share of truths that the interval of an answer is to hold; the report says what share it held on the test
        rows. None for answers without one.
    quantiles : sequence of float, optional
        Shares of truths that are to lie below numbers which come with an answer: with ``[0.1, 0.5, 0.9]``, one that is
        too low in nine cases of ten, one in the middle, and one that is too high in nine of ten. From 0.005 to 0.995, in
        steps of 0.005.

    Raises
    ------
    InputError
        For another share.

    Examples
    --------
    >>> regression("price").task
    'regression'
    """
    if interval not in (None, *LEVELS):
        raise InputError(f"ps.regression(interval={interval!r}): one of {', '.join(map(str, LEVELS))}, or None")
    for each in quantiles:
        if not (_positive(each) and STEP <= each <= 1 - STEP and math.isclose(round(each / STEP) * STEP, each)):
            raise InputError(
                f"ps.regression(quantiles=...): {each!r} is none; from {STEP} to {1 - STEP} in steps of {STEP}, such as 0.9"
            )
    return Target(column, "regression", interval=interval, quantiles=tuple(sorted({float(each) for each in quantiles})))
