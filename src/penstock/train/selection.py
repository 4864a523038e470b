"""Columns that help no more than noise does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.types.turns import one_thread

Array = npt.NDArray[Any]
_ROUNDS, _LEAST, _ROWS = 20, 8, 10_000


def useless_columns(
    matrix: Array, blocks: Sequence[tuple[str, slice]], target: Array, task: str, n_classes: int, seed: int
) -> list[str]:
    """Return the columns that in fewer than eight of twenty rounds gain more than the best shuffled copy of any column.

    The idea of Boruta (Kursa and Rudnicki 2010, doi:10.18637/jss.v036.i11), with gains of small boosted trees.

    Parameters
    ----------
    matrix : array, shape (n_rows, n_matrix_columns)
        Encoded training rows; of more than 10,000 a part is looked at.
    blocks : sequence of (str, slice)
        Columns, and where each stands in the matrix.
    """
    import lightgbm as lgb

    random = np.random.default_rng(seed)
    helped = dict.fromkeys((name for name, _ in blocks), 0)
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task]
    width = matrix.shape[1]
    for number in range(_ROUNDS):
        rows = random.permutation(len(matrix))[:_ROWS]
        real = matrix[rows]
        noise = np.column_stack([random.permutation(column) for column in real.T])
        options = {
            "objective": objective, "num_leaves": 15, "learning_rate": 0.2, "feature_fraction": 0.5, "min_data_in_leaf": 10,
            "num_threads": 1, "verbosity": -1, "seed": seed + number, "deterministic": True, "force_row_wise": True,
        }  # fmt: skip
        if task == "multiclass":
            options["num_class"] = n_classes
        data = lgb.Dataset(np.hstack([real, noise]), target[rows], free_raw_data=True)
        with one_thread():
            gain = lgb.train(options, data, 30).feature_importance("gain")
        best = max((gain[width + at.start : width + at.stop].sum() for _, at in blocks), default=0.0)
        for name, at in blocks:
            helped[name] += int(gain[at].sum() > best)
    return [name for name, times in helped.items() if times < _LEAST]
