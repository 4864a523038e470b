"""Gradient-boosted trees: fitted by LightGBM, kept in its text format, answered by its C library alone.

Importing the Python package ``lightgbm`` takes seconds and brings scikit-learn and pandas where they are
installed; the service needs none of it, so the shared library is called by :mod:`ctypes`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import struct
import time
from array import array
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from penstock.errors import StoreError
from penstock.train.learners import Fitted, Matrix, Sample, Watch
from penstock.types.matrix import Stored
from penstock.types.turns import one_thread, predicting

_FLOAT64, _ROW_MAJOR, _NORMAL = 1, 1, 0
_ONE_THREAD = b"num_threads=1"
_VISITS = 50_000
"""From so many visits of a row to a tree on (2 ms or so), all cores answer, unless something is fitted in this process
(:mod:`penstock.types.turns`)."""
ROUNDS = 2000
"""Most trees; early stopping in cross-validation chooses fewer."""
PATIENCE = 50


def parameters_for(task: str, n_classes: int, parameters: Mapping[str, Any], seed: int, threads: int) -> dict[str, Any]:
    """Return LightGBM's own parameters: deterministic, whatever the number of threads."""
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task]
    made = {
        "objective": objective,
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "data_random_seed": seed,  # else rows from a file would have other bins than the same rows as an array
        "num_threads": threads,
        "max_cat_to_onehot": 8,
        "feature_pre_filter": False,
        **{key: value for key, value in parameters.items() if key != "rounds"},
    }
    if task == "multiclass":
        made["num_class"] = n_classes
    return made


