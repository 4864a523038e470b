"""Fields that stand apart by blanks, as older data sets are written."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import DataError
from penstock.ingest.options import TextForm
from penstock.ingest.read import read_table
from penstock.ingest.spaced import Spaced, is_spaced

MPG = """18.0   8   307.0      130.0\t"chevrolet  chevelle"
15.0   8   350.0      165.0\t"buick skylark 320"
25.0   4   98.00      ?  \t"ford pinto"
"""


def test_columns_aligned_by_blanks_are_read_quoted_fields_as_they_stand(tmp_path):
    (tmp_path / "mpg.data").write_text(MPG)
    names = ("mpg", "cylinders", "displacement", "power", "car")
    table = read_table(tmp_path / "mpg.data", TextForm(columns=names))
    assert table["car"].to_list() == ["chevrolet  chevelle", "buick skylark 320", "ford pinto"]
    assert table["mpg"].to_list() == [18.0, 15.0, 25.0]
    assert table["power"].to_list() == ["130.0", "165.0", "?"]


@pytest.mark.parametrize("name", ["a.dat", "a.txt", "a.csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_header_may_stand_above_and_blanks_at_both_ends(tmp_path, name, end):
    text = " id   age  wt\n  1    20  50.5 \n\n 10     3  20.1"
    (tmp_path / name).write_bytes((text.replace("\n", end or "\n") + end).encode())
    assert read_table(tmp_path / name).to_dict(as_series=False) == {"id": [1, 10], "age": [20, 3], "wt": [50.5, 20.1]}


def test_text_with_as_many_words_in_each_line_is_one_column_unless_it_is_said_to_be_more(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("full name\nAda Lovelace\nAlan Turing\n")
    assert read_table(path).columns == ["full name"]
    assert read_table(path, TextForm(separator="whitespace")).columns == ["full", "name"]
    assert read_table(path, TextForm(separator=r"\s+"))["name"].to_list() == ["Lovelace", "Turing"]


@pytest.mark.parametrize(
    "text",
    [
        "a,b c\n1,2 3\n",
        "city name\tprice\nNew York\t5\nLos Angeles\t6\n",
        "note\n1 apple\n2 red pears\n",
        "a b\nx y\n",
        "a b\n",
        "one\n1\n2\n",
        "",
    ],
)
def test_other_text_is_not_taken_for_it(text):
    assert not is_spaced(text.encode())


def test_a_line_with_other_fields_is_told_with_its_number(tmp_path):
    (tmp_path / "a.dat").write_text("a b c\n" + "1  2  3\n" * 30 + "4  5\n")
    with pytest.raises(DataError, match=r"a\.dat, line 32: has 2 fields, the header has 3"):
        read_table(tmp_path / "a.dat")


def test_a_first_row_taken_for_a_header_is_named_as_such(tmp_path):
    (tmp_path / "a.data").write_text("5 5 1\n6 6 2\n")
    with pytest.raises(DataError, match=r"two columns have the same name: '5'\. These look like a row: .*columns="):
        read_table(tmp_path / "a.data")


@given(
    st.lists(st.lists(st.sampled_from(["a", "12", '"b  c"', "5.5"]), min_size=3, max_size=3)),
    st.integers(1, 40),
    st.data(),
)
def test_blocks_of_any_size_give_the_same_fields(rows, size, data):
    gap = st.sampled_from([" ", "  ", "\t", " \t "])
    text = "".join(data.draw(gap).join(row) + "\n" for row in rows)
    spaced = Spaced(io.BytesIO(text.encode()))
    read = b"".join(iter(lambda: spaced.read(size), b"")).decode()
    assert read == "".join("\t".join(row) + "\n" for row in rows)
