"""A cell is read the same in a table and alone."""

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.types.parse import Parse

CELLS = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(r"\A\s?[$€]?-?\d{1,3}(,\d{3})*(\.\d+)?%?\s?\Z"),
    st.sampled_from(["yes", "No", " TRUE", "f", "", " ", "N/A", "null", "1e5", "1e999", "١٢", "1_000", "+.5", "-"]),
)


def alone(parse, value):
    try:
        return parse.reader()(value)
    except ValueError:
        return None


@given(CELLS)
@example("1_000")
@example("\u00a05\u00a0")
@pytest.mark.parametrize("to", ["number", "boolean", "text"])
def test_a_cell_is_read_the_same_in_a_table_and_alone(to, value):
    parse = Parse("c", to)
    table = pl.DataFrame({"c": [value]}, schema={"c": pl.String}).select(parse.expression()).item()
    assert table == alone(parse, value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("$1,234.50", 1234.5), ("12 %", 12.0), ("1,23", None), ("1e3", 1000.0), (" 7", 7.0), ("٣", None), ("inf", None)],
)
def test_numbers_as_people_write_them(text, number):
    assert pl.DataFrame({"c": [text]}).select(Parse("c", "number").expression()).item() == number


def test_what_is_no_number_is_refused_alone_and_blank_is_missing():
    reader = Parse("c", "number").reader()
    assert reader("n/a") is None
    assert reader(3) == 3.0
    for junk in ("abc", True, [1], {}):
        with pytest.raises(ValueError, match="expected a number"):
            reader(junk)


def test_dates_are_read_in_their_form_and_zones_become_utc():
    parse = Parse("c", "date", "%d/%m/%Y")
    table = pl.DataFrame({"c": ["31/12/2024", "2024"]}).select(parse.expression())["c"].to_list()
    assert table[0] == parse.reader()("31/12/2024")
    assert table[1] is None
    zoned = Parse("c", "date", "%Y-%m-%dT%H:%M:%S%:z")
    assert zoned.reader()("2024-01-01T02:00:00+02:00").hour == 0
