"""How far from an answer the truth lies: intervals for numbers, with a coverage that is checked on the test rows.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018) on the answers of the cross-validation, as
in CV+ (Barber et al. 2021): of n rows that the learners did not learn from, the interval is as wide as the
``ceil((n + 1) * level)``-th smallest error.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from penstock.types.target import LEVELS

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
    """

    kind: str
    radius: dict[str, float]

    def around(self, answer: float, level: str) -> tuple[float, float]:
        """Return the interval around an answer.

        Examples
        --------
        >>> Spread("absolute", {"0.9": 2.0}).around(5.0, "0.9")
        (3.0, 7.0)
        """
        radius = self.radius[level]
        if self.kind == "absolute":
            return answer - radius, answer + radius
        return answer * math.exp(-radius), answer * math.exp(radius)

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
    >>> fitted_spread(truth, truth + 1.0)
    Spread(kind='absolute', radius={'0.5': 1.0, '0.8': 1.0, '0.9': 1.0, '0.95': 1.0})
    """
    if len(truth) < _LEAST_ROWS:
        return None
    plain = _radii(np.abs(truth - answers))
    if not (truth.min() > 0 and answers.min() > 0):
        return Spread("absolute", plain)
    ratio = _radii(np.abs(np.log(truth / answers)))
    width = float(np.mean(answers)) * (math.exp(ratio["0.9"]) - math.exp(-ratio["0.9"]))
    return Spread("ratio", ratio) if width < 2 * plain["0.9"] else Spread("absolute", plain)


def _radii(errors: Array) -> dict[str, float]:
    ordered, n = np.sort(errors), len(errors)
    return {str(level): float(f"{ordered[min(math.ceil((n + 1) * level), n) - 1]:.10g}") for level in LEVELS}
