"""Is a canary worse than the champion? Tests on what both did meanwhile, looked at again and again.

A canary is looked at when it has answered 50, 100, 200, ... requests. The k-th look may err with probability 0.01 / 2^k,
shared by what is tested, so that all looks together stop a canary that is as good as the champion with probability 0.01
at most (alpha spending; Bonferroni).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from penstock.types.writing import figure

LEVEL = 0.01
FIRST_LOOK = 50
_SLOWER, _SLOWER_SECONDS = 1.5, 0.001
"""A canary is slow when its median is larger by this factor and by so many seconds; less is not worth a stop."""
_KEPT = 5_000


@dataclass
class Traffic:
    """What one version did since the canary began.

    Attributes
    ----------
    requests, errors : int
        All, and those that were not answered (status 400 and above).
    seconds : deque of float
        Of the latest requests.
    """

    requests: int = 0
    errors: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def count(self, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests += 1
        self.errors += status >= 400
        self.seconds.append(seconds)


@dataclass
class Looks:
    """When to look next, and at which level."""

    level: float = LEVEL
    number: int = 0

    def due(self, count: int) -> float | None:
        """Return the level of the look that `count` cases allow, or None; each look is given once.

        Examples
        --------
        >>> looks = Looks()
        >>> looks.due(49), looks.due(50), looks.due(60), looks.due(120)
        (None, 0.005, None, 0.0025)
        """
        if count < FIRST_LOOK * 2**self.number:
            return None
        self.number += 1
        return self.level / 2.0**self.number


def worse(champion: Traffic, canary: Traffic, level: float) -> str | None:
    """Say what the canary does worse, or None.

    Errors are compared by Fisher's exact test, times by the test of Mann and Whitney (1947); both one-sided, each at half
    the level.

    Examples
    --------
    >>> good, bad = Traffic(200, 0), Traffic(100, 20)
    >>> worse(good, bad, 0.01)
    'not answered: 20 of 100 requests, the champion 0 of 200 (Fisher, p = 7.1e-11)'
    """
    from scipy.stats import fisher_exact, mannwhitneyu

    table = [[canary.errors, canary.requests - canary.errors], [champion.errors, champion.requests - champion.errors]]
    chance = float(fisher_exact(table, alternative="greater")[1]) if champion.requests else 1.0
    if chance < level / 2:
        return (
            f"not answered: {canary.errors:,} of {canary.requests:,} requests, the champion {champion.errors:,} of "
            f"{champion.requests:,} (Fisher, p = {chance:.2g})"
        )
    mine, its = list(canary.seconds), list(champion.seconds)
    if len(mine) < FIRST_LOOK or len(its) < FIRST_LOOK:
        return None
    now, before = float(np.median(mine)), float(np.median(its))
    if now < _SLOWER * before or now - before < _SLOWER_SECONDS:
        return None
    chance = float(mannwhitneyu(mine, its, alternative="greater").pvalue)
    if chance >= level / 2:
        return None
    return f"median time {1000 * now:.1f} ms, the champion {1000 * before:.1f} ms (Mann-Whitney, p = {chance:.2g})"


def worse_losses(champion: Sequence[float], canary: Sequence[float], level: float) -> str | None:
    """Say that the canary's answers are worse by their labels, or None: Welch's t-test of the losses, one-sided.

    Parameters
    ----------
    champion, canary : sequence of float
        Of each answer whose truth is known: minus the logarithm of the truth's probability, or the absolute error.
    """
    from scipy.stats import ttest_ind

    if len(champion) < FIRST_LOOK or len(canary) < FIRST_LOOK:
        return None
    found = ttest_ind(canary, champion, equal_var=False, alternative="greater")
    if not found.pvalue < level:
        return None
    return (
        f"mean loss {figure(float(np.mean(canary)))} on {len(canary):,} labels, the champion's {figure(float(np.mean(champion)))} on "
        f"{len(champion):,} (Welch, p = {found.pvalue:.2g})"
    )
