"""Tables in files: what people have, and what they have by mistake."""

import bz2
import gzip
import io
import json
import lzma
import re

import polars as pl
import pyarrow as pa
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import DataError, InputError
from penstock.ingest import guesses
from penstock.ingest.options import TextForm
from penstock.ingest.read import concatenate, read_table
from penstock.ingest.text import csv_parts

TEXT = "city,price,day\nOslo,1.5,2024-01-31\nŁódź,,2024-02-01\n"


def write(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", TEXT),
        ("a.tsv", TEXT.replace(",", "\t")),
        ("a.csv", TEXT.replace(",", ";")),
        ("a.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        ("a.csv", TEXT.replace("\n", "\r\n")),
        ("a.csv", TEXT.replace("\n", "\r")),
        ("a.csv", "\n" + TEXT.replace("\n", "\n\n")),
        ("a.csv", "\r\n\r\n" + TEXT.replace("\n", "\r\n\r\n\r\n")),
        ("a.csv.gz", gzip.compress(TEXT.encode())),
        ("a.csv.zst", bytes(pa.compress(TEXT.encode(), "zstd", asbytes=True))),
        ("a.csv.bz2", bz2.compress(TEXT.encode())),
        ("a.csv.xz", lzma.compress(TEXT.encode())),
    ],
    ids=["csv", "tsv", "semicolons", "bom", "crlf", "mac", "blank lines", "blank crlf", "gzip", "zstd", "bz2", "xz"],
)
def test_the_same_table_in_any_clothes(tmp_path, name, data):
    table = read_table(write(tmp_path, name, data))
    assert table.columns == ["city", "price", "day"]
    assert table["city"].to_list() == ["Oslo", "Łódź"]
    assert table["price"].to_list() == [1.5, None]
    assert table.schema["day"] == pl.Date


def test_json_lines_and_parquet_nested_fields_become_columns(tmp_path):
    rows = [{"a": 1, "where": {"city": "Oslo"}}, {"a": 2.5, "where": {"city": None}, "tags": ["x"]}]
    table = read_table(write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert table["where.city"].to_list() == ["Oslo", None]
    assert table["tags"].to_list() == [None, '["x"]']
    table.write_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").equals(table)


def test_a_late_float_in_a_column_of_whole_numbers_is_read(tmp_path):
    assert read_table(write(tmp_path, "a.csv", "a\n" + "1\n" * 20_000 + "1.5\n"))["a"].sum() == 20_001.5


def test_leading_zeros_are_kept_as_text(tmp_path):
    assert read_table(write(tmp_path, "a.csv", "zip,n\n01234,1\n99999,2\n"))["zip"].to_list() == ["01234", "99999"]


def test_leading_zeros_are_kept_wherever_they_come_first(tmp_path):
    """Those of the first rows were looked for alone; later ones became numbers."""
    lines = [f"{10_000 + at},{at},2024-01-{at % 28 + 1:02}" for at in range(5000)]
    whole = write(tmp_path, "a.csv", "\n".join(["zip,n,day", *lines, "00123,1,2024-01-01", "99999,0,2024-01-02"]))
    table = read_table(whole)
    assert table["zip"].to_list()[-2:] == ["00123", "99999"]
    assert (table["n"].dtype, table["day"].dtype) == (pl.Int64, pl.Date)
    with whole.open("rb") as text:
        parts = list(csv_parts(lambda: io.BytesIO(text.read()) if not text.seek(0) else None, TextForm(), whole, 4096))
    again = max(number for number, part in enumerate(parts) if part is None)
    assert pl.concat(parts[again + 1 :]).equals(table)


@given(cells=st.lists(st.lists(st.from_regex(r"[0-9]{1,4}", fullmatch=True), min_size=2, max_size=2), min_size=1))
def test_no_cell_of_digits_loses_a_zero(cells):
    data = "".join(f"{one};{two}\n" for one, two in cells).encode()
    schema = {"a": pl.Int64(), "b": pl.Int64()}
    lost = {
        name
        for name, column in zip("ab", zip(*cells, strict=True), strict=True)
        if any(len(c) > 1 and c[0] == "0" for c in column)
    }
    for cached in (4, guesses._CACHED):  # pieces that end within cells, and one that holds all
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(guesses, "_CACHED", cached)
            assert set(guesses.coded(data, ";", schema)) == lost


def test_partitions_meet_in_a_wider_type():
    one, two = pl.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"a": ["?"], "c": [True]})
    assert concatenate({"one": one, "two": two}).rows() == [("1", "x", None), ("?", None, True)]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.csv", b"", "empty.csv: the file is empty"),
        ("header.csv", "a,b\n", "has columns .* but no rows"),
        ("ragged.csv", "a,b\n1,2\n3\n4,5\n", "ragged.csv, line 3: has 1 fields, the header has 2"),
        ("ragged.csv", "a,b\n\n\n1,2\n\n3\n4,5\n", "ragged.csv, line 6: has 1 fields, the header has 2"),
        ("ragged.csv", "a,b\n1,2\n3,4,5\n", "line 3: has 3 fields, the header has 2"),
        ("latin.csv", "a,b\nn,1\né,2\n".encode("latin-1"), 'line 3: the byte 0xe9 is not utf-8.*encoding="latin-1"'),
        ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), 'encoding="utf-16"'),
        ("junk.csv", bytes(range(256)) * 20, "holds binary data"),
        ("book.csv", b"PK\x03\x04rest", "ZIP or Excel"),
        ("double.csv", "a,b,a\n1,2,3\n", "two columns have the same name: 'a'"),
        ("a.csv.gz", b"not gzip", "is not a whole gzip file"),
        ("a.csv.xz", lzma.compress(b"a,b")[:-5], "is not a whole xz file"),
        ("a.parquet", b"nothing", "cannot be read as Parquet"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2: is not JSON"),
        ("a.jsonl", '{"a": 1}\n[3]\n', "line 2: is not an object"),
        ("a.docx", b"PK", "the kind of file is not known"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_where(tmp_path, name, data, says):
    with pytest.raises(DataError, match=says):
        read_table(write(tmp_path, name, data))


def test_an_encoding_that_is_said_is_used(tmp_path):
    path = write(tmp_path, "a.csv", "a\né\n".encode("latin-1"))
    assert read_table(path, TextForm(encoding="latin-1"))["a"].to_list() == ["é"]


def test_every_kind_of_file_gives_the_same_table(tmp_path):
    import zipfile

    table = pl.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "t": ["a", "ł"]})
    table.write_ipc(tmp_path / "a.arrow")
    table.write_avro(tmp_path / "a.avro")
    table.write_excel(tmp_path / "a.xlsx")
    table.write_parquet(tmp_path / "a.parquet")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/one.csv", table[:1].write_csv())
        archive.writestr("b/two.csv", table[1:].write_csv())
    for name in ("a.arrow", "a.avro", "a.xlsx", "a.parquet", "a.zip"):
        assert read_table(tmp_path / name).rows() == table.rows(), name


