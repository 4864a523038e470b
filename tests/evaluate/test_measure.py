"""Metrics on rows never seen, with their intervals."""

import numpy as np
import polars as pl
import pytest

from penstock.evaluate.measure import intervals, slices_of


def test_of_very_many_classes_what_passes_over_all_for_each_has_fewer_draws(monkeypatch):
    random = np.random.default_rng(0)
    target, predicted = random.integers(0, 4, 300), random.dirichlet(np.ones(4), 300)
    usual = intervals("multiclass", target, predicted, 0)
    monkeypatch.setattr("penstock.evaluate.measure._PASSED", 240)
    fewer = intervals("multiclass", target, predicted, 0)
    assert list(fewer) == list(usual)
    assert {name for name in usual if usual[name] != fewer[name]} == {"roc_auc_ovr"}
    found = fewer["roc_auc_ovr"]
    assert found.value == usual["roc_auc_ovr"].value
    assert found.low < found.value < found.high


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss"])
def test_a_group_of_one_row_of_a_class_is_not_ranked(metric):
    table = pl.DataFrame({"where": ["a"] * 60 + ["b"] * 60})
    target = np.zeros(120)
    target[[0, *range(60, 72)]] = 1.0
    yes = np.random.default_rng(0).random(120)
    found = slices_of(table, ["where"], metric, "binary", target, np.column_stack([1 - yes, yes]), 0)
    # Of one row drawn again and again the interval has no width, and any later figure would be surely worse.
    assert {item.value for item in found} == ({"a", "b"} if metric == "log_loss" else {"b"})