def fit_trees(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model.

    Parameters
    ----------
    parameters : mapping
        LightGBM's own, and ``rounds``, the number of trees.
    """
    import lightgbm as lgb

    matrix, target, task, classes, categories = sample[:5]
    made = parameters_for(task, classes, parameters, seed, threads)
    if sample.monotone is not None:
        made["monotone_constraints"] = sample.monotone
    coded = [index for index, count in enumerate(categories) if count]
    dataset = lgb.Dataset(
        _rows_of(matrix) if isinstance(matrix, Stored) else matrix,
        target,
        weight=sample.weights,
        categorical_feature=coded,
        free_raw_data=False,
        params=made,
    )
    callbacks, valid = [], []
    if watch is not None:
        valid = [lgb.Dataset(watch.matrix, watch.target, reference=dataset, categorical_feature=coded, params=made)]
        callbacks = [lgb.early_stopping(PATIENCE, verbose=False)]
        if watch.seconds is not None:
            callbacks.append(_until(time.monotonic() + watch.seconds))
    rounds = int(parameters.get("rounds", ROUNDS))
    with one_thread():
        booster = lgb.train(made, dataset, num_boost_round=rounds, valid_sets=valid, callbacks=callbacks)
    best = booster.best_iteration if watch is not None and booster.best_iteration > 0 else rounds
    text = booster.model_to_string(num_iteration=best)
    # What follows the trees are the parameters, threads among them: they would make equal models differ.
    text = text.split("\nparameters:", 1)[0] + "\n"
    written = {"kind": "lightgbm", "task": task, "columns": matrix.shape[1], "classes": classes}
    return Fitted(written, {"trees.txt": text.encode()}, int(best), best / max(booster.current_iteration(), 1))


def _rows_of(matrix: Stored) -> Any:
    """Return what LightGBM takes its bins from, some rows at a time."""
    import lightgbm as lgb

    class Rows(lgb.Sequence):  # type: ignore[misc]
        batch_size = matrix.height

        def __getitem__(self, rows: Any) -> Matrix:
            return matrix[rows]

        def __len__(self) -> int:
            return len(matrix)

    return Rows()


def _until(end: float) -> Any:
    """Return a callback that stops boosting when its time is over."""

    def stop(state: Any) -> None:
        if time.monotonic() > end:
            from lightgbm.callback import EarlyStopException

            raise EarlyStopException(state.iteration, state.evaluation_result_list)

    stop.order = 40  # type: ignore[attr-defined]
    return stop


@cache
def _library() -> Any:
    spec = importlib.util.find_spec("lightgbm")
    folders = [Path(item) for item in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        for name in ("lib/lib_lightgbm.so", "lib/lib_lightgbm.dylib", "bin/lib_lightgbm.dll"):
            if (folder / name).is_file():
                library = ctypes.CDLL(str(folder / name))
                library.LGBM_GetLastError.restype = ctypes.c_char_p
                return library
    raise StoreError(
        "the model needs LightGBM's library, which is not installed. Install it with: pip install lightgbm"
    )


@cache
def _quick() -> Any:
    """The same library for calls of a few microseconds: letting other threads run meanwhile would cost more."""
    return ctypes.PyDLL(_library()._name)


def _checked(code: int) -> None:
    if code != 0:
        raise StoreError(f"LightGBM: {_library().LGBM_GetLastError().decode(errors='replace')}")


WORKING = False
"""Whether this process is one of several that keep all cores busy."""


class TreesPredictor:
    """Answers from LightGBM's C library; one row costs some ten microseconds."""

    def __init__(self, text: bytes, written: Mapping[str, Any]) -> None:
        self.task, self.columns = written["task"], int(written["columns"])
        self.classes = int(written["classes"]) if self.task == "multiclass" else 1
        self.single = bool(written.get("single"))  # fitted on numbers of single precision
        self._handle = ctypes.c_void_p()
        rounds = ctypes.c_int()
        _checked(
            _library().LGBM_BoosterLoadModelFromString(
                ctypes.c_char_p(text), ctypes.byref(rounds), ctypes.byref(self._handle)
            )
        )
        self._trees = rounds.value * self.classes
        self._row = (ctypes.c_double * max(self.columns, 1))()
        self._out = (ctypes.c_double * self.classes)()
        self._pack = struct.Struct(f"{self.columns}d").pack_into
        self._length = ctypes.c_int64()
        self._fast = ctypes.c_void_p()
        _checked(
            _library().LGBM_BoosterPredictForMatSingleRowFastInit(
                self._handle,
                _NORMAL,
                0,
                -1,
                _FLOAT64,
                self.columns,
                _ONE_THREAD,
                ctypes.byref(self._fast),
            )
        )
        self._call = _quick().LGBM_BoosterPredictForMatSingleRowFast
        self._arguments = (self._fast, self._row, ctypes.byref(self._length), self._out)

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        with np.errstate(over="ignore"):  # beyond single precision is infinite
            rows = np.ascontiguousarray(matrix.astype(np.float32) if self.single else matrix, dtype=np.float64)
        out = np.zeros(len(rows) * self.classes)
        length = ctypes.c_int64()
        if len(rows):
            with nullcontext(1) if WORKING else predicting(many=len(rows) * self._trees >= _VISITS) as threads:
                _checked(
                    _library().LGBM_BoosterPredictForMat(
                        self._handle, rows.ctypes.data_as(ctypes.c_void_p), _FLOAT64, len(rows), self.columns, _ROW_MAJOR,
                        _NORMAL, 0, -1, b"num_threads=%d" % threads, ctypes.byref(length), out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
                    )
                )  # fmt: skip
        if self.task == "regression":
            return out
        if self.task == "binary":
            return np.column_stack([1.0 - out, out])
        return out.reshape(len(rows), self.classes)

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        self._pack(self._row, 0, *(array("f", row) if self.single else row))
        if code := self._call(*self._arguments):
            _checked(code)
        if self.task == "binary":
            yes = self._out[0]
            return [1.0 - yes, yes]
        return self._out[0] if self.task == "regression" else list(self._out)

    def __del__(self) -> None:
        library = _library()
        if getattr(self, "_fast", None):
            library.LGBM_FastConfigFree(self._fast)
        if getattr(self, "_handle", None):
            library.LGBM_BoosterFree(self._handle)
