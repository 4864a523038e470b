"""Names of columns as people write them: one by one, in a list, and by mistake."""

import polars as pl
import pytest

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.types.columns import need

BOTH = [
    ps.prepare.drop, ps.prepare.drop_duplicates, ps.prepare.normalise, ps.prepare.clip, ps.features.categories,
    lambda *columns: ps.prepare.fill(*columns, how="median"),
]  # fmt: skip


@pytest.mark.parametrize("declare", BOTH)
def test_columns_are_named_one_by_one_or_in_a_list(declare):
    assert repr(declare("a", "b")) == repr(declare(["a", "b"])) == repr(declare(("a",), "b"))


def test_one_name_and_a_list_mean_what_their_author_meant():
    assert ps.features.cross(["a", "b"]).expressions[0][0] == "a_x_b"
    assert ps.evaluate.gate(slices="city").slices == ("city",)
    assert ps.features.join("planes", on="id", columns="seats").columns == ("seats",)
    assert ps.features.asof("weather", columns="wind").columns == ("wind",)
    assert ps.features.select(drop="city").drop == ("city",)
    assert ps.train.search(learners="linear").learners == ("linear",)
    assert ps.ingest.files(["a.csv", "b.csv"]).patterns == ("a.csv", "b.csv")


WRONG = {
    "cast": lambda: ps.prepare.cast(["x"], pl.Float64),
    "drop": lambda: ps.prepare.drop(pl.col("x")),
    "filter": lambda: ps.prepare.filter("x > 0"),
    "calendar": lambda: ps.features.calendar(["day"]),
    "text": lambda: ps.features.text(["note"]),
    "lag": lambda: ps.features.lag(["x"], 1),
    "group": lambda: ps.split.group(["who"]),
    "time": lambda: ps.split.time(["day"]),
    "files": lambda: ps.ingest.files("a.csv", time=["day"]),
    "redact": lambda: ps.deploy.api(redact=["email"]),
    "tell": lambda: ps.monitor.drift(tell=ps.monitor.command("true")),
    "retrain": lambda: ps.monitor.drift(retrain=True),
    "bound": lambda: ps.evaluate.gate(roc_auc="0.7"),
    "gain": lambda: ps.evaluate.gate(min_gain="much"),
    "window": lambda: ps.monitor.drift("0 rows"),
    "estimator": lambda: ps.train.estimator("lightgbm"),
    "trials": lambda: ps.train.search(trials="3"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_meant_is_refused_where_it_is_written(what):
    with pytest.raises(InputError, match=r"^ps\."):
        WRONG[what]()


def test_a_column_that_is_missing_is_told_with_those_of_the_author_alone():
    with pytest.raises(DataError) as told:
        need("split", ["ctiy"], ["penstock row", "city", "age"])
    assert str(told.value) == 'split: there is no column "ctiy". Did you mean "city"? There are: city, age'
    with pytest.raises(DataError, match="and 70 more$"):
        need("split", ["z"], [f"x{number}" for number in range(100)])
