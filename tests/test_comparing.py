"""Two tables compared; a champion's history drawn; metrics expected from probabilities."""

import json
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.retrospect import history, report
from tests.conftest import customers, make_pipeline


def test_files_of_any_kind_are_compared_and_reported(tmp_path):
    customers(3000, seed=1).write_csv(tmp_path / "then.csv")
    customers(800, seed=2, drifted=True).write_parquet(tmp_path / "now.parquet")
    command = [sys.executable, "-m", "penstock", "compare", str(tmp_path / "then.csv"), str(tmp_path / "now.parquet")]
    done = subprocess.run([*command, "-o", str(tmp_path / "drift.html"), "--json"], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert {item["name"] for item in found["columns"] if item["drifted"]} >= {"age", "city"}
    assert "paid" not in {item["name"] for item in found["columns"] if item["drifted"]}
    assert {"key", "birthday"} & {item["name"] for item in found["columns"]} == set()
    assert found["shift"]["score"] > 0.8
    page = (tmp_path / "drift.html").read_text()
    assert "Łódź" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    again = subprocess.run([*command[:-1], str(tmp_path / "then.csv")], capture_output=True, text=True)
    assert again.returncode == 0
    missing = subprocess.run([*command[:-1], "none.parquet"], capture_output=True, text=True)
    assert (missing.returncode, "there is no such file" in missing.stderr) == (2, True)


def test_the_same_text_in_two_encodings_is_the_same(tmp_path):
    text = pl.DataFrame({"größe": np.arange(600) % 7, "ort": ["Köln", "Ulm", "Gießen"] * 200}).write_csv(separator=";")
    (tmp_path / "then.csv").write_text(text, encoding="utf-8")
    for encoding in ("latin-1", "utf-16"):
        (tmp_path / "now.csv").write_text(text, encoding=encoding)
        found = ps.compare(tmp_path / "then.csv", tmp_path / "now.csv")
        assert (found.status, found.missing) == ("calm", [])
        assert {item.name: item.effect for item in found.columns} == {"größe": 0, "ort": 0}


def test_columns_that_come_and_go_are_told():
    table = customers(500)
    found = ps.compare(table, table.drop("age").with_columns(extra=pl.lit(1)))
    assert (found.missing, found.new, found.status) == (["age"], ["extra"], "calm")
    assert "column age is gone" in found.reasons
    assert "srcdoc" in found._repr_html_()


def test_rows_that_only_together_are_unlike_are_told_apart():
    random = np.random.default_rng(0)
    x, y = random.normal(size=4000), random.normal(size=4000)
    same = random.normal(size=4000)
    found = ps.compare(pl.DataFrame({"x": x, "y": y}), pl.DataFrame({"x": same, "y": same}))
    assert [item.name for item in found.columns if item.drifted] == []
    assert found.status == "drift"
    assert found.shift.score > 0.8


def test_odd_tables_are_compared_or_told():
    table = customers(300)
    assert ps.compare(table, table[:8]).status == "not enough data"
    assert ps.compare(table.lazy(), table.to_arrow()) == ps.compare(table, table)
    with pytest.raises(DataError, match="share no column"):
        ps.compare(table, pl.DataFrame({"else": [1]}))
    with pytest.raises(InputError, match="between 0 and 1"):
        ps.compare(table, table, effect=2)
    with pytest.raises(InputError, match="not in both"):
        ps.compare(table, table, columns=["moon"])
    empty = pl.DataFrame({"x": [None] * 200, "y": [1.0] * 200}, schema={"x": pl.Float64, "y": pl.Float64})
    assert ps.compare(empty, empty).status == "calm"
    filled = empty.with_columns(x=pl.lit(1.0))
    assert [item.name for item in ps.compare(empty, filled).columns if item.drifted] == ["x"]
    kinds = pl.DataFrame({"x": ["a", "b"] * 100}), pl.DataFrame({"x": [1.0, 2.0] * 100})
    assert ps.compare(*kinds).status == "drift"
    infinite = pl.DataFrame({"x": [float("inf"), float("nan"), 1.0, 2.0] * 100})
    assert ps.compare(infinite, infinite).status == "calm"


def test_the_verdict_is_that_of_the_shift_not_of_the_rows():
    random = np.random.default_rng(1)

    def verdict(move, rows):
        one, two = random.normal(0, 1, rows), random.normal(move, 1, rows)
        return ps.compare(pl.DataFrame({"x": one}), pl.DataFrame({"x": two})).status

    for move, status in ((0.5, "drift"), (0.1, "calm")):
        assert [verdict(move, rows) for rows in (1_000, 10_000, 300_000)] == [status] * 3


def test_a_champions_history_is_drawn_with_its_alarms(tmp_path, store):
    customers().write_csv(tmp_path / "customers.csv")
    make_pipeline(tmp_path).run(store).raise_for_status()
    model = ps.load("customers", store=store)
    log = PredictionLog(log_folder(store.folder, "customers"))
    for hour in range(10):
        table = customers(150, seed=50 + hour, drifted=hour >= 7).with_columns(pl.col("birthday").cast(pl.String))
        rows, at = table.drop("left").to_dicts(), time.time() - 3600 * (10 - hour)
        ids = [f"{log.process}-{hour}-{number}" for number in range(150)]
        log.append(
            [
                Record(i, at, 1, row, a.prediction, a.probabilities)
                for i, row, a in zip(ids, rows, model.answer(rows), strict=True)
            ]
        )
        log.append([Record(i, at, label=label) for i, label in zip(ids, table["left"].to_list(), strict=True)])
    log.close()
    moments, metric = history("customers", store)
    assert metric == "roc_auc"
    assert sum(moment.rows for moment in moments) == 1500
    # Fifteen parts of a hundred rows: the world changes after 1,050.
    assert [moment.drifted for moment in moments][:10] == [False] * 10
    assert [moment.drifted for moment in moments][11:] == [True] * 4
    assert all(0.5 < moment.value <= 1 for moment in moments)
    assert all(0.5 < moment.estimate <= 1 for moment in moments)
    page = report("customers", store, ps.monitor.drift("300 rows"))
    assert "moves the answers by" in page
    assert "as it is expected without labels" in page
    command = [
        sys.executable,
        "-m",
        "penstock",
        "monitor",
        "customers",
        "--store",
        str(store.folder),
        "-o",
        str(tmp_path / "r.html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "largest effect  ▁" in done.stdout
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_nested_columns_and_bytes_are_compared_too(tmp_path):
    random = np.random.default_rng(0)
    sizes = random.normal(size=400)
    table = pl.DataFrame(
        {
            "size": [{"of": {"box": value}} for value in sizes],
            "raw": [b"a", b"b"] * 200,
            "tags": [["x"], ["y", "z"]] * 200,
        }
    )
    table.write_parquet(tmp_path / "one.parquet")
    moved = table.with_columns(size=pl.Series([{"of": {"box": value + 1}} for value in sizes]))
    assert ps.compare(tmp_path / "one.parquet", tmp_path / "one.parquet").status == "calm"
    found = ps.compare(tmp_path / "one.parquet", moved)
    assert [item.name for item in found.columns if item.drifted] == ["size.of.box"]
    assert {item.name for item in found.columns} >= {"raw", "tags"}
