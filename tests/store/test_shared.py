"""One store for many: a real PostgreSQL, and an S3 over HTTP (moto's, a fake); nothing is computed twice."""

import json
import os
import subprocess
import sys
import time

import polars as pl
import pytest
import sqlalchemy as sa
from tests.cli.test_commands import call
from tests.conftest import customers
from tests.servers import pages, postgresql, s3

import penstock as ps
from penstock.engine.cleanup import clean
from penstock.engine.history import artifact_of, past_run
from penstock.errors import StoreError
from penstock.store import open_store

GRAPH = """
import os
import time
from pathlib import Path

import numpy as np
import penstock as ps

file = ps.source("data/*.txt")


@ps.step(each="file")
def part(file: Path) -> np.ndarray:
    with open(os.environ["DONE"], "a") as done:
        done.write(file.name + "\\n")
    time.sleep(0.2)
    return np.full(1000, int(file.read_text()))


@ps.step
def total(part: ps.Partitions[np.ndarray]) -> int:
    return int(sum(item.sum() for item in part.values()))
"""


@pytest.fixture(scope="module")
def servers():
    with postgresql() as (socket, port), s3() as endpoint:
        yield socket, port, endpoint


@pytest.fixture
def team(servers, tmp_path, monkeypatch):
    """A pipeline's folder, and the location of an empty store that a team shares."""
    _, port, endpoint = servers
    name = f"team{time.time_ns()}"
    admin = sa.create_engine(
        f"postgresql+psycopg://penstock:tops3cret@127.0.0.1:{port}/postgres", isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    for key, value in {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint, "PGPASS": "tops3cret", "PENSTOCK_CACHE": str(tmp_path / "cache"),
        "DONE": str(tmp_path / "done.txt"),
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    import s3fs

    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
    (tmp_path / "data").mkdir()
    for number in range(6):
        (tmp_path / "data" / f"{number}.txt").write_text(str(number))
    (tmp_path / "g.py").write_text(GRAPH)
    location = f"postgresql://penstock:${{PGPASS}}@127.0.0.1:{port}/{name} + s3://{name}/store"
    (tmp_path / "penstock.toml").write_text(f'store = "{location}"\n')
    return tmp_path, location


def penstock(folder, *words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "penstock", *words], cwd=folder, env={**os.environ, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out


def test_eight_at_once_compute_everything_once(team):
    folder, _ = team
    runs = [penstock(folder, "run", "g.py", "--json", PENSTOCK_CACHE=str(folder / f"cache{who}")) for who in range(8)]
    told = [json.loads(ended(run)) for run in runs]
    assert len({item["digest"] for run in told for item in run["steps"] if item["name"] == "total"}) == 1
    assert sorted((folder / "done.txt").read_text().split()) == [f"{number}.txt" for number in range(6)]


def test_what_one_machine_computed_another_reads(team):
    folder, _ = team
    ended(penstock(folder, "run", "g.py"))
    again = json.loads(ended(penstock(folder, "run", "g.py", "--json", PENSTOCK_CACHE=str(folder / "other"))))
    assert {item["status"] for item in again["steps"]} == {"cached"}
    assert not (folder / ".penstock").exists()


def test_the_password_is_nowhere(team):
    folder, location = team
    ended(penstock(folder, "run", "g.py"))
    store = open_store(location)
    assert "tops3cret" not in store.location + store.catalog.name
    assert not any("tops3cret" in path.read_text(errors="ignore") for path in folder.rglob("*") if path.is_file())
    store.close()


def test_connections_that_are_cut_between_two_questions_are_made_anew(team):
    _, location = team
    store = open_store(location)
    with store.catalog.read() as connection:
        connection.execute(sa.text("SELECT 1"))
    other = open_store(location)
    with other.catalog.begin() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
    with store.catalog.read() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    for opened in (store, other):
        opened.close()


def test_a_damaged_copy_in_the_cache_is_fetched_again(team):
    _, location = team
    store = open_store(location)
    digest = store.blobs.write(b"water" * 1000)
    near = store.blobs.near.path(digest)
    with open(near, "wb") as file:
        file.write(b"dirt")
    assert store.blobs.read(digest) == b"water" * 1000
    with open(near, "rb") as file:
        assert file.read() == b"water" * 1000
    store.close()


def test_cleaning_removes_blobs_here_and_there(team):
    folder, location = team
    ended(penstock(folder, "run", "g.py"))
    store = open_store(location)
    lost = store.blobs.write(b"nobody's")
    assert clean(store, keep=5).blobs == 1
    assert not store.blobs.exists(lost)
    store.close()


def test_a_bucket_or_database_that_is_not_there_is_told(team, servers):
    _, location = team
    with pytest.raises(StoreError, match="no such bucket"):
        open_store(f"{location.partition(' + ')[0]} + s3://nowhere-at-all/x").blobs.write(b"water")
    with pytest.raises(StoreError, match="the database cannot be reached"):
        open_store(location.replace(f":{servers[1]}/", ":1/"))


PIPELINE = """
import penstock as ps
from sklearn.linear_model import LogisticRegression

pipeline = ps.Pipeline(
    "customers", ingest=ps.ingest.files("customers.csv"), target=ps.binary("left", positive="gone"),
    train=ps.train.estimator(LogisticRegression(max_iter=200)),
)
"""


def test_a_model_is_copied_from_a_laptop_to_the_team_and_answers_there_alike(team):
    folder, location = team
    (folder / "p.py").write_text(PIPELINE)
    table = customers(300)
    table.write_csv(folder / "customers.csv")
    ended(penstock(folder, "run", "p.py", "--store", "laptop"))
    told = json.loads(
        ended(penstock(folder, "copy", "customers", "--store", "laptop", "--to", location, "--promote", "--json"))
    )
    assert (told["version"], told["artifacts"] > 3) == (1, True)
    here, there = open_store(folder / "laptop"), open_store(location)
    rows = table.drop("left").with_columns(pl.col("birthday").cast(pl.String)).head(5).to_dicts()
    assert ps.load("customers", "champion", there).answer(rows) == ps.load("customers", "champion", here).answer(rows)
    run = past_run(there, told["run"])
    assert [item["name"] for item in run.steps] == [item["name"] for item in past_run(here, told["run"]).steps]
    assert artifact_of(there, run, "report") is not None
    assert artifact_of(there, run, "snapshot") is None  # the rows stay at home
    again = json.loads(
        ended(penstock(folder, "copy", "customers", "--store", "laptop", "--to", location, "--data", "--json"))
    )
    assert again["version"] == 1
    assert artifact_of(there, run, "snapshot") is not None
    for store in (here, there):
        store.close()
    with pages(location) as client:
        for path in (
            "/",
            f"/runs/{told['run']}",
            f"/runs/{told['run']}/steps/featured",
            "/models/customers",
            "/search?q=train",
        ):
            found = client.get(path)
            assert found.status_code == 200, path
            assert "customers" in found.text
            assert "tops3cret" not in found.text


SMALL = """
import penstock as ps

pipeline = ps.Pipeline(
    "small", ingest=ps.ingest.files("rows.csv"), target=ps.binary("y"), train=ps.train.search(trials=1, learners=["LEARNER"]),
)
"""


def test_the_database_holds_readers_authors_and_deployers_to_their_roles(team):
    folder, location = team
    lines = "\n".join(f"{row % 17},{row * 7919 % 101},{int(row * 7919 % 101 > 40)}" for row in range(600))
    (folder / "rows.csv").write_text(f"a,b,y\n{lines}\n")
    (folder / "small.py").write_text(SMALL.replace("LEARNER", "linear"))
    ended(penstock(folder, "run", "small.py"))
    owner = open_store(location)
    sql = ended(penstock(folder, "roles"))
    with owner.catalog.begin() as connection:
        for _ in range(2):  # it may be run again
            connection.execute(sa.text(sql))
        for role in ("reader", "author", "deployer"):
            user = f"{role}{time.time_ns()}"
            connection.execute(sa.text(f"CREATE USER {user} PASSWORD 'tops3cret'; GRANT penstock_{role} TO {user}"))
            (folder / f"{role}.txt").write_text(location.replace("penstock:", f"{user}:"))

    def as_role(role, *words, code=0):
        done = call(*words, "--store", (folder / f"{role}.txt").read_text(), code=code, folder=folder)
        return done.stdout + done.stderr

    assert "small" in as_role("reader", "runs")
    assert "champion" in as_role("reader", "audit", "small")
    (folder / "small.py").write_text(SMALL.replace("LEARNER", "lightgbm"))
    assert "takes the role penstock_author" in as_role("reader", "run", "small.py", code=1)
    assert "takes the role penstock_author" in as_role("reader", "note", "latest", "no", code=1)
    told = as_role("author", "run", "small.py")
    assert "model small v2 (no alias)" in told
    assert "a deployer promotes it" in told
    assert "0 steps ran" in as_role("author", "run", "small.py")
    as_role("author", "tag", "latest", "mine")
    for words in (["promote", "small", "2"], ["gc", "--keep", "0"], ["keys", "small", "make"]):
        assert "takes the role penstock_deployer" in as_role("author", *words, code=1), words
    as_role("deployer", "promote", "small", "2")
    as_role("deployer", "gc", "--keep", "1")
    listed = json.loads(as_role("reader", "audit", "--json"))
    assert [item["what"] for item in listed[:2]] == ["champion", "tag"]
    assert {"run", "version", "champion"} <= {item["what"] for item in listed}
    assert [item["at"] for item in listed] == sorted((item["at"] for item in listed), reverse=True)
    owner.close()
