"""The examples run as they are; the one that needs PyTorch where it is installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_commands import call_json

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["housing", "flights"])  # the demo runs the two others
def test_an_example_passes_its_own_gate(name, tmp_path):
    # A search of two trials is enough to see the whole line work.
    words = (EXAMPLES / name / f"{name}.py", "--store", tmp_path, "--set", "train.trials=2")
    run = call_json("run", *words)
    assert run["gate"]["passed"]
    assert run["model"]["aliases"] == ["champion"]
    assert {step["status"] for step in call_json("plan", *words)["steps"]} == {"cached"}


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_images_and_a_network_on_the_engine_alone(tmp_path):
    run = call_json("run", EXAMPLES / "digits" / "digits.py", "--store", tmp_path)
    assert run["status"] == "succeeded"
    again = call_json("run", EXAMPLES / "digits" / "digits.py", "--store", tmp_path)
    assert {step["status"] for step in again["steps"]} == {"cached"}


def test_the_demo_draws_the_whole_line_twice(tmp_path):
    import shutil

    shutil.copytree(EXAMPLES, tmp_path / "examples")
    # Where rows are divided by time there is one step more: how much of the past to learn from.
    for expected in (
        ["18 steps ran, 0 cached", "19 steps ran, 0 cached"],
        ["0 steps ran, 18 cached", "0 steps ran, 19 cached"],
    ):
        done = subprocess.run(
            [sys.executable, tmp_path / "examples" / "demo.py", "--set", "train.trials=2"],
            capture_output=True,
            text=True,
            timeout=600,
            env=dict(os.environ),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert sum(done.stdout.count(text) for text in expected) == 3
        assert "monitor   calm" in done.stdout
        assert "DRIFT in" in done.stdout
        assert "is better than the champion's" in done.stdout
        assert ": 0 lost" in done.stdout
        assert len(done.stdout.splitlines()) <= 16
