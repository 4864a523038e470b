"""Matrices in batches: the file is the one that NumPy writes, and its rows are read as they are."""

import numpy as np
import pytest

from penstock.types import matrix as module
from penstock.types.matrix import Batches, Stored, save

WHOLE = np.random.default_rng(0).normal(size=(1000, 3))
BATCHES = Batches((1000, 3), lambda: iter([WHOLE[:0], WHOLE[:400], np.asfortranarray(WHOLE[400:])]))


def test_batches_are_written_as_the_whole_would_be(tmp_path):
    save(tmp_path / "whole.npy", WHOLE)
    save(tmp_path / "batches.npy", BATCHES)
    assert (tmp_path / "batches.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert np.array_equal(np.load(tmp_path / "batches.npy"), WHOLE)
    assert np.array_equal(BATCHES.whole(), WHOLE)


@pytest.mark.parametrize("rows", [slice(0, 10), slice(990, 2000), slice(5, 5), slice(None)])
def test_rows_of_a_file_are_those_of_the_matrix(tmp_path, rows, monkeypatch):
    save(tmp_path / "x.npy", WHOLE)
    stored = Stored(tmp_path / "x.npy")
    assert len(stored) == 1000
    assert np.array_equal(stored[rows], WHOLE[rows])
    assert np.array_equal(stored[7], WHOLE[7])
    monkeypatch.setattr(module, "_AT_ONCE", 300 * 3 * 8)
    assert [len(batch) for batch in stored.batches()] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate(list(stored.batches())), WHOLE)


def test_blank_columns_are_read_as_nothing(tmp_path):
    save(tmp_path / "x.npy", WHOLE)
    found = Stored(tmp_path / "x.npy", [1])[:]
    assert not found[:, 1].any()
    assert np.array_equal(found[:, [0, 2]], WHOLE[:, [0, 2]])
