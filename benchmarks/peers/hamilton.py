"""Hamilton with its cache."""

import json
import sys
import tempfile
import time

sys.path.pop(0)

from hamilton import ad_hoc_utils, driver

shape, count = sys.argv[1], int(sys.argv[2])


def make(index):
    space = {}
    before = "" if index == 0 else f"s{index - 1 if shape == 'chain' else 0}: int"
    value = "0" if index == 0 else f"{before.split(':')[0]} + 1"
    exec(f"def s{index}({before}) -> int:\n    return {value}\n", space)
    return space[f"s{index}"]


module = ad_hoc_utils.create_temporary_module(*[make(index) for index in range(count)], module_name="bench")
wanted = [f"s{count - 1}"] if shape == "chain" else [f"s{index}" for index in range(count)]
sys.setrecursionlimit(100_000)


def timed(folder):
    built = driver.Builder().with_modules(module).with_cache(path=folder).build()
    began = time.perf_counter()
    built.execute(wanted)
    return (time.perf_counter() - began) / count * 1000


with tempfile.TemporaryDirectory() as folder:
    cold, cached = timed(folder), timed(folder)
    print(json.dumps({"cold ms/step": round(cold, 3), "cached ms/step": round(cached, 3)}))
