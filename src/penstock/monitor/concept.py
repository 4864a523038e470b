"""Concept drift, seen by labels: whether losses have grown since training, watched answer by answer without end.

Columns may stay as they are while the world answers differently; only losses tell. They are watched by a conformal test
martingale (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman 2021, "Retrain or not retrain",
arXiv:2102.10439): each loss is ranked among those of the test rows and of the answers before it. While all are alike,
ranks are uniform, and who bets that they are high does not get rich: by Ville's inequality a capital of 100 is reached
with a chance of 1 % at most, however long one watches. A change may come late, when the first gambler is poor; so a new
one begins every :data:`BLOCK` answers, as in the e-detectors of Shin, Ramdas and Rinaldo (2022, arXiv:2203.03532), with a
share of the capital that falls hardly faster than it must: all shares together are one at most. Some bet on all ranks, others on the highest
alone: where few answers were wrong and some more are, most losses stay as they were. Alone, a capital says that there is a
change, not that it matters: a change counts when losses since it began are also higher on average, and that much higher by
rank or twice that on average: a model may be wrong more rarely and yet less sure of what it has right, which lifts
ranks and is no harm. "Before" are the test rows and the answers up to the change, for few test rows alone are a poor guide.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BLOCK = 50
_STAKES = np.array([0.125, 0.25, 0.5])
"""Of the ways to bet that ranks are high: 1 + 2 stake (rank - 1/2)."""
_TAILS = np.array([0.25, 0.25, 0.12, 0.12, 0.12, 0.06, 0.06, 0.06, 0.02, 0.02, 0.02])
_ODDS = np.array([1.3, 2.0, 1.3, 2.0, 4.0, 1.3, 2.0, 4.0, 1.3, 2.0, 4.0]) * _TAILS
"""Of the ways to bet that ranks above 1 - tail come not with the tail's chance, but with these: a ratio of likelihoods."""
_BETS = len(_STAKES) + len(_TAILS)
_RICHEST = 1e250
"""More is not counted, and numbers stay finite."""
_HIGHER = 2.0
"""On average losses are so much higher, in effects, to matter: by a tenth where the least effect is 0.05."""
_SURELY, _BLOCKS = 4.0, 8
_BY_CHANCE = 1.6 * math.sqrt(1 / 12)
"""Ranks that have nothing in common deviate so much at most, by their means in eight blocks: by chance, 1.6 times too much."""
_TINY = 1e-12
_REFERENCE = 2_000
_RECENT = 4_000
"""So many gamblers' starts are held at most: the oldest go, which only lowers the capital."""


@dataclass(frozen=True)
class Concept:
    """What the losses say.

    Attributes
    ----------
    labels : int
        Answers whose truth is known.
    capital : float
        The most that betting against "all is as at training" has made of 1 so far.
    effect : float
        By how much more often than not a loss since the change is higher than one before it, from -1 to 1
        (Cliff's delta); 0 where there is no change.
    since : int or None
        The answer, counted from 0 over those with labels, from which on losses are taken to have grown.
    drifted : bool
        Whether there is a change, and it matters.
    at : str or None
        When that answer was given, in UTC.
    times : float
        Average loss since the change, as a multiple of that before it; 1 where there is no change.
    """

    labels: int
    capital: float
    effect: float
    since: int | None
    drifted: bool
    at: str | None = None
    times: float = 1.0


