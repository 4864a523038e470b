"""Text in blocks gives the table that it gives in one piece."""

import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from penstock.errors import DataError
from penstock.ingest import read, text
from penstock.ingest.json_rows import json_parts
from penstock.ingest.options import TextForm
from penstock.ingest.read import read_parts, read_table
from penstock.ingest.text import blocks, csv_parts
from penstock.prepare.inference import infer

FIELDS = st.sampled_from(["plain", "a,b", "two\nlines", 'say ""hi""', "Łódź", ""])


def csv_of(rows):
    return "n,t,x\n" + "".join(f'{n},"{t}",{x}\n' for n, t, x in rows)


@given(
    st.lists(st.tuples(st.integers(-9, 10**12), FIELDS, st.floats(-1e6, 1e6)), min_size=1, max_size=30),
    st.integers(60, 300),
)
@settings(max_examples=200, deadline=None)
def test_blocks_of_any_size_are_one_table(rows, size):
    data = csv_of(rows).encode()
    assert b"".join(blocks(io.BytesIO(data), size)) == data
    found = [
        frame
        for frame in csv_parts(lambda: io.BytesIO(data), TextForm(), read.Path("a.csv"), size)
        if frame is not None
    ]
    assert_frame_equal(pl.concat(found), pl.DataFrame(
        {"n": [n for n, _, _ in rows], "t": [t.replace('""', '"') for _, t, _ in rows], "x": [float(str(x)) for *_, x in rows]}
    ), check_exact=False)  # fmt: skip


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(csv_parts, "__defaults__", (4096,))
    monkeypatch.setattr(json_parts, "__defaults__", (4096,))


def test_a_later_block_with_wider_types_begins_the_table_again(tmp_path, small_blocks):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c,d\n" + "1,2,2024-01-01,01\n" * 3000 + "1.5,x,soon,2\n" + "3,,2024-01-02,3\n" * 10)
    names = [name for name, _ in read_parts(path)]
    assert names.count("00000") == 2
    table = read_table(path)
    assert table.schema == {"a": pl.Float64, "b": pl.String, "c": pl.String, "d": pl.String}
    assert table.height == 3011
    assert table[3000].row(0) == (1.5, "x", "soon", "2")
    assert table[0].row(0) == (1.0, "2", "2024-01-01", "01")


def test_dates_whose_year_does_not_stand_first_are_not_guessed_from_the_first_rows(tmp_path, small_blocks):
    days = [f"{day:02}/0{1 + at % 2}/2019" for at, day in enumerate(list(range(1, 13)) * 100)]
    path = tmp_path / "a.csv"
    path.write_text(
        "d,e,n\n" + "".join(f"{day},2019-01-01 10:00:00,{at}\n" for at, day in enumerate([*days, "1/31/2019"]))
    )
    table = read_table(path)
    assert table.schema == {"d": pl.String, "e": pl.Datetime("us"), "n": pl.Int64}
    assert table["d"].to_list() == [*days, "1/31/2019"]
    assert [(parse.column, parse.format) for parse in infer(table, set())[0]] == [("d", "%m/%d/%Y")]
    assert infer(table[:-1], set())[0] == []


@pytest.mark.parametrize("clock", ["20200105T103000Z", "2019-01-31 15:05:00 UTC", "20200105T103000.25+0100"])
@pytest.mark.parametrize("late", [False, True])
def test_a_form_of_dates_that_is_told_but_not_read_by_polars_is_text_that_is_read_later(
    tmp_path, small_blocks, clock, late
):
    path = tmp_path / "a.csv"
    first = ["2019-01-31T15:05:00"] * 300 if late else []
    path.write_text(
        "w,day,n\n" + "".join(f"{text},2019-01-31,{at}\n" for at, text in enumerate([*first, *[clock] * 300]))
    )
    table = read_table(path)
    assert table["w"].to_list() == [*first, *[clock] * 300]
    assert table["n"].dtype == pl.Int64
    found = {parse.column: parse for parse in infer(table, set())[0]}
    if not late:
        assert table.select(found["w"].expression())["w"].null_count() == 0
    assert "day" in found or table["day"].dtype == pl.Date


