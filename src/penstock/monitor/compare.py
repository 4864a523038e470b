"""Has a column drifted? Tests of distributions that look at the size of a difference, not only at its certainty."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from penstock.monitor.options import Drift
from penstock.monitor.profile import ColumnProfile, Profile


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
    """

    name: str
    drifted: bool
    test: str
    statistic: float
    p_value: float
    effect: float
    text: str = ""


def compare_columns(reference: Profile, table: pl.DataFrame, how: Drift) -> list[ColumnDrift]:
    """Compare the columns of a table with a profile; those that drifted come first.

    Columns that the table lacks are left out.
    """
    found = [_compare(column, table[column.name]) for column in reference.columns if column.name in table.columns]
    order = sorted(range(len(found)), key=lambda index: found[index].p_value)
    corrected, highest = {}, 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, found[index].p_value * (len(found) - rank)))
        corrected[index] = highest
    judged = [
        replace(item, p_value=corrected[i], drifted=item.effect >= how.effect and corrected[i] <= how.significance)
        for i, item in enumerate(found)
    ]
    return sorted(judged, key=lambda item: (not item.drifted, -item.effect, item.name))


def _compare(reference: ColumnProfile, values: pl.Series) -> ColumnDrift:
    missing = _missing(reference, values)
    filled = values.drop_nulls()
    shape = _numbers(reference, filled) if reference.kind == "number" else _categories(reference, filled)
    if shape is None or missing.effect > shape.effect:
        return missing
    return shape


def _missing(reference: ColumnProfile, values: pl.Series) -> ColumnDrift:
    """Compare the share of missing values by Fisher's exact test."""
    from scipy.stats import fisher_exact

    now, rows = values.null_count(), values.len()
    before = reference.missing / max(reference.rows, 1)
    table = [[reference.missing, reference.rows - reference.missing], [now, rows - now]]
    chance = 1.0 if reference.missing == now == 0 else float(fisher_exact(table)[1])
    share = now / max(rows, 1)
    return ColumnDrift(
        reference.name, False, "missing values", abs(share - before), chance, abs(share - before),
        f"missing {before:.1%} -> {share:.1%}",
    )  # fmt: skip


def _numbers(reference: ColumnProfile, filled: pl.Series) -> ColumnDrift | None:
    """Compare numbers by the two-sample Kolmogorov-Smirnov test (Smirnov 1948)."""
    from scipy.stats import kstwo

    if not reference.quantiles or filled.len() == 0:
        return None
    old = np.array(reference.quantiles)
    new = np.sort(filled.to_physical().cast(pl.Float64).to_numpy())
    points = np.concatenate([old, new])
    gap = float(
        np.abs(
            np.searchsorted(old, points, "right") / len(old) - np.searchsorted(new, points, "right") / len(new)
        ).max()
    )
    rows = max(reference.rows - reference.missing, 1)
    size = rows * len(new) / (rows + len(new))
    chance = float(kstwo.sf(gap, max(1, round(size))))
    middle_old, middle_new = float(np.median(old)), float(np.median(new))
    return ColumnDrift(
        reference.name,
        False,
        "Kolmogorov-Smirnov",
        gap,
        chance,
        gap,
        f"median {_shown(middle_old)} -> {_shown(middle_new)}",
    )


def _shown(number: float) -> str:
    return f"{number:.4g}"


def _categories(reference: ColumnProfile, filled: pl.Series) -> ColumnDrift | None:
    """Compare categories by the chi-squared test of homogeneity (Pearson 1900); rare values count together."""
    from scipy.stats import chi2_contingency

    known = dict(reference.counts)
    total = reference.rows - reference.missing
    if not known or filled.len() == 0:
        return None
    now: dict[str, int] = {}
    for value in filled.cast(pl.String).to_list():
        now[value if value in known else ""] = now.get(value if value in known else "", 0) + 1
    names = [*known, ""]
    old = np.array([*known.values(), total - sum(known.values())], dtype=np.float64)
    new = np.array([now.get(name, 0) for name in names], dtype=np.float64)
    shares_old, shares_new = old / old.sum(), new / new.sum()
    distance = float(np.abs(shares_old - shares_new).sum() / 2)
    filled_columns = (old + new) > 0
    if filled_columns.sum() < 2:
        return ColumnDrift(reference.name, False, "chi-squared", 0.0, 1.0, 0.0, "one value")
    result = chi2_contingency(np.vstack([old, new])[:, filled_columns], correction=False)
    at = int(np.argmax(np.abs(shares_old - shares_new)))
    label = names[at] or "other values"
    return ColumnDrift(
        reference.name, False, "chi-squared", float(result.statistic), float(result.pvalue), distance,
        f"{label} {shares_old[at]:.1%} -> {shares_new[at]:.1%}",
    )  # fmt: skip
