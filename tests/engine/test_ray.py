"""On Ray: the same digests on one machine and on two, whatever dies meanwhile."""

import json
import sqlite3
import time

import pytest
from tests.clusters import CLIENTS, HEAD, cluster

from penstock.engine.executors.ray import _connected as connected
from penstock.engine.executors.shipping import Home, run_there, unlike, versions_here
from penstock.errors import InputError
from penstock.store import open_store

pytest.importorskip("ray")
pytestmark = pytest.mark.xdist_group("ray")

GRAPH = '''
"""Parts of a table, by tasks that say where they ran."""
import os
import time
from pathlib import Path

import polars as pl

import penstock as ps
import ours

file = ps.source("data/*.csv")


@ps.step(each="file")
def part(file: Path) -> pl.DataFrame:
    time.sleep(float(os.environ.get("PAUSE", "0.3")))
    print("on", os.popen("ip -o -4 addr show").read())
    return pl.read_csv(file).with_columns(ours.double(pl.col("x")).alias("y"))


@ps.step(each="part")
def total(part: pl.DataFrame) -> int:
    return int(part["y"].sum())


@ps.step
def whole(part: ps.Partitions[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(part.values()).sort("x")
'''


@pytest.fixture(scope="module")
def two():
    with cluster() as made:
        yield made


