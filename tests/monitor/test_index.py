"""The index of a log's file: what it says is what the file holds, and what was read is not read again."""

import os

import numpy as np
import pytest

from penstock.monitor import index as module
from penstock.monitor.index import ANSWER, LABEL, ODD, SHADOW, index_of, read_lines
from penstock.monitor.log import PredictionLog, Record, drop_old
from penstock.monitor.window import counted, take

ANSWERS = [Record(f"a-{number}", 100.0 + number, 1 + number % 2, {"x": number}, "yes") for number in range(20)]
LABELS = [Record(f"a-{number}", 200.0, label="no") for number in range(5)]
UNSEEN = [Record("a-0", 100.0, 2, {"x": 0}, "yes", shadow=True)]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WORTH", 1)
    log = PredictionLog(tmp_path)
    log.append(ANSWERS + LABELS + UNSEEN)
    log.close()
    return next(tmp_path.glob("*.jsonl"))


def read_from(monkeypatch):
    """Note where in their files lines are read from."""
    places, real = [], module._lines
    monkeypatch.setattr(module, "_lines", lambda path, start: places.append(start) or real(path, start))
    return places


def test_lines_are_told_by_what_they_hold(path):
    for lines in (index_of(path), index_of(path)):  # the second from the file beside it
        assert lines["kind"].tolist() == [ANSWER] * 20 + [LABEL] * 5 + [SHADOW]
        assert list(read_lines(path, lines)) == ANSWERS + LABELS + UNSEEN
        assert lines["at"][:20].tolist() == [record.at for record in ANSWERS]
        assert lines["version"].tolist() == [record.version for record in [*ANSWERS, *LABELS, *UNSEEN]]
        assert lines["hash"][0] == lines["hash"][20] == lines["hash"][25] != lines["hash"][1]
    assert path.with_suffix(".index").stat().st_mode & 0o777 == 0o600


def test_what_was_read_is_not_read_again_and_what_has_come_is(path, monkeypatch):
    index_of(path)
    size, places = path.stat().st_size, read_from(monkeypatch)
    with path.open("ab") as file:
        file.write(b'{"id":"b","at":300.0,"version":1,"prediction":"no"}\n\n{"id":"c","at":301.0,"ver')
    assert len(index_of(path)) == 29
    assert places == [size]
    with path.open("ab") as file:
        file.write(b'sion":1,"prediction":"no"}\n')
    lines = index_of(path)
    assert lines["kind"][-3:].tolist() == [ANSWER, ODD, ANSWER]
    assert [record.id for record in read_lines(path, lines[-3:])] == ["b", "c"]
    assert places == [size, size + 53]
    assert take(path.parent, 1).rows == 12
    assert counted(path.parent, 1, 299.0) == (2, 5)


@pytest.mark.parametrize(
    "held", [b"", b"nonsense", None, "other"], ids=["empty", "nonsense", "longer than the file", "of other columns"]
)
def test_an_index_that_does_not_fit_is_made_anew(path, held):
    expected, place = index_of(path), path.with_suffix(".index")
    if isinstance(held, bytes):
        place.write_bytes(held)
    else:
        longer = np.concatenate([expected, expected])
        longer["start"][-1] = path.stat().st_size
        np.save(place.open("wb"), longer if held is None else expected[["at", "start"]])
    assert np.array_equal(index_of(path), expected)
    assert np.array_equal(np.load(place), expected)


def test_without_a_place_to_write_to_the_log_is_read_all_the_same(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert take(path.parent, 1).rows == 10
    assert take(path.parent, 1).rows == 10
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_index_of_a_file_goes_with_it(path):
    index_of(path)
    path.with_suffix(".index.cut_short").touch()
    os.utime(path, (1, 1))
    assert drop_old(path.parent, 60.0) == 1
    assert not list(path.parent.iterdir())
