"""Rows that belong together are found by what they share, and only where that makes the test rows easier."""

import numpy as np
import polars as pl
import pytest

from penstock.evaluate import related
from penstock.evaluate.related import find_related

N = 4000


def divided(table, target, answers, **more):
    held = np.random.default_rng(9).random(table.height) < 0.3
    measure = lambda truth, said: float(np.mean((truth - said) ** 2))  # noqa: E731
    train, test = table.filter(pl.Series(~held)), table.filter(pl.Series(held))
    return find_related(train, test, target[~held], target[held], answers(held), measure, **more), held


def visits(kind):
    """Rows of visits, two or three each; those of one visit have nearly the same target."""
    random = np.random.default_rng(1)
    visit = np.sort(random.integers(0, N // 2, N))
    target = random.normal(size=N // 2)[visit] + random.normal(0, 0.05, N)
    start = pl.datetime(2024, 1, 1, time_zone="UTC")
    made = {
        "text": pl.format("Besuch für {}", "visit"),
        "integer": pl.col("visit") + 2**62,
        "category": pl.col("visit").cast(pl.String).cast(pl.Categorical),
        "time": start + pl.duration(minutes=pl.col("visit")),
        "with gaps": pl.when(pl.int_range(pl.len()) % 10 > 0).then("visit"),
    }[kind]
    table = pl.DataFrame({"visit": visit}).with_columns(made.alias("visit"))
    return table.with_columns(size=pl.Series(random.normal(size=N))), visit, target


@pytest.mark.parametrize("kind", ["text", "integer", "category", "time", "with gaps", "many"])
def test_rows_of_one_visit_are_found_whatever_names_it(kind, monkeypatch):
    if kind == "many":
        kind = "text"
        monkeypatch.setattr(related, "_MOST_ROWS", N // 3)
    table, visit, target = visits(kind)

    def answers(held):
        """A model that remembers each visit that it has learnt from."""
        learnt = dict(zip(visit[~held], target[~held], strict=True))
        return np.array([learnt.get(each, 0.0) for each in visit[held]])

    found, held = divided(table, target, answers)
    assert found.column == "visit"
    assert found.of == held.sum()
    assert found.known < 0.2 < 0.5 < found.others
    assert divided(table, target, answers, leave=["visit"])[0] is None


def test_a_model_that_gains_nothing_by_it_is_not_accused():
    table, _, target = visits("integer")
    assert divided(table, target, lambda held: np.zeros(held.sum()))[0] is None


def test_a_number_that_says_much_about_the_target_does_not_make_rows_belong_together():
    random = np.random.default_rng(2)
    price = np.round(np.exp(random.normal(7, 1.5, N))).astype(np.int64)
    target = np.log(price) + random.normal(0, 0.1, N)
    hard = np.where(price > 3000, 1.0, 0.1)  # what is rare is hard to answer
    table = pl.DataFrame({"price": price})
    assert divided(table, target, lambda held: target[held] + hard[held] * random.normal(size=held.sum()))[0] is None


def test_columns_without_values_or_of_one_value_are_passed_over():
    table = pl.DataFrame(
        {"none": pl.Series([None] * N, dtype=pl.String), "one": ["a"] * N, "float": np.arange(N) / 2.0}
    )
    target = np.random.default_rng(3).normal(size=N)
    assert divided(table, target, lambda held: np.zeros(held.sum()))[0] is None
