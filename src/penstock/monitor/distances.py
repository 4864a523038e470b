"""How far two samples lie apart, and the chance of that: many pairs at once, without the second that scipy.stats takes to import."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def smirnov_chance(gap: Array, rows: Array, others: Array) -> Array:
    """Return p-values of the two-sample Kolmogorov-Smirnov test (Smirnov 1948), as Stephens (1970) has them: good from a few rows on.

    Parameters
    ----------
    gap : array
        The greatest gap of the distribution functions, of each pair.
    rows, others : array
        How many rows each sample has.

    Examples
    --------
    >>> smirnov_chance(np.array([0.0, 0.3]), np.array([100.0, 100.0]), np.array([100.0, 100.0])).round(5).tolist()
    [1.0, 0.00017]
    """
    from scipy.special import kolmogorov

    size = np.sqrt(rows * others / np.maximum(rows + others, 1))
    return np.asarray(kolmogorov((size + 0.12 + 0.11 / np.maximum(size, 0.1)) * gap))


def homogeneity(now: Array, then: Array) -> tuple[Array, Array]:
    """Return statistics and p-values of the chi-squared test of homogeneity (Pearson 1900).

    Parameters
    ----------
    now, then : array of shape (n_pairs, n_categories)
        How often each category came. One that came in neither sample is none.

    Examples
    --------
    >>> statistic, chance = homogeneity(np.array([[30.0, 70.0, 0.0]]), np.array([[50.0, 50.0, 0.0]]))
    >>> round(float(statistic[0]), 3), round(float(chance[0]), 4)
    (8.333, 0.0039)
    """
    from scipy.special import chdtrc

    rows, others = now.sum(1)[:, None], then.sum(1)[:, None]
    both, total = now + then, np.maximum(rows + others, 1)
    statistic = np.zeros(len(now))
    for counts, size in ((now, rows), (then, others)):
        expected = both * size / total
        statistic += ((counts - expected) ** 2 / np.where(expected > 0, expected, 1)).sum(1)
    free = (both > 0).sum(1) - 1
    return statistic, np.where(free > 0, chdtrc(np.maximum(free, 1), statistic), 1.0)
