"""The line through all seven stages, on a messy table."""

import json
import linecache
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import penstock as ps
from penstock.engine.history import diff_runs
from penstock.errors import InputError
from penstock.model import Model
from penstock.outcome import load
from penstock.reproduce import reproduce_run
from penstock.store.store import open_store
from tests.conftest import customers, make_pipeline


def test_a_run_trains_judges_and_deploys(done):
    _, _, _, result = done
    assert result.status == "succeeded"
    assert {step.status for step in result.steps} <= {"ran", "cached"}
    metric = result.metrics["roc_auc"]
    assert 0.75 < metric.low < metric.value < metric.high < 1
    assert result.baseline["roc_auc"] == 0.5
    assert result.gate.passed
    assert result.model.aliases == ("champion",)
    report = Path(result.report).read_text()
    assert "<svg" in report
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert "is an identifier" in report
    json.dumps(result.as_json())


def test_a_second_run_computes_nothing_and_makes_no_version(done):
    _, store, pipeline, result = done
    assert not pipeline.plan(store).stale
    again = pipeline.run(store)
    assert {step.status for step in again.steps} == {"cached"}
    assert again.model.version == result.model.version
    assert again.metrics == result.metrics


def test_another_store_gives_the_same_bytes(done, tmp_path):
    _, _, pipeline, result = done
    other = open_store(tmp_path)
    again = pipeline.run(other)
    assert {s.name: s.digest for s in again.steps} == {s.name: s.digest for s in result.steps}
    other.close()


def test_processes_give_the_same_digests_as_threads(done, tmp_path):
    _, _, pipeline, result = done
    other = open_store(tmp_path)
    again = pipeline.run(other, executor="processes")
    again.raise_for_status()
    assert {s.name: s.digest for s in again.steps} == {s.name: s.digest for s in result.steps}
    other.close()


def test_a_run_is_reproduced_from_its_trials(done):
    from penstock.engine.history import past_run

    _, store, pipeline, result = done
    assert all(step["same"] for step in reproduce_run(pipeline, store, past_run(store, result.run)))


def test_test_rows_are_never_seen_by_anything_fitted(done, tmp_path):
    """Spoil every test row's inputs: the model must not change by a byte."""
    _, store, pipeline, result = done
    test = result["divided"]["test"]
    table = result["featured"]
    spoiled = table.with_columns(
        pl.when(pl.Series(test)).then(pl.lit(1e6)).otherwise(pl.col("age")).alias("age"),
        pl.when(pl.Series(test)).then(pl.lit("Nowhere")).otherwise(pl.col("city")).alias("city"),
    )
    from penstock.engine.execute import load as load_artifact
    from penstock.engine.step import LazyPartitions
    from penstock.flow import models
    from penstock.types.table import InMemory

    lazy = {name: load_artifact(store, result.result.refs[name], LazyPartitions) for name in ("inferred", "prepared")}
    step = pipeline.graph().steps["trained"]
    inputs = {
        **lazy,
        "featured": InMemory(all=spoiled),
        "divided": result["divided"],
        "trials": result["trials"],
    }
    again = models.trained(**inputs, **step.parameters)
    trials = models.trials(InMemory(all=spoiled), result["divided"], **pipeline.graph().steps["trials"].parameters)
    assert again.files == result["trained"].files
    assert [trial.score for trial in trials.trials] == [trial["score"] for trial in result["trials"]["trials"]]


def test_a_table_and_its_rows_are_answered_alike(done):
    _, store, _, _ = done
    model = load("customers", store=store)
    raw = customers(120, seed=3).drop("left")
    table = model.answer(raw)
    rows = raw.with_columns(pl.col("birthday").cast(pl.String)).to_dicts()
    np.testing.assert_allclose(
        [answer.probabilities["gone"] for answer in table],
        [answer.probabilities["gone"] for row in rows for answer in model.answer([row])],
        rtol=0, atol=1e-15,
    )  # fmt: skip
    assert model.answer(rows) == model.answer(rows)


def test_new_data_make_a_challenger_and_the_gate_compares_on_the_same_rows(tmp_path):
    customers(400).write_csv(tmp_path / "customers1.csv")
    store = open_store(tmp_path / "s")
    pipeline = make_pipeline(tmp_path)
    assert pipeline.run(store).model.version == 1
    customers(2000, seed=1).write_csv(tmp_path / "customers2.csv")
    plan = {step.name: step.causes for step in pipeline.plan(store).steps}
    assert plan["read"] == ("input files changed (+1 partition)",)
    second = pipeline.run(store)
    assert next(step.status for step in second.steps if step.name == "read") == "ran"
    assert any("the champion's" in reason for reason in second.gate.reasons)
    assert second.model.version == 2
    assert ("champion" in second.model.aliases) == second.gate.passed
    found = diff_runs(store, "latest~1", "latest")
    assert "snapshot: 400 rows -> 2400 rows (+2000)" in found.data
    assert found.metrics
    assert {step.status for step in pipeline.run(store).steps} == {"cached"}
    store.close()


def test_a_gate_that_says_no_leaves_what_serves(done):
    folder, store, _, _ = done
    strict = make_pipeline(folder, evaluate=ps.evaluate.gate(roc_auc=0.999), prepare=[ps.prepare.drop("note")])
    refused = strict.run(store)
    assert refused.status == "succeeded"
    assert not refused.gate.passed
    assert "challenger" in refused.model.aliases
    assert load("customers", store=store).version == 1


