"""Dates as people and programs write them are read, the same in a table and alone."""

import datetime as dt
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ingest.options import PLAIN
from penstock.ingest.text import csv_parts
from penstock.prepare.changes import Dropped
from penstock.prepare.inference import infer
from penstock.prepare.tables import Facts, apply_facts
from penstock.types.dates import DATE_FORMATS, YEAR_FIRST, has_clock, is_zoned, read_moment, shape
from penstock.types.parse import Parse, read_date

DAY, LATER = dt.datetime(2019, 1, 31), dt.datetime(2020, 2, 1)
AFTERNOON = dt.datetime(2019, 1, 31, 15, 5)


def written(moment, form):
    """Write a moment in a form; of Polars' own marks, those that Python lacks."""
    form = form.replace("%q", str((moment.month + 2) // 3))
    form = form.replace("%.f", f".{moment.microsecond:06}").replace("%#z", "+01:00").replace("%:z", "+01:00")
    return moment.strftime(form)


@pytest.mark.parametrize(
    ("cells", "form", "first"),
    [
        (["2019-01-31", "2020-02-01"], "%Y-%m-%d", DAY),
        (["1/31/2019", "2/1/2020"], "%m/%d/%Y", DAY),
        (["31/1/2019", "1/2/2020"], "%d/%m/%Y", DAY),
        (["31-01-2019", "01-02-2020"], "%d-%m-%Y", DAY),
        (["1/31/19", "2/1/20"], "%m/%d/%y", DAY),
        (["31.1.19", "1.2.20"], "%d.%m.%y", DAY),
        (["31-Jan-2019", "01-FEB-2020"], "%d-%B-%Y", DAY),
        (["31-JAN-19", "01-FEB-20"], "%d-%B-%y", DAY),
        (["January 31, 2019", "Feb 1, 2020"], "%B %d, %Y", DAY),
        (["31 January 2019", "1 Feb 2020"], "%d %B %Y", DAY),
        (["01/31/2019 03:05:00 PM", "02/01/2020 12:00:00 AM"], "%m/%d/%Y %I:%M:%S %p", AFTERNOON),
        (["1/31/2019 3:05 PM", "2/1/2020 11:59 am"], "%m/%d/%Y %I:%M %p", AFTERNOON),
        (["31/01/2019 15:05:00", "01/02/2020 00:00:00"], "%d/%m/%Y %H:%M:%S", AFTERNOON),
        (["2019-01-31T15:05", "2020-02-01T00:00"], "%Y-%m-%dT%H:%M", AFTERNOON),
        (["2019-01-31 16:05:00+01:00", "2020-02-01 00:00:00+01:00"], "%Y-%m-%d %H:%M:%S%#z", AFTERNOON),
        (["2019-01-31 15:05:00 UTC", "2020-02-01 00:00:00 UTC"], "%Y-%m-%d %H:%M:%S UTC", AFTERNOON),
        (["2019-01-31T15:05:00.000Z", "2020-02-01T00:00:00Z"], "%Y-%m-%dT%H:%M:%S%.f%#z", AFTERNOON),
        (["Thu Jan 31 15:05:00 +0000 2019", "Sat Feb 01 00:00:00 +0000 2020"], "%a %B %d %H:%M:%S %#z %Y", AFTERNOON),
        (["Thu, 31 Jan 2019 15:05:00 GMT", "Sat, 01 Feb 2020 00:00:00 GMT"], "%a, %d %B %Y %H:%M:%S GMT", AFTERNOON),
        (["2019-01", "2020-02"], "%Y-%m", dt.datetime(2019, 1, 1)),
        (["Jan 2019", "February 2020"], "%B %Y", dt.datetime(2019, 1, 1)),
        (["2019-Q1", "2020-Q4"], "%Y-Q%q", dt.datetime(2019, 1, 1)),
        (["Q3 2019", "Q4 2020"], "Q%q %Y", dt.datetime(2019, 7, 1)),
        (["2019Q2", "2020Q3"], "%YQ%q", dt.datetime(2019, 4, 1)),
        (["20190131T150500", "20200201T000000"], "%Y%m%dT%H%M%S", AFTERNOON),
        (["20190131T150500Z", "20200201T000000Z"], "%Y%m%dT%H%M%S%#z", AFTERNOON),
        (["20190131T150500.000Z", "20200201T000000.5Z"], "%Y%m%dT%H%M%S%.f%#z", AFTERNOON),
        (["31/Jan/2019:15:05:00 +0000", "01/Feb/2020:00:00:00 +0000"], "%d/%B/%Y:%H:%M:%S %#z", AFTERNOON),
        (["2019-W05", "2020-W53"], "%G-W%V", dt.datetime(2019, 1, 28)),
        (["2019 W05", "2020 W53"], "%G W%V", dt.datetime(2019, 1, 28)),
        (["W05 2019", "W53 2020"], "W%V %G", dt.datetime(2019, 1, 28)),
        (["2019-W05-4", "2020-W53-7"], "%G-W%V-%u", DAY),
        (["Thursday, January 31, 2019", "Saturday, February 01, 2020"], "%A, %B %d, %Y", DAY),
        (["Thursday, 31 January 2019", "Saturday, 01 Feb 2020"], "%A, %d %B %Y", DAY),
    ],
)
def test_the_form_is_found_and_every_cell_read(cells, form, first):
    table = pl.DataFrame({"when": [*cells, None, "n/a", f" {cells[0]} "]})
    (parse,), _ = infer(table, set())
    assert (parse.to, parse.format) == ("date", form)
    read = table.select(parse.expression())["when"].to_list()
    assert read[0] == read[4] == first
    assert read[1] is not None and read[2] is read[3] is None
    assert [parse.reader()(cell) for cell in table["when"]] == read


@pytest.mark.parametrize(
    "cells",
    [
        ["01/02/2019", "03/04/2019"],
        ["01/02/2019 10:00:00", "03/04/2019 11:00:00"],
        ["01-02-19", "03-04-19"],
        ["2009-10", "2010-11", "2011-12"],
        ["192.168.10.1", "10.0.0.1"],
        ["12-34-56", "11-10-20"],
        ["1998 Q1", "1998 Q5"],
        ["Q1", "Q2"],
    ],
)
def test_what_may_be_read_in_two_ways_or_is_no_date_stays_text(cells):
    parses, _ = infer(pl.DataFrame({"when": cells}), set())
    assert parses == []


@pytest.mark.parametrize(("form", "cell"), [("Q%q", "Q1"), ("%d/%m", "31/12"), ("%H:%M", "10:20")])
def test_a_form_without_a_year_reads_nothing(form, cell):
    assert read_moment(cell, form) is None
    assert pl.DataFrame({"c": [cell]}).select(Parse("c", "date", form).expression()).item() is None


def test_years_of_two_digits_are_of_1950_to_2049_and_never_of_the_first_century():
    parse = Parse("c", "date", "%d/%m/%y")
    table = pl.DataFrame({"c": ["31/01/50", "31/01/49", "31/12/2019"]})
    read = table.select(parse.expression())["c"].to_list()
    assert [moment and moment.year for moment in read[:2]] == [1950, 2049]
    assert [parse.reader()(cell) for cell in table["c"][:2]] == read[:2]
    four = Parse("c", "date", "%d/%m/%Y")
    assert pl.DataFrame({"c": ["31/01/19"]}).select(four.expression()).item() is None
    with pytest.raises(ValueError, match="expected a date"):
        four.reader()("31/01/19")


@given(
    moment=st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2049, 12, 31)),
    form=st.sampled_from(DATE_FORMATS),
    noise=st.sampled_from(["", " ", "x", "0"]),
)
def test_a_cell_is_read_alone_as_in_a_table(moment, form, noise):
    text = written(moment, form) + noise
    table = pl.DataFrame({"c": [text]}).select(Parse("c", "date", form).expression()).item()
    assert read_moment(text.strip(), form) == table
    assert shape(form) is not None
    if not noise.strip():
        assert table is not None
        assert has_clock(form) or (table.hour, table.minute) == (0, 0)
        assert not is_zoned(form) or abs((moment - table).total_seconds() - 3600) < 60


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("%Y%m%d%H%M%S", "202001011030"), ("%Y%m%d%H%M%S", "2020010110300"), ("%Y%m%dT%H%M%S%#z", "20200101T1030Z"),
        ("%GW%V%u", "2020W53"), ("%G-W%V", "2020-W54"), ("%G-W%V", "2021-W53"), ("%G-W%V", "2020-W5"), ("%G-W%V-%u", "2020-W05-8"),
        ("%A, %B %d, %Y", "Sunday, February 01, 2020"), ("%A, %B %d, %Y", "Sat, February 01, 2020"),
        ("%A, %B %d, %Y", "Caturday, February 01, 2020"), ("%a %B %d %H:%M:%S %Y", "Fri Feb 01 00:00:00 2020"),
    ],
)  # fmt: skip
def test_a_cell_that_is_nearly_of_a_form_is_read_alone_as_in_a_table(form, cell):
    in_table = pl.DataFrame({"c": [cell]}).select(Parse("c", "date", form).expression()).item()
    assert read_moment(cell, form) in (in_table, None)


