"""What a step returns comes back as it was."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import os
import subprocess
import sys
import uuid
import zoneinfo
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from numpy.ma import masked_array

from penstock.errors import StoreError
from penstock.store.formats import decode, encode


def again(value, annotation=None):
    """Return a value as it comes from the store."""
    written = encode(value)
    assert encode(value) == written
    return decode(written.format, written.data, annotation)


def same(one, other):
    """Tell whether two values are of one type, in one order, and equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(map(same, zip(*one.items()), zip(*other.items())))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or one != one


KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.dates() | st.decimals(allow_nan=False) | st.uuids()
LEAVES = (
    KEYS
    | st.floats()
    | st.times()
    | st.timedeltas()
    | st.complex_numbers(allow_nan=False)
    | st.fractions()
    | st.binary()
)
ZONES = st.none() | st.just(datetime.UTC) | st.sampled_from(["Europe/Oslo", "Asia/Kathmandu"]).map(zoneinfo.ZoneInfo)
NESTED = st.recursive(
    LEAVES | st.datetimes(timezones=ZONES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS | st.tuples(KEYS, KEYS), inner, max_size=3)
        | st.sets(KEYS, max_size=3)
        | st.frozensets(st.tuples(KEYS), max_size=3)
    ),
    max_leaves=10,
)


@given(NESTED)
def test_values_come_back_of_their_types_and_in_their_order(value):
    assert same(again(value), value)


@pytest.mark.parametrize("value", [{"b": 1, "a": 2}, {"b": {"d": 1, "c": 2}, "a": (1,)}, {2: "b", 1: "a"}])
def test_keys_keep_their_order(value):
    assert repr(again(value)) == repr(value)


def test_a_set_gives_the_same_bytes_in_any_process():
    code = (
        "import sys; from penstock.store.formats import encode\n"
        "sys.stdout.buffer.write(encode({'a', 'b', b'c', b'd', ('e', 1)}).data)"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(made) == 1


def test_a_step_returns_several_tables_and_what_else_it_likes():
    train, test = pl.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3]}, index=["k"])
    y = pd.Series([0, 1], name=7, index=pd.Index(["a", "b"], name="id"))
    found = again(
        (train, test, {"y": y, "n": np.int64(2), "at": pd.Timestamp("2026-01-01 00:00:00.123456789", tz="Europe/Oslo")})
    )
    assert isinstance(found, tuple)
    assert found[0].equals(train)
    pd.testing.assert_frame_equal(found[1], test)
    pd.testing.assert_series_equal(found[2]["y"], y)
    assert found[2]["n"] == 2
    assert found[2]["at"] == pd.Timestamp("2026-01-01 00:00:00.123456789", tz="Europe/Oslo")
    assert str(found[2]["at"].tz) == "Europe/Oslo"


@pytest.mark.parametrize("name", [None, "x", 3])
def test_columns_come_back_with_their_names(name):
    series = pd.Series([1.5, None], name=name)
    pd.testing.assert_series_equal(again(series), series)
    if name is None or isinstance(name, str):
        column = pl.Series(name, [1, None])
        assert again(column).equals(column, check_names=True)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", None, "Łódź"], dtype=object),
        np.array([["a", 1], [2.5, None]], dtype=object),
        np.empty((0, 2), dtype=object),
        np.array([[1, 2], [3]], dtype=object),
        np.array([[1, 2], None, [3, 4]], dtype=object)[[0, 2]],
    ],
    ids=["text", "two dimensions", "empty", "ragged", "lists of one length"],
)
def test_arrays_of_objects_come_back(array):
    found = again(array)
    assert found.dtype == object
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("number", [np.int64(3), np.float32(1.5), np.bool_(True), np.datetime64("2026-01-01")])
def test_a_number_of_numpy_is_no_array(number):
    assert type(again(number)) is type(number)
    assert again(number) == number


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array", "lil_matrix"])
def test_sparse_matrices_come_back(kind):
    matrix = getattr(scipy.sparse, kind)(np.array([[0, 1.5], [2, 0]]))
    assert (again(matrix).toarray() == matrix.toarray()).all()


def test_models_of_boosted_trees_come_back():
    lightgbm, xgboost, catboost = (pytest.importorskip(name) for name in ("lightgbm", "xgboost", "catboost"))
    X = np.arange(120.0).reshape(60, 2)
    y = np.arange(60) % 2
    for model in (
        lightgbm.LGBMClassifier(n_estimators=2, verbose=-1),
        xgboost.XGBClassifier(n_estimators=2),
        catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False),
    ):
        found = again({"model": model.fit(X, y)})["model"]
        assert type(found) is type(model)
        assert (found.predict_proba(X) == model.predict_proba(X)).all()
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, y), 2)
    assert (again([booster])[0].predict(X) == booster.predict(X)).all()


@dataclasses.dataclass
class Parts:
    train: pl.DataFrame
    sizes: tuple[int, int]


class Pair(NamedTuple):
    table: pl.DataFrame
    rows: int


class Colour(enum.Enum):
    RED = "red"


def test_records_come_back_as_their_annotation_says():
    frame = pl.DataFrame({"x": [1]})
    found = again(Parts(frame, (1, 2)), Parts)
    assert isinstance(found, Parts)
    assert found.train.equals(frame)
    assert found.sizes == (1, 2)
    assert isinstance(again(Pair(frame, 1), Pair), Pair)
    assert again({1: Parts(frame, (1, 2))}, dict[int, Parts])[1].sizes == (1, 2)
    assert again(Colour.RED, Colour) is Colour.RED
    assert again((Colour.RED, 1), tuple[Colour, int]) == (Colour.RED, 1)
    assert again(Parts(frame, (1, 2)))["sizes"] == (1, 2)  # a dict, where nothing says more


def test_keys_that_are_marks_of_the_format_are_keys():
    for value in ({"$": "tuple", "of": [1]}, {"$float": "nan"}, {"a": {"$float": "inf"}}):
        assert again(value) == value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [1, object()]}, r"builtins.object cannot be stored.*at \['a'\]\[1\] of what is returned"),
        (pl.LazyFrame({"x": [1]}), r"Return its .collect\(\)"),
        (Path("x"), "what the file holds"),
        ((masked_array([1, 2], [0, 1]), 1), r"mask would be lost.*at \[0\]"),
    ],
    ids=["object", "lazy", "path", "masked"],
)
def test_what_has_no_format_is_refused_with_its_place(value, told):
    with pytest.raises(StoreError, match=told):
        encode(value)


def test_scalars_that_json_has_no_word_for():
    for value in (
        datetime.timedelta(-1, 5),
        decimal.Decimal("1.10"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=3),
        range(1, 9, 2),
        1 - 2j,
    ):
        assert same(again(value), value)
        assert repr(again(value)) == repr(value)
