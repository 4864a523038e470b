"""What labels show: a group that is worse while all together holds, and probabilities that no longer hold."""

import time
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.observed import Known
from penstock.performance import calibration_of
from penstock.retrospect import report
from penstock.store import open_store
from penstock.watch import monitor
from tests.conftest import customers, make_pipeline


@pytest.fixture
def place(tmp_path):
    customers(2000).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path).run(store).raise_for_status()
    yield store
    store.close()


def answered(store, truth, n=2000, seed=5):
    """Answer rows of the same world; `truth` says what became of them."""
    model = ps.load("customers", "champion", store)
    table = customers(n, seed=seed).with_columns(pl.col("birthday").cast(pl.String))
    rows, labels = table.drop("left").to_dicts(), table.with_columns(left=truth)["left"].to_list()
    log, now = PredictionLog(log_folder(store.folder, "customers")), time.time()
    ids = [f"r{at}" for at in range(n)]
    answers = model.answer(rows)
    log.append(
        [
            Record(i, now, model.version, row, a.prediction, a.probabilities)
            for i, row, a in zip(ids, rows, answers, strict=True)
        ]
    )
    log.append([Record(i, now, label=label) for i, label in zip(ids, labels, strict=True)])
    log.close()


def test_as_long_as_nothing_changes_no_group_is_worse_and_probabilities_hold(place):
    answered(place, pl.col("left"))
    found = monitor("customers", place)
    assert {item.column for item in found.groups} >= {"city"}
    assert not any(item.worse for item in found.groups)
    assert not found.calibration.off
    assert found.status == "calm"


def test_one_city_in_which_the_model_only_guesses_is_named(place):
    city = customers(2000, seed=5)["city"].value_counts().sort("count").row(-1)[0]
    shuffled = pl.col("left").shuffle(seed=1)
    answered(place, pl.when(pl.col("city") == city).then(shuffled).otherwise(pl.col("left")))
    found = monitor("customers", place)
    assert (found.groups[0].group, found.groups[0].worse) == (city, True)
    assert found.status == "drift"
    assert f"city {city}" in " ".join(found.labels_in_words())
    assert f"city {city}" in report("customers", place, found=found)
    assert found.as_json()["groups"][0]["worse"] is True


def test_a_class_that_comes_more_often_than_is_said_is_told(place):
    more = pl.int_range(pl.len()) % 5 == 0
    answered(place, pl.when(more).then(pl.lit("gone")).otherwise(pl.col("left")))
    found = monitor("customers", place)
    assert found.calibration.off
    assert found.calibration.seen - found.calibration.said > 0.05 or found.calibration.label != "gone"
    assert "probabilities say" in " ".join(found.labels_in_words())


def test_a_gap_that_has_closed_since_training_is_no_harm():
    then, now = np.tile([0.5, 0.5], (1000, 1)), np.tile([0.7, 0.3], (1000, 1))
    target = np.arange(1000) % 10 < 3  # three rows in ten are of the second class
    model = SimpleNamespace(labels=SimpleNamespace(names=["a", "b"]))
    closed = calibration_of(model, Known(np.arange(1000), target * 1.0, now), target * 1.0, then, 0.01, 0.1)
    assert (closed.off, closed.p_value < 1e-6) == (False, True)
    opened = calibration_of(model, Known(np.arange(1000), target * 1.0, then), target * 1.0, now, 0.01, 0.1)
    assert opened.off


def test_of_few_labels_nothing_is_said(place):
    answered(place, pl.col("left"), n=20)
    found = monitor("customers", place)
    assert (found.groups, found.calibration) == ([], None)
