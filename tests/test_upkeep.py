"""The loop: alarms once, retraining for cause and never in circles, promotion by gate or person, rollback by labels."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import penstock as ps
from penstock import upkeep
from penstock.audit import acts
from penstock.cli import cli
from penstock.deploy import rollout
from penstock.deploy.registry import Registry
from penstock.errors import PenstockError
from penstock.monitor.decisions import answer, decide, decisions_of
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.monitor.telling import send
from penstock.monitor.window import labelled, take
from penstock.store.store import open_store
from penstock.traffic import WORSE, worse_than
from penstock.upkeep import Watcher
from penstock.watch import monitor
from tests.conftest import copied, customers
from tests.servers import free_port, serving

PIPELINE = """
import penstock as ps
{imports}

pipeline = ps.Pipeline(
    "customers",
    ingest=ps.ingest.files("customers*.csv"),
    target=ps.binary("left", positive="gone"),
    train={train},
    evaluate=ps.evaluate.gate({gate}),
    monitor=ps.monitor.drift(window="200 rows", retrain={retrain}, tell={tell}),
)
"""

ESTIMATOR = (
    "from sklearn.linear_model import LogisticRegression",
    "ps.train.estimator(LogisticRegression(max_iter=200))",
)
SEARCH = ("", 'ps.train.search(trials=1, learners=["linear"])')
"""Slower to train, and quicker to find that nothing needs to be done: it imports little."""

_FIRST = {}
"""Stores with a first version: one that a person trained, and one that the watcher did."""


@pytest.fixture(scope="module", autouse=True)
def _first_version(tmp_path_factory):
    for name, begin in (("run", Place.run), ("look", Place.look)):
        place = Place(tmp_path_factory.mktemp("first") / name)
        begin(place)
        place.store.close()
        _FIRST[name] = place.folder / "s"
    yield
    _FIRST.clear()


class Place:
    """A pipeline file with its data and store."""

    def __init__(self, folder, retrain="None", tell="[]", gate="min_gain=-1", learn=ESTIMATOR):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        if not (folder / "p.py").exists():
            imports, train = learn
            text = PIPELINE.format(imports=imports, train=train, retrain=retrain, tell=tell, gate=gate)
            (folder / "p.py").write_text(text)
            customers(500).write_csv(folder / "customers-1.csv")
        self.store = open_store(folder / "s")
        self.heard = []
        from penstock.cli.common import load_pipeline

        self.pipeline = load_pipeline(str(folder / "p.py"))
        self.watcher = self.another()

    def another(self):
        return Watcher(self.store, self.pipeline, str(self.folder / "p.py"), self.heard.append)

    def run(self):
        """Run; the first run of all tests is taken over by those that begin alike."""
        self._take_over("run")
        self.pipeline.run(self.store).raise_for_status()

    def look(self):
        """Let the watcher look; its first training of all tests is taken over by those that begin alike."""
        self._take_over("look")
        return self.watcher.look()

    def _take_over(self, first):
        text = (self.folder / "p.py").read_text()
        alike = "gate(min_gain=-1)" in text and ESTIMATOR[1] in text
        if first in _FIRST and alike and Registry(self.store, "customers").champion() is None:
            self.store.close()
            shutil.copytree(_FIRST[first], self.folder / "s", dirs_exist_ok=True)
            self.store = open_store(self.folder / "s")
            self.watcher = self.another()

    def asked(self, n=200, seed=5, drifted=False, labels=None):
        """Answer rows and keep them as the service does; `labels` tells the truth of each."""
        champion = Registry(self.store, "customers").champion()
        model = ps.load("customers", champion.version, self.store)
        table = customers(n, seed=seed, drifted=drifted).with_columns(pl.col("birthday").cast(pl.String))
        rows = table.drop("left").to_dicts()
        log, now = PredictionLog(log_folder(self.store.folder, "customers")), time.time()
        ids = [f"{log.process}-{number}" for number in range(n)]
        log.append(
            [
                Record(i, now, model.version, row, a.prediction, a.probabilities)
                for i, row, a in zip(ids, rows, model.answer(rows), strict=True)
            ]
        )
        if labels is not None:
            log.append(
                [Record(i, now, label=labels(truth)) for i, truth in zip(ids, table["left"].to_list(), strict=True)]
            )
        log.close()

    def new_data(self, seed=11, drifted=True):
        """Add rows; of a changed world the truth follows `orders`, which no earlier model knows of."""
        table = customers(500, seed=seed, drifted=drifted)
        if drifted:
            table = table.with_columns(
                left=pl.when(pl.col("orders") > 4).then(pl.lit("gone")).otherwise(pl.lit("here"))
            )
        table.write_csv(self.folder / f"customers-{seed}.csv")

    def made(self, what=None):
        return [(item.what, item.status) for item in reversed(decisions_of(self.store, "customers", what))]


class Killed(BaseException):
    """Stands for SIGKILL between two writes: nothing that follows it in the process is done."""


def killed_before_write(monkeypatch, number):
    """Let the watcher of this process die before its `number`-th write to the catalog; return what counts them."""
    count = [0]

    def dying(write):
        def one(*arguments, **more):
            count[0] += 1
            if count[0] == number:
                raise Killed
            return write(*arguments, **more)

        return one

    for where, name in (
        (upkeep, "decide"),
        (upkeep, "end"),
        (rollout, "begin"),
        (rollout, "end"),
        (Registry, "promote"),
    ):
        monkeypatch.setattr(where, name, dying(getattr(where, name)))
    return count


NOW = 'ps.monitor.retrain(on=["drift", "data"], cool_down=0, hold="1h"{more})'


def test_the_first_model_is_trained_without_being_asked(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    found = place.watcher.look()
    assert (found.status, found.version) == ("not enough data", 1)
    assert place.made() == [("retrain", "done"), ("promote", "done")]
    place.watcher.look()
    assert len(place.made()) == 2


def test_a_first_training_that_failed_is_tried_again_and_not_for_ever(tmp_path):
    place = Place(tmp_path, "ps.monitor.retrain(cool_down=0, most_per_day=3)")
    whole = (tmp_path / "customers-1.csv").read_text()
    (tmp_path / "customers-1.csv").write_text("age,city\n1,Oslo\n2\n")
    assert place.watcher.look() is None
    assert place.watcher.look() is None
    assert place.made() == [("retrain", "failed")] * 2
    (tmp_path / "customers-1.csv").write_text(whole)
    assert place.watcher.look().version == 1
    assert place.made()[2:] == [("retrain", "done"), ("promote", "done")]


def test_labels_that_come_late_are_seen_without_judging_columns_again(tmp_path):
    place = Place(tmp_path)
    place.run()
    place.asked(200, seed=5)
    first = place.watcher.look()
    assert (first.status, first.performance) == ("calm", None)
    champion = Registry(place.store, "customers").champion()
    logged = take(log_folder(place.store.folder, "customers"))
    log, wrong = PredictionLog(log_folder(place.store.folder, "customers")), {"gone": "here", "here": "gone"}
    log.append([Record(item.id, time.time(), label=wrong[item.prediction]) for item in logged.records])
    log.close()
    found = place.watcher.look()
    assert (found.status, found.version) == ("drift", champion.version)
    assert found.performance.decayed
    assert found.columns == first.columns


def test_a_world_that_answers_otherwise_is_seen_by_the_losses_since_the_version_answers(tmp_path):
    place = Place(tmp_path)
    place.run()
    place.asked(400, seed=5, labels=lambda truth: truth)
    calm = place.watcher.look()
    assert (calm.status, calm.concept.drifted, calm.concept.labels) == ("calm", False, 400)
    random = np.random.default_rng(0)
    turned = {"gone": "here", "here": "gone"}
    place.asked(400, seed=6, labels=lambda truth: turned[truth] if random.random() < 0.4 else truth)
    found = monitor("customers", place.store, place.pipeline.monitor)
    assert found.concept.drifted
    assert 350 <= found.concept.since <= 500
    assert found.concept.at is not None
    place.another().look()
    told = [item.why for item in decisions_of(place.store, "customers", "alarm")]
    assert len(told) == 1
    assert "losses have grown since" in told[0]
    done = CliRunner().invoke(cli, ["monitor", str(tmp_path / "p.py"), "--store", str(tmp_path / "s")])
    assert done.exit_code == 3
    assert "losses have grown since" in done.output


def test_drift_is_told_once_answered_with_new_data_and_calm_is_told(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    place.look()
    place.asked()
    assert place.watcher.look().status == "calm"
    place.asked(drifted=True, seed=6)
    for _ in range(3):
        assert place.watcher.look().status == "drift"
    # No new rows: it waits, and says so once.
    assert place.made()[2:] == [("alarm", "done"), ("wait", "done")]
    assert any("holds no new rows" in text for text in place.heard)
    place.new_data()
    place.watcher.look()
    assert place.made()[4:] == [("retrain", "done"), ("promote", "done")]
    assert Registry(place.store, "customers").champion().version == 2
    assert "age" in decisions_of(place.store, "customers", "alarm")[0].why
    # The new version has seen both worlds.
    place.asked(100, drifted=True, seed=7)
    place.asked(100, seed=8)
    place.watcher.look()
    assert place.made()[-1] == ("calm", "done")
    count = len(place.made())
    place.watcher.look()
    assert len(place.made()) == count


def test_a_challenger_that_the_gate_refuses_changes_nothing(tmp_path):
    place = Place(tmp_path, NOW.format(more=""), gate="confidence=0.99")
    place.watcher.look()
    # New rows whose truth is noise: no model is surely better than the champion on them.
    table = customers(500, seed=12)
    table.with_columns(left=table["left"].shuffle(seed=1)).write_csv(place.folder / "customers-2.csv")
    place.watcher.look()
    last = decisions_of(place.store, "customers", "retrain")[0]
    assert last.status == "done"
    assert "v2 was trained, and the gate said no" in last.why
    assert Registry(place.store, "customers").champion().version == 1


def test_broken_data_are_told_and_the_champion_stays(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    place.look()
    (place.folder / "customers-2.csv").write_text("age,city\n1,Oslo\n2\n")
    place.watcher.look()
    last = decisions_of(place.store, "customers", "retrain")[0]
    assert last.status == "failed"
    assert "customers-2.csv" in last.why
    assert Registry(place.store, "customers").champion().version == 1
    place.watcher.look()
    assert len(decisions_of(place.store, "customers", "retrain", "failed")) <= 3


def test_it_is_not_trained_again_and_again(tmp_path):
    place = Place(tmp_path, 'ps.monitor.retrain(on=["data"], cool_down=0, most_per_day=1)')
    place.run()
    for seed in (21, 22, 23):
        place.new_data(seed, drifted=False)
        place.watcher.look()
    assert len(decisions_of(place.store, "customers", "retrain")) == 1
    assert [item.what for item in decisions_of(place.store, "customers", "wait")] == ["wait"]
    said = [line for line in place.heard if line.startswith("waits")]
    assert said == ["waits: the source holds new rows; and so many retrainings a day are enough: 1"]


def test_an_upgrade_is_no_new_data(tmp_path, monkeypatch):
    place = Place(tmp_path, 'ps.monitor.retrain(on=["data"], cool_down=0)')
    place.run()
    monkeypatch.setattr("penstock.compiling.stage_version", "another version of {}".format)
    assert {item.name for item in place.pipeline.plan(place.store).stale} >= {"read", "snapshot"}
    place.watcher.look()
    assert place.made("retrain") == []
    place.new_data(41, drifted=False)
    place.watcher.look()
    assert place.made("retrain") == [("retrain", "done")]


def test_a_cool_down_is_kept(tmp_path):
    place = Place(tmp_path, 'ps.monitor.retrain(on=["data"], cool_down="1h")')
    place.look()
    place.new_data(31, drifted=False)
    place.watcher.look()
    assert len(decisions_of(place.store, "customers", "retrain")) == 1


def test_the_calendar_and_labels_are_causes_too(tmp_path):
    place = Place(tmp_path, 'ps.monitor.retrain(on=[], every="2s", labels=50, cool_down=0)')
    place.look()
    place.asked(60, labels=lambda truth: truth)
    time.sleep(2.1)
    place.watcher.look()
    causes = [item.cause.partition(":")[0] for item in decisions_of(place.store, "customers", "retrain")]
    assert causes == ["calendar", "first"]
    assert "answers already" in decisions_of(place.store, "customers", "retrain")[0].why


def test_a_person_decides_where_that_is_wanted(tmp_path):
    place = Place(tmp_path, NOW.format(more=", approve=True"))
    place.run()
    place.new_data(drifted=False)
    place.watcher.look()
    (asked,) = decisions_of(place.store, "customers", status="asked")
    assert Registry(place.store, "customers").champion().version == 1
    command = [
        sys.executable,
        "-m",
        "penstock",
        "approve",
        "customers",
        str(asked.id),
        "--store",
        str(place.store.folder),
    ]
    assert subprocess.run(command, capture_output=True).returncode == 0
    again = subprocess.run(command, capture_output=True, text=True)
    assert (again.returncode, "is not asked any more" in again.stderr) == (2, True)
    place.watcher.look()
    assert Registry(place.store, "customers").champion().version == asked.version
    place.new_data(13, drifted=False)
    place.watcher.look()
    (asked,) = decisions_of(place.store, "customers", status="asked")
    answer(place.store, "customers", asked.id, "rejected", "no", "anna")
    (act,) = [act for act in acts(place.store, "customers") if act.user == "anna"]
    assert (act.what, act.detail.split(":")[0]) == ("decision", "promote, rejected")
    before = Registry(place.store, "customers").champion().version
    place.watcher.look()
    assert Registry(place.store, "customers").champion().version == before


def test_a_canary_is_tried_then_promoted_or_given_up(tmp_path):
    place = Place(tmp_path, 'ps.monitor.retrain(on=["data"], cool_down=0, canary="20%", hold="2s")')
    place.run()
    place.new_data(drifted=False)
    place.watcher.look()
    assert rollout.rollout_of(place.store, "customers").share == 0.2
    place.watcher.look()
    assert Registry(place.store, "customers").champion().version == 1
    time.sleep(2.1)
    place.watcher.look()
    assert Registry(place.store, "customers").champion().version == 2
    assert rollout.rollout_of(place.store, "customers").canary is None
    place.new_data(14, drifted=False)
    place.watcher.look()
    rollout.end(place.store, "customers", "canary", "stopped by itself: too slow")
    place.watcher.look()
    assert "too slow" in decisions_of(place.store, "customers", "canary")[0].why
    assert Registry(place.store, "customers").champion().version == 2


def test_a_champion_that_is_worse_by_its_labels_is_rolled_back_also_by_the_watcher_after_one_that_was_killed(
    tmp_path, monkeypatch
):
    place = Place(tmp_path, 'ps.monitor.retrain(on=[], cool_down=0, hold="1h")')
    place.run()
    # A version that learnt the opposite, promoted by the watcher's own hand.
    table = customers(500)
    table.with_columns(left=pl.when(pl.col("left") == "gone").then(pl.lit("here")).otherwise(pl.lit("gone"))).write_csv(
        place.folder / "customers-1.csv"
    )
    place.run()
    Registry(place.store, "customers").promote(2, "test")
    decide(place.store, "customers", "promote:v2:test", "promote", "v2 passed the gate", version=2)
    place.asked(120, seed=15, labels=lambda truth: truth)
    with monkeypatch.context() as patch:
        killed_before_write(patch, 2)
        with pytest.raises(Killed):
            place.another().look()
    assert Registry(place.store, "customers").champion().version == 2
    place.watcher.look()
    assert Registry(place.store, "customers").champion().version == 1
    (made,) = decisions_of(place.store, "customers", "rollback")
    assert "v1 would have had" in made.why
    place.watcher.look()
    assert len(decisions_of(place.store, "customers", "rollback")) == 1


def test_a_champion_that_is_surely_but_hardly_worse_stays(tmp_path):
    place = Place(tmp_path, 'ps.monitor.retrain(on=[], cool_down=0, hold="1h")')
    place.run()
    whole = (tmp_path / "p.py").read_text()
    (tmp_path / "p.py").write_text(whole.replace("max_iter=200", "C=0.065"))
    place = Place(tmp_path)
    place.run()
    Registry(place.store, "customers").promote(2, "test")
    decide(place.store, "customers", "promote:v2:test", "promote", "v2 passed the gate", version=2)
    place.asked(4000, seed=15, labels=lambda truth: truth)
    pairs = [(record, label) for record, label in labelled(log_folder(place.store.folder, "customers"), 0.0)]
    chance, mine, others = worse_than(place.store, "customers", 1, pairs)
    assert chance < 5e-5
    assert others < mine < WORSE * others
    place.watcher.look()
    assert Registry(place.store, "customers").champion().version == 2


def test_a_version_of_another_store_that_took_the_place_of_one_out_of_reach_is_not_promoted(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    place.run()
    place.new_data(drifted=False)
    whole = (tmp_path / "p.py").read_text()
    away = """
