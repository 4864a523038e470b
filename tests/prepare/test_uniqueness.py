"""Values that come more than once are found in whatever part they stand, few of them held at once."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.prepare import uniqueness
from penstock.prepare.rules import ColumnRules, infer_rules
from penstock.prepare.uniqueness import hashes_of, repeated
from penstock.types.table import InMemory, Table

PARTS = st.lists(st.lists(st.integers(0, 20) | st.none(), max_size=9), min_size=1, max_size=4)


@pytest.mark.parametrize("held", [3, 1000])
@given(PARTS)
def test_repeated_values_are_those_that_the_whole_counts_twice(held, parts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uniqueness, "HELD", held)
        table = Table(InMemory({str(at): pl.DataFrame({"x": part}, {"x": pl.Int64}) for at, part in enumerate(parts)}))
        filled = table["x"].drop_nulls()
        expected = hashes_of(filled.filter(filled.is_duplicated()).unique())
        assert sorted(repeated(table, "x")) == sorted(expected)


@pytest.mark.parametrize("held", [7, 1000])
@pytest.mark.parametrize(("last", "unique"), [(99, True), (42, False)])
def test_a_column_is_unique_where_no_part_repeats_another(held, last, unique, monkeypatch):
    monkeypatch.setattr(uniqueness, "HELD", held)
    table = Table(InMemory(a=pl.DataFrame({"key": range(99)}), b=pl.DataFrame({"key": [last]})))
    found = infer_rules({"rows": table}, {})["rows"].columns["key"]
    assert found == (
        ColumnRules("integer", nullable=False, unique=True)
        if unique
        else ColumnRules("integer", nullable=False, min=0, max=98)
    )
