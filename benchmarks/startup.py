"""How long it takes to begin: `import penstock`, `plan`, and a run in which nothing changed, beside `import polars`.

Whole processes, alternating, median of several rounds. Run: python benchmarks/startup.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "churn" / "churn.py"
ROUNDS = 15


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Time one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as store:
        environment = {**os.environ, "PENSTOCK_STORE": store}
        python = sys.executable
        commands = {
            "import polars": [python, "-c", "import polars"],
            "import penstock": [python, "-c", "import penstock"],
            "import penstock, polars and Pipeline": [python, "-c", "import polars, penstock; penstock.Pipeline"],
            "penstock plan": [python, "-m", "penstock", "plan", str(EXAMPLE)],
            "penstock run, no change": [python, "-m", "penstock", "run", str(EXAMPLE)],
            "penstock --help": [python, "-m", "penstock", "--help"],
        }
        subprocess.run(commands["penstock run, no change"], check=True, env=environment, capture_output=True)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                times[name].append(seconds(command, environment))
    base = statistics.median(times["import polars"])
    for name, found in times.items():
        print(
            json.dumps(
                {
                    "what": name,
                    "seconds": round(statistics.median(found), 3),
                    "above polars": round(statistics.median(found) - base, 3),
                }
            )
        )


if __name__ == "__main__":
    main()
