"""New rows at a source are told from none, also where it must be read to know."""

import contextlib
import datetime as dt
import sqlite3

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

import penstock as ps
from penstock.arrivals import Arrivals
from penstock.cli.common import load_pipeline
from penstock.deploy.registry import Registry
from penstock.engine.history import past_runs
from penstock.monitor.decisions import decisions_of
from penstock.store import open_store
from penstock.store.schema import runs, steps
from penstock.upkeep import Watcher


@pytest.fixture
def place(tmp_path, request):
    """A pipeline that learnt from a database of which nothing tells whether it changed, and a way to change it."""
    sqlite3.connect(tmp_path / "shop.db").executescript("create table orders (x real, y real);" + rows(40))
    pipeline = ps.Pipeline(
        "orders",
        ingest=ps.ingest.database(f"sqlite:///{tmp_path}/shop.db", table="orders"),
        target=ps.regression("y"),
        train=ps.train.search(trials=1, learners=["linear"]),
        evaluate=ps.evaluate.gate(beat_baseline=False),
        file=str(tmp_path / "p.py"),
    )
    store = open_store(tmp_path / "s")
    run = pipeline.run(store)
    run.raise_for_status()

    def change(script):
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.executescript(script)

    yield pipeline, store, run.run, change
    store.close()


def rows(n, start=0):
    return "".join(f"insert into orders values ({at}, {2 * at + at % 3});" for at in range(start, start + n))


def test_rows_that_were_learnt_from_are_no_new_ones_and_others_are(place):
    pipeline, store, learnt, change = place
    source = Arrivals(pipeline, store)
    assert not source.new(learnt)
    change(rows(5, 40))
    assert source.new(learnt)
    assert source.new(learnt)  # until they are learnt from
    assert not source.new(pipeline.run(store).run)


def test_where_the_run_was_cleaned_away_all_rows_are_new(place):
    pipeline, store, learnt, _ = place
    with store.catalog.begin() as connection:
        connection.execute(sa.delete(steps).where(steps.c.run == learnt))
        connection.execute(sa.delete(runs).where(runs.c.id == learnt))
    assert Arrivals(pipeline, store).new(learnt)


def test_a_source_is_read_to_know_once_in_a_while(place):
    pipeline, store, learnt, change = place
    source, before = Arrivals(pipeline, store, 3600.0), len(past_runs(store))
    assert not source.new(learnt)
    change(rows(5, 40))
    assert not source.new(learnt)
    assert len(past_runs(store)) == before + 1
    assert Arrivals(pipeline, store, 3600.0).new(learnt)


def test_a_source_that_cannot_be_read_is_told_once(place):
    pipeline, store, learnt, change = place
    heard = []
    source = Arrivals(pipeline, store, 0.0, heard.append)
    change("alter table orders rename to away;")
    assert not source.new(learnt)
    assert not source.new(learnt)
    (said,) = heard
    assert "the source cannot be read" in said and "orders" in said
    change("alter table away rename to orders;" + rows(5, 40))
    assert source.new(learnt)


def hours(first, count, shift=0.0, slope=2.0):
    """Rows an hour apart, the answer of which follows a number and the mean of the day before."""
    random = np.random.default_rng(first)
    x = random.normal(size=count) + shift
    return pl.DataFrame({
        "at": [dt.datetime(2026, 1, 1) + dt.timedelta(hours=first + number) for number in range(count)],
        "x": x, "y": slope * x + random.normal(size=count) * 0.3,
    })  # fmt: skip


def test_where_no_service_is_asked_the_rows_that_came_since_are_judged_and_learnt(tmp_path):
    (tmp_path / "p.py").write_text(
        "import polars as pl\nimport penstock as ps\n"
        f"pipeline = ps.Pipeline('hours', ingest=ps.ingest.files({str(tmp_path / '*.csv')!r}, time='at'),\n"
        "    features=[ps.features.window(over='1d', mean_x=pl.col('x').mean())], target=ps.regression('y'),\n"
        "    train=ps.train.search(trials=1, learners=['linear']),\n"
        "    monitor=ps.monitor.drift('600 rows', retrain=ps.monitor.retrain(on=['drift'], cool_down=0)))\n"
    )
    (tmp_path / "q.py").write_text((tmp_path / "p.py").read_text().replace("mean_x=", "mean="))
    hours(0, 900).write_csv(tmp_path / "a.csv")
    pipeline = load_pipeline(str(tmp_path / "p.py"))
    with contextlib.closing(open_store(tmp_path / "s")) as store:
        pipeline.run(store).raise_for_status()
        watcher = Watcher(store, pipeline, str(tmp_path / "p.py"))
        assert watcher.look().window.rows == 0
        hours(900, 300).write_csv(tmp_path / "b.csv")
        calm = watcher.look()
        assert (calm.status, calm.window.rows, calm.performance.decayed) == ("calm", 300, False)
        assert len(past_runs(store)) == 2
        assert watcher.look() is calm  # nothing came: nothing is read or judged again
        hours(1200, 50).write_csv(tmp_path / "c.csv")
        assert watcher.look() is calm  # too little of it is new
        assert not decisions_of(store, "hours")
        champion = Registry(store, "hours").champion()
        for window, looked_at in (("5d", 120), ("150 rows", 150), ("1h", 350)):  # so few rows would not be judged
            found = Arrivals(pipeline, store).unlearnt(champion, ps.monitor.drift(window))
            assert (found.rows, len(found.known.rows)) == (looked_at, looked_at)
        other = load_pipeline(str(tmp_path / "p.py").replace("p.py", "q.py"))
        heard = []
        assert Watcher(store, other, str(tmp_path / "q.py"), heard.append).look().window.rows == 0
        assert heard == ["v1 has learnt from mean_x, which hours no longer makes"]
        hours(1250, 900, shift=0.5, slope=5.0).write_csv(tmp_path / "d.csv")
        worse = watcher.look()
        assert (worse.status, worse.window.rows, worse.performance.decayed) == ("drift", 600, True)
        assert [item.what for item in reversed(decisions_of(store, "hours"))] == ["alarm", "retrain", "promote"]
        assert Registry(store, "hours").champion().version == 2
        assert watcher.look().window.rows == 0
        assert decisions_of(store, "hours")[0].what == "calm"
