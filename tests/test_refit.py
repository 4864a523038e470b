"""The model that answers learns from all rows; the one that is judged had not seen those that judge."""

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

import penstock as ps
from penstock.copying import copy_model
from penstock.deploy.registry import Registry
from penstock.engine.cleanup import clean
from penstock.engine.execute import read_bytes
from penstock.engine.step import Partitions
from penstock.flow.tables import undivided
from penstock.model import Model
from penstock.store import open_store
from penstock.store.formats import decode
from penstock.store.schema import runs, steps
from penstock.types.writing import figure


def write(folder, n=400, seed=0):
    """Rows by day; what is asked for follows a column in which each level stands once."""
    random = np.random.default_rng(seed)
    size = random.normal(size=n)
    table = pl.DataFrame({"size": size, "level": np.arange(n) % 40, "y": 3 * size + random.normal(size=n)})
    table.write_csv(folder / "rows.csv")
    return table


def pipeline(folder, **search):
    return ps.Pipeline(
        "orders",
        ingest=ps.ingest.files(str(folder / "rows.csv")),
        target=ps.regression("y"),
        train=ps.train.search(trials=1, learners=["linear"], **search),
        split=ps.split.random(),
        file=str(folder / "p.py"),
    )


def rows_of(model):
    return max(column.rows for column in model.manifest.profile.columns)


@pytest.fixture
def place(tmp_path):
    write(tmp_path)
    store = open_store(tmp_path / "s")
    yield tmp_path, store
    store.close()


def test_what_answers_has_learnt_from_all_rows_and_what_was_judged_has_not(place):
    folder, store = place
    run = pipeline(folder).run(store)
    run.raise_for_status()
    answers, judged = ps.load("orders", store=store), Model(run["trained"])
    assert (rows_of(judged), rows_of(answers)) == (400 - run["divided"]["test"].sum(), 400)
    assert run.model.digest == answers.digest != run.model.judged
    test = run["featured"].filter(pl.Series(run["divided"]["test"]))
    said = judged.predict_prepared(test)
    rmse = float(np.sqrt(np.mean((said - test["y"].to_numpy()) ** 2)))
    assert run.metrics["rmse"].value == pytest.approx(rmse)
    assert not np.array_equal(said, answers.predict_prepared(test))
    assert all(b"had not seen them" in run[page] for page in ("report", "card"))


def test_without_it_the_model_that_was_judged_answers(place):
    folder, store = place
    run = pipeline(folder, refit=False).run(store)
    assert run.model.digest == run.model.judged
    assert rows_of(ps.load("orders", store=store)) == 400 - run["divided"]["test"].sum() < 400
    assert not any(b"had not seen them" in run[page] for page in ("report", "card"))


def test_a_challenger_is_held_against_the_champion_that_had_not_seen_the_rows(place):
    folder, store = place
    first = pipeline(folder).run(store)
    write(folder, 440)
    other = pipeline(folder).run(store)
    Registry(store, "orders").promote(1, "for the test")
    clean(store, keep=1)  # the run of the champion goes; what it was judged by stays
    write(folder, 480)
    third = pipeline(folder).run(store)
    assert len({first.model.judged, other.model.judged, third.model.judged}) == 3
    assert any("than the champion's" in reason for reason in third.gate.reasons)
    judged = Model(decode("bundle", read_bytes(store, first.model.judged)))
    test = third["featured"].filter(pl.Series(third["divided"]["test"]))
    error = judged.predict_prepared(test) - test["y"].to_numpy()
    assert f"the champion's {figure(float(np.sqrt(np.mean(error**2))))}" in str(third.gate.reasons)


def test_a_copy_in_another_store_can_be_compared_with(place, tmp_path):
    folder, store = place
    run = pipeline(folder).run(store)
    with store.catalog.begin() as connection:  # as in a store that itself got a copy, without the run
        connection.execute(sa.delete(steps).where(steps.c.run == run.run))
        connection.execute(sa.delete(runs).where(runs.c.id == run.run))
    write(folder, 440)
    with_copy = open_store(tmp_path / "other")
    made = copy_model(store, with_copy, "orders", "champion", promote=True)
    assert made.version.judged == run.model.judged
    later = pipeline(folder).run(with_copy)
    later.raise_for_status()
    assert any("than the champion's" in reason for reason in later.gate.reasons)
    with_copy.close()


def test_test_rows_count_as_the_newest_ones_where_rows_fade():
    divided = {
        "test": np.array([False, False, True, True]),
        "kept": np.array([False, True, True, True]),
        "weights": np.array([0.0, 0.5, 0.0, 0.0]),
    }
    found = undivided(Partitions(divided), trained=None)
    assert found["test"].tolist() == [False] * 4
    assert found["kept"].tolist() == [False, True, True, True]
    assert found["weights"].tolist() == [0.0, 0.5, 0.5, 0.5]
    assert divided["test"].any()


def test_a_given_estimator_is_fitted_again_too(place):
    from sklearn.linear_model import Ridge

    folder, store = place
    found = []
    for refit in (True, False):
        made = ps.Pipeline(
            "given",
            ingest=ps.ingest.files(str(folder / "rows.csv")),
            target=ps.regression("y"),
            train=ps.train.estimator(Ridge(), refit=refit),
            split=ps.split.random(),
            file=str(folder / "p.py"),
        )
        found.append(rows_of(ps.load("given", made.run(store).model.version, store)))
    assert found[1] < found[0] == 400
