"""Metaflow, local: each step is a process of its own; it keeps no cache between runs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

shape, count = sys.argv[1], int(sys.argv[2])
lines = [
    "from metaflow import FlowSpec, step",
    "class Bench(FlowSpec):",
    "    @step",
    "    def start(self):",
    "        self.x = 0",
]
if shape == "chain":
    for index in range(1, count - 1):
        lines += [f"        self.next(self.s{index})", "    @step", f"    def s{index}(self):", "        self.x += 1"]
    lines += ["        self.next(self.end)"]
else:
    names = [f"s{index}" for index in range(1, count - 2)]
    lines += ["        self.next(" + ", ".join(f"self.{name}" for name in names) + ")"]
    for name in names:
        lines += ["    @step", f"    def {name}(self):", "        self.x = 1", "        self.next(self.join)"]
    lines += [
        "    @step",
        "    def join(self, inputs):",
        "        self.x = sum(i.x for i in inputs)",
        "        self.next(self.end)",
    ]
lines += ["    @step", "    def end(self):", "        pass", "if __name__ == '__main__':", "    Bench()"]
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "bench_flow.py").write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "USERNAME": "bench", "METAFLOW_USER": "bench"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "bench_flow.py", "run"], cwd=folder, env=environment, check=True, capture_output=True
    )
    print(json.dumps({"cold ms/step": round((time.perf_counter() - began) / count * 1000, 1), "cached ms/step": None}))