@pytest.mark.parametrize(
    ("target", "column"),
    [
        (ps.multiclass("city"), "city"),
        (ps.regression("age"), "age"),
        (ps.binary("member"), "member"),
        (ps.regression("paid"), "paid"),
    ],
    ids=["multiclass", "regression", "yes-no", "numbers-as-text"],
)
def test_other_targets(tmp_path, target, column):
    customers(400).write_csv(tmp_path / "customers.csv")
    made = make_pipeline(tmp_path, target=target, features=[], evaluate=ps.evaluate.gate(beat_baseline=False))
    result = made.run(tmp_path / "s")
    result.raise_for_status()
    model = load("customers", store=tmp_path / "s")
    row = customers(1, seed=9).drop(column).with_columns(pl.col("birthday").cast(pl.String)).to_dicts()
    (answer,) = model.answer(row)
    if target.task == "regression":
        assert isinstance(answer.prediction, float)
        assert answer.probabilities is None
    else:
        assert answer.prediction in model.labels.values
        assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_an_estimator_of_ones_own_choice(tmp_path):
    customers(300).write_csv(tmp_path / "customers.csv")
    result = make_pipeline(tmp_path, train=ps.train.estimator(LogisticRegression(C=0.5))).run(tmp_path / "s")
    result.raise_for_status()
    assert load("customers", store=tmp_path / "s").manifest.learner["kind"] == "estimator"
    again = make_pipeline(tmp_path, train=ps.train.estimator(LogisticRegression(C=0.5))).run(tmp_path / "t")
    one, other = ({step.name: step.digest for step in made.steps} for made in (result, again))
    assert one["trained"] == other["trained"]


def test_a_stored_model_holds_no_pickle(done):
    _, _, _, result = done
    bundle = result["trained"]
    assert {name.rpartition("/")[2] for name in bundle.files} <= {
        "trees.txt",
        "weights.npy",
        "weights.npz",
        "rows.npz",
        "background.npy",
    }
    assert Model(bundle).manifest.pipeline == "customers"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a/b"}, "name is a short text"),
        ({"ingest": "data.csv"}, r"ingest= takes ps.ingest.files"),
        ({"target": "left"}, r"target= takes ps.binary"),
        ({"prepare": [pl.col("x")]}, r"prepare= takes ps.prepare.cast"),
        ({"train": LogisticRegression()}, r"train= takes ps.train.search"),
        ({"features": ["x"]}, r"features= takes ps.features.derive"),
        ({"features": ps.features.calendar("day")}, r"features= takes a list"),
        ({"prepare": ps.prepare.drop("x")}, r"prepare= takes a list"),
        ({"features": None}, r"features= takes a list"),
        ({"features": [ps.features.forward_fill("x")]}, r"unpack it with \*"),
        ({"seed": -1}, r"seed= is from 0"),
        ({"ingest": pl.DataFrame({"x": [1]})}, r"rows themselves: give ps.ingest.table"),
    ],
)
def test_a_stage_given_something_else_is_refused(tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        make_pipeline(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"evaluate": ps.evaluate.gate(rmse=3)},
            r"gate\(rmse=3\): 'rmse' is not a metric of a binary target; those are roc_auc",
        ),
        ({"evaluate": ps.evaluate.gate(metric="r2")}, r"gate\(metric=\.\.\.\): 'r2' is not a metric of a binary"),
        ({"train": ps.train.search(metric="auc")}, r"search\(metric=\.\.\.\): 'auc' is not a metric of a binary"),
        (
            {"target": ps.regression("age"), "evaluate": ps.evaluate.gate(fairness={"city": 0.1})},
            "fairness=.*two classes",
        ),
    ],
)
def test_what_the_target_has_not_is_told_before_anything_is_learnt(tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        make_pipeline(tmp_path, **changes)


def test_a_notebook_shows_a_pipeline_stage_by_stage(tmp_path):
    shown = make_pipeline(tmp_path)._repr_html_()
    assert "predicts left, binary" in shown
    assert all(f"<td>{stage}</td>" in shown for stage in ("ingest", "split", "train"))


def in_a_cell(code, **names):
    """Run code as a notebook's kernel does: under the name of a file that is not there, and with its lines known."""
    name = f"/tmp/ipykernel_1/{abs(hash(code))}.py"
    linecache.cache[name] = len(code), None, code.splitlines(keepends=True), name
    space = {"__name__": "__main__", "ps": ps, **names}
    exec(compile(code, name, "exec"), space)
    return space


def test_a_pipeline_of_a_notebook_lies_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_STORE", raising=False)
    customers(300).write_csv(tmp_path / "customers.csv")
    made = """
pipeline = ps.Pipeline("cells", ingest=ps.ingest.files("customers.csv"), target=ps.binary("left", positive="gone"),
    train=ps.train.search(trials=1, learners=["linear"], refit=False))
print(pipeline.plan())
run = pipeline.run()
"""
    run = in_a_cell(made)["run"]
    assert (tmp_path / ".penstock" / "catalog.db").exists()
    assert (tmp_path / "cells.schema.toml").exists()
    assert ps.load("cells").digest == run.model.digest
    assert re.fullmatch(rf"<PipelineRun cells {run.run}: succeeded; roc_auc .* \(baseline .*\); model v1>", repr(run))


def test_what_a_service_could_not_find_again_is_refused_where_it_is_declared():
    code = """
def same(table):
    return table
ps.Pipeline("cells", ingest=ps.ingest.files("a.csv"), prepare=[ps.prepare.map(same)], target=ps.binary("left"))
"""
    with pytest.raises(InputError, match="map\\('same'\\).*%%writefile steps.py"):
        in_a_cell(code)
