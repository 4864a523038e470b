"""Keys of more digits than a float holds stay apart: in training, in a table, in a request, and across tables."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.prepare.inference import infer
from penstock.rows import compile_rows
from penstock.store.store import open_store

FIRST = 2**53  # 2**53 and 2**53 + 1 are one float
START = dt.datetime(2024, 1, 1)
KINDS = {"signed": pl.Int64, "unsigned": pl.UInt64, "huge": pl.Int128, "decimal": pl.Decimal(38, 0)}


def keys(who, kind):
    return pl.Series("who", [FIRST + int(number) for number in who], pl.Int64).cast(kind)


def make_tables(folder, kind, other):
    random = np.random.default_rng(0)
    who = np.arange(300) % 6
    times = [START + dt.timedelta(hours=at) for at in range(300)]
    shown = pl.DataFrame({"at": times, "paid": who * 10.0 + random.uniform(-1, 1, 300)})
    shown.insert_column(0, keys(who, kind)).write_parquet(folder / "orders.parquet")
    shops = pl.DataFrame({"level": np.arange(6) * 1.0}).insert_column(0, keys(range(6), other))
    shops.write_parquet(folder / "shops.parquet")
    return ps.Pipeline(
        "long",
        ingest={
            "orders": ps.ingest.files(str(folder / "orders.parquet"), time="at"),
            "shops": ps.ingest.files(str(folder / "shops.parquet")),
        },
        base="orders",
        features=[
            ps.features.window("orders", by="who", rows=3, usual=pl.col("paid").mean()),
            ps.features.join("shops", on="who"),
        ],
        target=ps.regression("paid"),
        train=ps.train.search(trials=1, learners=["linear"], folds=2),
        file=str(folder / "pipeline.py"),
    )


@pytest.mark.parametrize(("kind", "other"), [("signed", "unsigned"), ("unsigned", "signed"), ("decimal", "huge")])
def test_neighbours_among_long_keys_are_not_one(tmp_path, kind, other):
    pipeline = make_tables(tmp_path, KINDS[kind], KINDS[other])
    with_store = open_store(tmp_path / "s")
    pipeline.run(with_store).raise_for_status()
    model = ps.load("long", store=with_store)
    later = "2024-06-01T00:00:00"
    table = pl.DataFrame({"at": [later] * 6}).insert_column(0, keys(range(6), KINDS[kind]))

    features = model.prepare(table)
    assert features["shops_level"].to_list() == [0, 1, 2, 3, 4, 5]
    assert (features["usual"] / 10).round().to_list() == [0, 1, 2, 3, 4, 5]

    matrix = model.manifest.encoding.matrix(features).tolist()
    read = compile_rows(model)
    numbers = [{"who": FIRST + number, "at": later} for number in range(6)]
    texts = [{"who": str(FIRST + number), "at": later} for number in range(6)]
    for rows in (numbers, texts):
        assert read(rows) == matrix
        assert [read([row])[0] for row in rows] == matrix
        assert model.prepare(model.frame_of(rows)).equals(features)
        assert model.prepare(pl.DataFrame(rows)).equals(features)

    event = {"who": FIRST + 1, "at": "2024-05-01T00:00:00", "paid": 1000.0}
    model.knows.take_events("orders", model.knows.read_events("orders", [event]))
    assert read(numbers)[0] == matrix[0]
    assert read(numbers)[1] != matrix[1]
    with_store.close()


def test_amounts_beyond_64_bits_are_numbers(tmp_path):
    random = np.random.default_rng(0)
    size = random.integers(1, 9, 200)
    wei = pl.Series("wei", [int(item) * 10**19 for item in size], pl.Int128)
    pl.DataFrame({"fee": size * 1.0, "x": random.normal(0, 1, 200)}).insert_column(0, wei).write_parquet(
        tmp_path / "rows.parquet"
    )
    pipeline = ps.Pipeline(
        "amounts", ingest=ps.ingest.files(str(tmp_path / "rows.parquet")), target=ps.regression("fee"),
        train=ps.train.search(trials=1, learners=["lightgbm"], folds=2), file=str(tmp_path / "pipeline.py"),
    )  # fmt: skip
    with_store = open_store(tmp_path / "s")
    pipeline.run(with_store).raise_for_status()
    model = ps.load("amounts", store=with_store)
    table = pl.read_parquet(tmp_path / "rows.parquet").head(9)
    answers = model.predict(table)
    assert np.abs(answers - size[:9]).max() < 1
    rows = table.select("wei", "x").to_dicts()
    assert np.array_equal(model.predict(rows), answers)
    with_store.close()


@pytest.mark.parametrize(
    ("cells", "to"),
    [
        (["9007199254740993", "9007199254740992"], None),
        ([" 18446744073709551615", "7"], "text"),
        (["1e300", "12345678901234567890.5"], "number"),
        (["9007199254740991", "5"], "number"),
    ],
    ids=["neighbours", "spaces", "fractions", "short"],
)
def test_text_of_more_digits_than_a_float_holds_stays_text(cells, to):
    parses, notes = infer(pl.DataFrame({"id": cells}), set())
    assert [parse.to for parse in parses] == ([] if to is None else [to])
    assert ("kept as text" in notes[0].text) == (to != "number")
