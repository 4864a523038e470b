"""Where the champion fails: the version before answers, then a constant, and both say so."""

import asyncio

import httpx
import polars as pl
import pytest
from tests.conftest import customers, make_pipeline
from tests.servers import serving

import penstock as ps
from penstock.deploy.registry import Registry
from penstock.errors import InputError
from penstock.monitor.log import log_folder
from penstock.monitor.window import take
from penstock.serving import make_service
from penstock.store import open_store


@pytest.fixture
def place(tmp_path):
    """A store with two versions, the second of which is the champion and has fallbacks."""
    customers(500).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    quick = {"train": ps.train.search(trials=1, learners=["linear"])}
    make_pipeline(tmp_path, **quick).run(store).raise_for_status()
    deploy = ps.deploy.api(fallback=True, otherwise="here")
    other = {"train": ps.train.search(trials=1, learners=["lightgbm"]), "deploy": deploy}
    assert make_pipeline(tmp_path, **other).run(store).model.version == 2
    Registry(store, "customers").promote(2, "for the test")
    yield store
    store.close()


def rows(n):
    return customers(n, seed=7).drop("left").with_columns(pl.col("birthday").cast(pl.String)).to_dicts()


def broken(_rows):
    raise ZeroDivisionError


async def asked(service, body, path="/predict"):
    transport = httpx.ASGITransport(service)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post(path, json=body)


def test_the_version_before_answers_then_the_constant(place, capfd):
    service = make_service(place, "customers")
    ask = {"rows": rows(3)}
    plain = asyncio.run(asked(service, ask))
    assert plain.json()["model"]["version"] == 2
    assert "x-penstock-fallback" not in plain.headers
    service.model.predict_rows = broken
    before = asyncio.run(asked(service, ask))
    assert (before.status_code, before.headers["x-penstock-fallback"]) == (200, "v1")
    assert before.json()["model"]["version"] == 1
    assert before.json()["predictions"][0]["probabilities"]
    service.fallbacks[0].predict_rows = broken
    last = asyncio.run(asked(service, ask))
    assert (last.status_code, last.headers["x-penstock-fallback"]) == (200, "constant")
    assert [item["prediction"] for item in last.json()["predictions"]] == ["here"] * 3
    assert asyncio.run(asked(service, {"rows": [{}]})).status_code == 200  # the constant looks at no row
    service.keeper.close()
    versions = [record.version for record in take(log_folder(place.folder, "customers")).records]
    assert versions == [2] * 3 + [1] * 3 + [-1] * 4
    assert "v2 failed: ZeroDivisionError" in capfd.readouterr().err


def test_bad_rows_are_refused_by_the_champion_and_reach_no_fallback(place):
    service = make_service(place, "customers")
    found = asyncio.run(asked(service, {"rows": [{}]}))
    assert found.status_code == 422
    assert "x-penstock-fallback" not in found.headers
    service.keeper.close()


def test_a_champion_that_cannot_be_loaded_leaves_the_place_to_the_one_before(place):
    digest = Registry(place, "customers").version(2).digest
    path = next(
        item
        for item in (place.folder / "blobs").rglob("*")
        if item.is_file() and digest in f"{item.parent.name}{item.name}"
    )
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    with serving(place.folder) as (client, process):
        answer = client.post("/predict", json={"rows": rows(1)})
        assert (answer.status_code, answer.json()["model"]["version"]) == (200, 1)
        assert client.get("/health/ready").status_code == 200


def test_a_constant_that_is_no_class_is_refused(place, tmp_path):
    deploy = ps.deploy.api(otherwise="perhaps")
    make_pipeline(tmp_path, train=ps.train.search(trials=1, learners=["lightgbm"]), deploy=deploy).run(place)
    with pytest.raises(InputError, match="otherwise='perhaps'"):
        make_service(place, "customers")