def test_a_later_block_of_such_dates_alone_makes_their_column_text():
    data = b"2019-02-01,20200105T103000Z\n" * 3
    assert text._wider_types(data, ",", ["d", "w"], {"d": pl.Date(), "w": pl.Datetime("us")}) == {"w": pl.String}


def test_numbers_in_digits_of_other_scripts_are_text_beside_columns_that_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("day,n,w,x\n" + "2019-01-31,۱۶۵۰,20200105T103000Z,1\n" * 40)
    assert read_table(path).schema == {"day": pl.Date, "n": pl.String, "w": pl.String, "x": pl.Int64}


def test_what_is_wrong_in_a_later_block_is_told_with_its_line(tmp_path, small_blocks):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 3000 + "1,2,3\n")
    with pytest.raises(DataError, match="a.csv, line 3002: has 3 fields, the header has 2"):
        read_table(path)
    path.write_text("a,b\n" + "1,2\n" * 3000 + "1\n" + "1,2\n" * 5)
    with pytest.raises(DataError, match="a.csv, line 3002: has 1 fields, the header has 2"):
        read_table(path)
    path.write_bytes(b"a,b\n" + b"1,x\n" * 3000 + "1,é\n".encode("latin-1"))
    with pytest.raises(DataError, match='a.csv, line 3002: the byte 0xe9 is not utf-8.*encoding="latin-1"'):
        read_table(path)
    path.write_bytes("a,b\n".encode("cp1252") + b"1,x\n" * 3000 + b"1,\x81\n")
    with pytest.raises(DataError, match="line 3002: the byte 0x81 is not cp1252"):
        read_table(path, TextForm(encoding="cp1252"))
    path.with_suffix(".jsonl").write_text('{"a": 1}\n' * 3000 + "[2]\n")
    with pytest.raises(DataError, match="a.jsonl, line 3001: is not an object"):
        read_table(path.with_suffix(".jsonl"))


def test_other_encodings_and_packings_are_read_in_blocks(tmp_path, small_blocks):
    import gzip

    lines = "stadt;wert\n" + "Köln;1,5\n" * 3000
    (tmp_path / "a.csv").write_bytes(lines.encode("utf-16"))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(lines.encode()))
    assert read_table(tmp_path / "a.csv", TextForm(encoding="utf-16")).equals(read_table(tmp_path / "b.csv.gz"))
    (tmp_path / "cut.csv.gz").write_bytes((tmp_path / "b.csv.gz").read_bytes()[:-20])
    with pytest.raises(DataError, match="is not a whole gzip file"):
        read_table(tmp_path / "cut.csv.gz")


def test_quotes_that_are_not_closed_do_not_swallow_the_file():
    data = b"a,b\n" + b'1,5" pipe\n' * 500
    assert len(list(blocks(io.BytesIO(data), 1000))) > 3


def test_text_without_a_header_takes_the_names_that_it_is_given(tmp_path):
    path = tmp_path / "iris.data"
    path.write_text("5.1;3.5;setosa\n4.9;;virginica\n" * 3)
    form = TextForm(columns=("length", "width", "kind"))
    assert read_table(path, form).rows() == [(5.1, 3.5, "setosa"), (4.9, None, "virginica")] * 3
    path.write_text("length;width;kind\n5.1;3.5;setosa\n")  # it has one after all
    assert read_table(path, form).rows() == [(5.1, 3.5, "setosa")]
    path.write_text("1,2,3\n4,5\n")
    with pytest.raises(DataError, match=r"line 2: has 2 fields, the header has 3"):
        read_table(path, form)
    with pytest.raises(DataError, match=r"line 1: has 3 fields; columns= names 2"):
        read_table(path, TextForm(columns=("a", "b")))
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="names its columns itself"):
        read_table(tmp_path / "a.parquet", form)