def test_a_date_in_the_form_of_iso_is_read_whatever_form_training_had():
    facts = Facts((("when", "text"), ("x", "integer")), (Parse("when", "date", "%m/%d/%Y"), Dropped("x")), (), 0, 0)
    cells = ["1/31/2019", "2019-01-31", "2019-01-31T00:00:00Z", "2019-01-31 01:00:00+01:00", "soon", None]
    made = apply_facts(pl.DataFrame({"when": cells, "x": range(6)}), facts)["when"].to_list()
    assert made == [DAY, DAY, DAY, DAY, None, None]
    assert {"%Y-%m-%d", "%Y-%m-%d %H:%M"} <= set(YEAR_FIRST.split("|"))


@given(
    moment=st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2049, 12, 31)),
    sign=st.sampled_from("-/."),
    clock=st.sampled_from(["", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %H:%M:%S.%f"]),
    padded=st.booleans(),
)
def test_a_date_that_a_file_may_hold_may_come_in_a_request(moment, sign, clock, padded):
    """Reading the file turned it into a date already, so that nothing says in which form it stood there."""
    day = f"{moment.year}{sign}{moment.month:0{2 if padded else 1}}{sign}{moment.day:0{2 if padded else 1}}"
    text = day + moment.strftime(clock)
    (table,) = csv_parts(lambda: io.BytesIO(f"at,x\n{text},1\n{text},2\n".encode()), PLAIN, Path("a.csv"))
    if table.schema["at"].is_temporal():
        assert read_date(text) == table["at"].cast(pl.Datetime("us"))[0]
        facts = Facts((("at", "text"),), (Parse("at", "date", "%m/%d/%Y"),), (), 0, 0)
        assert apply_facts(pl.DataFrame({"at": [text, "1/31/2019"]}), facts)["at"].to_list() == [read_date(text), DAY]
