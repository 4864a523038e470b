"""How much of the past is learnt from: all of it, unless the newest rows say surely that less is better."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.errors import InputError
from penstock.train.window import Window, choose_window, given_window


class _Plain:
    def matrix(self, table):
        return table.to_numpy()


def _chosen(weights, seed=0):
    """Let the row's class follow from its columns by weights that may change over time; one row a minute."""
    random, rows = np.random.default_rng(seed), len(weights)
    values = random.normal(size=(rows, 3))
    codes = ((values * weights).sum(axis=1) + 0.5 * random.normal(size=rows) > 0).astype(float)
    table = pl.DataFrame(values, schema=["a", "b", "c"])
    at = 60.0 * np.arange(rows)
    fit = lambda some, _: (_Plain(), some.to_numpy())  # noqa: E731
    return choose_window(table, codes, at, 60.0 * rows / 10, 0.0, fit, 2, 0)


def test_a_world_that_stays_is_learnt_from_whole():
    assert [_chosen(np.tile([1.0, -1.0, 0.5], (4000, 1)), seed).kind for seed in range(5)] == ["all"] * 5


def test_after_a_jump_only_the_rows_since_count():
    weights = np.tile([1.0, -1.0, 0.5], (6000, 1))
    weights[:3600] *= -1
    chosen = _chosen(weights)
    assert chosen.kind in ("recent", "fading")
    assert chosen.seconds <= 60 * (5400 - 3600)
    assert chosen.tried["all"] > min(chosen.tried.values())
    assert "of all" in chosen.text


def test_few_rows_choose_nothing():
    assert _chosen(np.tile([1.0, -1.0, 0.5], (300, 1))) == Window(text="all training rows: too few to choose")


def test_many_classes_choose_nothing_for_each_asks_for_trees_of_its_own():
    rows, classes = 4000, 40
    table = pl.DataFrame({"a": np.arange(rows, dtype=float)})
    codes, at = np.arange(rows) % classes, 60.0 * np.arange(rows)
    chosen = choose_window(table, codes, at, 6000.0, 0.0, lambda *_: pytest.fail("learnt"), classes, 0)
    assert chosen == Window(text="all training rows: too many classes to choose")


def test_of_one_moment_there_is_nothing_to_choose():
    at = np.repeat([0.0, 3600.0], 600)
    codes, table = np.arange(1200) % 2, pl.DataFrame({"x": np.arange(1200.0)})
    chosen = choose_window(table, codes, at, 0.0, 0.0, lambda *_: pytest.fail("learnt"), 2, 0)
    assert (chosen.kind, chosen.text) == ("all", "all training rows: those to choose from are of one moment")


def test_weights_of_a_window():
    at = np.array([0.0, 5.0, 10.0])
    assert Window().weights(at).tolist() == [1, 1, 1]
    assert Window("recent", 5.0).weights(at).tolist() == [0, 1, 1]
    assert Window("fading", 5.0).weights(at).tolist() == [0.25, 0.5, 1]
    assert given_window("2m").seconds == 120


def test_a_window_that_cannot_be_read_is_refused_at_once():
    with pytest.raises(InputError, match="ninety"):
        ps.train.search(window="ninety days")


def _turning(rows, turn):
    random = np.random.default_rng(0)
    a, b = random.normal(size=rows), random.normal(size=rows)
    sign = np.where(np.arange(rows) < turn, -1, 1)
    return pl.DataFrame({
        "at": [dt.datetime(2024, 1, 1) + dt.timedelta(hours=hour) for hour in range(rows)],
        "a": a, "b": b, "y": np.where(sign * (a - b) + 0.3 * random.normal(size=rows) > 0, "up", "down"),
    })  # fmt: skip


def test_a_pipeline_split_by_time_learns_from_what_answers_the_newest_rows(tmp_path):
    _turning(3000, 1500).write_csv(tmp_path / "rows.csv")

    def run(window):
        pipeline = ps.Pipeline(
            "turning", ingest=ps.ingest.files(str(tmp_path / "rows.csv"), time="at"), target=ps.binary("y", positive="up"),
            train=ps.train.search(budget="20s", trials=2, learners=["linear", "lightgbm"], window=window),
            evaluate=ps.evaluate.gate(min_gain=-1), file=str(tmp_path / "turning.py"),
        )  # fmt: skip
        return pipeline.run(tmp_path / f"s {window}")

    auto, whole = run("auto"), run("all")
    assert auto.metrics["roc_auc"].value > whole.metrics["roc_auc"].value + 0.1
    assert "learnt from" in Path(auto.report).read_text()
