"""Has a column moved within one group, such as one city, though not in all rows together?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.features.encoders import Boolean, Category, Number
from penstock.model import Model
from penstock.monitor.compare import ColumnDrift, compare_profiles
from penstock.monitor.options import Drift
from penstock.monitor.profile import VALUES, ColumnProfile, Profile, quantiles_of
from penstock.monitor.usual import MOST_IN_GROUPS

Array = npt.NDArray[Any]
Plain = Number | Boolean | Category
_OTHERS = "other values"


@dataclass(frozen=True)
class Within:
    """A column that moved within a group.

    Attributes
    ----------
    by, group : str
        Which rows: those whose column `by` is `group`.
    rows : int
        How many of them were asked.
    drift : ColumnDrift
        What moved there. The p-value is corrected for all columns of all groups.
    """

    by: str
    group: str
    rows: int
    drift: ColumnDrift


def moved_within(
    model: Model,
    table: pl.DataFrame,
    evaluation: Mapping[str, Any],
    outcomes: Mapping[str, Any],
    how: Drift,
    known: Sequence[str] = (),
    usual: Mapping[str, float] = {},
    usual_in: Mapping[tuple[str, str], Mapping[str, float]] = {},
) -> list[Within]:
    """Compare the rows of each group with those at training, column by column; return what drifted, the most first.

    What is like the group's test rows, or its rows learnt from, was known at training. A group has ``how.least`` rows on
    each side, or is left out; so are groups that the model does not tell from others, and columns of texts, of dates and of more
    categories than a profile counts: in a group each of them has a few rows. Of wide tables the thirty columns that matter most to the answers are compared.

    Parameters
    ----------
    table : DataFrame
        Prepared rows that were asked, of the columns that requests carried.
    evaluation : mapping
        Of the run: its ``slices``, of which those of numbers, cut into ranges, are left out, and the ``importance`` of columns.
    outcomes : mapping
        Of the run: the encoded rows ``learnt`` from, and the test ``rows``.
    known : sequence of str
        Columns that moved in all rows together, which is not told again of each group.
    usual : mapping of str to float
        By column, the effect that windows have though nothing is wrong.
    usual_in : mapping of (str, str) to mapping
        The same of the rows of one group; the larger one counts.
    """
    encoding = model.manifest.encoding
    starts = {name: block.start for name, block in encoding.blocks()}
    encoders: dict[str, Plain] = {}
    for encoder in encoding.encoders:
        if isinstance(encoder, Plain) and encoder.column in table.columns:
            encoders.setdefault(encoder.column, encoder)
    crowded = {name for name, one in encoders.items() if isinstance(one, Category) and len(one.levels) > VALUES}
    weights = {item["column"]: item["mean"] for item in evaluation["importance"]}
    profiled = {item.name for item in model.manifest.profile.columns} - set(known)
    watched = [name for name in encoders if name in profiled - crowded]
    watched = sorted(watched, key=lambda name: -weights.get(name, 0.0))[:MOST_IN_GROUPS]
    # As exact as what was kept, or the places of equal numbers would differ.
    asked = {name: one.table(table[name])[0].astype(np.float32) for name, one in encoders.items()}
    nearest: dict[tuple[str, str, str], Within] = {}
    for kept in (outcomes["learnt"], outcomes["rows"]):
        then = {name: np.asarray(kept)[:, starts[name]] for name in encoders}
        what: list[Within] = []
        before: list[ColumnProfile] = []
        now: list[ColumnProfile] = []
        for by, group, code in _groups(evaluation["slices"], encoders):
            mine, its = asked[by] == code, then[by] == code
            if min(mine.sum(), its.sum()) < how.least:
                continue
            for name in [item for item in watched if item != by]:
                key = str(len(what))
                before.append(_profile(key, encoders[name], then[name][its]))
                now.append(_profile(key, encoders[name], asked[name][mine]))
                what.append(Within(by, group, int(mine.sum()), ColumnDrift(name, False, "", 0.0, 1.0, 0.0)))
        as_usual = {
            str(number): max(
                known.get(item.drift.name, 0.0) for known in (usual, usual_in.get((item.by, item.group), {}))
            )
            for number, item in enumerate(what)
        }
        for drift in compare_profiles(Profile(before), Profile(now), how, as_usual):
            item = what[int(drift.name)]
            item = replace(item, drift=replace(drift, name=item.drift.name))
            where = item.by, item.group, item.drift.name
            if where not in nearest or _size(item) < _size(nearest[where]):
                nearest[where] = item
    found = [item for item in nearest.values() if item.drift.drifted]
    return sorted(found, key=lambda item: (-item.drift.effect, item.by, item.group, item.drift.name))


def _size(item: Within) -> tuple[bool, float]:
    return item.drift.drifted, item.drift.effect


def _groups(slices: Sequence[Mapping[str, Any]], encoders: Mapping[str, Plain]) -> Iterator[tuple[str, str, float]]:
    """Give the column, the name and the code of each group that has a code of its own."""
    for item in slices:
        by, group = str(item["column"]), str(item["value"])
        encoder = encoders.get(by)
        if isinstance(encoder, Boolean):
            yield by, group, float(group == "true")
        elif isinstance(encoder, Category) and group in encoder.levels:
            yield by, group, float(encoder.levels.index(group))


def _profile(name: str, encoder: Plain, codes: Array) -> ColumnProfile:
    """Summarise a part of a column; as :func:`~penstock.monitor.profile.column_profile` does, but from codes."""
    missing = np.isnan(codes)
    if isinstance(encoder, Number):
        numbers = quantiles_of(codes[~missing].astype(np.float64))
        return ColumnProfile(name, "number", len(codes), int(missing.sum()), quantiles=numbers)
    words = ["false", "true"] if isinstance(encoder, Boolean) else [*encoder.levels, _OTHERS]
    counts = np.bincount(codes[~missing].astype(np.int64), minlength=len(words))
    order = np.argsort(-counts, kind="stable")
    return ColumnProfile(
        name,
        "category",
        len(codes),
        int(missing.sum()),
        counts=[(words[at], int(counts[at])) for at in order if counts[at]],
    )


def within_in_words(item: Within) -> str:
    """Say what moved where.

    Examples
    --------
    >>> moved = ColumnDrift("fee", True, "Kolmogorov-Smirnov", 0.4, 1e-9, 0.4, "median 3 -> 5")
    >>> within_in_words(Within("city", "Oslo", 312, moved))
    'where city is Oslo (312 rows): fee median 3 -> 5, effect 0.40'
    """
    return f"where {item.by} is {item.group} ({item.rows:,} rows): {item.drift.name} {item.drift.in_words}"
