"""From a file to a training set in bounded memory: 200 MB of text, ten window features, at most 400 MB in all."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from penstock.store.store import open_store

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "larger_than_memory.py"


def test_a_training_set_is_made_in_bounded_memory(tmp_path):
    spec = importlib.util.spec_from_file_location("larger_than_memory", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    rows = benchmark.make(tmp_path / "payments.csv", 0.2e9)
    # Pages that are freed and not yet given back count as resident; how many there are depends on the moment.
    at_once = "dirty_decay_ms:0,muzzy_decay_ms:0"
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--run", tmp_path / "payments.csv", tmp_path / "s"],
        env={**os.environ, "PENSTOCK_MEMORY": "400MB", "_RJEM_MALLOC_CONF": at_once},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == ["read", "snapshot", "inferred", "prepared", "featured"]
    assert max(step["peak MB"] for step in steps) < 400, steps
    store = open_store(tmp_path / "s")
    sizes = [size for _, size in store.blobs.list()]
    assert len(sizes) > 3 * 6, "tables lie in parts"
    store.close()
    assert rows == 1_500_000
