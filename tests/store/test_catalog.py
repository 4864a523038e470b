"""Opening the catalog, also when others do in the same moment."""

import subprocess
import sys

OPENS = """
import sys
from penstock.store.store import open_store

print("ready", flush=True)
sys.stdin.readline()
open_store(sys.argv[1]).close()
"""


def test_processes_that_open_a_new_store_in_one_moment_all_can(tmp_path):
    for turn in range(2):
        command = [sys.executable, "-c", OPENS, str(tmp_path / f"{turn}")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        many = [subprocess.Popen(command, **pipes) for _ in range(4)]
        for process in many:
            assert process.stdout.readline() == "ready\n"
        for process in many:
            process.stdin.write("now\n")
            process.stdin.flush()
        for process in many:
            process.communicate(timeout=60)
        assert [process.returncode for process in many] == [0] * 4
