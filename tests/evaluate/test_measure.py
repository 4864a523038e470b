"""Metrics on rows never seen, with their intervals."""

import numpy as np

from penstock.evaluate.measure import intervals


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
