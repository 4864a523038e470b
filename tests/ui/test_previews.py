"""The beginning of an artifact, as the page of a run shows it."""

import polars as pl
import pyarrow as pa
import pytest

from penstock.engine.step import Ref
from penstock.store.formats import encode
from penstock.ui.previews import preview

ROWS = {"x": [1.5, 2.5], "c": ["a", None]}
MAKERS = {
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "pandas": lambda rows: pytest.importorskip("pandas").DataFrame(rows, index=range(2)),
}


@pytest.mark.parametrize("library", MAKERS)
def test_a_table_of_any_library_is_shown_by_its_first_rows(store, library):
    written = encode(MAKERS[library](ROWS))
    found = preview(store, Ref(store.blobs.write(written.data), written.format, len(written.data)))
    assert found.told == "a table of 2 columns, 2 rows"
    assert found.columns == [("x", "Float64"), ("c", "String")]
    assert found.rows == [["1.5", "a"], ["2.5", ""]]
