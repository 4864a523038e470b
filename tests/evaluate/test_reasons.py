"""Shapley values: exact where they can be worked out, and always summing to the answer."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.evaluate.reasons import effects_of

BLOCKS = [slice(0, 1), slice(1, 3), slice(3, 4)]


def curved(matrix):
    return matrix[:, 0] * matrix[:, 1] + np.sin(matrix[:, 2]) * matrix[:, 3] + matrix[:, 3] ** 2


def exact(row, background):
    """Shapley values by their definition: over all sets of columns."""
    count, found = len(BLOCKS), np.zeros(len(BLOCKS))

    def worth(columns):
        mixed = background.copy()
        for column in columns:
            mixed[:, BLOCKS[column]] = row[BLOCKS[column]]
        return curved(mixed).mean()

    for column in range(count):
        others = [item for item in range(count) if item != column]
        for size in range(count):
            for subset in itertools.combinations(others, size):
                share = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
                found[column] += share * (worth([*subset, column]) - worth(subset))
    return found


def test_drawn_values_are_near_the_exact_ones():
    random = np.random.default_rng(0)
    background = random.normal(size=(64, 4))
    row = np.array([2.0, -1.0, 0.5, 1.5])
    apart = [
        np.abs(effects_of(curved, row, background, BLOCKS, seed)[1] - exact(row, background)) for seed in range(10)
    ]
    assert np.mean(apart) < 0.1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_effects_sum_to_the_answer(seed, columns):
    random = np.random.default_rng(seed)
    background, row = random.normal(size=(20, columns)), random.normal(size=columns)
    weights = random.normal(size=columns)

    def predict(matrix):
        return np.tanh(matrix @ weights)

    base, effects = effects_of(predict, row, background, [slice(i, i + 1) for i in range(columns)], seed)
    assert (
        base + effects.sum() == np.float64(predict(row[None])[0])
        or abs(base + effects.sum() - predict(row[None])[0]) < 1e-9
    )


def test_a_column_that_does_nothing_has_no_effect():
    background = np.random.default_rng(0).normal(size=(10, 2))
    _, effects = effects_of(lambda x: x[:, 0] ** 3, np.array([1.0, 9.0]), background, [slice(0, 1), slice(1, 2)])
    assert effects[1] == 0
