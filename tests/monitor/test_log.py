"""The log of predictions: whole lines, none lost to a kill, none twice."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from penstock.monitor.log import CHUNK, PredictionLog, Record, drop_old, find_record
from penstock.monitor.window import take


def records(n, first=0, size=10):
    return [Record(f"p-{number}", time.time(), 1, {"text": "x" * size}, "yes") for number in range(first, first + n)]


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_appended_is_read_while_it_is_written_and_after(tmp_path, durable):
    log = PredictionLog(tmp_path, durable=durable)
    for start in range(0, 3000, 10):
        kept = log.append(records(10, start, size=800))
        if kept is not None:
            kept.result(10)
    assert [record.id for record in take(tmp_path).records] == [f"p-{number}" for number in range(3000)]
    log.close()
    (path,) = tmp_path.glob("*.jsonl")
    assert CHUNK < path.stat().st_size < 4 * CHUNK
    assert b"\0" not in path.read_bytes()
    assert len(take(tmp_path).records) == 3000


def test_a_record_larger_than_a_chunk_fits(tmp_path):
    log = PredictionLog(tmp_path)
    log.append(records(3, size=CHUNK))
    log.append(records(1, 3))
    log.close()
    assert [record.id for record in take(tmp_path).records] == ["p-0", "p-1", "p-2", "p-3"]


WRITER = """
import sys
from pathlib import Path
from penstock.monitor.log import PredictionLog, Record
log = PredictionLog(Path(sys.argv[1]), durable=sys.argv[2] == "durable")
number = 0
while True:
    number += 1
    kept = log.append([Record(f"{log.process}-{number}", 1.0, 1, {"a": "x" * 300}, "yes")])
    if kept is not None:
        kept.result()
    sys.stdout.write(f"{log.process}-{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("kind", ["fast", "durable"])
def test_ten_kills_lose_nothing_that_was_told_and_write_nothing_twice(tmp_path, kind):
    told = set()
    for turn in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), kind], stdout=subprocess.PIPE, text=True
        )
        told.add(process.stdout.readline().strip())
        time.sleep(0.02 + 0.03 * turn)
        os.kill(process.pid, signal.SIGKILL)
        lines = process.stdout.read().split("\n")
        told |= set(lines[:-1])  # the last may be cut short
        process.wait()
    found = [record.id for record in take(tmp_path).records]
    assert len(found) == len(set(found))
    assert told <= set(found)
    assert len(told) > 100


def test_a_record_is_found_by_its_id_with_its_label(tmp_path):
    log = PredictionLog(tmp_path)
    log.append(records(5))
    log.append([Record("p-3", time.time(), label="no")])
    record, label = find_record(tmp_path, "p-3")
    assert (record.id, label) == ("p-3", "no")
    assert find_record(tmp_path, "p-33") == (None, None)
    log.close()


def test_old_files_go_and_new_ones_stay(tmp_path):
    (tmp_path / "20200101-a-1.jsonl").write_text("{}\n")
    os.utime(tmp_path / "20200101-a-1.jsonl", (1, 1))
    (tmp_path / "20990101-b-1.jsonl").write_text("{}\n")
    assert drop_old(tmp_path, 86_400) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["20990101-b-1.jsonl"]


def test_a_full_disk_is_told_and_what_was_whole_stays_whole(tmp_path):
    """A file system of two megabytes, mounted for the test."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount")
    try:
        for durable in (False, True):
            log, kept = PredictionLog(place / str(durable), durable=durable), 0
            with pytest.raises(OSError, match="No space left"):
                for start in range(0, 10_000, 10):
                    told = log.append(records(10, start, size=500))
                    if told is not None:
                        told.result(10)
                    kept = start + 10
            found = [record.id for record in take(place / str(durable)).records]
            assert found[:kept] == [f"p-{number}" for number in range(kept)]
            with contextlib.suppress(OSError):
                log.close()
    finally:
        subprocess.run(["umount", str(place)], check=True)
