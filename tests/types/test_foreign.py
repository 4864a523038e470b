"""What pandas holds becomes what a file would hold, or is told with its column."""

import datetime as dt
import decimal
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pytest

from penstock.errors import DataError
from penstock.types.foreign import frame_from

KEY = uuid.UUID("12345678-1234-1234-1234-123456789abc")


@pytest.mark.parametrize(
    ("cells", "found", "kind"),
    [
        ([1, "x", None, 2.5, True], ["1", "x", None, "2.5", "True"], pl.String),
        ([2**70, 1, None], [str(2**70), "1", None], pl.String),
        ([KEY, None], [str(KEY), None], pl.String),
        ([True, None, np.nan], [True, None, None], pl.Boolean),
        (pd.Categorical(["a", None, "a"]), ["a", None, "a"], pl.Categorical),
        (pd.array([1, None], dtype="Int64"), [1, None], pl.Int64),
        (pd.arrays.SparseArray([0, 0, 1]), [0, 0, 1], pl.Int64),
        (pd.period_range("2024-01", periods=2, freq="M"), [dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 1)], None),
        ([b"x", None], [b"x", None], pl.Binary),
        ([decimal.Decimal("1.5"), None], [decimal.Decimal("1.5"), None], None),
        ([[1, 2], None], [[1, 2], None], pl.List(pl.Int64)),
    ],
)
def test_columns_of_pandas_become_what_a_file_would_hold(cells, found, kind):
    made = frame_from(pd.DataFrame({"a": cells}))["a"]
    assert made.to_list() == found
    assert kind is None or made.dtype == kind


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns have the same name: 'a'"),
        (pd.DataFrame({"b": [1], "a": [object()]}), 'column "a" holds object'),
        (pd.DataFrame({"a": [1 + 2j]}), 'column "a" holds complex128'),
        (pd.DataFrame({"a": [1, [2], "x"]}), 'column "a" holds list'),
    ],
)
def test_what_no_table_can_hold_is_told_with_its_column(frame, says):
    with pytest.raises(DataError, match=says):
        frame_from(frame)


def test_columns_may_have_any_name_and_an_index_is_none():
    frame = pd.DataFrame(np.arange(4).reshape(2, 2), index=pd.Index(["p", "q"], name="key"))
    assert frame_from(frame).to_dict(as_series=False) == {"0": [0, 2], "1": [1, 3]}
    assert frame_from(pd.DataFrame({"a": []})).height == 0
