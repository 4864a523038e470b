"""A column that knows the answer is named; one that is merely good is not."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import customers, make_pipeline

import penstock as ps
from penstock.evaluate import leaks
from penstock.evaluate.doubts import doubts
from penstock.evaluate.leaks import find_leaks, find_parts
from penstock.store.store import open_store

RANDOM = np.random.default_rng(0)
GOOD = RANDOM.normal(size=600)
BINARY = (GOOD + RANDOM.normal(size=600) > 0).astype(float)
CLASSES = np.digitize(GOOD + RANDOM.normal(size=600) / 3, [-0.5, 0.5]).astype(float)
NUMBER = GOOD * 3 + RANDOM.normal(size=600)


@pytest.mark.parametrize(("task", "target"), [("binary", BINARY), ("multiclass", CLASSES), ("regression", NUMBER)])
def test_the_leak_is_named_and_an_honest_column_is_not(task, target):
    gappy = np.where(np.arange(600) % 200 == 0, np.nan, target)
    matrix = np.column_stack([GOOD, gappy, RANDOM.normal(size=600)])
    blocks = [("good", slice(0, 1)), ("leak", slice(1, 2)), ("noise", slice(2, 3))]
    found = find_leaks(task, matrix, blocks, target, ["leak", "good", "noise"], 0)
    assert [item.column for item in found] == ["leak"]
    assert '"leak" alone predicts the target' in str(found[0])


def test_few_rows_and_rare_classes_accuse_nobody():
    matrix = np.arange(50.0)[:, None]
    assert find_leaks("regression", matrix, [("a", slice(0, 1))], np.arange(50.0), ["a"], 0) == []
    rare = np.r_[np.zeros(198), 1.0, 1.0]
    assert find_leaks("binary", rare[:, None], [("a", slice(0, 1))], rare, ["a"], 0) == []


def test_of_some_rows_only_what_is_perfect_is_named():
    target = (np.arange(60) % 3 == 0).astype(float)
    near = np.where(np.arange(60) == 9, 0.4, target)
    blocks = [("same", slice(0, 1)), ("near", slice(1, 2))]
    found = find_leaks("binary", np.column_stack([target * 2, near]), blocks, target, ["same", "near"], 0)
    assert [(item.column, item.score) for item in found] == [("same", 1.0)]
    assert find_leaks("binary", target[:45, None], [("same", slice(0, 1))], target[:45], ["same"], 0) == []


@given(
    columns=st.integers(2, 8), wanted=st.sets(st.integers(0, 7), min_size=2), noise=st.sampled_from([0.0, 0.01, 1.0]),
    scale=st.sampled_from([1e-6, 1.0, 1e9]), rows=st.sampled_from([50, 300, 5_000]),
)  # fmt: skip
def test_the_parts_of_a_total_are_named_and_no_others(columns, wanted, noise, scale, rows):
    random = np.random.default_rng(columns)
    matrix = random.normal(size=(rows, columns)) * scale
    parts = [place for place in wanted if place < columns]
    total = matrix[:, parts].sum(1) + noise * scale * random.normal(size=rows)
    blocks = [(f"c{place}", slice(place, place + 1)) for place in range(columns)]
    expected = [f"c{place}" for place in sorted(parts)] if noise == 0 and len(parts) > 1 else []
    assert find_parts(matrix, blocks, total) == expected
    assert find_parts(matrix[:40], blocks, total[:40]) == []
    for odd in (np.nan, np.inf):
        gappy = matrix.copy()
        gappy[0, :] = odd
        assert find_parts(gappy, blocks, total) == []


def test_the_parts_of_a_total_are_told_at_the_end_of_a_run(tmp_path):
    table = customers(400).with_columns(
        pl.col("age").fill_null(40), total=pl.col("orders") + pl.col("age").fill_null(40)
    )
    table.write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    done = make_pipeline(tmp_path, target=ps.regression("total")).run(store)
    told = [doubt.finding for doubt in doubts(done["evaluated"]["evaluation"])]
    assert sum("age" in line and "orders" in line and "together give the target" in line for line in told) == 1
    store.close()


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_of_many_rows_some_are_looked_at_and_all_of_a_rare_class(task):
    rows = 400_000
    target = np.zeros(rows)
    target[:: rows // 40] = 1.0  # forty
    noise = np.random.default_rng(1).normal(size=rows)
    matrix = np.column_stack([target + noise / 100, noise])
    blocks = [("leak", slice(0, 1)), ("noise", slice(1, 2))]
    if task == "regression":
        target = target + noise / 1000 + np.arange(rows) % 3
        matrix[:, 0] = target
    some = leaks._some(target, task, 0)
    assert 50_000 <= len(some) <= 50_040
    if task == "binary":
        assert target[some].sum() == 40
    found = find_leaks(task, matrix, blocks, target, ["leak", "noise"], 0)
    assert [item.column for item in found] == ["leak"]


def test_of_several_that_know_the_answer_each_is_named_though_none_matters_to_the_model(tmp_path):
    """As the year, the month and the age of a marriage know who is married."""
    married = pl.when(pl.col("left") == "gone")
    number = pl.int_range(pl.len())
    customers(800).with_columns(
        year=married.then(1980 + number % 7), month=married.then(1 + number % 12), old=married.then(18 + number % 31)
    ).write_csv(tmp_path / "customers.csv")
    search = ps.train.search(trials=1, learners=["linear"])
    evaluation = make_pipeline(tmp_path, train=search).run(open_store(tmp_path / "s"))["evaluated"]["evaluation"]
    assert {leak["column"] for leak in evaluation["leaks"]} == {"year", "month", "old"}
    assert {item["column"] for item in evaluation["importance"] if item["mean"] > 0}.isdisjoint(
        {"year", "month", "old"}
    )


def test_a_number_for_each_of_many_classes_is_named_though_some_are_too_rare_to_judge():
    target = np.r_[np.repeat(np.arange(200.0), 5), 200.0, 201.0]
    numbers = np.random.default_rng(1).permutation(1000)[target.astype(int)]
    matrix = np.column_stack([numbers, np.random.default_rng(2).normal(size=len(target))])
    blocks = [("number", slice(0, 1)), ("noise", slice(1, 2))]
    assert [leak.column for leak in find_leaks("multiclass", matrix, blocks, target, ["number", "noise"], 0)] == [
        "number"
    ]


@pytest.mark.parametrize(("columns", "rows"), [(3, 600), (50, 600), (120, 6000)])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_column_asked_about_is_judged(task, columns, rows):
    random = np.random.default_rng(2)
    target = {"binary": random.integers(0, 2, rows), "multiclass": random.integers(0, 9, rows)}.get(
        task, random.normal(size=rows)
    )
    target = target.astype(float)
    if task == "multiclass":
        target[:4] = 9.0  # too rare to be among few rows
    matrix = np.column_stack([*random.normal(size=(columns - 1, rows)), target])
    names = [f"c{n}" for n in range(columns)]
    blocks = [(name, slice(n, n + 1)) for n, name in enumerate(names)]
    assert [item.column for item in find_leaks(task, matrix, blocks, target, names, 0)] == [names[-1]]


def test_a_leak_stands_in_the_report_and_in_the_run(tmp_path):
    customers(800).with_columns(
        after=pl.when(pl.col("left") == "gone").then(pl.lit("closed")).otherwise(pl.lit("open"))
    ).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    run = make_pipeline(tmp_path).run(store)
    run.raise_for_status()
    assert [item["column"] for item in run["evaluated"]["evaluation"]["leaks"]] == ["after"]
    from pathlib import Path

    assert "alone predicts the target on rows never seen" in Path(run.report).read_text()
    store.close()
