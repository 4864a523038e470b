"""A linear model of many categories: learnt from all cells of the design matrix, and from those that are not zero.

Made tables of 8,000 rows with Zipf-like categories and five numbers; three quarters are learnt from, one chooses the penalty. One thread.
Run: python benchmarks/many_categories.py
"""

from __future__ import annotations

import time

import numpy as np
from threadpoolctl import threadpool_limits

from penstock.train.learners import Sample, Watch, linear

ROWS, LEARNT, NUMBERS = 8_000, 6_000, 5


def table(classes: int, counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and numbers, and the class of each row."""
    random = np.random.default_rng(0)
    shares = [1 / np.arange(1, count + 1) for count in counts]
    codes = np.column_stack([random.choice(len(each), ROWS, p=each / each.sum()) for each in shares])
    scores = sum(random.normal(size=(count, classes))[codes[:, at]] for at, count in enumerate(counts))
    target = (scores + random.gumbel(size=(ROWS, classes))).argmax(1).astype(float)
    return np.column_stack([codes, random.normal(size=(ROWS, NUMBERS))]), target


def main() -> None:
    """Print the seconds of two fits each, by turns."""
    print("classes | design columns | cells | seconds")
    for classes, counts in ((5, [121, 241, 86, 40, 23, 200]), (2, [5_000, 5_000])):
        matrix, target = table(classes, counts)
        task = "multiclass" if classes > 2 else "binary"
        sample = Sample(matrix[:LEARNT], target[:LEARNT], task, classes, [*counts, *[0] * NUMBERS])
        for name, below in (("all", 0.0), ("not zero", 0.15)) * 2:
            linear._SPARSE = below
            began = time.perf_counter()
            linear.fit_linear(sample, {}, 0, Watch(matrix[LEARNT:], target[LEARNT:], None))
            took = time.perf_counter() - began
            print(classes, f"{sum(counts) + NUMBERS:,}", name, f"{took:.2f}", sep=" | ", flush=True)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
