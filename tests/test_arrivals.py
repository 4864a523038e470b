"""New rows at a source are told from none, also where it must be read to know."""

import sqlite3

import pytest
import sqlalchemy as sa

import penstock as ps
from penstock.arrivals import Arrivals
from penstock.engine.history import past_runs
from penstock.store import open_store
from penstock.store.schema import runs, steps


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
