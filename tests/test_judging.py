"""What an author may ask of a model's answers: costs, intervals, fairness, a sure gain; through whole runs."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.batch import answered
from penstock.deploy.bodies import Answered, answer_table, write_json
from penstock.errors import InputError
from penstock.outcome import load
from penstock.store.store import open_store
from tests.conftest import customers, make_pipeline


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the pipeline of the customers with changes, in a store of this test."""
    store = open_store(tmp_path / "s")

    def go(table=None, **changes):
        (customers(900) if table is None else table).write_csv(tmp_path / "customers.csv")
        result = make_pipeline(tmp_path, **changes).run(store)
        result.raise_for_status()
        return result, load("customers", result.model.version, store=store)

    yield go
    store.close()


def test_costs_move_the_answer_and_the_report_says_what_they_come_to(run):
    result, model = run(target=ps.binary("left", positive="gone", costs={"missed": 9, "false_alarm": 1}))
    rows = customers(200, seed=5).drop("left").with_columns(pl.col("birthday").cast(pl.String)).to_dicts()
    answers = model.answer(rows)
    assert all((item.prediction == "gone") == (item.probabilities["gone"] > 0.1) for item in answers)
    assert any(0.1 < item.probabilities["gone"] < 0.5 for item in answers)
    one = [model.answer([row])[0].prediction for row in rows[:20]]
    assert one == [item.prediction for item in answers[:20]]
    decision = result["evaluated"]["evaluation"]["decision"]
    assert decision["cost"] < min(decision["always"], decision["never"])
    assert "What its answers cost" in Path(result.report).read_text()


def test_a_metric_that_looks_at_answers_gets_its_own_threshold(run):
    table = customers(1500).filter((pl.col("left") != "gone") | (pl.int_range(pl.len()) % 4 == 0))
    result, model = run(table, evaluate=ps.evaluate.gate(metric="f1"))
    assert 0.05 < model.labels.threshold < 0.5
    outcomes = result["evaluated"]["outcomes"]
    said = outcomes["predicted"][:, 1] > model.labels.threshold
    both = (said & (outcomes["target"] == 1)).sum()
    assert result.metrics["f1"].value == pytest.approx(2 * both / (said.sum() + (outcomes["target"] == 1).sum()))


def test_numbers_come_with_intervals_that_hold_what_they_say(run):
    result, model = run(customers(1500), target=ps.regression("age"))
    assert model.interval == "0.9"
    held = {item["level"]: item for item in result["evaluated"]["evaluation"]["coverage"]}
    assert held["0.9"]["held"] == pytest.approx(0.9, abs=0.06)
    assert np.mean(held["0.9"]["thirds"]) == pytest.approx(held["0.9"]["held"], abs=0.01)
    answer = model.answer(customers(5, seed=8).drop("age"))[0]
    assert answer.interval[0] < answer.prediction < answer.interval[1]
    assert "How sure it is" in Path(result.report).read_text()
    result, model = run(target=ps.regression("age", interval=None))
    assert model.answer(customers(5, seed=8).drop("age"))[0].interval is None


def test_quantiles_are_asked_for_hold_what_they_say_and_come_one_by_one_as_in_a_table(run):
    result, model = run(customers(1500), target=ps.regression("age", quantiles=[0.9, 0.1, 0.5]))
    below = result["evaluated"]["evaluation"]["below"]
    assert list(below) == ["0.1", "0.5", "0.9"]
    assert all(found == pytest.approx(float(share), abs=0.06) for share, found in below.items())
    assert "should lie below" in Path(result.report).read_text()
    rows = customers(50, seed=8).drop("age")
    one = model.answer(rows.with_columns(pl.col("birthday").cast(pl.String)).to_dicts()[:1])[0]
    assert one.quantiles["0.1"] < one.quantiles["0.5"] < one.quantiles["0.9"]
    table = answered(model, rows)
    assert table["quantile_0.9"][0] == pytest.approx(one.quantiles["0.9"], rel=1e-12)
    said = Answered("customers", 1, ["a"], [one])
    assert json.loads(write_json(said)[0])["predictions"][0]["quantiles"] == one.quantiles
    assert answer_table(said)["quantile_0.5"].to_list() == [one.quantiles["0.5"]]
    assert table.columns[-5:] == ["prediction_low", "prediction_high", "quantile_0.1", "quantile_0.5", "quantile_0.9"]


def test_a_gate_on_fairness_refuses_a_model_that_treats_groups_unlike(run):
    result, _ = run(evaluate=ps.evaluate.gate(fairness={"city": 0.01}))
    assert not result.gate.passed
    assert "groups of city differ by" in " ".join(result.gate.reasons)
    assert "Fairness by city" in Path(result.report).read_text()


@pytest.mark.parametrize("gate", [{"slices": ["ctiy"]}, {"fairness": {"ctiy": 0.1}}])
def test_a_gates_wrong_column_is_told_before_anything_learns_and_a_right_one_leaves_what_was_learnt(tmp_path, gate):
    customers(900).write_csv(tmp_path / "customers.csv")
    with closing(open_store(tmp_path / "s")) as store:
        wrong = make_pipeline(tmp_path, evaluate=ps.evaluate.gate(**gate)).run(store)
        statuses = {item.name: item.status for item in wrong.steps}
        assert (statuses["judgeable"], statuses["trials"]) == ("failed", "skipped")
        with pytest.raises(InputError, match='no column "ctiy". Did you mean "city"'):
            wrong.raise_for_status()
        for slices, status in (["city"], "ran"), (["city", "member"], "cached"):
            right = make_pipeline(tmp_path, evaluate=ps.evaluate.gate(slices=slices)).run(store)
            right.raise_for_status()
            assert {item.name: item.status for item in right.steps}["trials"] == status