import os, sys
if "--set" in sys.argv:  # the watcher's training: the folder of the store is away, as when a disk is
    os.rename("s", "away")
"""
    (tmp_path / "p.py").write_text(away.replace('"s", "away"', f'"{tmp_path}/s", "{tmp_path}/away"') + whole)
    watcher = place.another()
    watcher.look()
    (tmp_path / "p.py").write_text(whole)
    place.store.close()
    shutil.rmtree(tmp_path / "s")
    (tmp_path / "away").rename(tmp_path / "s")
    place.store = open_store(tmp_path / "s")
    assert Registry(place.store, "customers").champion().version == 1
    place.another().look()
    place.another().look()
    assert Registry(place.store, "customers").champion().version == 2
    assert [item for item in place.made() if item[0] == "promote"] == [("promote", "done")]


def test_labels_for_a_share_of_what_was_learnt_from_ask_for_a_retraining(tmp_path):
    place = Place(tmp_path, 'ps.monitor.retrain(labels="50%", cool_down=0)')
    place.run()
    place.asked(100, labels=lambda truth: truth)
    place.watcher.look()
    assert place.made("retrain") == []
    place.asked(150, seed=6, labels=lambda truth: truth)
    place.watcher.look()
    (made,) = decisions_of(place.store, "customers", "retrain")
    assert made.why.startswith("250 labels came since it was last learnt")


@pytest.mark.parametrize("labels", ["few", "few%", "0%", "-5%", "nan%", "5000", 0])
def test_a_share_of_labels_that_is_none_is_refused(labels):
    with pytest.raises(PenstockError, match="labels"):
        ps.monitor.retrain(labels=labels)


def test_columns_that_moved_without_harm_are_told_and_nothing_is_trained(tmp_path):
    place = Place(tmp_path, NOW.format(more="").replace('"drift", "data"', '"drift"'))
    place.run()
    place.new_data(drifted=True)
    model = ps.load("customers", "champion", place.store)
    rows = customers(200, seed=5, drifted=True).with_columns(pl.col("birthday").cast(pl.String)).drop("left").to_dicts()
    said = iter([item.prediction for item in model.answer(rows)])
    place.asked(200, drifted=True, labels=lambda _truth: next(said))  # the world does as it was told
    found = place.watcher.look()
    assert (found.status, found.worse) == ("drift", False)
    assert "labels show no harm" in decisions_of(place.store, "customers", "wait")[0].why
    assert place.made("retrain") == []


def test_looks_of_cron_judge_a_window_as_seldom_as_one_that_stays(tmp_path):
    place = Place(tmp_path)
    place.run()
    place.asked(150, seed=20)
    first = place.another().look()
    assert (first.status, first.window.rows) == ("calm", 150)
    time.sleep(0.01)
    place.asked(90, seed=21, drifted=True)
    again = place.another().look()
    assert (again.status, again.window, again.columns) == ("calm", first.window, first.columns)
    time.sleep(0.01)
    place.asked(60, seed=22, drifted=True)
    assert place.another().look().status == "drift"
    assert place.made() == [("alarm", "done")]


def test_a_good_champion_stays(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    place.look()
    place.new_data(drifted=False)
    place.watcher.look()
    place.asked(400, seed=16, labels=lambda truth: truth)
    place.watcher.look()
    assert decisions_of(place.store, "customers", "rollback") == []


def test_two_watchers_do_nothing_twice_and_one_that_is_killed_is_followed(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    command = [
        sys.executable,
        "-m",
        "penstock",
        "watch",
        str(tmp_path / "p.py"),
        "--every",
        "0.2s",
        "--store",
        str(place.store.folder),
    ]
    for moment in (0.7, 1.5, 2.3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    others = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    deadline = time.monotonic() + 90
    while place.made("promote") != [("promote", "done")] and time.monotonic() < deadline:
        time.sleep(0.2)
    place.new_data(drifted=False)
    while len(place.made("promote")) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    for process in others:
        process.terminate()
    assert [process.wait(30) for process in others] == [0, 0]
    assert place.made() == [("retrain", "done"), ("promote", "done")] * 2
    assert Registry(place.store, "customers").champion().version == 2


def test_people_are_told_once_and_again_when_they_could_not_be_reached(tmp_path):
    came, working = [], threading.Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200 if working.is_set() else 503)
            self.end_headers()
            if working.is_set():
                came.append((self.path, json.loads(body)))

        def log_message(self, *_):
            pass

    hook = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{hook.server_port}"
    tell = f'[ps.monitor.webhook("{url}/${{HOOK_SECRET}}"), ps.monitor.webhook("{url}/slack", shape="slack"), ps.monitor.command("tee", "{tmp_path}/told.json")]'
    os.environ["HOOK_SECRET"] = "hush"
    place = Place(tmp_path, "None", tell)
    place.run()
    place.asked(drifted=True)
    place.watcher.look()
    assert came == []
    problem = next(text for text in place.heard if "cannot tell" in text)
    assert "hush" not in problem
    assert "${HOOK_SECRET}" in problem
    working.set()
    place.watcher.look()
    place.watcher.look()
    hook.shutdown()
    assert [path for path, _ in came] == ["/hush", "/slack"]
    assert came[0][1]["what"] == "alarm"
    assert came[0][1]["text"].startswith("customers: alarm: v1, 200 rows")
    assert list(came[1][1]) == ["text"]
    assert json.loads((tmp_path / "told.json").read_text())["pipeline"] == "customers"


def test_mail_is_sent_through_a_real_server():
    smtp = pytest.importorskip("aiosmtpd.controller")
    came = []

    class Kept:
        async def handle_DATA(self, server, session, envelope):
            came.append(envelope)
            return "250 OK"

    server = smtp.Controller(Kept(), hostname="127.0.0.1", port=free_port())
    server.start()
    port = server.port
    channel = ps.monitor.email(["a@example.org", "b@example.org"], "penstock@example.org", "127.0.0.1", port)
    assert send(channel, {"text": "churn: alarm: Łódź moved"}) is None
    server.stop()
    assert came[0].rcpt_tos == ["a@example.org", "b@example.org"]
    assert b"=?utf-8?" in came[0].content
    assert "email 127.0.0.1" in send(channel, {"text": "x"}, pause=lambda _: None)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ps.monitor.webhook("ftp://x"), "give https"),
        (lambda: ps.monitor.email("nobody", "a@b", "h"), "give addresses"),
        (lambda: ps.monitor.email("a@b", "a@b", "h", password="plain"), "set it in the environment"),
        (lambda: ps.monitor.command(), "give a program"),
        (lambda: ps.monitor.retrain(on=["moon"]), "there are drift, data"),
        (lambda: ps.monitor.retrain(canary="200%"), "between 0 and 100"),
        (lambda: ps.monitor.drift(tell=["x"]), "give ps.monitor.webhook"),
    ],
)
def test_what_cannot_be_is_told(make, says):
    with pytest.raises(PenstockError, match=says):
        make()


@pytest.mark.parametrize("kind", ["systemd", "kubernetes"])
def test_files_for_schedulers_are_whole(tmp_path, kind):
    Place(tmp_path)
    command = [sys.executable, "-m", "penstock", "watch", str(tmp_path / "p.py"), "--unit", kind]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert str(tmp_path / "p.py") in text
    if kind == "kubernetes":
        yaml = pytest.importorskip("yaml")
        made = yaml.safe_load(text)
        assert made["kind"] == "CronJob"
        assert made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] == "/store"
    else:
        assert "ExecStart=" in text


def test_a_service_follows_what_the_watcher_promotes(tmp_path):
    place = Place(tmp_path, NOW.format(more=""))
    place.look()
    with serving(place.store.folder) as (client, _):
        rows = (
            customers(300, seed=8, drifted=True)
            .drop("left")
            .with_columns(pl.col("birthday").cast(pl.String))
            .to_dicts()
        )
        assert client.post("/predict", json={"rows": rows}).json()["model"]["version"] == 1
        place.new_data()
        command = [
            sys.executable,
            "-m",
            "penstock",
            "watch",
            str(tmp_path / "p.py"),
            "--once",
            "--store",
            str(place.store.folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 3, done.stderr
        deadline = time.monotonic() + 15
        while client.post("/predict", json={"rows": rows[:1]}).json()["model"]["version"] != 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def settled(place):
    """Look until nothing changes any more, as a watcher that was started again does."""
    for _ in range(3):
        place.another().look()
    canary = rollout.rollout_of(place.store, "customers").canary
    return place.made(), Registry(place.store, "customers").champion().version, canary


def elsewhere(place, folder):
    """The same place at the same moment, in another folder."""
    return Place(copied(place.folder, folder))


RULES = {
    "promotes": ("ps.monitor.retrain(on=[], labels=50, cool_down=0)", [("retrain", "done"), ("promote", "done")]),
    "tries": (
        'ps.monitor.retrain(on=[], labels=50, cool_down=0, canary="20%", hold=0)',
        [("retrain", "done"), ("canary", "done"), ("promote", "done")],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_watcher_killed_between_any_two_writes_is_followed_to_the_same_end(tmp_path, monkeypatch, rule):
    retrain, expected = RULES[rule]
    place = Place(tmp_path / "p", retrain, learn=SEARCH)
    place.run()
    place.new_data(drifted=False)
    place.run()  # what the watcher's training finds done
    Registry(place.store, "customers").promote(1, "test")
    place.asked(60, labels=lambda truth: truth)
    number = 0
    while True:
        number += 1
        here = elsewhere(place, tmp_path / f"{number}")
        with monkeypatch.context() as patch:
            count = killed_before_write(patch, number)
            try:
                for _ in range(3):
                    here.another().look()
            except Killed:
                pass
        assert settled(here) == (expected, 2, None), f"killed before write {number}"
        here.store.close()
        if count[0] < number:
            break
    assert number > 4
