"""Rows that belong together on both sides of a division: of one incident, one patient, one batch.

Such rows have one answer between them, which a model that has seen one of them knows of the others. Divided by chance,
test rows then look easier than what is asked later, of incidents never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]
_SEVERAL = 1.1
"""Training rows a value from which a column may name what rows belong to."""
_LEAST_ROWS = 50
"""Test rows on either side from which these are compared."""
_ALIKE = 0.2
"""By so much more must rows of the same value agree than rows of neighbouring values; 0 is chance, 1 is always."""
_MOST_ROWS = 200_000
"""Of more rows, those of some values are looked at."""
_HARDER, _SURE = 1.2, 3.0
"""So many times must the others' mean loss be as high, and by so many standard errors higher."""


@dataclass(frozen=True)
class Related:
    """Test rows that belong together with training rows.

    Attributes
    ----------
    column : str
        By which.
    rows, of : int
        Test rows whose value training rows have too, and test rows in all.
    known, others : float or None
        The metric on these and on the other test rows; None where it is not defined.
    """

    column: str
    rows: int
    of: int
    known: float | None
    others: float | None


def find_related(
    train: pl.DataFrame,
    test: pl.DataFrame,
    learnt: Array,
    codes: Array,
    predicted: Array,
    measure: Callable[[Array, Array], float],
    leave: Sequence[str] = (),
) -> Related | None:
    """Look for the column by which test rows belong together with training rows, and are easier than the others for that.

    Rows of the same value must agree in the target much more than rows of neighbouring values do: a price or a date
    that says much about the target does not make rows belong together.

    Parameters
    ----------
    train, test : DataFrame
        Rows of both sides. Columns of text, whole numbers, dates and times are looked at.
    learnt, codes : array, shape (n_train,), (n_test,)
        Class codes or numbers.
    predicted : array, shape (n_test,) or (n_test, n_classes)
        Answers to the test rows.
    measure : callable
        Takes truth and answers, gives the metric.
    leave : sequence of str
        Columns that are not looked at, such as the target.

    Returns
    -------
    Related or None
        That of the column whose rows agree most.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> visit, sick = np.repeat(np.arange(500), 2), np.repeat(random.integers(0, 2, 500), 2).astype(float)
    >>> rows = pl.DataFrame({"visit": visit, "age": random.integers(0, 90, 1000)})
    >>> held = random.random(1000) < 0.3
    >>> seen = np.isin(visit[held], visit[~held])
    >>> yes = np.where(seen, np.where(sick[held] == 1, 0.9, 0.1), 0.5)  # what a model that knows the visits answers
    >>> found = find_related(
    ...     rows.filter(~held), rows.filter(held), sick[~held], sick[held], np.column_stack([1 - yes, yes]),
    ...     lambda truth, answers: float(np.mean((answers[:, 1] > 0.5) == truth)),
    ... )
    >>> found.column, found.known
    ('visit', 1.0)
    """
    losses, every = _losses(codes, predicted), (train.height + test.height) // _MOST_ROWS
    best, most = None, _ALIKE
    for name in test.columns:
        if name in leave or not _may_name(train[name]):
            continue
        gain = _agreement(
            *_some(train[name], learnt, every), *_some(test[name], codes, every), classes=predicted.ndim > 1
        )
        if gain <= most:
            continue
        known = test[name].is_in(train[name].unique().implode()).fill_null(value=False).to_numpy()
        if min(known.sum(), (~known).sum()) >= _LEAST_ROWS and _easier(losses[known], losses[~known]):
            best, most = (name, known), gain
    if best is None:
        return None
    name, known = best
    values = [measure(codes[rows], predicted[rows]) for rows in (known, ~known)]
    return Related(name, int(known.sum()), len(known), *(value if value == value else None for value in values))


def _may_name(column: pl.Series) -> bool:
    kind = column.dtype
    if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime)):
        return False
    values = column.n_unique()
    return values >= _LEAST_ROWS and column.count() >= _SEVERAL * values


def _some(column: pl.Series, target: Array, every: int) -> tuple[pl.Series, Array]:
    """Return the values that are there and their targets; of many, one value in so many with all its rows."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    kept = column.is_not_null()
    if every > 1:
        kept &= column.hash(seed=0) % every == 0
    return column.filter(kept), target[kept.to_numpy()]


def _agreement(train: pl.Series, learnt: Array, test: pl.Series, codes: Array, *, classes: bool) -> float:
    """Return by how much more rows of one value agree across the sides than a row and one of the value before; 1 is always and never."""
    places = pl.concat([train, test]).rank("dense").to_numpy()
    held, first = np.unique(places[: len(train)], return_index=True)
    asked = places[len(train) :]
    at = np.searchsorted(held, asked)
    known = held[np.minimum(at, len(held) - 1)] == asked if len(held) else np.zeros(len(asked), dtype=bool)
    if not known.any():
        return 0.0
    at, truth, answers = at[known], codes[known], learnt[first]
    same, before = answers[at], answers[np.where(at > 0, at - 1, np.minimum(1, len(held) - 1))]
    if classes:
        shares = np.unique(learnt, return_counts=True)[1] / len(learnt)
        least = 1.0 - float((shares**2).sum())
        missed = [float(np.mean(truth != other)) for other in (same, before)]
    else:
        least = 2.0 * float(np.var(learnt))
        missed = [float(np.mean((truth - other) ** 2)) for other in (same, before)]
    return (missed[1] - missed[0]) / least if least > 0 else 0.0


def _losses(codes: Array, predicted: Array) -> Array:
    if predicted.ndim == 1:
        return np.asarray((codes - predicted) ** 2)
    return np.asarray(-np.log(np.clip(predicted[np.arange(len(codes)), codes.astype(np.int64)], 1e-15, 1.0)))


def _easier(known: Array, others: Array) -> bool:
    """Whether the first losses are surely and clearly lower on average (Welch's statistic)."""
    error = np.sqrt(known.var(ddof=1) / len(known) + others.var(ddof=1) / len(others))
    gap = others.mean() - known.mean()
    return bool(others.mean() > _HARDER * known.mean() and gap > _SURE * error)
