"""Selectors in features: the columns that they name at training, and no target among them."""

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal
from tests.conftest import customers, make_pipeline

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.features.resolve import resolve
from penstock.features.selectors import written_out
from penstock.features.stored import compacts, compute
from penstock.types.table import Table

TABLE = pl.DataFrame({
    "a": [1.0, None, 3.0], "b": [2.0, 5.0, None], "n": [1, 2, 3], "c": ["x", None, "z"], "d": [True, False, None],
})  # fmt: skip
EXPRESSIONS = {
    "count": pl.sum_horizontal(pl.all().is_null()),
    "names": pl.sum_horizontal(pl.col("a", "b")),
    "pattern": pl.max_horizontal(pl.col("^[ab]$")),
    "types": pl.mean_horizontal(cs.numeric()) + pl.sum_horizontal(pl.col(pl.Float64)),
    "exclude": pl.concat_str(pl.exclude("d").cast(pl.String).fill_null("?"), separator="-"),
    "coalesce": pl.coalesce(pl.col("a", "b")),
    "several": pl.sum_horizontal(cs.numeric() * 2, pl.col("a")),
    "logic": pl.any_horizontal(cs.numeric() > 2) & pl.all_horizontal(pl.all().is_not_null()),
    "condition": pl.when(pl.any_horizontal(pl.all().is_null())).then(pl.lit("miss")).otherwise(pl.col("c")),
    "one": pl.col("^a$") + 1,
    "struct": pl.struct(cs.numeric()).struct.field("n"),
    "list": pl.concat_list(cs.float()).list.len(),
    "pairs": pl.sum_horizontal(cs.numeric() - pl.col("n")),
    "union": pl.sum_horizontal((cs.float() | cs.integer()).fill_null(0)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_is_written_out_is_what_polars_makes_of_it(name):
    made = written_out(EXPRESSIONS[name], TABLE.schema, name)
    assert made.meta.root_names()
    assert_frame_equal(TABLE.select(made.alias("z")), TABLE.select(EXPRESSIONS[name].alias("z")), check_exact=True)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (pl.all() * 2, "makes 5 columns"),
        (pl.col("a", "b"), "makes 2 columns"),
        (pl.sum_horizontal(pl.col("^q$")), "names no column; the columns are a, b, n, c, d"),
        (pl.nth(7), "cannot get the 7-th column"),
    ],
)
def test_what_makes_no_one_column_is_refused(expression, says):
    with pytest.raises(InputError, match=says):
        written_out(expression, TABLE.schema, "feature")


def resolved(*features):
    table = TABLE.with_columns(at=pl.Series([1, 2, 3]), y=pl.Series([1, 0, 1])).with_row_index("penstock row")
    return table, resolve(features, "rows", {"rows": table.schema}, {"rows": "at"}, "y")


def test_a_selector_names_neither_the_target_nor_columns_of_our_own():
    _, (made,) = resolved(ps.features.derive(everything=pl.concat_str(pl.all())))
    assert set(made.needs) == {"a", "b", "n", "c", "d", "at"}


def test_an_aggregate_may_select_what_it_looks_at():
    table, made = resolved(ps.features.window(total=pl.sum_horizontal(pl.col("a", "b")).sum(), past=pl.col("y").sum()))
    found = compute(table, made, compacts(made, {"rows": Table.of(table)}))
    assert found["total"].to_list() == [0.0, 3.0, 8.0]
    assert found["past"].to_list() == [0, 1, 1]


@pytest.mark.parametrize(
    "feature",
    [
        ps.features.derive(z=pl.col("y") * 2),
        ps.features.cross("c", "y"),
        ps.features.window(by="y", count=pl.len()),
    ],
)
def test_no_feature_looks_at_the_target_of_its_own_row(feature):
    with pytest.raises(DataError, match='looks at the target "y" of its own row'):
        resolved(feature)


def test_a_row_and_a_table_are_answered_alike(tmp_path):
    customers(400).write_csv(tmp_path / "customers.csv")
    gaps = ps.features.derive(gaps=pl.sum_horizontal(pl.all().is_null()), most=pl.max_horizontal(cs.numeric()))
    make_pipeline(tmp_path, features=[gaps]).run(tmp_path / "s").raise_for_status()
    model = ps.load("customers", store=tmp_path / "s")
    raw = customers(60, seed=3).drop("left")
    rows = raw.with_columns(pl.col("birthday").cast(pl.String)).to_dicts()
    alone = [model.answer([row])[0].probabilities["gone"] for row in rows]
    np.testing.assert_allclose([item.probabilities["gone"] for item in model.answer(raw)], alone, rtol=0, atol=1e-15)
    assert "gaps" in model.manifest.encoding.columns()
