"""Two threads that meet the same type in the same moment."""

import subprocess
import sys

CODE = """
import sys, threading, types
from penstock.types.convert import convert

sys.setswitchinterval(1e-7)
SOURCE = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct, frozen=True, tag="inner"):
    a: int
    b: list[str] = []
class Other(msgspec.Struct, frozen=True, tag="other"):
    c: dict[str, float]
class Outer(msgspec.Struct, frozen=True):
    items: list[Inner | Other]
    pairs: list[tuple[str, Inner]]
'''
value = {"items": [{"type": "inner", "a": 1}, {"type": "other", "c": {"x": 1.0}}] * 3, "pairs": [["x", {"type": "inner", "a": 2}]]}
for turn in range(200):
    module = types.ModuleType(f"made{turn}")
    sys.modules[module.__name__] = module
    exec(SOURCE, vars(module))
    ready = threading.Barrier(4)

    def meet():
        ready.wait()
        assert convert(value, module.Outer).pairs[0][1].a == 2

    threads = [threading.Thread(target=meet) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_threads_that_meet_a_type_together_do_not_end_the_process():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
