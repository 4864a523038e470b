"""Anything may come as a body: each way in either reads it or says what is wrong, and nothing else."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.deploy.bodies import read_body, rows_of
from penstock.deploy.protocols import read_infer, read_invocation
from penstock.errors import PenstockError
from penstock.types.rows import RowsError

TOLD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PenstockError, RowsError)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
tensors = st.fixed_dictionaries(
    {"name": st.text(max_size=4), "datatype": st.sampled_from(["BYTES", "FP64", "INT8", "BOOL", "X"]), "shape": st.lists(st.integers(-2, 5), max_size=3)},
    optional={"data": values, "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "x"]), values, max_size=2)},
)  # fmt: skip


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"text/csv", b"application/vnd.apache.arrow.stream", b"application/json"]),
)
def test_bytes_are_read_or_told(body, kind):
    for read in (
        lambda: read_body(kind, b"", body),
        lambda: read_invocation(kind, body),
        lambda: read_infer(body, b"7"),
    ):
        try:
            assert read().count >= 0
        except TOLD:
            continue


@given(
    st.dictionaries(
        st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances", "params"]), values, max_size=2
    )
)
def test_invocations_are_read_or_told(body):
    try:
        assert read_invocation(b"application/json", msgspec.json.encode(body)).rows is not None
    except TOLD:
        pass


@given(st.lists(tensors, max_size=3), st.binary(max_size=64), st.booleans())
def test_tensors_are_read_or_told(inputs, tail, announced):
    head = msgspec.json.encode({"inputs": inputs})
    length = str(len(head)).encode() if announced else b""
    try:
        rows = read_infer(head + (tail if announced else b""), length).rows
        assert all(isinstance(row, dict) for row in rows)
    except TOLD:
        pass


def test_tensors_may_follow_as_bytes():
    inputs = [
        {"name": "city", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 16}},
        {"name": "age", "datatype": "FP32", "shape": [2, 1], "parameters": {"binary_data_size": 8}},
    ]
    import struct

    head = msgspec.json.encode({"inputs": inputs})
    words = b"".join(struct.pack("<I", len(word)) + word for word in (b"Oslo", b"Rome"))
    asked = read_infer(head + words + struct.pack("<2f", 1.5, float("nan")), str(len(head)).encode())
    assert asked.rows == [{"city": "Oslo", "age": 1.5}, {"city": "Rome", "age": None}]


def test_columns_of_different_lengths_are_told():
    with pytest.raises(PenstockError, match="must have one length, and have: a 1, b 2"):
        rows_of({"a": [1], "b": [1, 2]})


def test_a_row_by_itself_may_hold_cells_that_hold_others():
    row = {"customer": {"tier": "pro", "seats": None}, "tags": ["a"], "channel": "mail", "explain": True}
    asked = read_body(b"application/json", b"", json.dumps(row).encode())
    assert (asked.rows, asked.explain) == ([{name: row[name] for name in ("customer", "tags", "channel")}], True)
    assert read_body(b"application/json", b"", b'{"data": [{"a": 1}], "total": 1}').rows == [{"a": 1}]
