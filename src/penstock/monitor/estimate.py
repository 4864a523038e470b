"""How good answers are before their truth is known: from calibrated probabilities, or from errors that trees expect.

Confidence-based performance estimation (https://nannyml.readthedocs.io, "CBPE"): an answer of probability p is right with
probability p, so that the expected value of a metric follows from the probabilities. It is as good as their calibration:
where the test rows came far less or more often than was said, as when the world had begun to move, the probabilities are
taken as what came. It cannot see that the world answers differently to the same rows (concept drift): only labels can.

Of numbers, trees learn on the test rows how large the error of each row is, and say it of rows to come (direct loss
estimation, "DLE" of the same source).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from penstock.types.turns import one_thread

Array = npt.NDArray[Any]
_SMALL = 1e-12
_LEAST, _MOST, _TREES, _FOLDS = 100, 50_000, 60, 3
_OFF, _SURELY = 0.1, 0.01
"""Probabilities are far off when others would make the test rows likelier by so much deviance a row, and not by chance."""


def learn_calibration(target: Array, predicted: Array) -> tuple[float, float] | None:
    """Learn how often rows of a probability came: the slope and the shift of its log odds (Platt 1999).

    None where the probabilities hold, or are not those of two classes: what is learnt of a few rows, and of a moment, is worth
    less than probabilities that are not far off.

    Parameters
    ----------
    target : array, shape (n_rows,)
        Class codes of rows that the model has not learnt from.
    predicted : array, shape (n_rows, 2)
        Probabilities.

    Examples
    --------
    >>> came = np.arange(1000) % 10 < 7  # 70 %
    >>> said = np.full((1000, 2), 0.5) + 0.1 * np.random.default_rng(0).uniform(-1, 1, (1000, 1)) * [-1, 1]
    >>> _, shift = learn_calibration(came.astype(float), said)
    >>> round(float(1 / (1 + np.exp(-shift))), 2)
    0.7
    >>> learn_calibration(np.arange(1000) % 2.0, said) is None
    True
    """
    if predicted.ndim != 2 or predicted.shape[1] != 2 or len(np.unique(target)) < 2:
        return None
    from scipy.stats import chi2
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    odds = _log_odds(predicted[:, 1])
    learnt = LogisticRegression(C=1e6).fit(odds[:, None], target)
    now = learnt.predict_proba(odds[:, None])[:, 1]
    gained = 2 * (log_loss(target, 1 / (1 + np.exp(-odds))) - log_loss(target, now))
    if gained < _OFF or chi2.sf(gained * len(target), 2) > _SURELY:
        return None
    return float(learnt.coef_[0, 0]), float(learnt.intercept_[0])


def _log_odds(yes: Array) -> Array:
    held = np.clip(yes, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(held / (1 - held)))


def estimated(
    metric: str, shares: Array, threshold: float = 0.5, calibration: tuple[float, float] | None = None
) -> float | None:
    """Return what a metric is expected to be, or None where this cannot tell.

    Parameters
    ----------
    metric : str
        ``accuracy``, ``log_loss``, ``brier``, ``roc_auc``, ``precision``, ``recall`` or ``f1``; the last four of two classes.
    shares : array, shape (n_rows, n_classes)
        Probabilities.
    threshold : float
        Of two classes, above which the answer is the second.
    calibration : tuple of float, optional
        From :func:`learn_calibration`: how often rows of a probability come.

    Examples
    --------
    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> round(estimated("accuracy", shares), 3), round(estimated("brier", shares), 3)
    (0.85, 0.125)
    """
    if not len(shares):
        return None
    two = shares.shape[1] == 2
    came = shares
    if calibration is not None:
        yes = 1 / (1 + np.exp(-(calibration[0] * _log_odds(shares[:, 1]) + calibration[1])))
        came = np.column_stack([1 - yes, yes])
    if metric == "log_loss":
        return float(-(came * np.log(np.clip(shares, _SMALL, 1.0))).sum(1).mean())
    if not two:
        return float(shares.max(1).mean()) if metric == "accuracy" else None
    said, yes = shares[:, 1] > threshold, came[:, 1]
    if metric == "accuracy":
        return float(np.where(said, yes, 1 - yes).mean())
    if metric == "brier":
        return float((yes * (1 - shares[:, 1]) ** 2 + (1 - yes) * shares[:, 1] ** 2).mean())
    if metric == "roc_auc":
        return _roc_auc(shares[:, 1], yes)
    right, wrong, missed = yes[said].sum(), (1 - yes[said]).sum(), yes[~said].sum()
    if metric == "precision":
        return float(right / (right + wrong)) if said.any() else None
    if metric == "recall":
        return float(right / (right + missed)) if right + missed else None
    if metric == "f1":
        return float(2 * right / (2 * right + wrong + missed)) if 2 * right + wrong + missed else None
    return None


class Foreseen(msgspec.Struct, frozen=True):
    """What trees foresee of losses, and how far they are to be believed.

    Attributes
    ----------
    trees : str
        LightGBM's, as text.
    slope : float
        By how much losses differ where the trees, out of fold, foresaw a difference of one: from 0, no trust, to 1.
    loss, foreseen : float
        Means of the losses, and of what was foreseen of them out of fold.
    """

    trees: str
    slope: float
    loss: float
    foreseen: float


def learn_losses(matrix: Array, target: Array, predicted: Array, seed: int) -> dict[str, Foreseen]:
    """Learn how large errors are, from rows that the model has not learnt from.

    Large errors are rare, so that trees foresee differences which do not come: what they say of new rows counts as far as it
    came true out of fold.

    Parameters
    ----------
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded rows; nothing is learnt from fewer than a hundred, or from more than the first 50,000.
    target, predicted : array, shape (n_rows,)
        Numbers.

    Returns
    -------
    dict of str to Foreseen
        ``mae`` of absolute errors, ``rmse`` of squared ones.
    """
    if len(matrix) < _LEAST:
        return {}
    errors, matrix = np.abs(predicted - target)[:_MOST], matrix[:_MOST]
    folds, found = np.arange(len(errors)) * _FOLDS // len(errors), {}
    for metric, losses in (("mae", errors), ("rmse", errors**2)):
        foreseen = np.empty(len(losses))
        for fold in range(_FOLDS):
            held = folds == fold
            trees_of_others = _trees(matrix[~held], losses[~held], seed)
            with one_thread():
                foreseen[held] = trees_of_others.predict(matrix[held], num_threads=1)
        spread = float(foreseen.var())
        slope = float(np.mean((foreseen - foreseen.mean()) * losses)) / spread if spread else 0.0
        trees = str(_trees(matrix, losses, seed).model_to_string())
        found[metric] = Foreseen(trees, min(max(slope, 0.0), 1.0), float(losses.mean()), float(foreseen.mean()))
    return found


def _trees(matrix: Array, losses: Array, seed: int) -> Any:
    import lightgbm

    options = {
        "objective": "regression", "num_leaves": 7, "learning_rate": 0.1, "min_data_in_leaf": max(20, len(losses) // 100),
        "verbose": -1, "num_threads": 1, "seed": seed, "deterministic": True,
    }  # fmt: skip
    with one_thread():
        return lightgbm.train(options, lightgbm.Dataset(matrix, losses), _TREES)


def estimated_loss(metric: str, learnt: Mapping[str, Foreseen], matrix: Array) -> float | None:
    """Return what a metric of numbers is expected to be, or None where :func:`learn_losses` learnt nothing of it.

    Parameters
    ----------
    metric : str
        ``rmse`` or ``mae``.
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded rows.

    Examples
    --------
    >>> matrix = np.random.default_rng(0).uniform(0, 2000, (2000, 1))
    >>> learnt = learn_losses(matrix, np.zeros(2000), np.where(matrix[:, 0] < 1000, 1.0, 3.0), 0)
    >>> easy, hard = matrix[matrix[:, 0] < 1000], matrix[matrix[:, 0] >= 1000]
    >>> round(estimated_loss("mae", learnt, easy), 1), round(estimated_loss("rmse", learnt, hard), 1)
    (1.0, 3.0)
    """
    if metric not in learnt or not len(matrix):
        return None
    import lightgbm

    item = learnt[metric]
    with one_thread():
        foreseen = float(np.mean(lightgbm.Booster(model_str=item.trees).predict(matrix, num_threads=1)))
    mean = max(item.loss + item.slope * (foreseen - item.foreseen), 0.0)
    return mean**0.5 if metric == "rmse" else mean


def _roc_auc(said: Array, yes: Array) -> float | None:
    """The chance that a positive row was said to be likelier, each row positive with its own probability."""
    order = np.argsort(said)
    positive, negative = yes[order], 1 - yes[order]
    # Rows of equal probability count half.
    values, starts = np.unique(said[order], return_index=True)
    up, down = np.add.reduceat(positive, starts), np.add.reduceat(negative, starts)
    below = np.concatenate([[0.0], np.cumsum(down)[:-1]])
    pairs = positive.sum() * negative.sum()
    return float((up * (below + down / 2)).sum() / pairs) if pairs and len(values) else None
