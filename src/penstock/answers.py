"""What a model answers, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


class Prediction(msgspec.Struct, frozen=True):
    """One answer.

    Attributes
    ----------
    prediction : object
        The likeliest class, as it stands in the data, or a number.
    probabilities : dict or None
        Class to probability; None for a regression.
    interval : tuple of float, optional
        Of a number, between which the truth lies as often as ``ps.regression(interval=...)`` says.
    quantiles : dict of str to float, optional
        Of a number, by share, such as ``"0.9"``: what so many truths lie below; those of ``ps.regression(quantiles=...)``.
    """

    prediction: Any
    probabilities: dict[str, float] | None
    interval: tuple[float, float] | None = None
    quantiles: dict[str, float] | None = None


@dataclass(frozen=True)
class Reason:
    """What one column adds to an answer.

    Attributes
    ----------
    column : str
        Which.
    value : object
        Its value in the prepared row.
    effect : float
        What it adds to the probability, or to the number.
    """

    column: str
    value: Any
    effect: float


@dataclass(frozen=True)
class Explanation:
    """Why an answer is what it is.

    Attributes
    ----------
    answer : Prediction
        The answer.
    of : str or None
        The class whose probability is explained: the positive one of two, else the one that is answered.
    base : float
        Its mean over training rows; with all effects added it is the answer.
    reasons : list of Reason
        The largest effect first.
    """

    answer: Prediction
    of: str | None
    base: float
    reasons: list[Reason]