def test_size_and_latency_limits_are_looked_at(run):
    result, _ = run(evaluate=ps.evaluate.gate(max_size="1kB", max_latency="1s"))
    assert not result.gate.passed
    said = " ".join(result.gate.reasons)
    assert "more than the 1kB allowed" in said
    assert "a row is answered within 1s" in said


def test_a_challenger_must_be_surely_better_where_that_is_asked(run):
    first, _ = run()
    assert first.gate.passed
    table = customers(900).with_columns(age=pl.col("age") + 0.1)
    second, _ = run(table, evaluate=ps.evaluate.gate(confidence=0.95, max_slice_loss=0.2))
    assert not second.gate.passed
    said = " ".join(second.gate.reasons)
    assert "95 % interval" in said
    assert "not surely more than 0" in said
    assert "no slice loses more than 0.2" in said


def test_rows_on_both_sides_are_reported(run):
    once = customers(500)
    again = once[:250].with_columns(key=pl.col("key") + "-again")  # told apart by nothing that a model looks at
    result, _ = run(pl.concat([once, again]))
    shared = result["evaluated"]["evaluation"]["shared"]
    assert shared["rows"] > 10
    assert shared["apart"] == ["key"]
    assert "test rows are training rows too" in Path(result.report).read_text()
    result, _ = run(pl.concat([once, again]), prepare=[ps.prepare.drop("key"), ps.prepare.drop_duplicates()])
    assert result["evaluated"]["evaluation"]["shared"] is None  # what is advised takes them out


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ps.binary("x", threshold=0), "threshold"),
        (lambda: ps.binary("x", costs={"missed": 1}), "false_alarm"),
        (lambda: ps.binary("x", costs={"missed": 1, "false_alarm": -1}), "above 0"),
        (lambda: ps.binary("x", threshold=0.2, costs={"missed": 1, "false_alarm": 1}), "not both"),
        (lambda: ps.regression("x", interval=0.3), "interval"),
        (lambda: ps.regression("x", quantiles=[0.5, 1.0]), "1.0 is none"),
        (lambda: ps.regression("x", quantiles=[0.512]), "steps of 0.005"),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_thresholds_of_half_are_those_of_the_likeliest_class():
    from penstock.types.labels import Labels

    predicted = np.array([[0.5, 0.5], [0.4, 0.6], [0.7, 0.3]])
    assert Labels("x", "binary", ["no", "yes"]).decided(predicted).tolist() == predicted.argmax(1).tolist()


def test_the_card_tells_what_the_report_tells(run):
    result, _ = run()
    card = Path(result.report).with_suffix(".md").read_text()
    assert f"| roc_auc | {result.metrics['roc_auc'].value:.4g} |" in card
    assert "The last doubling of the rows" in card
    assert "| None" not in card
    assert "{{" not in card


def test_weights_are_a_column_that_is_not_learnt_from_nor_asked_for(run):
    table = customers(600).with_columns(weight=pl.when(pl.col("left") == "gone").then(3.0).otherwise(1.0))
    result, model = run(table, train=ps.train.search(trials=2, folds=3, weights="weight", monotone={"age": 1}))
    assert not any(column.required for column in model.inputs if column.name == "weight")
    assert "says how much a row counts" in Path(result.report).read_text()
    ages = pl.DataFrame({"age": np.linspace(18, 70, 40)})
    rows = customers(1, seed=3).drop("left", "age").join(ages, how="cross").drop("weight", strict=False)
    assert np.diff(model.predict_table(rows)[:, 1]).min() >= -1e-12
    with pytest.raises(InputError, match="no such column"):
        run(table, train=ps.train.search(trials=1, weights="wait"))
    with pytest.raises(InputError, match="missing, negative or infinite"):
        run(table.with_columns(weight=-pl.col("weight")), train=ps.train.search(trials=1, weights="weight"))


def profit(target, predicted):
    return float(((predicted[:, 1] > 0.3) * np.where(target == 1, 10, -3)).mean())


def test_a_metric_of_ones_own_picks_the_trials_and_the_gate_keeps_its_own(run):
    result, _ = run(train=ps.train.search(trials=3, folds=3, metric=profit))
    assert {trial["metric"] for trial in result["trials"]["trials"]} == {"profit"}
    assert result.metric == "roc_auc"
    assert "profit" in Path(result.report).read_text()


def test_of_a_series_that_its_own_past_tells_best_the_gate_asks_for_its_lags_and_passes_with_them(run, tmp_path):
    random = np.random.default_rng(0)
    level = np.cumsum(random.normal(size=900))
    day = pl.date_range(pl.date(2022, 1, 1), pl.date(2022, 1, 1) + pl.duration(days=899), eager=True)
    table = pl.DataFrame({"day": day, "noise": random.normal(size=900), "level": level})
    series = {
        "ingest": ps.ingest.files(str(tmp_path / "customers.csv"), time="day"),
        "target": ps.regression("level"),
        "split": ps.split.time("day"),
        "train": ps.train.search(trials=1, learners=["linear"]),
    }
    result, _ = run(table, features=[], **series)
    assert not result.gate.passed
    assert "let the model see it with ps.features.lag('level', 1)" in result.gate.reasons[0]
    lags = [ps.features.lag("level", 1, 2)]
    result, _ = run(table, features=lags, **series)
    assert "ps.features.lag" not in result.gate.reasons[0]
    assert result.metrics["rmse"].value < 1.3
