"""Nested fields are columns of their own, in a table and in a row alike."""

import datetime as dt

import polars as pl
import pyarrow as pa
from tests.servers import serving

import penstock as ps
from penstock.store.store import open_store
from penstock.types.nested import flat, unnested

ROWS = [
    {"user": {"age": 41, "at": {"city": "Oslo"}}, "tags": ["a", "b"], "size": 3.5},
    {"user": None, "tags": None, "size": None},
]


def test_a_row_becomes_what_its_table_becomes():
    (row,) = unnested(ROWS[:1])
    assert flat(pl.DataFrame(ROWS[:1])).rows(named=True) == [row]
    assert unnested([{"size": 3.5}, 7]) is None
    assert unnested([*ROWS[:1], 7])[1] == 7


def test_bytes_are_text_whatever_they_hold():
    table = flat(pl.DataFrame({"raw": [b"caf\xc3\xa9", b"\xff\x00", None]}))
    assert table["raw"].to_list() == ["café", "\\xff\x00", None]


def test_a_service_takes_nested_rows_as_its_files_had_them(tmp_path):
    table = pl.DataFrame(
        {"user": [{"age": age, "city": "Oslo" if age % 3 else "Rome"} for age in range(300)], "size": [1, 2, 3] * 100}
    )
    table = table.with_columns(old=pl.col("user").struct.field("age") > 150)
    table.write_ndjson(tmp_path / "users.jsonl")
    store = open_store(tmp_path / "s")
    learning = ps.train.search(trials=1, learners=["linear"])
    pipeline = ps.Pipeline(
        "users",
        ingest=ps.ingest.files(str(tmp_path / "users.jsonl")),
        target=ps.binary("old"),
        train=learning,
        file=str(tmp_path / "p.py"),
    )
    pipeline.run(store).raise_for_status()
    plain = flat(table.drop("old")[:3]).to_dicts()
    with serving(store.folder, name="users") as (client, _):
        nested = client.post("/predict", json={"rows": table.drop("old")[:3].to_dicts()}).json()["predictions"]
        named = client.post("/predict", json={"rows": plain}).json()["predictions"]
        assert [item["probabilities"] for item in nested] == [item["probabilities"] for item in named]
        why = client.post("/predict?explain=true", json={"rows": table.drop("old")[:1].to_dicts()}).json()
        assert {item["column"] for item in why["predictions"][0]["explanation"]["reasons"]} >= {"user.age"}
        wrong = client.post("/predict", json={"rows": [{"user": {"age": 3}, "size": 1}]})
        assert 'field "user.city": is missing' in wrong.json()["error"]["message"]
    store.close()


def test_times_of_years_that_no_date_knows_are_missing_and_others_stay():
    edges = [dt.date.min, dt.date.max]
    known = pl.DataFrame({"day": edges, "at": [dt.datetime.min, dt.datetime.max]})
    assert flat(known).equals(known)
    days = pl.Series([2**31 - 1, -(2**31), 5], dtype=pl.Int32).cast(pl.Date)
    for unit in ("ms", "us"):
        times = pl.Series([2**63 - 1, -(2**63) + 9, 5]).cast(pl.Datetime(unit, "UTC"))
        table = flat(pl.DataFrame({"day": days, "at": times, "n": [1, 2, 3]}))
        assert table["day"].to_list() == [None, None, dt.date(1970, 1, 6)]
        assert (table["at"].is_null().to_list(), table["at"].dtype) == ([True, True, False], times.dtype)


def test_a_map_becomes_its_json():
    made = pa.table({"m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))})
    assert flat(pl.from_arrow(made))["m"].to_list() == ['{"k": 1}', None]
