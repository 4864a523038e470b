"""Drift: large and sure, or none."""

import numpy as np
import polars as pl
import pytest
from tests.conftest import customers

from penstock.errors import InputError
from penstock.monitor.compare import compare_columns
from penstock.monitor.log import PredictionLog, Record
from penstock.monitor.options import drift
from penstock.monitor.profile import profile_of
from penstock.monitor.window import take

COLUMNS = ["age", "city", "orders"]


def test_rows_of_the_same_kind_are_calm_for_many_seeds():
    reference = profile_of(customers(2000, seed=0), COLUMNS)
    alarms = sum(
        any(c.drifted for c in compare_columns(reference, customers(300, seed=s), drift())) for s in range(1, 61)
    )
    assert alarms == 0


def test_columns_that_moved_are_named_first_and_others_are_not():
    reference = profile_of(customers(2000, seed=0), COLUMNS)
    found = compare_columns(reference, customers(300, seed=5, drifted=True), drift())
    assert {column.name for column in found if column.drifted} == {"age", "city"}
    assert found[0].drifted
    assert "Łódź" in next(column.text for column in found if column.name == "city")


def test_eight_rows_raise_no_alarm_and_a_million_with_a_tiny_shift_neither():
    random = np.random.default_rng(0)
    reference = profile_of(pl.DataFrame({"x": random.normal(0, 1, 50_000)}), ["x"])
    eight = compare_columns(reference, pl.DataFrame({"x": random.normal(0.5, 1, 8)}), drift())
    assert not eight[0].drifted
    many = compare_columns(reference, pl.DataFrame({"x": random.normal(0.05, 1, 1_000_000)}), drift())[0]
    assert many.p_value < 1e-6
    assert not many.drifted


def test_missing_values_constants_and_new_categories_are_drift():
    reference = profile_of(pl.DataFrame({"a": [1.0] * 500, "b": ["x"] * 500, "c": [0.5, 1.5] * 250}), ["a", "b", "c"])
    later = pl.DataFrame(
        {"a": [2.0] * 200, "b": ["new"] * 200, "c": [None, 0.5, 1.5, None] * 50}, schema_overrides={"c": pl.Float64}
    )
    found = {column.name: column for column in compare_columns(reference, later, drift())}
    assert all(column.drifted for column in found.values())
    assert found["c"].test == "missing values"


def cities(rows, seed, most=264):
    codes = np.random.default_rng(seed).integers(0, most, rows)
    return pl.DataFrame({"city": [f"city {code}" for code in codes]})


@pytest.mark.parametrize(("rows", "most"), [(528, 264), (2000, 264), (1000, 1000), (5000, 1000)])
def test_of_many_values_those_that_were_frequent_by_chance_are_no_alarm(rows, most):
    reference = profile_of(cities(rows, 0, most), ["city"])
    found = [compare_columns(reference, cities(rows, seed, most), drift())[0] for seed in range(1, 21)]
    assert not any(column.drifted for column in found)
    assert sum(column.p_value < 0.05 for column in found) <= 4


def test_of_many_values_one_that_becomes_frequent_or_goes_is_drift():
    heavy = [*cities(1000, 1)["city"], *["main"] * 500]
    reference = profile_of(pl.DataFrame({"city": heavy}).sample(fraction=1, shuffle=True, seed=0), ["city"])
    name, count = reference.columns[0].counts[0]
    assert (name, round(count / reference.columns[0].total, 1)) == ("main", 0.3)
    gone = compare_columns(reference, cities(600, 2), drift())[0]
    assert gone.drifted
    assert "main" in gone.text
    more = pl.concat([cities(300, 3), pl.DataFrame({"city": ["main"] * 300})])
    assert compare_columns(reference, more, drift())[0].drifted


def test_a_profile_stays_small():
    import msgspec

    table = pl.DataFrame({"x": np.random.default_rng(0).normal(size=100_000), "c": [f"v{i}" for i in range(100_000)]})
    assert len(msgspec.json.encode(profile_of(table, ["x", "c"]))) < 50_000


def test_options_out_of_range_are_refused():
    assert drift("500 rows").rows == 500
    for wrong in ({"effect": 0}, {"significance": 2}, {"least": 1}):
        with pytest.raises(InputError):
            drift(**wrong)


def test_a_log_is_read_back_and_a_torn_line_is_skipped(tmp_path):
    log = PredictionLog(tmp_path, durable=True)
    log.append([Record("a-1", 5.0, 1, {"x": "Łódź"}, "Yes", {"Yes": 0.9, "No": 0.1})])
    log.append([Record("a-1", 6.0, label="No")])
    log.close()
    file = next(tmp_path.glob("*.jsonl"))
    file.write_bytes(file.read_bytes() + b'{"id":"a-2","at":7.0,"vers')
    found = take(tmp_path)
    assert [record.row for record in found.records] == [{"x": "Łódź"}]
    assert found.labels == {"a-1": "No"}
