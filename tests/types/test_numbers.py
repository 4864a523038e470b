"""Numbers with currencies, thousands, commas and units are read, the same in a table and alone."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.prepare.decisions import prepare
from penstock.prepare.inference import infer, infer_parts
from penstock.types.numbers import CLOCKS, MAGNITUDES, number_in, read_number
from penstock.types.parse import Parse

ODD = st.text(alphabet="0123456789.,:+-()' \u00a0\u202f\u2212$€%eEkKmMbBgsxaApP", max_size=10)


@pytest.mark.parametrize(
    ("cells", "decimal", "unit", "numbers"),
    [
        (["12,5", "1.234,56"], ",", "", [12.5, 1234.56]),
        (["1.234.567", "2.500"], ",", "", [1234567, 2500]),
        (["1,234", "2,500"], ".", "", [1234, 2500]),
        (["1 234", "7"], ".", "", [1234, 7]),
        (["1\u202f234,5 €", "7 €"], ",", "", [1234.5, 7]),
        (["1'234.50", "2"], ".", "", [1234.5, 2]),
        (["\u22125", "3"], ".", "", [-5, 3]),
        (["1248 CC", "998 CC"], ".", "CC", [1248, 998]),
        (["1 day", "14 days"], ".", "day(s)", [1, 14]),
        (["12,5 km", "3km"], ",", "km", [12.5, 3]),
        (["12.5 °C", "-3 °C"], ".", "°C", [12.5, -3]),
        ([" 36 months", " 60 months"], ".", "months", [36, 60]),
        (["€110.5M", "€600K", "€0"], ".", MAGNITUDES, [110_500_000, 600_000, 0]),
        (["5k", "3.2m"], ".", MAGNITUDES, [5000, 3_200_000]),
        (["10,000+", "500 +"], ".", "+", [10_000, 500]),
        (["34", "90+", "7"], ".", "+", [34, 90, 7]),
        (["₹500", "₹1,200"], ".", "", [500, 1200]),
        (["13:08", "9:30"], ".", "h:mm", [788, 570]),
        (["9:30 AM", "12:05 PM", "12:05am"], ".", "h:mm", [570, 725, 5]),
        (["1:02:03", "0:00:01.5"], ".", "h:mm:ss", [3723, 1.5]),
    ],
)
def test_the_way_of_writing_is_found_and_every_cell_read(cells, decimal, unit, numbers):
    table = pl.DataFrame({"x": [*cells, None, "n/a"]})
    (parse,), notes = infer(table, set())
    assert (parse.to, parse.decimal, parse.unit) == ("number", decimal, unit)
    read = table.select(parse.expression())["x"].to_list()
    assert read == [*numbers, None, None]
    assert [parse.reader()(cell) for cell in table["x"]] == read
    assert parse.reader()(3) == 3.0
    assert "read as numbers; 1 blank cells as missing" in notes[0].text
    apart = [table[at : at + 1] for at in range(table.height)]
    assert infer_parts(apart, set())[0] == [parse]


@pytest.mark.parametrize(
    "cells",
    [
        ["12 kg", "3 lb"],
        ["5", "3m"],
        ["C1000", "C1001"],
        ["12A", "14B"],
        ["12 Main Street", "14 Main Street"],
        ["1st", "2nd", "3rd"],
        ["12,5", "many"],
        ["1,234,5", "2"],
        ["10,000+", "5kg"],
        ["A+", "B"],
        ["K", "M"],
        ["9", "11", "20,22", "16"],
        ["3:45", "1:03:45"],
        ["2:1", "3:0"],
        ["10:75", "11:00"],
    ],
)
def test_what_is_no_number_or_of_several_units_stays_text(cells):
    assert infer(pl.DataFrame({"x": cells}), set())[0] == []


@given(ODD, st.sampled_from([".", ","]), st.sampled_from(["", "kg", "kg(s)", "+", MAGNITUDES, *CLOCKS]))
def test_a_cell_is_read_alone_as_in_a_table(text, decimal, unit):
    stripped = pl.DataFrame({"x": [text]}).select(pl.col("x").str.strip_chars(" \u00a0\u202f"))
    table = stripped.select(number_in(pl.col("x"), decimal, unit)).item()
    try:
        alone = read_number(text, decimal, unit)
    except ValueError:
        alone = None
    assert alone == table


def test_a_prepared_table_holds_the_numbers_and_says_how_they_were_written():
    raw = pl.DataFrame({"price": ["1,5", "2,25", "3"], "y": [1, 2, 3]})
    table, facts = prepare(raw, [], "y")
    assert table["price"].to_list() == [1.5, 2.25, 3.0]
    assert facts.changes == (Parse("price", "number", decimal=","),)
    assert [note.text for note in facts.notes] == ["numbers as text with a comma before the fraction, read as numbers"]
