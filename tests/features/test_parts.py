"""Features of a table in parts, and of relations in buckets, have the values of the whole table."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.features.test_past import EVENTS, FEATURES, ROWS, TIMES, frames, tables

import penstock as ps
from penstock.errors import DataError
from penstock.features.parts import compute_parts
from penstock.features.resolve import resolve
from penstock.features.stored import compacts, compute
from penstock.types.buckets import Buckets
from penstock.types.table import InMemory, Table


def in_parts(frame, size):
    pieces = [frame[at : at + size] for at in range(0, max(frame.height, 1), size)]
    return Table(InMemory({f"part {number}": piece for number, piece in enumerate(pieces)}))


@pytest.mark.parametrize("kind", list(FEATURES))
@given(rows=ROWS, events=EVENTS, size=st.integers(1, 7), limit=st.sampled_from([1, 500, 10**9]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parts_and_buckets_change_no_bit(kind, rows, events, size, limit):
    rows, events = frames(rows, events)
    features = [*FEATURES[kind], ps.features.derive(twice=pl.col("what") * 2)]
    made = resolve(features, "rows", {"rows": rows.schema, "events": events.schema}, TIMES)
    whole = compute(rows, made, compacts(made, tables(rows=rows, events=events)))
    parts = {"rows": in_parts(rows, size), "events": in_parts(events, size + 1)}
    found = pl.concat([frame for _, frame in compute_parts(parts["rows"], made, parts, limit)])
    assert_frame_equal(found, whole, check_exact=True)


def test_keys_of_unlike_numbers_meet_in_one_bucket():
    rows = pl.DataFrame({"who": [1, 2, 3, 4], "at": [10, 10, 10, 10]})
    events = pl.DataFrame({"who": [1.0, 2.0, 2.0, 3.0], "at": [1, 2, 3, 4], "paid": [5.0, 6.0, 7.0, None]})
    features = [ps.features.window("events", by="who", n=pl.len(), paid=pl.col("paid").sum())]
    made = resolve(features, "rows", {"rows": rows.schema, "events": events.schema}, {"rows": "at", "events": "at"})
    parts = {"rows": in_parts(rows, 1), "events": in_parts(events, 1)}
    found = pl.concat([frame for _, frame in compute_parts(parts["rows"], made, parts, 1)])
    assert found["n"].to_list() == [1, 2, 1, 0]
    assert found["paid"].to_list() == [5.0, 13.0, 0.0, 0.0]


def test_a_feature_that_looks_at_other_rows_is_refused():
    rows = pl.DataFrame({"x": list(range(40))})
    made = resolve([ps.features.derive(mean=pl.col("x").mean())], "rows", {"rows": rows.schema}, {"rows": None})
    with pytest.raises(DataError, match="looks at other rows"):
        list(compute_parts(in_parts(rows, 20), made, {"rows": in_parts(rows, 20)}))


def test_buckets_leave_nothing_behind():
    with Buckets(3) as buckets:
        buckets.add(pl.DataFrame({"k": [1, 2, None], "x": [1, 2, 3]}), ["k"])
        assert sum(item.height for item in map(buckets.read, range(3)) if item is not None) == 3
        folder = buckets.folder
    assert not folder.exists()
