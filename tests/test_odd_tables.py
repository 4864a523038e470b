"""Tables that break other tools: each either gives a model, or is refused with what is wrong and what to do."""

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.errors import InputError
from penstock.ingest.read import read_table
from penstock.store.store import open_store
from tests.cli.test_commands import call


def table(n=300, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    said = np.where(x + random.normal(0, 0.5, n) > 0, "yes", "no")
    return pl.DataFrame({"x": x, "c": random.choice(list("abc"), n), "y": said})


@pytest.fixture
def run(tmp_path):
    store = open_store(tmp_path / "s")

    def go(rows, target, time=None, train=None, **stages):
        rows.write_csv(tmp_path / "rows.csv")
        pipeline = ps.Pipeline(
            "odd", ingest=ps.ingest.files(str(tmp_path / "rows.csv"), time=time), target=target,
            train=train or ps.train.search(trials=3, folds=3), evaluate=ps.evaluate.gate(beat_baseline=False),
            file=str(tmp_path / "p.py"), **stages,
        )  # fmt: skip
        done = pipeline.run(store)
        done.raise_for_status()
        return done

    yield go
    store.close()


ROW = pl.int_range(pl.len())


@pytest.mark.parametrize(
    ("rows", "target", "says"),
    [
        (table().with_columns(y=pl.lit("yes")), ps.binary("y"), "every value is 'yes'"),
        (
            table().with_columns(y=pl.when(ROW == 5).then(pl.lit("no")).otherwise(pl.lit("yes"))),
            ps.binary("y"),
            "the class 'no' has a single row",
        ),
        (table().with_columns(y=pl.lit(3.0)), ps.regression("y"), "there is nothing to learn"),
        (
            pl.DataFrame({"a": [None] * 100, "b": [None] * 100, "c": [None] * 100, "y": ["yes", "no"] * 50}),
            ps.binary("y"),
            "no column is left to learn from .a is empty",
        ),
        (table().with_columns(y=pl.date(2024, 1, 1) + pl.duration(days=ROW)), ps.multiclass("y"), "holds dates"),
        (table().with_columns(y=pl.date(2024, 1, 1) + pl.duration(days=ROW)), ps.regression("y"), "holds dates"),
    ],
    ids=["one class", "a class of one row", "constant target", "nothing but nulls", "dates", "dates as numbers"],
)
def test_what_cannot_be_learnt_is_refused_with_a_reason(run, rows, target, says):
    with pytest.raises(InputError, match=says):
        run(rows, target)


def test_times_that_are_numbers_since_1970_are_times_in_training_and_in_answers(run, tmp_path):
    rows = table().with_columns(timestamp=1_700_000_000 + 3_600 * pl.int_range(300))
    features = [ps.features.window(by="c", over="1d", seen=pl.len())]
    done = run(rows, ps.binary("y"), time="timestamp", features=features)
    assert done["divided"]["division"]["kind"] == "time"
    assert done["featured"]["seen"].max() < 24
    model = ps.load("odd", store=tmp_path / "s")
    later = {"x": 0.5, "c": "a", "timestamp": 1_700_000_000 + 3_600 * 310}
    assert model.predict_proba([later])[0].tolist() == model.predict_proba(pl.DataFrame([later]))[0].tolist()
    assert model.typical_row()["timestamp"] > 1_700_000_000
    assert np.isfinite(model.predict_proba([model.typical_row()])).all()


def test_a_column_by_which_rows_are_divided_in_time_may_hold_dates_as_numbers(run):
    rows = table().with_columns(seen=1_700_000_000 + 3_600 * pl.int_range(300))
    done = run(rows, ps.binary("y"), split=ps.split.time("seen"))
    assert "judged on the rows from 2023-11-" in done["divided"]["division"]["text"]


@pytest.mark.parametrize("start", [0, 1_700_000_000])
def test_the_time_by_which_rows_are_divided_is_no_sign_that_test_rows_are_unlike(run, start):
    done = run(table(1_000).with_columns(time=start + 3_600 * pl.int_range(1_000)), ps.binary("y"), time="time")
    assert done["evaluated"]["evaluation"]["shift"]["score"] < 0.6


def ended_early(n=600):
    """Rows in time whose target has been the same since the middle of the last third."""
    rows = table(n).with_columns(at=pl.datetime(2024, 1, 1) + pl.duration(hours=pl.int_range(n)))
    return rows.with_columns(y=pl.when(pl.int_range(n) < n * 0.7).then("y").otherwise(pl.lit("no")))


def test_a_window_never_leaves_one_class(run):
    n = 4_000
    rows = table(n).with_columns(at=pl.datetime(2024, 1, 1) + pl.duration(hours=pl.int_range(n)))
    quiet = pl.int_range(n).is_between(n * 0.5, n * 0.8)  # what is learnt from its latest rows is the one class
    done = run(
        rows.with_columns(y=pl.when(quiet).then(pl.lit("no")).otherwise("y")), ps.binary("y"), time="at",
        train=ps.train.search(trials=1, learners=["linear"]),
    )  # fmt: skip
    assert "of one class" in done["windowed"]["window"]["text"]


def test_test_rows_of_one_class_are_refused(run, tmp_path):
    with pytest.raises(InputError, match='all test rows are of class "no", so no answer can be judged. Take more'):
        run(ended_early(), ps.binary("y"), time="at")
    done = run(ended_early(), ps.binary("y"), time="at", split=ps.split.time(test=0.4))
    assert set(done["evaluated"]["outcomes"]["target"]) == {0, 1}
    ended_early().write_csv(tmp_path / "rows.csv")
    call("init", "rows.csv", "--target", "y", folder=tmp_path)
    assert (
        "ps.split.stratified(test=0.2),  # the latest rows are all of one class"
        in (tmp_path / "pipeline.py").read_text()
    )


@pytest.mark.parametrize("split", [ps.split.random(), ps.split.time("year")])
def test_a_survey_of_a_few_questions_is_judged_by_rows_like_those_learnt(run, split):
    random = np.random.default_rng(0)
    asked = {"smokes": random.random(3000) < 0.3, "grade": random.integers(9, 13, 3000)}
    says = random.random(3000) < np.where(asked["smokes"], 0.6, 0.3)
    rows = pl.DataFrame({**asked, "year": np.arange(3000) // 500 + 2000, "y": np.where(says, "yes", "no")})
    evaluation = run(rows, ps.binary("y", positive="yes"), split=split)["evaluated"]["evaluation"]
    assert 0.58 < evaluation["metrics"]["roc_auc"]["value"] < 0.72
    assert evaluation["shared"] is None


def test_a_length_of_time_is_refused_where_times_are_numbers(run):
    with pytest.raises(InputError, match='gap="1h" needs a column of dates'):
        run(table().with_columns(at=pl.int_range(300)), ps.binary("y"), split=ps.split.time("at", gap="1h"))


def test_times_that_are_all_equal_are_refused(run):
    with pytest.raises(InputError, match="no row is later than another"):
        run(table().with_columns(t=pl.lit("2024-01-01T00:00:00")), ps.binary("y"), time="t")


@pytest.mark.parametrize(
    ("rows", "target", "stages"),
    [
        (table(20), ps.binary("y"), {}),
        (table(20).with_columns(y=pl.col("x") * 2), ps.regression("y"), {}),
        (pl.concat([table(60)] * 5), ps.binary("y"), {}),
        (table().with_columns(g=ROW.cast(pl.String) + "u"), ps.binary("y"), {"split": ps.split.group("g")}),
    ],
    ids=["20 rows, two classes", "20 rows, numbers", "every row five times", "groups of one row"],
)
def test_small_and_odd_tables_give_a_model(run, rows, target, stages):
    done = run(rows, target, **stages)
    assert done.status == "succeeded"
    assert np.isfinite(done.metrics[done.metric].value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_target_that_is_no_number_is_neither_learnt_nor_judged(run, value):
    rows = table().with_columns(y=pl.when(ROW % 50 == 7).then(value).otherwise(pl.col("x")))
    done = run(rows, ps.regression("y"))
    assert int((~done["divided"]["kept"]).sum()) == 6
    assert done.metrics["rmse"].value < 0.5


@pytest.mark.parametrize("mark", ["NA", " ? ", ""])
def test_a_target_of_which_marks_stand_for_what_is_not_known_is_learnt_from_the_other_rows(run, mark):
    rows = table().with_columns(
        y=pl.when(ROW % 10 == 3).then(pl.lit(mark)).otherwise((pl.col("x") * 100).round().cast(pl.String))
    )
    done = run(rows, ps.regression("y"))
    assert int((~done["divided"]["kept"]).sum()) == 30


def test_a_binary_target_with_a_mark_for_what_is_not_known_says_how_to_leave_it_out(run):
    rows = table().with_columns(y=pl.when(ROW % 10 == 3).then(pl.lit("NA")).otherwise("y"))
    with pytest.raises(Exception, match=r'ps\.prepare\.filter\(pl\.col\("y"\) != "NA"\)'):
        run(rows, ps.binary("y"))


def test_a_hundred_thousand_categories_are_learnt_within_reason(run):
    random = np.random.default_rng(0)
    x = random.normal(size=120_000)
    rows = pl.DataFrame({"u": [f"k{i % 100_000}" for i in range(len(x))], "x": x, "y": np.where(x > 0, "yes", "no")})
    done = run(rows, ps.binary("y"), train=ps.train.search(trials=1, folds=2))
    assert done.metrics["roc_auc"].value > 0.95


def test_a_budget_that_is_too_small_gives_the_linear_model_and_says_how_much_is_needed(run):
    done = run(table(20_000), ps.binary("y"), train=ps.train.search(budget=0.01))
    (trial,) = done["trials"]["trials"]
    assert trial["learner"] == "linear"
    assert any("had time for one trial in" in note for note in done["trials"]["notes"])


def test_a_gap_is_neither_learnt_nor_judged(run):
    days = (
        table(400)
        .with_columns(day=pl.date(2024, 1, 1) + pl.duration(days=ROW // 4))
        .sample(fraction=1, shuffle=True, seed=0)
    )
    done = run(days, ps.binary("y"), split=ps.split.time("day", test="20d", gap="5d"))
    at = pl.Series(done["featured"]["day"])
    learnt, judged = at.filter(done["divided"]["kept"] & ~done["divided"]["test"]), at.filter(done["divided"]["test"])
    assert (judged.min() - learnt.max()).days == 5
    assert (len(learnt), len(judged)) == (400 - 20 * 4 - 16, 20 * 4)
    assert "16 rows of the 5d before are neither learnt nor judged" in done["divided"]["division"]["text"]


@pytest.mark.parametrize("split", [ps.split.stratified(), ps.split.group("g"), ps.split.time("k")])
def test_classes_of_one_row_or_two_are_learnt_and_take_no_folds_away(run, split):
    rare = pl.when(ROW == 5).then(pl.lit("one")).when(ROW.is_in([20, 250])).then(pl.lit("two"))
    rows = table().with_columns(y=rare.otherwise("y"), g="g" + (ROW % 12).cast(pl.String), k=ROW * 37 % 300)
    done = run(rows, ps.multiclass("y"), split=split)
    assert all(len(trial["folds"]) == 3 for trial in done["trials"]["trials"])
    assert done.metrics["accuracy"].value > 0.7


def test_of_many_classes_in_many_rows_those_that_are_seldom_are_among_the_searched_rows(run, monkeypatch):
    monkeypatch.setattr("penstock.train.trials._SEARCHED_ANSWERS", 2_000)
    seldom = pl.when(ROW % 99 == 3).then("s" + (ROW % 10).cast(pl.String)).otherwise(pl.col("y"))
    done = run(table(2_000).with_columns(y=seldom), ps.multiclass("y"), train=ps.train.search(trials=1, folds=2))
    assert done["trials"]["trials"][0]["score"] < 1.0


def test_where_time_divides_the_baseline_is_the_better_of_two(run):
    days = table().with_columns(t=pl.datetime(2024, 1, 1) + pl.duration(hours=ROW), level=100 + ROW * 1.0)
    assert run(days, ps.regression("level"), time="t")["evaluated"]["evaluation"]["baseline_name"] == "last value"
    assert run(days, ps.regression("x"), time="t")["evaluated"]["evaluation"]["baseline_name"] == "mean"


def test_a_class_that_some_parts_of_the_rows_lack_is_no_trouble(run):
    rows = table(800).with_columns(y=pl.when(ROW % 160 < 1).then(pl.lit("rare")).otherwise(pl.col("y")))
    done = run(rows, ps.multiclass("y"), train=ps.train.search(trials=1, folds=2, learners=["linear"]))
    assert done.status == "succeeded"


def test_test_rows_of_classes_that_were_never_learnt_are_not_judged_and_said(run):
    late = pl.when(ROW.is_in([280, 290])).then(pl.lit("new")).otherwise(pl.col("y"))
    done = run(table().with_columns(y=late, k=ROW), ps.multiclass("y"), split=ps.split.time("k"))
    assert done["evaluated"]["evaluation"]["rows"] == 58
    text = "not judged are 2 rows of classes that no training row has ('new')"
    assert text in done["divided"]["division"]["text"]
    assert "not judged are 2 rows" in Path(done.report).read_text()


def test_where_most_test_rows_are_of_classes_that_were_never_learnt_nothing_is_judged(run):
    late = pl.when(ROW > 250).then(pl.lit("new")).otherwise(pl.col("y"))
    with pytest.raises(InputError, match="49 of 60 test rows are of classes that no training row has .'new'."):
        run(table().with_columns(y=late, k=ROW), ps.multiclass("y"), split=ps.split.time("k"))


def test_numbers_and_dates_as_people_write_them_are_learnt_and_asked_in_either_way(run, tmp_path):
    random = np.random.default_rng(0)
    size, far, day = random.integers(900, 2000, 300), random.uniform(1, 9, 300).round(1), random.integers(1, 28, 300)
    rows = pl.DataFrame(
        {
            "engine": [f"{item} CC" for item in size],
            "litres": [str(item).replace(".", ",") for item in far],
            "since": [f"{item:02}-Jan-{2000 + item}" for item in day],
            "price": size / 100 + 5 * far + day,
        }
    )
    run(rows, ps.regression("price"), train=ps.train.search(trials=1, learners=["linear"], folds=2))
    model = ps.load("odd", store=tmp_path / "s")
    texts = [{"engine": "1248 CC", "litres": "4,5", "since": "03-Jan-2003"}]
    plain = [{"engine": 1248, "litres": 4.5, "since": "2003-01-03"}]
    expected = 12.48 + 22.5 + 3
    assert [item.prediction for item in model.predict_rows(texts + plain)] == pytest.approx([expected] * 2, abs=0.5)
    assert model.predict(texts + plain) == pytest.approx([expected] * 2, abs=0.5)
    assert model.predict(pl.DataFrame(plain)) == model.predict(pl.DataFrame(texts)) == model.predict(texts)
    with pytest.raises(ps.PenstockError, match="expected a number"):
        model.predict_rows([{**texts[0], "engine": "1248 kW"}])


def test_the_learning_curve_begins_with_the_latest_rows_wherever_they_stand_in_the_file(run):
    """What it asked of the latest rows, it fitted to the last in the file."""
    random = np.random.default_rng(0)
    columns = {f"x{number}": random.normal(size=1000) for number in range(8)}
    kind = np.where(sum(columns.values()) + random.normal(size=1000) * 4 > 0, "a", "b")
    start = pl.datetime(2024, 1, 1)
    at = pl.datetime_range(start, start + pl.duration(hours=999), "1h", eager=True)
    rows = pl.DataFrame({"at": at, **columns, "kind": kind})

    def values(rows):
        search = ps.train.search(trials=1, learners=["linear"])
        done = run(rows, ps.binary("kind", positive="a"), time="at", train=search)
        return [point["metric"]["value"] for point in done["curve"]["points"]]

    up, down = values(rows), values(rows.reverse())
    assert len(up) > 2
    assert down == pytest.approx(up, abs=0.002)


def test_a_request_may_write_each_cell_as_the_file_did(run, tmp_path):
    random, n = np.random.default_rng(0), 400
    days = pl.datetime_range(pl.datetime(2010, 1, 1), pl.datetime(2011, 3, 1), "1d", eager=True)[:n]
    hours, minutes = random.integers(0, 24, n), random.integers(0, 60, n)
    kinds = random.choice(["a", "b", "c", ""], n)
    rows = pl.DataFrame({
        "at": days.dt.strftime("%Y/%m/%d %H:%M"), "day": [f"{d.day}.{d.month}.{d.year}" for d in days],
        "short": [f"{h}:{m:02}" for h, m in zip(hours, minutes, strict=True)],
        "long": [f"{h:02}:{m:02}:30" for h, m in zip(hours, minutes, strict=True)],
        "flag": random.choice(["TRUE", "FALSE"], n), "answer": random.choice(["Y", "N", ""], n),
        "share": [f"{x}%" for x in random.integers(0, 100, n)], "price": [f"${x:,}" for x in random.integers(0, 9999, n)],
        "small": [f"{x:.3e}" for x in random.normal(size=n)], "zip": [f"0{x}" for x in random.integers(10, 20, n)],
        "kind": kinds, "y": np.where(hours + 9 * (kinds == "") + random.normal(size=n) * 4 > 14, "in", "out"),
    })  # fmt: skip
    rows = rows.with_columns(pl.col("kind").replace("", None))  # an empty cell, where the other column has empty quotes
    search = ps.train.search(trials=1, learners=["linear"])  # tells a missing cell from a category not seen
    model = ps.load(
        "odd",
        version=1,
        store=Path(run(rows, ps.binary("y", positive="in"), time="at", train=search).report).parents[1],
    )
    table = read_table(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open() as file:
        texts = [{name: text for name, text in row.items() if name != "y"} for row in csv.DictReader(file)]
    expected = model.predict_proba(table)
    answers = [model.answer([row])[0].probabilities for row in texts]
    found = [[answer[name] for name in model.classes_] for answer in answers]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(pl.DataFrame(texts)), expected, atol=1e-9)
