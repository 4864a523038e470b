"""A problem in parts: encoded batch by batch as it would be at once, with means of other rows' targets where these were made."""

import functools

import numpy as np
import polars as pl
import pytest

from penstock.features.columns import categories
from penstock.features.encoding import fit_learning
from penstock.train.searched import Parted, Problem
from penstock.types import table as module
from penstock.types.table import InMemory, Table

random = np.random.default_rng(0)
WHOLE = pl.DataFrame({"x": random.normal(size=500), "city": random.choice(["a", "b", "c"], 500)})
TARGET = (random.random(500) < 0.4).astype(float)
PARTS = Table(InMemory(a=WHOLE[:123], b=WHOLE[123:123], c=WHOLE[123:]))
FIT = functools.partial(fit_learning, columns=WHOLE.columns, asked=[categories("city")], task="binary", classes=2)


@pytest.mark.parametrize("step", [1, 2, 7])
def test_batches_are_what_the_rows_would_be_at_once(step, monkeypatch):
    monkeypatch.setattr(module, "LOOKED", -(-1000 // step))
    assert PARTS.step == step
    encoding, batches = Parted(PARTS, FIT, TARGET, "binary", 2).encoded()
    spaced, looked = Problem(WHOLE.gather_every(step), FIT, TARGET[::step], "binary", 2).encoded()
    expected = spaced.matrix(WHOLE)
    expected[::step] = looked
    assert encoding == spaced
    assert np.array_equal(batches.whole(), expected)
    assert batches.shape == expected.shape


def test_some_of_its_rows_are_those_of_the_whole():
    rows = np.array([0, 5, 122, 123, 400])
    some = Parted(PARTS, FIT, TARGET, "binary", 2).of(rows).read()
    assert some.table.equals(WHOLE[rows])
    assert np.array_equal(some.target, TARGET[rows])