@pytest.fixture
def place(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(8):
        rows = "\n".join(str(number * 1000 + row) for row in range(1000))
        (tmp_path / "data" / f"{number}.csv").write_text(f"x\n{rows}\n")
    (tmp_path / "g.py").write_text(GRAPH)
    (tmp_path / "ours.py").write_text("def double(value):\n    return 2 * value\n")
    return tmp_path


def digests(store):
    with sqlite3.connect(store / "catalog.db") as connection:
        return dict(connection.execute("SELECT name, digest FROM steps WHERE status = 'ran'"))


def kept(store):
    """Return how many artifacts are in the catalog; none while that is not made."""
    try:
        with sqlite3.connect(f"file:{store / 'catalog.db'}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM artifacts").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def where(store):
    """Return the addresses that the parts said they ran at."""
    with sqlite3.connect(store / "catalog.db") as connection:
        logs = [log or "" for (log,) in connection.execute("SELECT log FROM steps WHERE name LIKE 'part[%'")]
    return {address for log in logs for address in ("10.77.0.1", "10.77.0.2") if address in log}


def go(place, two, *options, **more):
    return two.run("-m", "penstock", "run", "g.py", *options, cwd=place, **more)


@pytest.fixture
def expected(place, two):
    done = go(place, two, "--store", "local")
    assert done.returncode == 0, done.stderr
    return digests(place / "local")


def test_two_nodes_give_the_digests_of_one_machine(place, two, expected):
    done = go(place, two, "--on", "ray", "--store", "there")
    assert done.returncode == 0, done.stderr
    assert digests(place / "there") == expected
    assert where(place / "there") == {"10.77.0.1", "10.77.0.2"}
    again = go(place, two, "--on", "ray", "--store", "there", "--json")
    assert {item["status"] for item in json.loads(again.stdout)["steps"]} == {"cached"}


def test_a_client_outside_the_cluster_gives_them_too(place, two, expected):
    # Ray waits long for the server that its head forks for a client, and loses one now and then: three tries take their time.
    done = go(place, two, "--on", f"ray://{HEAD}:{CLIENTS}", "--store", "client", attached=False, limit=400)
    assert done.returncode == 0, done.stderr
    assert digests(place / "client") == expected


def test_a_node_that_is_lost_in_the_middle_costs_time_only(place, two, expected):
    two.environment["PAUSE"] = "1.5"
    running = two.begin("-m", "penstock", "run", "g.py", "--on", "ray", "--store", "lossy", cwd=place)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(list((place / "lossy" / "blobs").glob("??/*"))) < 2:
            time.sleep(0.1)
        two.lose()
        _, errors = running.communicate(timeout=120)
        assert running.returncode == 0, errors
        assert digests(place / "lossy") == expected
    finally:
        running.kill()
        del two.environment["PAUSE"]
        two.join()


def test_a_driver_that_is_killed_is_resumed_without_doing_twice_what_was_finished(place, two, expected):
    two.environment["PAUSE"] = "1"
    running = two.begin("-m", "penstock", "run", "g.py", "--on", "ray", "--store", "killed", cwd=place)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and kept(place / "killed") < 2:
        time.sleep(0.1)
    running.kill()
    running.communicate()
    del two.environment["PAUSE"]
    done = go(place, two, "--on", "ray", "--store", "killed")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(place / "killed" / "catalog.db") as connection:
        found = dict(connection.execute("SELECT step, digest FROM artifacts"))
        cached = connection.execute(
            "SELECT count(*) FROM steps WHERE name LIKE 'part[%' AND status = 'cached'"
        ).fetchone()
    assert {name: found[name] for name in expected} == expected
    assert cached[0] >= 2


FAILING = """
import os, time
import penstock as ps

@ps.step
def wrong() -> int:
    print("about to fail")
    return 1 // 0

@ps.step(timeout="1s")
def slow() -> int:
    time.sleep(60)
    return 1

@ps.step
def dies() -> int:
    os._exit(9)
"""


def test_failures_are_told_as_at_home(place, two):
    (place / "g.py").write_text(FAILING)
    done = go(place, two, "--on", "ray", "--store", "failing", "--json")
    assert done.returncode == 1
    told = {item["name"]: item["error"] for item in json.loads(done.stdout)["steps"]}
    assert told["wrong"].startswith("ZeroDivisionError")
    assert "return 1 // 0" in done.stderr
    assert told["slow"].startswith("took longer than its timeout of 1 s")
    assert told["dies"].startswith("its worker died")


SEARCHED = """
import penstock as ps

pipeline = ps.Pipeline(
    name="searched",
    ingest=ps.ingest.files("rows.csv"),
    target=ps.binary("y"),
    train=ps.train.search(trials=4, learners=["linear", "lightgbm"]),
)
"""


def test_a_search_uses_both_nodes_and_finds_the_same_model_and_it_answers_there(place, two):
    lines = "\n".join(f"{row % 17},{row * 7919 % 101},{int(row * 7919 % 101 > 40)}" for row in range(600))
    (place / "rows.csv").write_text(f"a,b,y\n{lines}\n")
    (place / "g.py").write_text(SEARCHED)
    for options in (("--store", "home"), ("--on", "ray", "--store", "far")):
        done = go(place, two, *options)
        assert done.returncode == 0, done.stderr
    assert digests(place / "far") == digests(place / "home")
    with sqlite3.connect(place / "far" / "catalog.db") as connection:
        (log,) = connection.execute("SELECT log FROM steps WHERE name = 'trials'").fetchone()
    assert "on the 2 nodes of the cluster" in log
    for number in range(6):
        (place / "data" / f"{number}.csv").write_text(
            "a,b\n" + "\n".join(f"{row},{number}" for row in range(500)) + "\n"
        )
    for store, on in (("home", "local"), ("far", "ray")):
        words = ("predict", "searched", "data/[0-5].csv", "--store", store, "--on", on, "-o", f"{on}.csv", "--json")
        done = two.run("-m", "penstock", *words, cwd=place)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"] == 3000
    assert (place / "ray.csv").read_bytes() == (place / "local.csv").read_bytes()


UNLIKE = """
import numpy as np
import ray
from penstock.errors import InputError
from penstock.train.cluster import Cluster
from penstock.train.learners import Sample
from penstock.train.workers import Fit

ray.init(log_to_driver=False)
workers = Cluster(ray, [node["Resources"] for node in ray.nodes()], 2)
x = np.arange(200.0).reshape(100, 2)
workers.put(0, Sample(x, (x[:, 0] > 50) * 1.0, "binary", 2, []), x, (x[:, 0] > 50) * 1.0)
fine = workers.start(Fit(0, "lightgbm", {"rounds": 3}, 0))
workers.wait([fine])
assert fine.result().error is None, fine.result().error
wrong = workers.start(Fit(0, "no such learner", {}, 0))
workers.wait([wrong])
assert wrong.result().error, "a fit that fails is told"
workers._versions = {"polars": "0.1"}
try:
    workers.wait([workers.start(Fit(0, "lightgbm", {"rounds": 3}, 0))])
except InputError as error:
    print("refused:", error)
"""


def test_a_node_that_is_unlike_ends_the_search_and_a_fit_that_fails_does_not(place, two):
    done = two.run("-c", UNLIKE, cwd=place)
    assert "refused: this worker is not like the machine of the run: polars 0.1 there" in done.stdout, done.stderr


def test_a_worker_with_other_packages_is_refused(tmp_path):
    here = versions_here()
    assert unlike(here, here) is None
    home = Home(str(tmp_path), "a", False, {**here, "polars": "0.1"})
    outcome, made = run_there(b"", home, "b", lambda data: data, {})
    assert "polars 0.1 there" in outcome.error
    assert (outcome.exit_code, made) == (2, {})


def test_an_unknown_place_is_refused():
    from penstock.engine.executors import make_executor

    with pytest.raises(InputError, match="ray://host:port"):
        make_executor("cloud", open_store, 1)


def test_a_client_tries_again_when_the_head_was_too_busy_to_start_its_server(monkeypatch):
    import ray

    # Ray's own answer in such a case, in its words; that it happens cannot be brought about at will.
    refusal = "Initialization failure from server:\nTraceback (most recent call last):\n  x\nRuntimeError: it failed.\n"
    answers = [ConnectionAbortedError(refusal), None]

    def init(**_):
        if (answer := answers.pop(0)) is not None:
            raise answer

    monkeypatch.setattr(ray, "init", init)
    assert connected("ray://head:1") is ray
    answers[:] = [ConnectionAbortedError(refusal)] * 3
    with pytest.raises(InputError, match="from server: RuntimeError: it failed") as told:
        connected("ray://head:1")
    assert "Traceback" not in str(told.value)
