"""Files behind URLs: an S3 over real HTTP (a fake of Amazon's, named in ``tests/servers.py``)."""

import polars as pl
import pytest
from tests.conftest import customers
from tests.servers import s3

import penstock as ps
from penstock.errors import InputError
from penstock.store.store import open_store


@pytest.fixture
def bucket(monkeypatch):
    with s3() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush-testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        system = s3fs.S3FileSystem()
        system.makedirs("shop", exist_ok=True)

        def put(name, table):
            with system.open(f"shop/{name}", "wb") as file:
                file.write(table.write_csv().encode() if name.endswith("csv") else b"")
            system.invalidate_cache()

        yield put
        s3fs.S3FileSystem.clear_instance_cache()


def make(folder, pattern="s3://shop/in/*.csv"):
    return ps.Pipeline(
        "cloud", ingest=ps.ingest.files(pattern), target=ps.binary("left"), train=ps.train.search(trials=1, folds=2),
        evaluate=ps.evaluate.gate(beat_baseline=False), file=str(folder / "p.py"),
    )  # fmt: skip


def test_objects_are_partitions_and_only_a_changed_one_is_read_again(bucket, tmp_path):
    bucket("in/one.csv", customers(150, seed=1))
    bucket("in/two.csv", customers(150, seed=2))
    store = open_store(tmp_path / "s")
    run = make(tmp_path).run(store)
    run.raise_for_status()
    assert run["snapshot"].height == 300
    assert {step.status for step in make(tmp_path).plan(store).steps} == {"cached"}
    bucket("in/three.csv", customers(150, seed=3))
    causes = {item.name: item.causes for item in make(tmp_path).plan(store).stale}
    assert causes["read"] == ("input files changed (+1 partition)",)
    again = make(tmp_path).run(store)
    again.raise_for_status()
    from penstock.engine.history import past_run

    ran = [step["name"] for step in past_run(store, again.run).steps if step["status"] == "ran" and "[" in step["name"]]
    assert ran == ["read[three.csv]", "prepared[three.csv]"]
    store.close()
    for path in (tmp_path / "s").rglob("*"):
        assert not path.is_file() or b"hush-hush" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("s3://shop/none/*.csv", "was not found"), ("s3://shop/none.csv", "was not found"), ("s3://nowhere/a.csv", "nowhere/a.csv: ")],
)  # fmt: skip
def test_objects_that_are_not_there_are_told(bucket, tmp_path, pattern, says):
    store = open_store(tmp_path / "s")
    with pytest.raises(InputError, match=says) as told:
        make(tmp_path, pattern).run(store).raise_for_status()
    assert "hush" not in str(told.value)
    store.close()


def test_a_url_of_memory_works_as_well(tmp_path):
    import fsspec

    with fsspec.open("memory://bag/a.csv", "w") as file:
        file.write(customers(150).write_csv())
    store = open_store(tmp_path / "s")
    run = make(tmp_path, "memory://bag/a.csv").run(store)
    run.raise_for_status()
    assert run["snapshot"]["orders"].dtype == pl.Int64
    store.close()
