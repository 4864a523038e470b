"""Tables of many cells: models learn from all rows without holding them, and evenly spaced ones stand for the rest of the work."""

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.model import Model
from penstock.types import table
from tests.conftest import make_pipeline

ROWS = 3_000


@pytest.fixture
def rows(tmp_path):
    random = np.random.default_rng(0)
    made = pl.DataFrame({
        "size": random.normal(size=ROWS), "age": random.integers(0, 90, ROWS), "city": random.choice(["Oslo", "Rome", "Paris"], ROWS, p=[0.5, 0.3, 0.2]),
        "at": pl.Series(1_700_000_000_000_000 + np.arange(ROWS) * 3_600_000_000).cast(pl.Datetime("us")),
    })  # fmt: skip
    score = (
        made["size"].to_numpy()
        + made["age"].to_numpy() / 30
        - 1
        + 2 * (made["city"] == "Rome").to_numpy()
        + random.normal(size=ROWS)
    )
    made = made.with_columns(left=pl.Series(np.where(score > 1, "gone", "here")), price=pl.Series(score))
    for number in range(3):
        made[number * ROWS // 3 : (number + 1) * ROWS // 3].write_csv(tmp_path / f"customers{number}.csv")
    return made


def run(folder, store, **changes):
    opened = ps.open_store(folder / store)
    found = make_pipeline(folder, **{"features": [], **changes}).run(opened)
    found.raise_for_status()
    told = {name: found[name] for name in ("featured", "trained", "evaluated", "gated", "compared", "report")}
    opened.close()
    return told


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"target": ps.regression("price"), "split": ps.split.random(), "prepare": [ps.prepare.drop("left")]},
        {"ingest": "timed", "features": []},
    ],
    ids=["two classes", "a number", "by time"],
)
def test_a_model_of_many_rows_learns_from_all_of_them(tmp_path, rows, monkeypatch, changes):
    if changes.get("ingest") == "timed":
        changes = {**changes, "ingest": ps.ingest.files(str(tmp_path / "customers*.csv"), time="at")}
    changes = {
        "train": ps.train.search(trials=1, learners=["lightgbm"]),
        "prepare": [ps.prepare.drop("price")],
        **changes,
    }
    held = run(tmp_path, "held", **changes)
    monkeypatch.setattr(table, "LOOKED", ROWS)  # cells: each sixth row or so
    spaced = run(tmp_path, "spaced", **changes)
    assert spaced["trained"].files["trees.txt"] == held["trained"].files["trees.txt"]
    one, other = (each["evaluated"]["evaluation"] for each in (held, spaced))
    step = -(-one["rows"] * held["featured"].width // ROWS)
    assert other["rows"] == len(range(0, one["rows"], step)) < one["rows"]
    assert f"evenly spaced among {one['rows']:,} test rows" in spaced["report"].decode()
    assert "evenly spaced among" not in held["report"].decode()
    metric = one["metric"]
    assert other["metrics"][metric]["low"] < one["metrics"][metric]["value"] < other["metrics"][metric]["high"]
    assert spaced["gated"] is not None
    assert spaced["compared"]["equal"]


def test_columns_are_chosen_and_categories_have_means_by_rows_that_stand_for_all(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(table, "LOOKED", ROWS)
    changes = {
        "prepare": [ps.prepare.drop("price")],
        "features": [ps.features.categories("city"), ps.features.select(drop=["at"])],
        "train": ps.train.search(trials=1, learners=["lightgbm"]),
    }
    found = run(tmp_path, "means", **changes)
    encoding = Model(found["trained"]).manifest.encoding
    assert encoding.ignored == [("at", "left out by name")]
    assert encoding.kinds() == {"size": "number", "age": "number", "city": "category, target mean"}
    assert found["compared"]["equal"]
    assert found["evaluated"]["evaluation"]["metrics"]["roc_auc"]["value"] > 0.8
