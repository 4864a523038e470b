"""Learners: how each is fitted to a matrix, written without pickle, and read back to predict."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from penstock.types.matrix import Stored

Matrix = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """Rows to learn from.

    Attributes
    ----------
    matrix : array of float64, Batches or Stored, shape (n_rows, n_columns)
        Encoded rows, NaN where missing. LightGBM takes them from a file, the others as an array.
    target : array, shape (n_rows,)
        Codes of classes, or numbers.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    classes : int
        How many there are.
    categories : list of int
        Of each column the number of codes; 0 for a number.
    weights : array, shape (n_rows,), optional
        How much each row counts.
    monotone : list of int, optional
        Of each column 1 where the answer may only rise with it, -1 where it may only fall, else 0.
    offers : mapping of str to list of int
        Columns that are only for what is fitted with the same word of :data:`OFFERS` among its parameters.
    """

    matrix: Any
    target: npt.NDArray[Any]
    task: str
    classes: int
    categories: list[int]
    weights: npt.NDArray[Any] | None = None
    monotone: list[int] | None = None
    offers: Mapping[str, Sequence[int]] = {}


class Watch(NamedTuple):
    """Rows on which boosting is stopped early and a penalty chosen, and the seconds after which that ends in any case."""

    matrix: Matrix
    target: npt.NDArray[Any]
    seconds: float | None = None


class Fitted(NamedTuple):
    """A fitted learner.

    Attributes
    ----------
    written : dict
        Its part of a model's manifest.
    files : dict of str to bytes
        What it answers from.
    rounds : int
        How many rounds of boosting, or penalties, it took.
    share : float
        Which part of the work has to be done again for the same: early stopping looks further than it goes.
    """

    written: dict[str, Any]
    files: dict[str, bytes]
    rounds: int = 0
    share: float = 1.0


_FITS = {
    "linear": ("linear", "fit_linear", "sklearn"),
    "lightgbm": ("trees", "fit_trees", "lightgbm"),
    "xgboost": ("xgb", "fit_xgboost", "xgboost"),
    "catboost": ("cat", "fit_catboost", "catboost"),
    "extra_trees": ("extra", "fit_extra_trees", "sklearn"),
    "neighbours": ("neighbours", "fit_neighbours", "sklearn"),
    "network": ("network", "fit_network", "sklearn"),
}
"""Learner to its module, function, and the package that it needs."""
LEARNERS = tuple(_FITS)
OFFERS = ("means", "trend")
"""What an encoding may offer to be learnt from: means of the target, and the days of the time by which rows are divided."""
MONOTONE = ("lightgbm", "xgboost", "catboost")
"""Learners that keep a direction."""
WEIGHTED = tuple(name for name in LEARNERS if name != "neighbours")
"""Learners to which rows may count differently."""


def offered_to(parameters: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return what of :data:`OFFERS` some fits are to learn from.

    Examples
    --------
    >>> offered_to([{"rounds": 3}, {"means": True}])
    {'means'}
    """
    return {name for own in parameters for name in OFFERS if own.get(name)}


def installed(learner: str) -> bool:
    """Whether the package that a learner needs is there."""
    return importlib.util.find_spec(_FITS[learner][2]) is not None


def fit_learner(
    learner: str,
    sample: Sample,
    parameters: Mapping[str, Any],
    seed: int,
    watch: Watch | None = None,
    threads: int = 1,
) -> Fitted:
    """Fit a learner by name: the same arguments give the same bytes.

    Parameters
    ----------
    parameters : mapping
        The learner's own; ``rounds`` is the number of rounds of boosting, ``target: "log"`` fits logarithms,
        ``means: True`` learns from the means of the target too, ``trend: True`` from the days of time.
    watch : Watch, optional
        For early stopping of boosting, and the penalty of a linear model; other learners leave it alone.
    threads : int
        Of the learner; it does not change the bytes.
    """
    module, function, _ = _FITS[learner]
    fit = getattr(importlib.import_module(f"penstock.train.learners.{module}"), function)
    hidden = [at for name, columns in sample.offers.items() if not parameters.get(name) for at in columns]
    if hidden:
        sample = sample._replace(matrix=_blank(sample.matrix, hidden))
        watch = watch and watch._replace(matrix=_blank(watch.matrix, hidden))
    own = {name: value for name, value in parameters.items() if name not in ("target", *OFFERS)}
    if parameters.get("target") != "log":
        return fit(sample, own, seed, watch, threads)  # type: ignore[no-any-return]
    from penstock.train.learners.scale import fit_log

    return fit_log(fit, sample, own, seed, watch, threads)


def _blank(matrix: Any, columns: Sequence[int]) -> Any:
    """Return a copy with nothing in some columns: no learner makes anything of a constant one, whatever it holds later."""
    if isinstance(matrix, Stored):
        return Stored(matrix.path, columns)
    blank = matrix.copy()
    blank[:, list(columns)] = 0.0
    return blank


class Predictor(Protocol):
    """A fitted learner as it answers: without the library that fitted it, where that can be."""

    def predict(self, matrix: Matrix) -> Matrix:
        """Return probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,)."""
        ...

    def predict_row(self, row: list[float]) -> Any:
        """Return the same for one row: a list of probabilities, or a number."""
        ...


def read_predictor(written: Mapping[str, Any], files: Mapping[str, bytes]) -> Predictor:
    """Read a fitted learner from a model's manifest and files.

    Raises
    ------
    StoreError
        When the kind of learner is not known here.
    """
    if "log" in written:
        from penstock.train.learners.scale import LogPredictor

        return LogPredictor(read_predictor({k: v for k, v in written.items() if k != "log"}, files), written["log"])
    kind = written["kind"]
    if kind == "lightgbm":
        from penstock.train.learners.trees import TreesPredictor

        return TreesPredictor(files["trees.txt"], written)
    if kind == "linear":
        from penstock.train.learners.linear import LinearPredictor

        return LinearPredictor(files, written)
    if kind == "estimator":
        from penstock.train.learners.estimator import EstimatorPredictor

        return EstimatorPredictor(files, written)
    if kind == "neighbours":
        from penstock.train.learners.neighbours import NeighboursPredictor

        return NeighboursPredictor(files, written)
    if kind == "network":
        from penstock.train.learners.network import NetworkPredictor

        return NetworkPredictor(files, written)
    if kind == "blend":
        from penstock.train.learners.blend import BlendPredictor

        return BlendPredictor(files, written)
    from penstock.errors import StoreError

    raise StoreError(
        f"the model's learner is of the kind {kind!r}, which this version does not know. Upgrade penstock."
    )


TIMED = 30
"""So many rows are enough for a latency."""


def row_latency(predictor: Predictor, rows: list[list[float]]) -> float:
    """Return the median seconds of answering one encoded row."""
    found = []
    for row in rows:
        began = time.perf_counter()
        predictor.predict_row(row)
        found.append(time.perf_counter() - began)
    return float(np.median(found))