class LossWatch:
    """Watches the losses of one version.

    Parameters
    ----------
    reference : sequence of float
        Losses of the test rows, in order of time where that is known; of more than 2,000 so many are drawn.
    level : float
        The greatest chance of a false alarm, over all the time that it watches.
    effect : float
        The least difference that matters.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> watch = LossWatch(random.exponential(1, 500))
    >>> watch.tell(random.exponential(1, 1000)).drifted
    False
    >>> watch.tell(random.exponential(2, 500)).drifted
    True
    """

    def __init__(self, reference: Sequence[float] | npt.NDArray[np.float64], level: float = 0.01, effect: float = 0.1):
        self._random = np.random.default_rng(0)
        losses = np.asarray(reference, dtype=np.float64)
        self._ordered = losses
        if len(losses) > _REFERENCE:
            losses = losses[np.sort(self._random.permutation(len(losses))[:_REFERENCE])]
        self._reference = sorted(losses.tolist())
        self._known = list(self._reference)
        self._level, self._effect = level, effect
        self._seen: list[float] = []
        self._capitals = np.empty((0, _BETS))
        self._starts: list[int] = []
        self._shares = np.empty(0)
        self._unspent = 1.0
        self._ranks: list[float] = []
        self._most, self._since = 1.0, 0

    def tell(self, losses: Iterable[float]) -> Concept:
        """Take in further losses, in the order of the answers, and say what they show."""
        waiting, at = [float(loss) for loss in losses], 0
        while at < len(waiting):
            end = at + BLOCK - len(self._seen) % BLOCK
            self._bet(waiting[at:end])
            at = end
        return self._found()

    def _bet(self, losses: Sequence[float]) -> None:
        """Let all gamblers bet on losses that come before the next gambler begins."""
        if not self._ranks:
            share = _share(len(self._seen))
            self._capitals = np.vstack([self._capitals, np.full(_BETS, share / _BETS)])[-_RECENT:]
            self._starts = [*self._starts, len(self._seen)][-_RECENT:]
            self._shares = np.append(self._shares, share)[-_RECENT:]
            self._unspent -= share
        new = len(self._ranks)
        self._ranks += [self._ranked(loss) for loss in losses]
        # From the gambler's start on, whatever came before: else rounding would depend on how often one looks.
        ranks = np.array(self._ranks)[:, None]
        high = np.where(ranks > 1.0 - _TAILS, _ODDS / _TAILS, (1.0 - _ODDS) / (1.0 - _TAILS))
        grown = np.cumprod(np.hstack([1.0 + 2.0 * _STAKES * (ranks - 0.5), high]), axis=0)
        capitals = (self._capitals.sum(axis=0) * grown).sum(axis=1) + self._unspent
        best = new + int(np.argmax(capitals[new:]))
        if capitals[best] > self._most:
            # Later the new losses are what ranks are taken among, and the bets lose again: the most is what counts.
            self._most = float(capitals[best])
            if self._most >= 1.0 / self._level:
                self._since = self._starts[int(np.argmax(self._capitals @ grown[best] / self._shares))]
        if len(self._ranks) == BLOCK:
            self._capitals = np.minimum(self._capitals * grown[-1], _RICHEST)
            self._ranks = []

    def _ranked(self, loss: float) -> float:
        """Return a loss's rank among those known, from 0 to 1, and know it from now on; equal ones are told by chance."""
        below, upto = bisect_left(self._known, loss), bisect_right(self._known, loss)
        rank = (below + self._random.random() * (upto - below + 1)) / (len(self._known) + 1)
        self._seen.append(loss)
        self._known.insert(upto, loss)
        return float(rank)

    def _found(self) -> Concept:
        if self._most < 1.0 / self._level:
            return Concept(len(self._seen), self._most, 0.0, None, False)
        since, before = self._seen[self._since :], np.sort([*self._reference, *self._seen[: self._since]])
        effect = _cliff(since, before)
        times = float(np.mean(since)) / max(float(np.mean(before)), _TINY)
        higher = times >= 1.0 + self._effect and (effect >= self._effect or times >= 1.0 + _HIGHER * self._effect)
        error = self._swing(before) / math.sqrt(len(since))
        harm = higher and (error == 0 or effect / 2 > _SURELY * error)
        return Concept(len(self._seen), self._most, effect, self._since, harm, times=times)

    def _swing(self, before: npt.NDArray[np.float64]) -> float:
        """Return the deviation of one rank that the means of blocks of ranks show; 0 if no more than chance gives them.

        Where errors come together, as on days of storm, many answers say less than as many that have nothing in common. How
        long they do is not known: blocks of several lengths are asked, and the longest ones often say the most.
        """
        most = 0.0
        ordered = [self._ordered, np.array(self._seen[: self._since])]
        ranks = [
            (np.searchsorted(before, losses, "left") + np.searchsorted(before, losses, "right")) / 2 / len(before)
            for losses in ordered
        ]
        size = BLOCK
        while sum(len(part) // size for part in ranks) >= _BLOCKS:
            means = np.concatenate([part[: len(part) // size * size].reshape(-1, size).mean(1) for part in ranks])
            most = max(most, float(np.std(means)) * math.sqrt(size))
            size *= 2
        return most if most > _BY_CHANCE else 0.0


def _share(start: int) -> float:
    """Return with what part of the capital a gambler begins at an answer.

    Half of it is for the first one, since much is wrong from the first day; of the other half, 1 / (n log(n)^2) from
    n = 10 on, over the integral from 9.5, which is more than the sum: all parts together are one at most.
    """
    if start == 0:
        return 0.5
    turn = start // BLOCK + 9
    return 0.5 * math.log(9.5) / (turn * math.log(turn) ** 2)


def _cliff(losses: Sequence[float], held: npt.NDArray[np.float64]) -> float:
    """How much more often a loss is higher than one of those held, which are sorted, than lower (Cliff 1993)."""
    below, above = np.searchsorted(held, losses, "left"), len(held) - np.searchsorted(held, losses, "right")
    return float((below - above).mean() / len(held)) if len(held) else 0.0
