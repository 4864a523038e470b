"""How good answers are before their truth is known: from calibrated probabilities, or from errors that trees expect.

Confidence-based performance estimation (https://nannyml.readthedocs.io, "CBPE"): an answer of probability p is right with
probability p, so that the expected value of a metric follows from the probabilities. It is as good as their calibration,
and cannot see that the world answers differently to the same rows (concept drift): only labels can.

Of numbers, trees learn on the test rows how large the error of each row is, and say it of rows to come (direct loss
estimation, "DLE" of the same source).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_SMALL = 1e-12
_LEAST, _MOST, _TREES = 100, 50_000, 60


def estimated(metric: str, shares: Array, threshold: float = 0.5) -> float | None:
    """Return what a metric is expected to be, or None where this cannot tell.

    Parameters
    ----------
    metric : str
        ``accuracy``, ``log_loss``, ``brier``, ``roc_auc``, ``precision``, ``recall`` or ``f1``; the last four of two classes.
    shares : array, shape (n_rows, n_classes)
        Probabilities.
    threshold : float
        Of two classes, above which the answer is the second.

    Examples
    --------
    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> round(estimated("accuracy", shares), 3), round(estimated("brier", shares), 3)
    (0.85, 0.125)
    """
    if not len(shares):
        return None
    two = shares.shape[1] == 2
    yes = shares[:, 1] if two else np.zeros(0)
    said = yes > threshold
    if metric == "accuracy":
        return float(np.where(said, yes, 1 - yes).mean() if two else shares.max(1).mean())
    if metric == "log_loss":
        held = np.clip(shares, _SMALL, 1.0)
        return float(-(shares * np.log(held)).sum(1).mean())
    if not two:
        return None
    if metric == "brier":
        return float((yes * (1 - yes)).mean())
    if metric == "roc_auc":
        return _roc_auc(yes)
    right, wrong, missed = yes[said].sum(), (1 - yes[said]).sum(), yes[~said].sum()
    if metric == "precision":
        return float(right / (right + wrong)) if said.any() else None
    if metric == "recall":
        return float(right / (right + missed)) if right + missed else None
    if metric == "f1":
        return float(2 * right / (2 * right + wrong + missed)) if 2 * right + wrong + missed else None
    return None


def learn_losses(matrix: Array, target: Array, predicted: Array, seed: int) -> dict[str, str]:
    """Learn how large errors are, from rows that the model has not learnt from.

    Parameters
    ----------
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded rows; nothing is learnt from fewer than a hundred, or from more than the first 50,000.
    target, predicted : array, shape (n_rows,)
        Numbers.

    Returns
    -------
    dict of str to str
        Trees of LightGBM as text: ``mae`` of absolute errors, ``rmse`` of squared ones.
    """
    if len(matrix) < _LEAST:
        return {}
    import lightgbm

    errors = np.abs(predicted - target)[:_MOST]
    options = {
        "objective": "regression", "num_leaves": 7, "learning_rate": 0.1, "min_data_in_leaf": max(20, len(errors) // 100),
        "verbose": -1, "num_threads": 1, "seed": seed, "deterministic": True,
    }  # fmt: skip
    found = {}
    for metric, losses in (("mae", errors), ("rmse", errors**2)):
        trees = lightgbm.train(options, lightgbm.Dataset(matrix[:_MOST], losses), _TREES)
        found[metric] = str(trees.model_to_string())
    return found


def estimated_loss(metric: str, learnt: Mapping[str, str], matrix: Array) -> float | None:
    """Return what a metric of numbers is expected to be, or None where :func:`learn_losses` learnt nothing of it.

    Parameters
    ----------
    metric : str
        ``rmse`` or ``mae``.
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded rows.

    Examples
    --------
    >>> matrix = np.arange(2000.0)[:, None]
    >>> learnt = learn_losses(matrix, np.zeros(2000), np.where(matrix[:, 0] < 1000, 1.0, 3.0), 0)
    >>> round(estimated_loss("mae", learnt, matrix[:1000]), 1), round(estimated_loss("rmse", learnt, matrix[1000:]), 1)
    (1.0, 3.0)
    """
    if metric not in learnt or not len(matrix):
        return None
    import lightgbm

    losses = np.asarray(lightgbm.Booster(model_str=learnt[metric]).predict(matrix, num_threads=1))
    mean = float(np.maximum(losses, 0.0).mean())
    return mean**0.5 if metric == "rmse" else mean


def _roc_auc(yes: Array) -> float | None:
    """The chance that a positive row has the higher probability, each row positive by its own probability."""
    order = np.argsort(yes)
    positive, negative = yes[order], 1 - yes[order]
    # Rows of equal probability count half.
    values, starts = np.unique(positive, return_index=True)
    up, down = np.add.reduceat(positive, starts), np.add.reduceat(negative, starts)
    below = np.concatenate([[0.0], np.cumsum(down)[:-1]])
    pairs = positive.sum() * negative.sum()
    return float((up * (below + down / 2)).sum() / pairs) if pairs and len(values) else None
