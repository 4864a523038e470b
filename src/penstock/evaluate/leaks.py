"""Columns that know the answer: one alone that predicts the target nearly perfectly on rows never seen, or parts of a total.

Such a column is usually made from the target, or known only after it: the model shines here and fails in the world.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.types.metrics import METRICS
from penstock.types.target import Task

Array = npt.NDArray[Any]
SUSPICIOUS = 0.99
"""Score of one column alone from which it is named."""
_MOST_COLUMNS, _FOLDS, _LEAVES = 100, 3, 64
_SURE_ROWS, _LEAST_ROWS, _PERFECT = 100, 50, 0.999
"""Of fewer rows than the first a column must be perfect to be named; of fewer than the second none is."""
_ROUNDING = 1e-5
"""Standard deviations of the target."""
_FEW, _PROMISING = 2_000, 0.9
"""Of many columns those are looked at that score so well on so few rows."""
_MOST_ROWS, _RARE = 50_000, 1_000
"""Of more rows so many are looked at, and all of classes with fewer rows than the second."""


@dataclass(frozen=True)
class Leak:
    """A column that predicts the target too well.

    Attributes
    ----------
    column : str
        Which.
    score : float
        ROC AUC, balanced accuracy or R2 of a small tree on this column alone, cross-validated on the test rows.
    metric : str
        Which of these.
    """

    column: str
    score: float
    metric: str

    def __str__(self) -> str:
        return f'"{self.column}" alone predicts the target ({self.metric} {self.score:.3f}): is it known when one asks?'


def worth_a_look(
    task: Task, matters: Sequence[str], columns: Sequence[str], target: Array, predicted: Array
) -> list[str]:
    """Name what may know the answer: the columns that matter to the model; when it knows nearly all, a hundred others too.

    Where two columns know the answer the model misses neither when one is shuffled: none of them matters.

    Parameters
    ----------
    matters, columns : sequence of str
        What matters to the model, and all it looks at.
    target, predicted : array
        Of the test rows, in the form of :data:`~penstock.types.metrics.METRICS`.

    Examples
    --------
    >>> target = np.array([1.0, 2.0, 3.0])
    >>> worth_a_look("regression", ["rooms"], ["rooms", "tax"], target, target + 1)
    ['rooms']
    >>> worth_a_look("regression", ["rooms"], ["rooms", "tax"], target, target)
    ['rooms', 'tax']
    """
    whole = METRICS[{"binary": "roc_auc", "multiclass": "roc_auc_ovr", "regression": "r2"}[task]]
    if not whole.value(target, predicted) >= SUSPICIOUS:
        return list(matters)
    return list(dict.fromkeys([*matters, *columns]))[:_MOST_COLUMNS]


def find_leaks(
    task: str, matrix: Array, blocks: Sequence[tuple[str, slice]], target: Array, columns: Sequence[str], seed: int
) -> list[Leak]:
    """Judge columns, each by itself, on 50,000 rows and all those of rare classes at most.

    Parameters
    ----------
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded test rows; NaN where missing.
    blocks : sequence of (str, slice)
        Columns, and where each stands in the matrix.
    target : array, shape (n_rows,)
        Class codes or numbers.
    columns : sequence of str
        Those worth a look.

    Returns
    -------
    list of Leak
        The surest first. Empty for fewer than 50 rows; of fewer than 100, those that are perfect. Classes with fewer than three are left out; one alone is nothing to tell.
    """
    rows = _some(target, task, seed)
    if len(rows) < _LEAST_ROWS:
        return []
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    metric = {"binary": "roc_auc", "multiclass": "balanced_accuracy", "regression": "r2"}[task]
    if task == "regression":
        tree, folds = (
            DecisionTreeRegressor(max_leaf_nodes=_LEAVES, random_state=seed),
            KFold(_FOLDS, shuffle=True, random_state=seed),
        )
    else:
        classes = len(np.unique(target[rows]))
        if classes < 2:
            return []
        tree = DecisionTreeClassifier(max_leaf_nodes=max(_LEAVES, 2 * classes), random_state=seed)
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    where = dict(blocks)

    def score(name: str, rows: Array) -> float:
        return float(cross_val_score(tree, matrix[rows, where[name]], target[rows], cv=folds, scoring=metric).mean())

    if len(columns) > _MOST_COLUMNS and len(rows) > _FEW:
        few = rows[:: len(rows) // _FEW]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so few rows some classes may have one or two
            columns = [name for name in columns if not score(name, few) < _PROMISING]
    scores = {name: score(name, rows) for name in columns}
    least = SUSPICIOUS if len(rows) >= _SURE_ROWS else _PERFECT
    found = [Leak(name, score, metric) for name, score in scores.items() if score >= least]
    return sorted(found, key=lambda leak: -leak.score)


def find_parts(matrix: Array, blocks: Sequence[tuple[str, slice]], target: Array) -> list[str]:
    """Name the columns of numbers that together give a number exactly, as the parts of a total do.

    Each of them is honest alone. Told by least squares, whose rest is nothing but rounding.

    Parameters
    ----------
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded test rows; columns with gaps are left out.
    blocks : sequence of (str, slice)
        Columns, and where each stands in the matrix.
    target : array, shape (n_rows,)
        Numbers.

    Returns
    -------
    list of str
        Two or more, in the order of the columns; empty where there are none, and for fewer than 50 rows.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> known, other, noise = random.normal(size=(3, 100))
    >>> blocks = [("known", slice(0, 1)), ("noise", slice(1, 2)), ("other", slice(2, 3))]
    >>> find_parts(np.column_stack([known, noise, other]), blocks, known + 2 * other)
    ['known', 'other']
    """
    rows = np.linspace(0, len(target) - 1, min(len(target), _FEW)).astype(int)
    sample, wanted = np.asarray(matrix[rows], np.float64), np.asarray(target[rows], np.float64)
    usable = np.isfinite(sample).all(0) & (sample.max(0, initial=-np.inf) > sample.min(0, initial=np.inf))
    single = [(name, where.start) for name, where in blocks if where.stop - where.start == 1 and usable[where.start]]
    if len(rows) < max(_LEAST_ROWS, 2 * len(single)) or len(single) < 2 or not wanted.std() > 0:
        return []
    scaled = sample[:, [place for _, place in single]]
    scaled = (scaled - scaled.mean(0)) / scaled.std(0)
    wanted = (wanted - wanted.mean()) / wanted.std()
    weights = np.linalg.lstsq(scaled, wanted)[0]
    matters = np.abs(weights) > _ROUNDING
    weights = np.linalg.lstsq(scaled[:, matters], wanted)[0]
    if matters.sum() < 2 or np.abs(scaled[:, matters] @ weights - wanted).max() > _ROUNDING:
        return []
    return [name for (name, _), one in zip(single, matters, strict=True) if one]


def _some(target: Array, task: str, seed: int) -> Array:
    """Choose rows, none of classes that are too rare to stand on each side of each fold."""
    chosen = np.ones(len(target), dtype=bool)
    if len(target) > _MOST_ROWS:
        chosen[np.random.default_rng(seed).permutation(len(target))[_MOST_ROWS:]] = False
    if task != "regression":
        _, at, counts = np.unique(target, return_inverse=True, return_counts=True)
        chosen |= counts[at] < _RARE
        chosen &= counts[at] >= _FOLDS
    return np.flatnonzero(chosen)
