"""Fairness by group: the figures are those that one counts by hand."""

import numpy as np
import polars as pl
import pytest

from penstock.errors import PenstockError
from penstock.evaluate.fairness import fairness_of
from penstock.evaluate.gates import fairness_checks

GROUP = ["a"] * 100 + ["b"] * 100 + ["rare"] * 3
TRUTH = np.array([1] * 50 + [0] * 50 + [1] * 50 + [0] * 50 + [1, 0, 1])
SAID = np.array([1] * 40 + [0] * 10 + [1] * 10 + [0] * 40 + [1] * 20 + [0] * 30 + [1] * 5 + [0] * 45 + [0, 0, 0])
TABLE = pl.DataFrame({"group": GROUP})


@pytest.mark.parametrize("name", ["group", "count"])
def test_groups_are_counted_and_the_largest_difference_is_told(name):
    (found,) = fairness_of("binary", TABLE.rename({"group": name}), {name: 0.3}, TRUTH == 1, SAID == 1)
    assert [(g.value, g.rows, g.selected, g.true_positive, g.false_positive) for g in found.groups] == [
        ("a", 100, 0.5, 0.8, 0.2),
        ("b", 100, 0.25, 0.4, 0.1),
    ]
    assert (found.parity, found.odds) == (0.25, 0.4)
    assert fairness_checks([found]) == [
        (False, f"groups of {name} differ by 0.4 in true or false positives, more than the 0.3 allowed")
    ]


@pytest.mark.parametrize(
    ("task", "limits", "says"),
    [
        ("regression", {"group": 0.1}, "two classes"),
        ("binary", {"grup": 0.1}, "no column"),
        ("binary", {"one": 0.1}, "has 1 groups"),
    ],
)
def test_what_cannot_be_compared_is_refused(task, limits, says):
    with pytest.raises(PenstockError, match=says):
        fairness_of(task, TABLE.with_columns(one=pl.lit("x")), limits, TRUTH == 1, SAID == 1)