def test_the_first_line_in_which_excel_names_the_separator_is_no_header(tmp_path):
    for said in ("sep=;\n", '"sep=;"\r\n'):
        (tmp_path / "a.csv").write_bytes((said + "a;b,c\n1;2\n3;4\n").encode())
        assert read_table(tmp_path / "a.csv").to_dict(as_series=False) == {"a": [1, 3], "b,c": [2, 4]}
        (tmp_path / "b.csv").write_bytes((said + "1;2\n3;x;4\n").encode())
        with pytest.raises(DataError, match="line 3: has 3 fields"):
            read_table(tmp_path / "b.csv", TextForm(columns=("a", "b")))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_above_the_header_are_left_out_when_their_number_is_said(tmp_path, end):
    title = ["Account;123", "of May", "", "day;paid"]
    lines = [*title, "1;2", "3;4"]
    (tmp_path / "a.csv").write_bytes(end.join(lines).encode())
    (tmp_path / "b.txt").write_text("# station 5\n# by hand\nday  paid\n  1     2\n  3     4\n")
    for name, skip in (("a.csv", 3), ("a.csv", 2), ("b.txt", 2)):
        assert read_table(tmp_path / name, TextForm(skip=skip)).to_dict(as_series=False) == {
            "day": [1, 3],
            "paid": [2, 4],
        }
    (tmp_path / "c.csv").write_bytes(end.join([*lines, "5;6;7"]).encode())
    with pytest.raises(DataError, match="line 7: has 3 fields, the header has 2"):
        read_table(tmp_path / "c.csv", TextForm(skip=3))
    (tmp_path / "d.csv").write_text("Sales; of; May\nday;paid\n" + "1;2\n" * 30 + "1\n")
    with pytest.raises(DataError, match=r"line 2: .*, or say how many lines stand above the header: .*skip="):
        read_table(tmp_path / "d.csv")
    with pytest.raises(DataError, match=r"line 33: .*holds a separator\.$"):
        read_table(tmp_path / "d.csv", TextForm(skip=1))
    with pytest.raises(DataError, match="the file is empty"):
        read_table(tmp_path / "d.csv", TextForm(skip=100))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('a,b\n1,2\n1,"2\n', "line 3: a quotation mark is not closed"),
        ('a,b\n1,2\n3,4\n5,"x\n7,8\n9,1\n', "line 4: a quotation mark is not closed"),
        ('a,b\n1,2\n1,"x"y\n2,x\n', r"line 3: .*expected after"),
        ('a,b,c\n1,5" pipe,"q,r"\n3,6" y\n', "line 3: has 2 fields, the header has 3"),
    ],
)
def test_a_quote_out_of_place_is_told_with_its_line(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_table(tmp_path / "a.csv")


FIELD = st.text("ab\" '", min_size=1, max_size=6).filter(lambda text: not text.startswith('"'))


@given(
    st.lists(st.tuples(FIELD, st.sampled_from(["x", '"y,z"'])), min_size=1, max_size=30),
    st.sampled_from([10, 40, 10**6]),
)
def test_quotes_within_fields_are_kept_as_they_stand(rows, size):
    text = "n,a,b\n" + "".join(f"{number},{first},{second}\n" for number, (first, second) in enumerate(rows))
    parts = []
    for part in csv_parts(lambda: io.BytesIO(text.encode()), TextForm(), Path("a.csv"), size):
        parts = [] if part is None else [*parts, part]
    found = pl.concat(parts)
    assert found["a"].to_list() == [first for first, _ in rows]
    assert found["b"].to_list() == [second.strip('"') for _, second in rows]


def test_large_parquet_and_arrow_files_come_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "_WHOLE", 1000)
    monkeypatch.setattr(read, "BLOCK", 200_000)
    table = pl.DataFrame({"n": range(100_000), "t": ["a", "ł"] * 50_000})
    table.write_parquet(tmp_path / "a.parquet", row_group_size=10_000)
    table.write_ipc(tmp_path / "a.arrow", record_batch_size=10_000)
    for name in ("a.parquet", "a.arrow"):
        parts = dict(read_parts(tmp_path / name))
        assert len(parts) > 1
        assert_frame_equal(pl.concat(list(parts.values())), table)
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-5000])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_table(tmp_path / "b.parquet")


def test_a_block_of_blank_lines_is_no_rows():
    data = b"a,b\n1,2\n" + b"\n" * 500 + b"3,4\n"
    found = [
        frame for frame in csv_parts(lambda: io.BytesIO(data), TextForm(), read.Path("a.csv"), 100) if frame is not None
    ]
    assert pl.concat(found).rows() == [(1, 2), (3, 4)]
