"""What is told before labels come: answers that moved, rows that are unlike as wholes, expected errors, skew."""

import time

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.deploy.registry import Registry
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.monitor.options import drift
from penstock.store import open_store
from penstock.unlabelled import answers_since, skew_of, told_apart
from penstock.watch import judged_by, monitor

PIPELINE = """
import penstock as ps
pipeline = ps.Pipeline(
    "noise",
    ingest=ps.ingest.files("noise.csv"),
    target=ps.regression("y"),
    train=ps.train.search(trials=1, learners=["lightgbm"]),
)
"""


def noise(n, seed, *, low=0.0, together=False):
    """A number whose scatter grows with `x`; `u` is `v` or its negative, alike when seen alone."""
    random = np.random.default_rng(seed)
    x, v = random.uniform(low, 1, n), random.normal(0, 1, n)
    u = v + random.normal(0, 0.1, n) if not together else -v + random.normal(0, 0.1, n)
    y = 3 * x + random.normal(0, 1, n) * (0.1 + 2 * x) + 0.3 * v
    return pl.DataFrame({"x": x, "v": v, "u": u, "y": y})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    noise(8000, 1).write_csv(folder / "noise.csv")
    (folder / "noise.py").write_text(PIPELINE)
    from penstock.cli.common import load_pipeline

    store = open_store(folder / "s")
    load_pipeline(str(folder / "noise.py")).run(store).raise_for_status()
    yield store
    store.close()


def answered(store, table, change=lambda value: value):
    """Log answers to rows, as a service that changes them would."""
    model = ps.load("noise", "champion", store)
    rows = table.drop("y").to_dicts()
    log, now = PredictionLog(log_folder(store.folder, "noise")), time.time()
    log.append(
        [
            Record(f"{now}-{at}", now, model.version, row, change(answer.prediction))
            for at, (row, answer) in enumerate(zip(rows, model.answer(rows), strict=True))
        ]
    )
    log.close()
    return model


def test_nothing_that_stayed_is_an_alarm_and_the_service_answers_as_training_would(place):
    answered(place, noise(1500, 2))
    found = monitor("noise", place, drift("1500 rows"))
    assert found.status == "calm"
    assert not found.answers.drifted
    assert 0.4 < found.together.score < 0.6
    assert (found.skew.rows, found.skew.unlike) == (500, 0)


def test_columns_that_belong_together_no_longer_are_seen_by_no_column_alone(place):
    answered(place, noise(1500, 3, together=True))
    found = monitor("noise", place, drift("1500 rows"))
    assert not any(column.drifted for column in found.columns)
    assert found.together.apart
    assert {name for name, _ in found.together.columns} == {"u", "v"}
    assert found.status == "drift"


def test_the_error_of_numbers_is_foretold_where_rows_are_harder(place):
    table = noise(4000, 4, low=0.8)
    model = answered(place, table)
    found = monitor("noise", place, drift("4000 rows"))
    truth = float(np.sqrt(((model.predict(table) - table["y"].to_numpy()) ** 2).mean()))
    before = place_rmse(place)
    assert truth > 1.3 * before
    assert found.estimate == pytest.approx(truth, rel=0.12)
    assert found.answers.drifted


def place_rmse(store):
    return Registry(store, "noise").version("champion").evaluation["metrics"]["rmse"]["value"]


def test_a_service_that_answers_otherwise_than_training_is_found(place):
    records = []
    model = ps.load("noise", "champion", place)
    rows = noise(200, 5).drop("y").to_dicts()
    for at, (row, answer) in enumerate(zip(rows, model.answer(rows), strict=True)):
        records.append(Record(str(at), 0.0, 1, row, answer.prediction + (0.5 if at < 20 else 0.0)))
    found = skew_of(model, records)
    assert (found.rows, found.unlike) == (200, 20)
    assert found.largest == pytest.approx(0.5, rel=1e-6)
    assert skew_of(model, []) is None


def test_twenty_windows_of_the_same_world_raise_no_alarm(place):
    model, how = ps.load("noise", "champion", place), drift()
    outcomes = judged_by(place, Registry(place, "noise").version("champion"))["outcomes"]
    for seed in range(20):
        table = noise(300, 100 + seed)
        prepared = model.prepare(table.drop("y"))
        assert not told_apart(model, prepared, prepared.columns, outcomes, how).apart
        assert not answers_since(model, model.predict(table), outcomes, how).drifted


def test_rows_are_apart_where_they_are_further_from_training_than_test_rows_were(place):
    model, how = ps.load("noise", "champion", place), drift()
    kept = judged_by(place, Registry(place, "noise").version("champion"))["outcomes"]
    encode = model.manifest.encoding.matrix
    later = {**kept, "rows": encode(noise(2000, 40, low=0.5)).astype(np.float32)}

    def apart(table):
        return told_apart(model, model.prepare(table), table.columns, later, how)

    usual, unusual = apart(noise(2000, 41, low=0.8)), apart(noise(2000, 42, low=0.8, together=True))
    assert usual.score > 0.65 and not usual.apart
    assert unusual.score > usual.score + 0.1 and unusual.apart
    # So near to a perfect score too, as where a column goes missing.
    later = {**kept, "rows": encode(noise(2000, 43, low=0.97)).astype(np.float32)}
    missing = apart(noise(2000, 44, low=0.97).with_columns(v=pl.lit(None, pl.Float64)))
    assert missing.usual > 0.9 and missing.apart
