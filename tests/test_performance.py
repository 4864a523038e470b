"""What labels show: a group that is worse while all together holds, and probabilities that no longer hold."""

import time
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.observed import Known
from penstock.performance import calibration_of, performance_of
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


def test_a_city_in_which_one_row_alone_is_of_a_class_is_not_ranked(place):
    table = customers(2000, seed=5)
    city = table["city"].value_counts().sort("count").row(-1)[0]
    first = table.with_row_index().filter((pl.col("city") == city) & (pl.col("left") == "gone"))["index"][0]
    others = (pl.col("city") == city) & (pl.int_range(pl.len()) != first)
    answered(place, pl.when(others).then(pl.lit("here")).otherwise(pl.col("left")))
    found = monitor("customers", place)
    assert (found.performance.metric, "city" in {item.column for item in found.groups}) == ("roc_auc", True)
    assert city not in {item.group for item in found.groups}


def test_a_class_that_comes_more_often_than_is_said_is_told(place):
    more = pl.int_range(pl.len()) % 5 == 0
    answered(place, pl.when(more).then(pl.lit("gone")).otherwise(pl.col("left")))
    found = monitor("customers", place)
    assert found.calibration.off
    assert found.calibration.seen - found.calibration.said > 0.05 or found.calibration.label != "gone"
    assert "probabilities say" in " ".join(found.labels_in_words())


def judged(target, predicted, **more):
    return {"target": target * 1.0, "predicted": predicted, **more}


def test_a_day_of_storm_is_no_decay_where_test_rows_had_such_days():
    random = np.random.default_rng(0)
    spread = np.repeat([1.0, 1.0, 1.0, 1.0, 3.0] * 4, 200)  # twenty days, every fifth one of storm
    errors, order = random.normal(0, spread), random.permutation(4000)
    shuffled = np.empty(4000)
    shuffled[order] = errors
    model = SimpleNamespace(task="regression", labels=SimpleNamespace(threshold=0.5))
    whole = float(np.sqrt(np.mean(errors**2)))
    version = SimpleNamespace(
        evaluation={"metric": "rmse", "metrics": {"rmse": {"value": whole, "low": whole - 0.1, "high": whole + 0.1}}}
    )

    def decayed(spread, **more):
        known = Known(np.arange(200), random.normal(0, spread, 200), np.zeros(200))
        return performance_of(model, version, known, judged(shuffled, np.zeros(4000), **more)).decayed

    assert decayed(2.7)  # nothing tells which rows came together
    assert not decayed(2.7, order=order)
    assert decayed(6.0, order=order)


def test_probabilities_that_are_off_for_days_on_end_were_so_at_training_too():
    random = np.random.default_rng(0)
    share = np.repeat([0.2, 0.2, 0.6, 0.2, 0.2, 0.2, 0.6, 0.2], 500)
    said = np.tile([0.7, 0.3], (4000, 1))
    came = random.random(4000) < share
    model = SimpleNamespace(labels=SimpleNamespace(names=["a", "b"]))
    known = Known(np.arange(500), (random.random(500) < 0.55) * 1.0, said[:500])
    assert calibration_of(model, known, judged(came, said), 0.01, 0.1).off
    assert not calibration_of(model, known, judged(came, said, order=np.arange(4000)), 0.01, 0.1).off


def test_a_gap_that_has_closed_since_training_is_no_harm():
    then, now = np.tile([0.5, 0.5], (1000, 1)), np.tile([0.7, 0.3], (1000, 1))
    target = np.arange(1000) % 10 < 3  # three rows in ten are of the second class
    model = SimpleNamespace(labels=SimpleNamespace(names=["a", "b"]))
    closed = calibration_of(model, Known(np.arange(1000), target * 1.0, now), judged(target, then), 0.01, 0.1)
    assert (closed.off, closed.p_value < 1e-6) == (False, True)
    opened = calibration_of(model, Known(np.arange(1000), target * 1.0, then), judged(target, now), 0.01, 0.1)
    assert opened.off


def test_of_few_labels_nothing_is_said(place):
    answered(place, pl.col("left"), n=20)
    found = monitor("customers", place)
    assert (found.groups, found.calibration) == ([], None)
