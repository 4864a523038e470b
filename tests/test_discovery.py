"""Features are proposed where the past says something, and not where it does not."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.discovery import discover
from penstock.errors import InputError
from penstock.store.store import open_store
from tests.cli.test_commands import call, call_json

START = dt.datetime(2024, 1, 1)


def write_payments(folder, n=1500, *, telling=True):
    """A payment is late when the customer's visits of the last week were long; or by chance alone."""
    random = np.random.default_rng(0)
    who = random.integers(0, 30, n)
    hour = np.sort(random.integers(24 * 20, 24 * 365, n))
    visit_who = random.integers(0, 30, 20 * n // 2)
    visit_hour = random.integers(0, 24 * 365, 20 * n // 2)
    mood = random.normal(0, 1, (30, 53))
    length = 10 + 4 * mood[visit_who, visit_hour // 168] + random.normal(0, 1, len(visit_who))
    score = mood[who, np.maximum(hour // 168 - (hour % 168 < 84), 0)] if telling else random.normal(0, 1, n)
    late = score + random.normal(0, 0.4, n) > 0
    pl.DataFrame({
        "who": [f"c{item}" for item in who], "at": [(START + dt.timedelta(hours=int(h))).isoformat() for h in hour],
        "amount": random.gamma(2, 20, n).round(2), "late": np.where(late, "yes", "no"),
    }).write_csv(folder / "payments.csv")  # fmt: skip
    pl.DataFrame({
        "who": [f"c{item}" for item in visit_who], "when": [(START + dt.timedelta(hours=int(h))).isoformat() for h in visit_hour],
        "minutes": length.round(3),
    }).write_csv(folder / "visits.csv")  # fmt: skip


PIPELINE = """
import polars as pl
import penstock as ps

pipeline = ps.Pipeline(
    "payments",
    ingest={"payments": ps.ingest.files("payments.csv", time="at"), "visits": ps.ingest.files("visits.csv", time="when")},
    target=ps.binary("late"),
    features=[FEATURES],
    train=ps.train.search(trials=1, folds=2),
    evaluate=ps.evaluate.gate(beat_baseline=False),
)
"""


def test_what_helps_is_proposed_as_code_that_runs_and_helps(tmp_path):
    write_payments(tmp_path)
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace("FEATURES", ""))
    found = call_json("discover", "pipeline.py", folder=tmp_path)
    assert found["after"] > found["before"] + 0.1
    assert any("visits_mean_minutes_who_" in name for item in found["proposals"] for name in item["names"])
    plain = call_json("run", "pipeline.py", folder=tmp_path)
    code = ",".join(item["code"] for item in found["proposals"])
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace("FEATURES", code))
    better = call_json("run", "pipeline.py", folder=tmp_path, code=0)
    assert better["metrics"]["roc_auc"]["low"] > plain["metrics"]["roc_auc"]["high"]


def test_where_the_past_says_nothing_nothing_is_proposed(tmp_path):
    write_payments(tmp_path, telling=False)
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace("FEATURES", ""))
    assert "none is surely better than roc_auc" in call("discover", "pipeline.py", folder=tmp_path).stdout


def test_the_targets_own_past_is_tried_only_when_its_delay_is_known(tmp_path):
    write_payments(tmp_path, n=400)
    store = open_store(tmp_path / "s")
    pipeline = ps.Pipeline(
        "one",
        ingest=ps.ingest.files(str(tmp_path / "payments.csv"), time="at"),
        target=ps.binary("late"),
        file=str(tmp_path / "p.py"),
    )
    without, given = discover(pipeline, store), discover(pipeline, store, "1d")
    assert given.tried > without.tried
    store.close()


def test_without_times_there_is_no_past(tmp_path):
    write_payments(tmp_path, n=50)
    store = open_store(tmp_path / "s")
    pipeline = ps.Pipeline(
        "one",
        ingest=ps.ingest.files(str(tmp_path / "payments.csv")),
        target=ps.binary("late"),
        file=str(tmp_path / "p.py"),
    )
    with pytest.raises(InputError, match="say it with time="):
        discover(pipeline, store)
    store.close()
