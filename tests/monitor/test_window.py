"""Windows of a log: the same answers and labels however they are read, and no more of them than is asked for."""

import json
import time

import msgspec
import numpy as np
import pytest

from penstock.monitor.log import PredictionLog, Record
from penstock.monitor.window import counted, labelled, take

NOW = time.time()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log of two processes: three versions, shadows, labels (some twice), an odd id, and a line cut short."""
    folder, random = tmp_path_factory.mktemp("log"), np.random.default_rng(0)
    for process in range(2):
        log = PredictionLog(folder)
        for number in range(600):
            id_ = f"{process}-{number}" if number else f'an "odd" \\ id {process}'
            at, version = NOW - 1000 + number, int(random.integers(1, 4))
            answer = {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}, "took": 0.001}
            log.append([Record(id_, at, version, {"a": number, "version": 1}, **answer)])
            if number % 5 == 0:
                log.append([Record(id_, at, 2, {"a": number}, **answer, shadow=True)])
            if number % 3 == 0:
                log.append([Record(id_, NOW, label="no"), Record(id_, NOW, label="yes")])
        log.close()
    with next(folder.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"id":"cut short","at":17')
    return folder


def whole(folder, shadows=False):
    """Every answer by time, and every label, read line by line without a shortcut."""
    records, labels = [], {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\0")[0].splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if "label" in found:
                labels[found["id"]] = found["label"]
            elif shadows or not found.get("shadow"):
                records.append(msgspec.convert(found, Record))
    return sorted(records, key=lambda record: record.at), labels


def keys(records):
    return sorted((record.id, record.at, record.version) for record in records)


SINCE = pytest.mark.parametrize("since", [0.0, NOW - 700], ids=["all", "later"])


@SINCE
def test_a_window_holds_what_the_log_holds_of_it(folder, since):
    records, labels = whole(folder)
    expected = [record for record in records if record.version == 2 and record.at >= since]
    found = take(folder, 2, since)
    assert keys(found.records) == keys(expected)
    assert (found.labels, found.rows) == (labels, len(expected))
    some = take(folder, 2, since, latest=50)
    assert [record.at for record in some.records] == [record.at for record in expected][-50:]
    assert some.rows == 50
    spans = [(NOW - 600, NOW - 500), (NOW - 450.5, float("inf"))]
    left = [record for record in expected if not any(first <= record.at <= last for first, last in spans)]
    assert keys(take(folder, 2, since, without=spans).records) == keys(left)
    assert take(folder, 2, since, without=spans, latest=9**9).rows == len(left) < len(expected)


def test_of_many_answers_some_are_taken_with_their_labels_and_all_are_counted(folder):
    records, labels = whole(folder)
    found = take(folder, 2, most=100)
    assert found.rows == sum(record.version == 2 for record in records) > 300
    assert 50 < len(found.records) < 200
    assert keys(found.records) == keys(take(folder, 2, most=100).records)
    taken = {record.id for record in found.records}
    assert taken & labels.keys() == taken & found.labels.keys() != set()
    assert all(found.labels[id_] == labels[id_] for id_ in taken & labels.keys())
    assert np.mean([record.row["a"] for record in found.records]) == pytest.approx(300, abs=60)
    assert take(folder, 2, latest=200, most=20).rows == 200


def test_shadows_are_taken_where_they_are_asked_for(folder):
    records, _ = whole(folder, shadows=True)
    found = take(folder, shadows=True)
    assert keys(found.records) == keys(records)
    assert found.rows == len(records)
    assert len(take(folder).records) == len(whole(folder)[0]) < len(records)


@SINCE
def test_labelled_answers_and_counts_are_those_of_the_whole_log(folder, since):
    records, labels = whole(folder)
    expected = [record for record in records if record.at >= since and record.id in labels]
    found = list(labelled(folder, since))
    assert keys(record for record, _ in found) == keys(expected)
    assert all(label == labels[record.id] for record, label in found)
    answers, lines = counted(folder, 3, since)
    assert answers == sum(record.version == 3 and record.at > since for record in records)
    assert lines == 2 * 2 * 200
