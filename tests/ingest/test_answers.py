import gzip
import io
import json

import polars as pl
import pytest

from penstock.errors import DataError
from penstock.ingest.answers import TruncatedError, kind_of, rows_of

ROWS = [{"zip": "00123", "size": 1.5, "city": "Łódź"}, {"zip": "90210", "size": 2.0, "city": "Rome"}]
LINES = "\n".join(map(json.dumps, ROWS)).encode()
COLUMNS = json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}).encode()
TEXT = "zip,size,city\n00123,1.5,Łódź\n90210,2.0,Rome\n".encode()


def parquet():
    buffer = io.BytesIO()
    pl.DataFrame(ROWS).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "said", "kind"),
    [
        (json.dumps(ROWS).encode(), "application/json", "json"),
        (json.dumps({"total": 2, "rows": ROWS}).encode(), "", "json"),
        (COLUMNS, "application/json", "json"),
        (LINES, "application/x-ndjson", "jsonl"),
        (LINES, "text/plain", "jsonl"),
        (LINES.splitlines()[0] + b"\n", "application/jsonl", "jsonl"),
        (TEXT, "text/csv; charset=utf-8", "csv"),
        (TEXT, "text/plain", "csv"),
        (TEXT.replace(b",", b"\t"), "text/tab-separated-values", "csv"),
        (TEXT.replace(b",", b";"), "application/octet-stream", "csv"),
        (parquet(), "application/octet-stream", "parquet"),
    ],
)
def test_a_table_is_read_whatever_form_it_comes_in(tmp_path, body, said, kind):
    assert kind_of(body, said, "it") == kind
    page = tmp_path / f"000000.{kind}"
    page.write_bytes(body)
    found = rows_of(page, None, "it").to_dicts()
    one = len(LINES.splitlines()) if b"\n" in body.strip() or kind != "jsonl" else 1
    assert found == ROWS[:one]


@pytest.mark.parametrize("body", [b"", b'{"rows": [', LINES[:-5]])
def test_what_is_not_whole_is_known(body):
    with pytest.raises(TruncatedError, match="not whole JSON"):
        kind_of(body, "application/json", "it")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!doctype html><html>sign in</html>", "HTML or XML"),
        (gzip.compress(TEXT), "packed file; read it with ps.ingest.f"),
    ],
)
def test_what_is_no_table_is_told_at_once(body, says):
    with pytest.raises(DataError, match=says):
        kind_of(body, "text/html", "it")


@pytest.mark.parametrize("body", [b"", b"zip,size,city", b"zip,size,city\n"])
def test_a_page_of_text_without_rows_is_empty(tmp_path, body):
    page = tmp_path / "000000.csv"
    page.write_bytes(body)
    assert rows_of(page, None, "it").height == 0


def test_a_page_of_text_that_cannot_be_read_says_which_line(tmp_path):
    page = tmp_path / "000003.csv"
    page.write_bytes(b'a,b\n1,2\n1,"2\n')
    with pytest.raises(DataError, match=r"page 4, in 000003.csv"):
        rows_of(page, None, "page 4")
