"""The main job, from raw files to a watched service that is trained anew when its world changes.

Everything is real: the data, the requests over HTTP, the drift. It works in `.demo/`, so a second run finds
what the first has computed. What follows the file's name is handed to each training: `--set train.trials=2` is quick.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent / ".demo"
STORE = PLACE / "store"
MONTHS = PLACE / "electricity"
BEFORE = ["1996-10", "1996-11", "1996-12", "1997-01", "1997-02", "1997-03"]
CHANGED = "1997-06"
AFTER = ["1997-04", "1997-05", "1997-06"]
ENVIRONMENT = {**os.environ, "PENSTOCK_STORE": str(STORE), "ELECTRICITY_DATA": str(MONTHS / "*.csv.gz")}


def penstock(*words: str, fine: tuple[int, ...] = (0,)) -> Any:
    """Call the command line as anyone would, and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock", *words, "--json"], env=ENVIRONMENT, capture_output=True, text=True
    )
    if done.returncode not in fine:
        sys.exit(f"penstock {' '.join(words)} left with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def post(url: str, path: str, value: Any) -> Any:
    """Send JSON, get JSON."""
    request = urllib.request.Request(url + path, json.dumps(value).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def month(name: str) -> list[dict[str, Any]]:
    """Rows of one month as a client would send them: numbers as numbers, the time as text."""
    with gzip.open(HERE / "electricity" / "data" / f"{name}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    return [{key: value if key in ("time", "target") else float(value) for key, value in row.items()} for row in rows]


def ask(url: str, rows: list[dict[str, Any]]) -> float:
    """Ask for predictions, then send the truth; return the share that was right."""
    right = 0
    for start in range(0, len(rows), 100):
        some = rows[start : start + 100]
        questions = [{key: value for key, value in row.items() if key != "target"} for row in some]
        answers = post(url, "/predict", {"rows": questions})["predictions"]
        post(
            url,
            "/feedback",
            {"labels": [{"id": a["id"], "label": row["target"]} for a, row in zip(answers, some, strict=True)]},
        )
        right += sum(answer["prediction"] == row["target"] for answer, row in zip(answers, some, strict=True))
    return right / len(rows)


@contextlib.contextmanager
def service(name: str) -> Iterator[str]:
    """Serve on a free loopback port; stop it at the end."""
    command = [sys.executable, "-m", "penstock", "serve", name, "--port", "0", "--json"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}\n}") and (line := process.stdout.readline()):
            text += line
        yield json.loads(text)["url"]
    finally:
        process.terminate()
        process.wait(15)


class Client(threading.Thread):
    """Asks one row after another until told to stop, and counts what was lost."""

    def __init__(self, url: str, row: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.url, self.row = url, row
        self.versions: list[int] = []
        self.lost = 0
        self.stop = threading.Event()

    def run(self) -> None:
        """Ask."""
        while not self.stop.is_set():
            try:
                self.versions.append(post(self.url, "/predict", {"rows": [self.row]})["model"]["version"])
            except OSError:
                self.lost += 1


def steps(run: dict[str, Any]) -> str:
    """Say how many steps ran."""
    ran = sum(step["status"] == "ran" for step in run["steps"])
    return f"{ran} steps ran, {len(run['steps']) - ran} cached"


def metric(run: dict[str, Any], name: str = "roc_auc") -> str:
    """Write a metric with its interval."""
    item = run["metrics"][name]
    return f"{name} {item['value']:.3f} ({item['low']:.3f} to {item['high']:.3f}, baseline {run['baseline'][name]:.3f})"


def say(stage: str, text: str) -> None:
    """Print one line."""
    print(f"{stage:10}{text}", flush=True)


def main() -> None:
    """Draw the line through all seven stages."""
    began = time.monotonic()
    shutil.rmtree(MONTHS, ignore_errors=True)
    MONTHS.mkdir(parents=True)
    for name in BEFORE:
        shutil.copy2(HERE / "electricity" / "data" / f"{name}.csv.gz", MONTHS)

    churn = penstock("run", str(HERE / "churn" / "churn.py"), *sys.argv[1:])
    say("churn", f"7,043 messy customers: {steps(churn)}; {metric(churn)}")
    say(
        "",
        f"gate passed, model v{churn['model']['version']}; its report counts every cell that was read, dropped or missing",
    )

    if (
        any(model["name"] == "electricity" for model in penstock("models"))
        if (STORE / "catalog.db").exists()
        else False
    ):
        penstock("promote", "electricity", "1", "--why", "the demo begins again")
    pipeline = str(HERE / "electricity" / "electricity.py")
    first = penstock("run", pipeline, *sys.argv[1:])
    say("ingest", f"electricity: {len(BEFORE)} months as partitions, October 1996 to March 1997")
    say("train", f"{steps(first)}; judged on the latest rows: {metric(first)}")
    say("deploy", f"gate passed: v{first['model']['version']} is {' and '.join(first['model']['aliases'])}")

    with service("electricity") as url:
        share = ask(url, [row for name in BEFORE for row in month(name)][::8])
        calm = penstock("monitor", pipeline, fine=(0, 3))
        say("serve", f"{url} answered 1,090 rows of these months, {share:.0%} right")
        say(
            "monitor",
            f"{calm['status']}: {sum(c['drifted'] for c in calm['columns'])} of {len(calm['columns'])} columns moved",
        )
        share = ask(url, month(CHANGED)[:1100])
        drift = penstock("monitor", pipeline, fine=(3,))
        moved = ", ".join(column["name"] for column in drift["columns"] if column["drifted"])
        say("monitor", f"1,100 rows of June 1997, {share:.0%} right: {drift['status'].upper()} in {moved}")
        for name in AFTER:
            shutil.copy2(HERE / "electricity" / "data" / f"{name}.csv.gz", MONTHS)
        client = Client(url, {key: value for key, value in month(CHANGED)[0].items() if key != "target"})
        client.start()
        second = penstock("run", pipeline, *sys.argv[1:], fine=(0, 3))
        say("retrain", f"with {len(AFTER)} more months: {steps(second)}; {metric(second)}")
        say("compare", second["gate"]["reasons"][-1])
        deadline = time.monotonic() + 15
        while second["model"]["version"] not in client.versions and time.monotonic() < deadline:
            time.sleep(0.1)
        client.stop.set()
        client.join(10)
    served = sorted(set(client.versions))
    say(
        "promote",
        f"{'v1 -> v' + str(served[-1])} while {len(client.versions):,} requests came in: {client.lost} lost",
    )
    say("reports", f"{churn['report']}")
    say("", f"{first['report']}")
    say("", f"{second['report']}")
    print(f"done in {time.monotonic() - began:.0f} s. Look around: penstock models electricity --store {STORE}")


if __name__ == "__main__":
    main()
