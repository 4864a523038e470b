"""Tables in parts: rows taken from them are those that the whole table has."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import DataError
from penstock.types import table as module
from penstock.types.foreign import frame_from
from penstock.types.table import InMemory, Table

FRAMES = st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=4)


def in_parts(parts):
    frames = [
        pl.DataFrame({"x": rows, "twice": [2 * row for row in rows]}, {"x": pl.Int64, "twice": pl.Int64})
        for rows in parts
    ]
    return Table(InMemory({str(number): frame for number, frame in enumerate(frames)}))


@given(FRAMES, st.data())
def test_flagged_rows_are_those_of_the_whole(parts, data):
    table = in_parts(parts)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=table.height, max_size=table.height)), dtype=bool)
    whole, some = table.whole().filter(pl.Series(flags, dtype=pl.Boolean)), table.chosen(flags)
    assert some.whole().equals(whole)
    assert some["twice"].equals(whole["twice"])
    assert some.height == whole.height
    assert some.schema == whole.schema
    again = data.draw(st.lists(st.booleans(), min_size=some.height, max_size=some.height))
    assert some.chosen(np.array(again, dtype=bool)).whole().equals(whole.filter(pl.Series(again, dtype=pl.Boolean)))
    places = data.draw(st.lists(st.integers(0, some.height - 1))) if some.height else []
    assert some.rows(places).equals(whole[places])


@given(FRAMES, st.integers(1, 7))
def test_each_nth_row_is_taken_across_parts(parts, step):
    table = in_parts(parts)
    assert table.each(step).whole().equals(table.whole().gather_every(step))


def test_a_part_without_a_taken_row_is_not_read():
    class Refusing(InMemory):
        def __getitem__(self, name):
            assert name != "1"
            return super().__getitem__(name)

        def shape(self, name):
            return dict.__getitem__(self, name).schema, dict.__getitem__(self, name).height

    whole = in_parts([[1, 2], [3, 4], [5]])
    table = Table(Refusing(whole.parts)).chosen(np.array([True, False, False, False, True]))
    assert table.whole()["x"].to_list() == [1, 5]


def test_rows_stand_for_a_table_of_many_cells_alone(monkeypatch):
    monkeypatch.setattr(module, "LOOKED", 6)
    assert in_parts([[1, 2], [3]]).step == 1
    assert in_parts([[1, 2], [3, 4]]).step == 2
    assert in_parts([[]]).step == 1


def test_rows_of_any_library_are_one_frame():
    frame = pl.DataFrame({"x": [1, 2], "c": ["a", None]})
    for other in (frame, frame.lazy(), frame.to_arrow(), frame.to_dict(), frame.to_dicts()):
        assert frame_from(other).equals(frame)
    assert frame_from(pytest.importorskip("pandas").DataFrame({"x": [1, 2]}))["x"].to_list() == [1, 2]
    for wrong in (None, "rows.csv", 3):
        with pytest.raises(DataError, match="expected a table"):
            frame_from(wrong)
