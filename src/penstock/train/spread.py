"""How far from an answer the truth lies: intervals and quantiles for numbers, with a coverage that is checked on the test rows.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018) on the answers of the cross-validation, as
in CV+ (Barber et al. 2021): of n rows that the learners did not learn from, the interval is as wide as the
``ceil((n + 1) * level)``-th smallest error; a quantile is that of the errors with their signs (conformal predictive
distributions: Vovk et al. 2019), away from the middle. Where errors grow or shrink with the answer, they are divided by
the usual error of such an answer (normalised nonconformity: Papadopoulos, Gammerman and Vovk 2008).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from penstock.types.target import LEVELS, STEP

Array = npt.NDArray[Any]
_LEAST_ROWS = 40
_GROUP, _GROUPS = 100, 20
"""Rows at least whose errors are averaged, and groups of them at most."""
_GAIN = 0.99
"""A kind that says more of the errors must score so much better."""


class Spread(msgspec.Struct, frozen=True):
    """How wide intervals are.

    Attributes
    ----------
    kind : {"absolute", "ratio", "scaled"}
        Whether the width is the same for every row, a share of the answer, or so many times the usual error there.
    radius : dict of str to float
        By level, such as ``"0.9"``: what is added and taken away; of a ratio, its logarithm; times the usual error.
    errors : list of float
        Truth less answer, the logarithm of their ratio, or times the usual error, at each 0.005 of its distribution.
    answers, usual : list of float
        Of ``"scaled"``: the mean absolute error at these answers, ascending; between them it lies on straight lines.
    """

    kind: str
    radius: dict[str, float]
    errors: list[float] = []
    answers: list[float] = []
    usual: list[float] = []

    def around(self, answer: Any, level: str) -> tuple[Any, Any]:
        """Return the interval around an answer, or around each of an array.

        Examples
        --------
        >>> Spread("absolute", {"0.9": 2.0}).around(5.0, "0.9")
        (3.0, 7.0)
        >>> Spread("scaled", {"0.9": 2.0}, answers=[0.0, 10.0], usual=[1.0, 3.0]).around(5.0, "0.9")
        (1.0, 9.0)
        """
        return self._moved(answer, -self.radius[level]), self._moved(answer, self.radius[level])

    def quantile(self, answer: Any, share: float) -> Any:
        """Return what so large a share of truths lies below, of an answer or an array of them.

        Examples
        --------
        >>> Spread("absolute", {}, [-1.0] * 100 + [2.0] * 99).quantile(5.0, 0.9)
        7.0
        """
        return self._moved(answer, self.errors[round(share / STEP) - 1])

    def _moved(self, answer: Any, error: float) -> Any:
        if self.kind == "ratio":
            return answer * math.exp(error)
        if self.kind == "scaled":
            usual = np.interp(answer, self.answers, self.usual)
            return answer + error * (usual if isinstance(answer, np.ndarray) else float(usual))
        return answer + error

    def covered(self, truth: Array, answers: Array, level: str) -> float:
        """Return the share of rows, shape (n_rows,) each, whose truth lies within its interval."""
        low, high = self.around(answers, level)
        return float(np.mean((truth >= low) & (truth <= high)))

    def score(self, truth: Array, answers: Array, level: str) -> float:
        """Return the mean interval score: the width, and what a truth lies outside times 2 / (1 - level); the less the better.

        Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", 2007, section 6.2.

        Examples
        --------
        >>> spread = Spread("absolute", {"0.9": 2.0})
        >>> round(spread.score(np.array([5.0, 8.0]), np.array([5.0, 5.0]), "0.9"), 9)
        14.0
        """
        low, high = self.around(answers, level)
        outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
        return float(np.mean(high - low + 2 / (1 - float(level)) * outside))


def fitted_spread(truth: Array, answers: Array) -> Spread | None:
    """Measure the errors on rows that were not learnt from; the kind is that whose intervals of 90 % score best.

    Returns
    -------
    Spread or None
        None for fewer than 40 rows.

    Examples
    --------
    >>> truth = np.arange(100.0)
    >>> fitted_spread(truth, truth + 1.0).radius
    {'0.5': 1.0, '0.8': 1.0, '0.9': 1.0, '0.95': 1.0}
    """
    if len(truth) < _LEAST_ROWS:
        return None
    best = Spread("absolute", _radii(truth - answers), _errors(truth - answers))
    for other in (_ratio(truth, answers), _scaled(truth, answers)):
        if other is not None and other.score(truth, answers, "0.9") < _GAIN * best.score(truth, answers, "0.9"):
            best = other
    return best


def _ratio(truth: Array, answers: Array) -> Spread | None:
    if truth.min() <= 0 or answers.min() <= 0:
        return None
    ratio = np.log(truth / answers)
    return Spread("ratio", _radii(ratio), _errors(ratio))


def _scaled(truth: Array, answers: Array) -> Spread | None:
    missed = np.abs(truth - answers)
    groups = np.array_split(np.argsort(answers, kind="stable"), min(len(truth) // _GROUP, _GROUPS) or 1)
    places, usual = (np.array([_rounded(each[rows].mean()) for rows in groups]) for each in (answers, missed))
    kept = np.flatnonzero(np.diff(places, prepend=-math.inf) > 0)  # equal answers may fill more than one group
    if len(kept) < 2 or usual[kept].min() <= 0:
        return None
    places, usual = places[kept], usual[kept]
    times = (truth - answers) / np.interp(answers, places, usual)
    return Spread("scaled", _radii(times), _errors(times), places.tolist(), usual.tolist())


def _errors(signed: Array) -> list[float]:
    ordered, n = np.sort(signed), len(signed)
    shares = np.arange(1, round(1 / STEP)) * STEP
    places = np.where(shares < 0.5, np.floor((n + 1) * shares), np.ceil((n + 1) * shares)).astype(np.int64)
    return [_rounded(item) for item in ordered[np.clip(places, 1, n) - 1]]


def _radii(signed: Array) -> dict[str, float]:
    ordered, n = np.sort(np.abs(signed)), len(signed)
    return {str(level): _rounded(ordered[min(math.ceil((n + 1) * level), n) - 1]) for level in LEVELS}


def _rounded(number: float) -> float:
    return float(f"{number:.10g}")
