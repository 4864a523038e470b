"""How much of the past to learn from, where rows are divided by time: all, the latest part, or all with old rows fading.

The choice is made by evidence: the newest training rows are held back, as many days of them as the test rows span, small
models learn from what was before in each of these ways, and the way that answers them surely better than "all" is taken.
Neither test rows nor answers of the final model are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.types.cores import cores
from penstock.types.durations import seconds_of
from penstock.types.turns import one_thread
from penstock.types.writing import figure

Array = npt.NDArray[Any]
_JUDGED, _LEARNT = 20_000, 50_000
_LEAST = 200
"""Fewer rows than this are neither learnt from nor judged by."""
_HALVINGS = 5
_BLOCKS = 20
_CHANCE = 0.01
_ROUNDS = (50, 100, 200)
_TREES, _FEWEST_ROUNDS = 400, 20
"""A round grows a tree for each of several classes: of so many trees at most, and rounds at least, else nothing is chosen."""
_NO_CHOICE = "all"


@dataclass(frozen=True)
class Window:
    """What is learnt from.

    Attributes
    ----------
    kind : {"all", "recent", "fading"}
        All training rows, the latest alone, or all of them with weights that halve.
    seconds : float or None
        The length of the latest part, or the time in which a weight halves; in the unit of the column where that holds
        numbers.
    text : str
        In words, with what it was chosen by.
    tried : dict of str to float
        The mean loss of each way on the rows held back.
    """

    kind: str = "all"
    seconds: float | None = None
    text: str = "all training rows"
    tried: dict[str, float] = field(default_factory=dict)

    def weights(self, at: Array) -> Array:
        """Return how much rows of these times count: 0 for those that are not learnt from."""
        if self.seconds is None:
            return np.ones(len(at))
        age = at.max() - at
        return np.asarray(age <= self.seconds, np.float64) if self.kind == "recent" else np.exp2(-age / self.seconds)


def given_window(written: str) -> Window:
    """Return the window that an author asks for, such as ``"90d"``."""
    if written == _NO_CHOICE:
        return Window()
    return Window("recent", seconds_of(written), f"the latest {written} of the training rows")


def choose_window(
    table: pl.DataFrame,
    codes: Array,
    at: Array,
    span: float,
    gap: float,
    fit: Callable[[pl.DataFrame, Array], tuple[Any, Array]],
    classes: int,
    seed: int,
) -> Window:
    """Choose by the newest training rows what to learn from.

    Parameters
    ----------
    table, codes : DataFrame, array
        Training rows and their targets; of numbers `classes` is 0.
    at : array of float, shape (n_rows,)
        When each row happened.
    span, gap : float
        How long the test rows last, and the time that is left out before them.
    fit : callable
        Fits the encoding.
    seed : int
        Of the small models.

    Returns
    -------
    Window
        "All" unless another way is better by a paired t-test over 20 spans of the judging rows, at 1 % over all ways.
    """
    if classes > _TREES // _FEWEST_ROUNDS:
        return Window(text="all training rows: too many classes to choose")
    order = np.argsort(at, kind="stable")
    start = at[order[-1]] - span
    judged = order[at[order] > start]
    if len(judged) < _LEAST:
        judged = order[-_LEAST:]
    past = order[at[order] <= at[judged[0]] - gap]
    past = past[at[past] < at[judged[0]]]
    if len(past) < 2 * _LEAST or (classes and len(np.unique(codes[past])) < classes):
        return Window(text="all training rows: too few to choose")
    whole = float(at[past].max() - at[past].min())
    if not whole:
        return Window(text="all training rows: those to choose from are of one moment")
    judged = judged[:: -(-len(judged) // _JUDGED)]
    ways = {"all": Window()}
    for halving in range(1, _HALVINGS + 1):
        recent = Window("recent", whole / 2**halving)
        count = int((recent.weights(at[past]) > 0).sum())
        if count < _LEAST or (classes and len(np.unique(codes[past][recent.weights(at[past]) > 0])) < classes):
            break
        ways[f"the latest 1/{2**halving}"] = recent
        ways[f"weights that halve in 1/{2 ** (halving + 1)}"] = Window("fading", whole / 2 ** (halving + 1))
    # Each on one core, for sums over threads depend on how many there are; several at once.
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(lambda way: _losses(table, codes, past, at, way, judged, fit, classes, seed), ways.values())
        losses = dict(zip(ways, found, strict=True))
    tried = {name: float(found.mean()) for name, found in losses.items()}
    best = min(tried, key=lambda name: tried[name])
    if best != "all" and _chance(losses["all"], losses[best]) * (len(ways) - 1) < _CHANCE:
        way = ways[best]
        why = (
            f"{best} of the training rows: loss {figure(tried[best])} on the newest {len(judged):,} of them, "
            f"of all {figure(tried['all'])}"
        )
        return Window(way.kind, way.seconds, why, tried)
    return Window(text=f"all training rows: no other window is surely better ({figure(tried['all'])})", tried=tried)


def _losses(
    table: pl.DataFrame,
    codes: Array,
    past: Array,
    at: Array,
    way: Window,
    judged: Array,
    fit: Any,
    classes: int,
    seed: int,
) -> Array:
    """Learn in one way, and return the loss of each judged row, by the number of trees that suits it."""
    import lightgbm

    weights = way.weights(at[past])
    rows, weights = past[weights > 0], weights[weights > 0]
    step = -(-len(rows) // _LEARNT)
    rows, weights = rows[::step], weights[::step]
    encoding, matrix = fit(table[rows], codes[rows])
    there = encoding.matrix(table[judged])
    objective = "regression" if not classes else "binary" if classes == 2 else "multiclass"
    parameters = {
        "objective": objective, "learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20, "verbose": -1, "num_threads": 1,
        "deterministic": True, "force_row_wise": True, "seed": seed, **({"num_class": classes, "lambda_l2": 1.0} if classes > 2 else {}),
    }  # fmt: skip
    most = _ROUNDS[-1] if classes <= 2 else min(_ROUNDS[-1], _TREES // classes)
    data = lightgbm.Dataset(matrix, codes[rows], weight=weights, free_raw_data=False)
    with one_thread():
        booster = lightgbm.train(parameters, data, num_boost_round=most)
    truth = codes[judged]

    def loss(rounds: int) -> Array:
        with one_thread():
            answers = np.asarray(booster.predict(there, num_iteration=rounds, num_threads=1))
        if not classes:
            return np.asarray((answers - truth) ** 2)
        if classes > 2:
            likely = answers[np.arange(len(truth)), truth.astype(np.int64)]
        else:
            likely = np.where(truth == 1, answers, 1 - answers)
        return np.asarray(-np.log(np.clip(likely, 1e-6, None)))

    tried = sorted({min(rounds, most) for rounds in _ROUNDS})
    return min((loss(rounds) for rounds in tried), key=lambda found: float(found.mean()))


def _chance(one: Array, other: Array) -> float:
    """Neighbours in time are alike, so means of spans are compared, not rows."""
    from scipy.stats import ttest_rel

    if not np.ptp(one - other):
        return 1.0
    spans = [
        (a.mean(), b.mean()) for a, b in zip(np.array_split(one, _BLOCKS), np.array_split(other, _BLOCKS), strict=True)
    ]
    return float(ttest_rel(*np.array(spans).T, alternative="greater").pvalue)
