"""Columns that help no more than noise are found, and those that help are kept."""

import numpy as np
import polars as pl
import pytest
from tests.conftest import customers, make_pipeline

import penstock as ps
from penstock.errors import InputError
from penstock.store.store import open_store
from penstock.train.selection import useless_columns


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_noise_is_found_and_signal_is_kept(task):
    random = np.random.default_rng(1)
    matrix = random.normal(size=(2000, 12))
    signal = matrix[:, 0] + matrix[:, 1] * matrix[:, 2]
    target = {"binary": signal > 0, "multiclass": np.digitize(signal, [-0.7, 0.7]), "regression": signal}[task]
    blocks = [(f"c{at}", slice(at, at + 1)) for at in range(12)]
    found = useless_columns(matrix, blocks, target.astype(float), task, 3, 0)
    assert not {"c0", "c1", "c2"} & set(found)
    assert len(found) >= 5


def test_a_pipeline_leaves_out_what_does_not_help_and_says_so(tmp_path):
    random = np.random.default_rng(0)
    table = customers(500).with_columns(answer=pl.col("left") == "gone")
    noises = [f"noise{at}" for at in range(5)]
    table = table.with_columns(pl.Series(name, random.normal(size=500)) for name in noises)
    table.write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    features = [
        ps.features.select(drop=["orders"], leaking=True),
        ps.features.text("note", size=4),
        ps.features.categories("city"),
    ]
    run = make_pipeline(tmp_path, features=features).run(store)
    run.raise_for_status()
    left = dict(run["selected"])
    assert left["orders"] == "left out by name"
    lost = [name for name in noises if left.get(name) == "helps no more than noise"]
    assert len(lost) >= 3
    assert not {"age", "paid"} & left.keys()
    assert left["answer"].startswith("knows the answer: alone it has roc_auc")
    model = ps.load("customers", store=store)
    assert {"orders", *lost, "answer"} <= dict(model.manifest.encoding.ignored).keys()
    assert not {column.name for column in model.inputs if column.required} & {"orders", *lost, "answer"}
    names = model.manifest.encoding.names()
    assert "city (mean of target)" in names or "city" in left
    row = customers(1, seed=4).drop("left", "orders").with_columns(pl.col("birthday").cast(pl.String)).to_dicts()[0]
    row |= dict.fromkeys(noises, 0.1)
    alone, table = model.answer([row])[0], model.answer(pl.DataFrame([row]))[0]
    assert alone.probabilities == pytest.approx(table.probabilities, abs=1e-12)
    report = (store.folder / "reports").glob("*.html")
    assert "left out: helps no more than noise" in next(report).read_text()
    with pytest.raises(InputError, match='no column "ordrs". Did you mean "orders"'):
        make_pipeline(tmp_path, features=[ps.features.select(drop=["ordrs"])]).run(store).raise_for_status()
    store.close()
