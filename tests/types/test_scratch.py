"""Temporary folders go with their program, also one that is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from penstock.types.scratch import Scratch

PROGRAM = "import sys, time; from penstock.types.scratch import Scratch; made = Scratch('test'); print(made.name, flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    tempfile.tempdir = None


def aged(folder):
    past = time.time() - 3600
    os.utime(folder, (past, past))


def test_a_folder_is_removed_when_it_is_left():
    with Scratch("test") as folder:
        (Path(folder) / "a").write_text("b")
    assert not Path(folder).exists()
    made = Scratch("test")
    made.cleanup()
    made.cleanup()
    assert not Path(made.name).exists()


def test_what_a_killed_program_left_is_removed_and_what_one_that_runs_has_is_not():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        folder = Path(program.stdout.readline().strip())
        (folder / "rows").mkdir()
        aged(folder)
        Scratch("test").cleanup()
        assert (folder / "rows").exists()
        program.send_signal(signal.SIGKILL)
        program.wait()
        assert folder.exists()
        Scratch("other").cleanup()
        assert folder.exists()
        Scratch("test").cleanup()
        assert not folder.exists()


def test_a_folder_that_is_just_made_is_left_alone(tmp_path):
    young, old = tmp_path / "penstock-test-young", tmp_path / "penstock-test-old"
    for folder in (young, old):
        folder.mkdir()
    aged(old)
    (tmp_path / "penstock-test-link").symlink_to(tmp_path / "elsewhere")
    Scratch("test").cleanup()
    assert young.exists()
    assert not old.exists()