def workbook(path, **sheets):
    """Write sheets of rows; one that begins with _ is hidden."""
    book = xlsxwriter.Workbook(path)
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name.lstrip("_"))
        if name.startswith("_"):
            sheet.hide()
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    book.close()


TABLE = [["shop", "sold", "note"], ["a", 1, None], ["b", 2.5, "x"]]


def test_of_a_workbook_the_only_sheet_with_a_table_is_read_from_its_header_on(tmp_path):
    titled = [["Sales of May"], ["of the till"], [], *TABLE]
    workbook(tmp_path / "a.xlsx", Cover=[["Report"], [5]], _old=TABLE, Données=titled, blank=[])
    frame = read_table(tmp_path / "a.xlsx")
    assert frame.rows() == [("a", 1.0, None), ("b", 2.5, "x")]
    assert frame.columns == TABLE[0]
    assert read_table(tmp_path / "a.xlsx", TextForm(sheet="old")).rows() == frame.rows()
    assert read_table(tmp_path / "a.xlsx", TextForm(sheet="of training")).rows() == frame.rows()


def test_a_sheet_is_named_where_several_may_be_meant(tmp_path):
    workbook(tmp_path / "a.xlsx", one=TABLE, two=[["x", "y"], [1, 2]])
    assert read_table(tmp_path / "a.xlsx", TextForm(sheet="two")).rows() == [(1, 2)]
    with pytest.raises(DataError, match=r'several sheets with tables: one, two\. Name one: .*sheet="one"'):
        read_table(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="there is no sheet 'three'; has several"):
        read_table(tmp_path / "a.xlsx", TextForm(sheet="three"))
    workbook(tmp_path / "b.xlsx", blank=[])
    with pytest.raises(DataError, match="has no sheet with a table: blank"):
        read_table(tmp_path / "b.xlsx")


def test_no_cell_of_a_sheet_is_lost_however_late_it_shows_another_type(tmp_path):
    rows = [[at, at * 0.5, None] for at in range(3000)]
    rows[2500][1:] = ["about 7", "late"]
    workbook(tmp_path / "a.xlsx", only=[["whole", "mixed", "gap"], *rows])
    frame = read_table(tmp_path / "a.xlsx")
    assert frame.schema == {"whole": pl.Int64, "mixed": pl.String, "gap": pl.String}
    assert frame.row(2500) == (2500, "about 7", "late")
    assert frame.null_count().row(0) == (0, 0, 2999)


def test_folders_of_hive_are_columns_and_count_as_content(tmp_path):
    import penstock as ps
    from penstock.compiling import _files
    from penstock.store.store import open_store

    for year in ("2023", "2024"):
        (tmp_path / f"year={year}").mkdir()
        pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / f"year={year}" / "part.parquet")
    assert read_table(tmp_path / "year=2023" / "part.parquet")["year"].to_list() == ["2023", "2023"]
    store = open_store(tmp_path / "s")
    found = _files(ps.ingest.files(str(tmp_path / "*" / "*.parquet")), store, {})
    assert len({ref.digest for _, ref in found.partitions}) == 2
    store.close()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.zip", b"PK\x03\x04junk", "is not a whole ZIP file"),
        ("a.arrow", b"junk", "cannot be read as an Arrow file"),
        ("a.xlsx", b"junk", "cannot be read as an Excel sheet"),
    ],
)
def test_a_binary_file_that_is_damaged_is_told(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=says):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (pl.DataFrame({"a": [1]}), "rows themselves go to ps.ingest.table"),
        (["a.csv", 3], "not int: name a file"),
    ],
)
def test_what_is_no_path_is_refused_when_it_is_given(given, says):
    import penstock as ps

    with pytest.raises(InputError, match=re.escape(says)):
        ps.ingest.files(given)


def test_what_stands_for_a_path_is_one(tmp_path):
    import os

    import penstock as ps

    (tmp_path / "a.csv").write_text("a\n1\n")
    (entry,) = os.scandir(tmp_path)
    assert ps.ingest.files(entry, tmp_path / "b.csv").patterns == (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
