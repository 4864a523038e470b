"""Canaries and shadows: begun, ended, and told by the command line."""

import json
import math
import subprocess
import sys
import time

import pytest

from penstock.deploy import rollout
from penstock.deploy.registry import Registry
from penstock.deploy.rollout import Rollout, rollout_of, takes_part
from penstock.errors import InputError
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.monitor.options import Drift
from penstock.watch import taken_of


@pytest.fixture
def two(store):
    """Two versions; the first is the champion."""
    registry = Registry(store, "m")
    for digest in ("a", "b"):
        registry.register(digest, "run", {}, passed=digest == "a", promote=True, judged_against=None, why="test")
    return store


def test_what_is_tried_is_known_until_it_ends_or_is_the_champion(two):
    assert rollout_of(two, "m") == Rollout()
    assert rollout.begin(two, "m", "canary", "challenger", 0.1, "try") == 2
    rollout.begin(two, "m", "shadow", 2, 0.0, "try")
    assert rollout_of(two, "m") == Rollout(2, 0.1, 2)
    rollout.begin(two, "m", "canary", 2, 0.5, "more")
    assert rollout_of(two, "m") == Rollout(2, 0.5, 2)
    assert rollout.end(two, "m", "shadow", "enough") == 2
    assert rollout.end(two, "m", "shadow", "enough") is None
    Registry(two, "m").promote(2, "good")
    assert rollout_of(two, "m") == Rollout()
    assert [change.why for change in rollout.changes(two, "m")] == ["enough", "more", "try", "try"]


def test_when_a_version_was_a_canary_is_known(two):
    before = time.time()
    rollout.begin(two, "m", "canary", 2, 0.1, "first")
    ((first, last),) = rollout.canary_spans(two, "m", 2)
    assert before <= first <= time.time()
    assert last == math.inf
    rollout.end(two, "m", "canary", "not now")
    rollout.begin(two, "m", "shadow", 2, 0.0, "unseen")
    rollout.begin(two, "m", "canary", 2, 0.1, "again")
    promoting = time.time()
    Registry(two, "m").promote(2, "it is good")
    (one, other) = rollout.canary_spans(two, "m", 2)
    assert first == one[0] < one[1] < other[0] < promoting <= other[1] <= time.time()
    assert rollout.canary_spans(two, "m", 1) == []


def test_a_champion_is_not_judged_by_what_it_answered_as_a_canary(two):
    log = PredictionLog(log_folder(two.folder, "m"))

    def answer(*names):
        log.append([Record(name, time.time(), 2, {"a": 1}, "yes") for name in names])

    rollout.begin(two, "m", "canary", 2, 0.1, "try")
    answer("a", "b")
    Registry(two, "m").promote(2, "good")
    answer("c", "d", "e")
    log.close()
    assert [record.id for record in taken_of(two, "m", 2, Drift()).records] == ["c", "d", "e"]


def test_what_cannot_be_tried_is_told(two):
    with pytest.raises(InputError, match="is the champion already"):
        rollout.begin(two, "m", "canary", 1, 0.1, "")
    for share in (0.0, 1.0, 2.0):
        with pytest.raises(InputError, match="more than 0 %"):
            rollout.begin(two, "m", "canary", 2, share, "")
    with pytest.raises(InputError, match="has no v9"):
        rollout.begin(two, "m", "shadow", 9, 0.0, "")


def test_a_larger_share_keeps_those_who_were_in_it():
    keys = [b"%d" % number for number in range(2000)]
    small = {key for key in keys if takes_part(key, 2, 0.05)}
    large = {key for key in keys if takes_part(key, 2, 0.3)}
    assert small < large
    assert small != {key for key in keys if takes_part(key, 3, 0.05)}


def test_the_command_line_tries_promotes_and_takes_back(two):
    def penstock(*arguments):
        command = [sys.executable, "-m", "penstock", *arguments, "--store", str(two.folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert "v2 answers 10 % of the requests" in penstock("promote", "m", "--canary", "10%").stdout
    assert "canary" in penstock("models", "m").stdout
    wrong = penstock("promote", "m", "--canary", "much")
    assert (wrong.returncode, "give a share" in wrong.stderr) == (2, True)
    assert "v1 is the champion" in penstock("rollback", "m").stdout
    assert rollout_of(two, "m") == Rollout()
    penstock("promote", "m", "2", "--shadow")
    assert json.loads(penstock("promote", "m", "2", "--json").stdout)["version"] == 2
    assert rollout_of(two, "m") == Rollout()
    assert "v1 is the champion" in penstock("rollback", "m").stdout
