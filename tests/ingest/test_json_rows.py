"""Tables in JSON are read however they were written; what is no table is said to be none."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from penstock.errors import DataError
from penstock.ingest.json_rows import framed
from penstock.ingest.read import read_table

ROWS = [{"city": "Łódź", "price": 1.5}, {"city": "Oslo", "price": 2.0}, {"city": "Bergen", "price": None}]
TABLE = pl.DataFrame(ROWS)
COLUMNS = {"city": [row["city"] for row in ROWS], "price": [row["price"] for row in ROWS]}


def numbered(cells):
    return {str(number): cell for number, cell in enumerate(cells)}


@pytest.mark.parametrize("indent", [None, 2], ids=["in one line", "in lines"])
@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        COLUMNS,
        {name: numbered(cells) for name, cells in COLUMNS.items()},
        numbered(ROWS),
        {"columns": list(COLUMNS), "index": [0, 1, 2], "data": [list(row.values()) for row in ROWS]},
        {"schema": {"fields": []}, "data": ROWS},
        {"count": 3, "results": ROWS},
        [list(COLUMNS), *(list(row.values()) for row in ROWS)],
    ],
    ids=["objects", "columns", "pandas", "pandas index", "pandas split", "pandas table", "answer", "lists"],
)
def test_a_table_is_found_in_any_form(tmp_path, value, indent):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value, indent=indent))
    assert_frame_equal(read_table(path), TABLE)


def test_what_pandas_writes_is_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    for form in ("columns", "records", "index", "split", "table"):
        frame.to_json(tmp_path / f"{form}.json", orient=form)
        assert_frame_equal(read_table(tmp_path / f"{form}.json").select("city", "price"), TABLE)
    frame.to_json(tmp_path / "lines.json", orient="records", lines=True)
    assert_frame_equal(read_table(tmp_path / "lines.json"), TABLE)


def test_one_object_is_one_row(tmp_path):
    path = tmp_path / "row.json"
    for indent in (None, 2):
        path.write_text(json.dumps({"age": 41, "home": {"city": "Oslo"}}, indent=indent))
        assert read_table(path).to_dicts() == [{"age": 41, "home.city": "Oslo"}]
    path.with_suffix(".jsonl").write_text('{"age": 41, "tags": [1, 2], "sizes": [3, 4]}')
    assert read_table(path.with_suffix(".jsonl")).to_dicts() == [{"age": 41, "tags": "[1, 2]", "sizes": "[3, 4]"}]


@pytest.mark.parametrize(
    "text", ['{"a": NaN}\n{"a": 2.5}\n', '[{"a": NaN}, {"a": 2.5}]', '{"a": [NaN, 2.5], "b": [1, 2]}']
)
def test_the_nan_of_python_is_a_missing_cell(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert read_table(path)["a"].to_list() == [None, 2.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": \n{"a": 2}\n', r"a\.json, line 2: is not JSON"),
        ('{"a": \n{"a": 1}\n{"a": 2}\n', r"a\.json, line 1: is not JSON"),
        ('{"a": 1}\n[2]\n', r"a\.json, line 2: is not an object"),
        ('{\n  "a": 1,\n  "b": \n}\n', r"a\.json: is not JSON: Expecting value: line 4"),
        ('[{"a": 1},\n {"a": }]\n', r"a\.json: is not JSON: Expecting value: line 2"),
        (
            '{"fields": [{"name": "x"}], "features": [{"x": 1}, {"x": 2}]}',
            "expected a list of objects.*found fields, features",
        ),
        ('{"a": [1, 2], "b": [1]}', "found a, b"),
        ("[1, 2]", "found a list of other things"),
        ("[[1, 2], [3, 4]]", "found a list of other things"),
        ('[{"a": {"b": 1}}, {"a": 3}]', r"a\.json: a is an object in some rows and a plain value in others"),
        ('{"a": {"b": 1}}\n{"a": 3}\n', r"a\.json: a is an object in some rows and a plain value in others"),
        ('{"a": [1]}\n{"a": 3}\n', "do not agree"),
    ],
)
def test_what_is_no_table_is_told(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_columns_are_checked_as_rows_are():
    with pytest.raises(DataError, match="it: a is an object in some rows"):
        framed({"a": [3, {"b": 1}]}, "it")
