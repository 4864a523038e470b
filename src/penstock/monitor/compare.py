"""Has a column drifted? Tests of distributions that look at the size of a difference, not only at its certainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from penstock.monitor.distances import homogeneity, smirnov_chance
from penstock.monitor.options import Drift
from penstock.monitor.profile import ColumnProfile, Profile, column_profile, counts_of
from penstock.monitor.usual import beyond
from penstock.types.writing import figure


@dataclass(frozen=True)
class ColumnDrift:
    """The comparison of one column.

    Attributes
    ----------
    name : str
        The column.
    drifted : bool
        Whether the difference is large and surely not chance.
    test : str
        ``Kolmogorov-Smirnov``, ``chi-squared``, or ``missing values``.
    statistic, p_value : float
        Of the test; the p-value is corrected for the number of columns (Holm 1979).
    effect : float
        From 0 (equal) to 1: the largest gap of the distribution functions, or the total variation distance.
    text : str
        In words.
    usual : float
        The effect that windows of training rows have among themselves, as seasons give them; 0 where they have none.
    """

    name: str
    drifted: bool
    test: str
    statistic: float
    p_value: float
    effect: float
    text: str = ""
    usual: float = 0.0

    @property
    def excess(self) -> float:
        """The effect beyond what is usual, as a share of what is left to 1: what has to reach ``Drift.effect``."""
        return max(0.0, (self.effect - self.usual) / (1 - self.usual)) if self.usual < 1 else 0.0

    @property
    def in_words(self) -> str:
        """What moved, and how far."""
        usual = f", windows at training up to {self.usual:.2f}" if self.usual else ""
        return f"{self.text}, effect {self.effect:.2f}{usual}"


def compare_columns(
    reference: Profile, table: pl.DataFrame, how: Drift, usual: Mapping[str, float] = {}
) -> list[ColumnDrift]:
    """Compare the columns of a table with a profile; those that drifted come first.

    Columns that the table lacks are left out.
    """
    present = set(table.columns)
    now = [profiled_as(column, table[column.name]) for column in reference.columns if column.name in present]
    return compare_profiles(reference, Profile(now), how, usual)


def profiled_as(reference: ColumnProfile, values: pl.Series) -> ColumnProfile:
    """Summarise a column as the reference was, so that both speak of the same values."""
    if reference.kind != "category":
        return column_profile(values, reference.kind)
    text = values.cast(pl.String)
    counts = counts_of([name for name, _ in reference.counts], text.drop_nulls())
    return ColumnProfile(values.name, "category", values.len(), text.null_count(), counts=counts)


def compare_profiles(
    reference: Profile, current: Profile, how: Drift, usual: Mapping[str, float] = {}
) -> list[ColumnDrift]:
    """Compare the columns that two profiles share; those that drifted come first.

    Numbers of more rows than :data:`~penstock.monitor.profile.POINTS` are compared by so many quantiles, which moves the
    greatest gap by a thousandth at most.

    Parameters
    ----------
    usual : mapping of str to float
        By column, the effect that windows have though nothing is wrong (:mod:`penstock.monitor.usual`): more than that counts.
    """
    now = {column.name: column for column in current.columns}
    found = [_compare(column, now[column.name]) for column in reference.columns if column.name in now]
    order = sorted(range(len(found)), key=lambda index: found[index].p_value)
    corrected, highest = {}, 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, found[index].p_value * (len(found) - rank)))
        corrected[index] = highest
    judged = [
        replace(
            item,
            p_value=corrected[i],
            drifted=item.effect >= beyond(usual.get(item.name, 0.0), how.effect) and corrected[i] <= how.significance,
            usual=usual.get(item.name, 0.0),
        )
        for i, item in enumerate(found)
    ]
    return sorted(judged, key=lambda item: (not item.drifted, -item.excess, -item.effect, item.name))


def _compare(reference: ColumnProfile, now: ColumnProfile) -> ColumnDrift:
    missing = _missing(reference, now)
    shape = _numbers(reference, now) if reference.kind == "number" else _categories(reference, now)
    if shape is None or missing.effect > shape.effect:
        return missing
    return shape


_LEAST_EXPECTED = 5.0
"""With fewer rows than this expected in a cell the chi-squared distribution is a poor guide (Cochran 1954)."""


def _missing(reference: ColumnProfile, current: ColumnProfile) -> ColumnDrift:
    """Compare the share of missing values by the chi-squared test, or Fisher's exact one where few are missing."""
    now, rows = current.missing, current.rows
    before = reference.missing / max(reference.rows, 1)
    counts = np.array([[reference.missing, reference.rows - reference.missing], [now, rows - now]], dtype=np.float64)
    if not counts.sum(0).all() or not counts.sum(1).all():
        chance = 1.0
    elif (counts.sum(0) * counts.sum(1)[:, None] / counts.sum()).min() < _LEAST_EXPECTED:
        from scipy.stats import fisher_exact  # takes a second to import

        chance = float(fisher_exact(counts.astype(np.int64))[1])
    else:
        chance = float(homogeneity(counts[:1], counts[1:])[1][0])
    share = now / max(rows, 1)
    return ColumnDrift(
        reference.name, False, "missing values", abs(share - before), chance, abs(share - before),
        f"missing {before:.1%} -> {share:.1%}",
    )  # fmt: skip


def _numbers(reference: ColumnProfile, current: ColumnProfile) -> ColumnDrift | None:
    """Compare numbers by the two-sample Kolmogorov-Smirnov test."""
    if not reference.quantiles or not current.quantiles:
        return None
    old, new = np.array(reference.quantiles), np.array(current.quantiles)
    points = np.concatenate([old, new])
    below = np.searchsorted(old, points, "right") / len(old) - np.searchsorted(new, points, "right") / len(new)
    gap = float(np.abs(below).max())
    before, now = max(reference.rows - reference.missing, 1), max(current.rows - current.missing, 1)
    chance = float(smirnov_chance(np.array([gap]), np.array([float(before)]), np.array([float(now)]))[0])
    text = f"median {figure(float(np.median(old)))} -> {figure(float(np.median(new)))}"
    return ColumnDrift(reference.name, False, "Kolmogorov-Smirnov", gap, chance, gap, text)


def _categories(reference: ColumnProfile, current: ColumnProfile) -> ColumnDrift | None:
    """Compare categories by the chi-squared test of homogeneity; rare values count together."""
    known, now = dict(reference.counts), dict(current.counts)
    total, rows = reference.total, current.total
    if not known or rows == 0:
        return None
    names = [*known, ""]
    old = np.array([*known.values(), total - sum(known.values())], dtype=np.float64)
    seen = [now.get(name, 0) for name in known]
    new = np.array([*seen, rows - sum(seen)], dtype=np.float64)
    shares_old, shares_new = old / old.sum(), new / new.sum()
    distance = float(np.abs(shares_old - shares_new).sum() / 2)
    if ((old + new) > 0).sum() < 2:
        return ColumnDrift(reference.name, False, "chi-squared", 0.0, 1.0, 0.0, "one value")
    statistic, chance = (float(found[0]) for found in homogeneity(old[None], new[None]))
    at = int(np.argmax(np.abs(shares_old - shares_new)))
    label = names[at] or "other values"
    return ColumnDrift(
        reference.name, False, "chi-squared", statistic, chance, distance,
        f"{label} {shares_old[at]:.1%} -> {shares_new[at]:.1%}",
    )  # fmt: skip
