"""What a pipeline predicts: a column, and the kind of question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import InputError

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
    """

    column: str
    task: Task
    positive: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.column, str) or not self.column:
            raise InputError(f"a target is the name of a column, not {self.column!r}")


def binary(column: str, positive: str | int | bool | None = None) -> Target:
    """Predict one of two values.

    Parameters
    ----------
    column : str
        The column to predict.
    positive : optional
        The value that counts as yes. When left out: yes, true or 1, else the rarer value in the training rows.

    Examples
    --------
    >>> binary("Churn", positive="Yes").task
    'binary'
    """
    return Target(column, "binary", positive)


def multiclass(column: str) -> Target:
    """Predict one of several values.

    Examples
    --------
    >>> multiclass("class").task
    'multiclass'
    """
    return Target(column, "multiclass")


def regression(column: str) -> Target:
    """Predict a number.

    Examples
    --------
    >>> regression("price").task
    'regression'
    """
    return Target(column, "regression")
