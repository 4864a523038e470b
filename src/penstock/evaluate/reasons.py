"""Why one answer is what it is: Shapley values of the columns, by drawing orders in which they are told.

Strumbelj and Kononenko 2014 (doi:10.1007/s10115-013-0679-x): starting from a training row, the columns take the values of
the row that is asked about, one after the other in an order drawn by chance; what a column changes on the average is its
effect. Orders come in pairs, one the other turned round, which halves the noise (Mitchell et al. 2022, section 4.2).
Any learner can be asked, and the effects sum to the answer less the mean answer to the training rows drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BACKGROUND = 64
"""So many training rows stand for all."""
_ASKED, _LEAST_ORDERS, _MOST_ORDERS = 6_000, 8, 128


def effects_of(
    predict: Callable[[Array], Array], row: Array, background: Array, blocks: Sequence[slice], seed: int = 0
) -> tuple[float, Array]:
    """Return the mean answer, and what each column adds to it.

    Parameters
    ----------
    predict : callable
        From encoded rows, shape (n_rows, n_matrix_columns), to one number a row.
    row : array, shape (n_matrix_columns,)
        What is asked about.
    background : array, shape (n_background, n_matrix_columns)
        Training rows.
    blocks : sequence of slice
        Where each column stands in the matrix.

    Returns
    -------
    float
        The mean answer to the training rows drawn.
    array, shape (n_columns,)
        The effects; they sum to the answer less that mean.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> base, effects = effects_of(lambda x: x[:, 0] + 10 * x[:, 1], np.array([4.0, 5.0]), rows, [slice(0, 1), slice(1, 2)])
    >>> float(base), effects.tolist()
    (21.0, [3.0, 30.0])
    """
    count, random = len(blocks), np.random.default_rng(seed)
    orders = max(_LEAST_ORDERS, min(_MOST_ORDERS, _ASKED // (count + 1))) // 2 * 2
    starts = np.arange(orders) // 2 % len(background)
    asked = np.repeat(background[starts][:, None], count + 1, axis=1)
    told = np.empty((orders, count), dtype=np.int64)
    for number in range(orders):
        told[number] = random.permutation(count) if number % 2 == 0 else told[number - 1][::-1]
        for step, column in enumerate(told[number], 1):
            asked[number, step:, blocks[column]] = row[blocks[column]]
    answers = predict(asked.reshape(-1, len(row))).reshape(orders, count + 1)
    effects = np.zeros(count)
    np.add.at(effects, told.ravel(), np.diff(answers, axis=1).ravel())
    return float(answers[:, 0].mean()), effects / orders
