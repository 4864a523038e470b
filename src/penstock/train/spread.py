"""How far from an answer the truth lies: intervals and quantiles for numbers, with a coverage that is checked on the test rows.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018) on the answers of the cross-validation, as
in CV+ (Barber et al. 2021): of n rows that the learners did not learn from, the interval is as wide as the
``ceil((n + 1) * level)``-th smallest error; a quantile is that of the errors with their signs (conformal predictive
distributions: Vovk et al. 2019), away from the middle.
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


class Spread(msgspec.Struct, frozen=True):
    """How wide intervals are.

    Attributes
    ----------
    kind : {"absolute", "ratio"}
        Whether the width is the same for every row, or a share of the answer.
    radius : dict of str to float
        By level, such as ``"0.9"``: what is added and taken away; of a ratio, its logarithm.
    errors : list of float
        Truth less answer, or the logarithm of their ratio, at each 0.005 of its distribution.
    """

    kind: str
    radius: dict[str, float]
    errors: list[float] = []

    def around(self, answer: Any, level: str) -> tuple[Any, Any]:
        """Return the interval around an answer, or around each of an array.

        Examples
        --------
        >>> Spread("absolute", {"0.9": 2.0}).around(5.0, "0.9")
        (3.0, 7.0)
        """
        radius = self.radius[level]
        if self.kind == "absolute":
            return answer - radius, answer + radius
        return answer * math.exp(-radius), answer * math.exp(radius)

    def quantile(self, answer: Any, share: float) -> Any:
        """Return what so large a share of truths lies below, of an answer or an array of them.

        Examples
        --------
        >>> Spread("absolute", {}, [-1.0] * 100 + [2.0] * 99).quantile(5.0, 0.9)
        7.0
        """
        error = self.errors[round(share / STEP) - 1]
        return answer + error if self.kind == "absolute" else answer * math.exp(error)

    def covered(self, truth: Array, answers: Array, level: str) -> float:
        """Return the share of rows, shape (n_rows,) each, whose truth lies within its interval."""
        radius = self.radius[level]
        if self.kind == "absolute":
            return float(np.mean(np.abs(truth - answers) <= radius))
        return float(np.mean((truth >= answers * math.exp(-radius)) & (truth <= answers * math.exp(radius))))


def fitted_spread(truth: Array, answers: Array) -> Spread | None:
    """Measure the errors on rows that were not learnt from; the kind is that whose intervals are narrower on average.

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
    plain = _radii(np.abs(truth - answers))
    if not (truth.min() > 0 and answers.min() > 0):
        return Spread("absolute", plain, _errors(truth - answers))
    ratio = _radii(np.abs(np.log(truth / answers)))
    width = float(np.mean(answers)) * (math.exp(ratio["0.9"]) - math.exp(-ratio["0.9"]))
    if width < 2 * plain["0.9"]:
        return Spread("ratio", ratio, _errors(np.log(truth / answers)))
    return Spread("absolute", plain, _errors(truth - answers))


def _errors(signed: Array) -> list[float]:
    ordered, n = np.sort(signed), len(signed)
    shares = np.arange(1, round(1 / STEP)) * STEP
    places = np.where(shares < 0.5, np.floor((n + 1) * shares), np.ceil((n + 1) * shares)).astype(np.int64)
    return [float(f"{item:.10g}") for item in ordered[np.clip(places, 1, n) - 1]]


def _radii(errors: Array) -> dict[str, float]:
    ordered, n = np.sort(errors), len(errors)
    return {str(level): float(f"{ordered[min(math.ceil((n + 1) * level), n) - 1]:.10g}") for level in LEVELS}
