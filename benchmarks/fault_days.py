"""Ten days of faults, a day in some seconds: a service that answers, a watcher that is killed at random, and data that go wrong.

Every day a file of rows arrives, a client asks without pause and labels come back. Day by day: all well; labels two days late; a file
without a column; a file that comes twice; rows dated a year ahead; the world answers otherwise; labels missing; the store out of reach;
a file of broken bytes; all well again. Meanwhile the watcher is killed (SIGKILL) and begun again, as often as `--kills` says.
In the end: requests that failed, answers that the log lacks or holds twice, decisions made twice or never ended.
Run: python benchmarks/fault_days.py [--kills 100] [--day 45]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

PIPELINE = """
import penstock as ps
from sklearn.linear_model import LogisticRegression

pipeline = ps.Pipeline(
    "days",
    ingest=ps.ingest.files("data/*.csv"),
    target=ps.binary("bought", positive="yes"),
    train=ps.train.estimator(LogisticRegression()),
    evaluate=ps.evaluate.gate(min_gain=-0.05),
    monitor=ps.monitor.drift(
        window="300 rows", tell=[ps.monitor.command("tee", "-a", "told.jsonl")],
        retrain=ps.monitor.retrain(on=["drift", "data"], cool_down=0, hold="1h", most_per_day=1000),
    ),
)
"""
DAYS = ("well", "labels late", "a column gone", "a file twice", "a year ahead", "another world", "no labels", "no store", "broken bytes", "well")  # fmt: skip
OTHER_WORLD = DAYS.index("another world")


def rows(day: int, count: int, seed: int) -> pl.DataFrame:
    """Draw a day's rows; from the day of the other world on, what was liked is not."""
    draws = np.random.default_rng(1000 * day + seed)
    age, spent = draws.normal(40, 12, count).round(1), draws.gamma(2, 50, count).round(2)
    city = draws.choice(["Oslo", "Rome", "Łódź"], count)
    score = (age - 40) / 8 + (city == "Rome") * 1.5 - (spent - 100) / 60
    likes = score * (-1 if day >= OTHER_WORLD else 1) + draws.normal(0, 0.7, count) > 0
    at = pl.Series([f"2026-01-{day + 1:02}T{i * 24 // count:02}:00:00" for i in range(count)])
    return pl.DataFrame({"at": at, "age": age, "spent": spent, "city": city, "bought": np.where(likes, "yes", "no")})


class Client(threading.Thread):
    """Asks row after row, and tells labels as the day allows."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.day, self.over = url, 0, False
        self.answered: list[str] = []
        self.failed: list[str] = []
        self.late: list[dict[str, str]] = []

    def run(self) -> None:
        """Ask until told to end."""
        turn = 0
        with httpx.Client(timeout=10) as http:
            while not self.over:
                turn, day = turn + 1, self.day
                table = rows(day, 20, 100 + turn)
                answer = self._post(http, "predict", {"rows": table.drop("bought").to_dicts()})
                if answer is None:
                    continue
                ids = [item["id"] for item in answer["predictions"]]
                self.answered += ids
                labels = [{"id": id_, "label": truth} for id_, truth in zip(ids, table["bought"], strict=True)]
                if DAYS[day] == "labels late":
                    self.late += labels
                elif DAYS[day] != "no labels":
                    if day > DAYS.index("labels late") + 1:
                        labels, self.late = labels + self.late[:200], self.late[200:]
                    self._post(http, "feedback", {"labels": labels})
                time.sleep(0.05)

    def _post(self, http: httpx.Client, what: str, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            answer = http.post(f"{self.url}/{what}", json=body)
            answer.raise_for_status()
            return answer.json()
        except httpx.HTTPError as problem:
            self.failed.append(f"day {self.day} ({DAYS[self.day]}), {what}: {problem}")
            time.sleep(0.2)
            return None


def penstock(*words: str, **more: Any) -> subprocess.Popen[str]:
    """Begin a command."""
    return subprocess.Popen([sys.executable, "-m", "penstock", *words], text=True, **more)


def watched(place: Path, kills: int, over: threading.Event, killed: list[float]) -> None:
    """Keep a watcher running; kill it at random, and begin it again."""
    choose = random.Random(0)
    with (place / "watch.log").open("w") as log:
        while not over.is_set():
            watcher = penstock("watch", "p.py", "--every", "0.5s", cwd=place, stdout=log, stderr=log)
            if len(killed) < kills:
                over.wait(choose.uniform(0.5, 8.0))  # a calm look takes two seconds, one that trains six
                watcher.send_signal(signal.SIGKILL)
                killed.append(time.time())
            else:
                over.wait()
                watcher.terminate()
            watcher.wait(60)


def spoil(place: Path, day: int, seconds: float) -> None:
    """Let the day's file arrive, with its fault."""
    data, table = place / "data", rows(day, 300, 0)
    path = data / f"{day}.csv"
    if DAYS[day] == "a column gone":
        table.drop("spent").write_csv(path)
        time.sleep(seconds / 2)
    if DAYS[day] == "broken bytes":
        path.write_bytes(os.urandom(4000))
        time.sleep(seconds / 2)
    if DAYS[day] == "a year ahead":
        table = table.with_columns(pl.col("at").str.replace("2026", "2027"))
    table.write_csv(path)
    if DAYS[day] == "a file twice":
        table.write_csv(data / f"{day}-again.csv")
    if DAYS[day] == "no store":
        away = place / "away"
        (place / ".penstock").rename(away)
        time.sleep(seconds / 2)
        lost = place / ".penstock"  # what a watcher began meanwhile where the store was
        if lost.exists():
            lost.rename(place / "meanwhile")
        away.rename(place / ".penstock")


def main() -> None:
    """Live through the days, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--day", type=float, default=45.0, help="seconds")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "data").mkdir()
        (place / "p.py").write_text(PIPELINE)
        rows(0, 600, 1).write_csv(place / "data" / "first.csv")
        run = penstock("run", "p.py", "--json", cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if run.wait():
            sys.exit(str(run.stderr and run.stderr.read()))
        served = penstock(
            "serve", "days", "--port", "0", "--json", "--log", "durable", cwd=place, stdout=subprocess.PIPE,
            stderr=(place / "serve.log").open("w"),
        )  # fmt: skip
        text = ""
        while not text.rstrip().endswith("}\n}"):
            text += served.stdout.readline()  # type: ignore[union-attr]
        client, over, killed = Client(json.loads(text)["url"]), threading.Event(), []
        watcher = threading.Thread(target=watched, args=(place, asked.kills, over, killed))
        client.start()
        watcher.start()
        for day, _ in enumerate(DAYS):
            began, client.day = time.monotonic(), day
            spoil(place, day, asked.day)
            time.sleep(max(0.0, asked.day - (time.monotonic() - began)))
        while len(killed) < asked.kills:
            time.sleep(1)
        time.sleep(15)  # what was begun comes to its end
        client.over = True
        client.join()
        over.set()
        watcher.join()
        served.terminate()
        served.wait(30)
        told(place, client, len(killed))


def told(place: Path, client: Client, killed: int) -> None:
    """Print the counts."""
    from penstock.deploy.registry import Registry
    from penstock.monitor.decisions import decisions_of
    from penstock.monitor.log import log_folder
    from penstock.monitor.window import take
    from penstock.store.store import open_store

    store = open_store(place / ".penstock")
    made = decisions_of(store, "days")
    logged = [record.id for record in take(log_folder(store.folder, "days"), most=10**9).records]
    trained = {item.version for item in made if item.what == "retrain" and "passed the gate" in item.why}
    promoted = Counter(item.version for item in made if item.what == "promote")
    text, lines = (place / "told.jsonl").read_text(), []
    while text:
        found, end = json.JSONDecoder().raw_decode(text)
        lines.append(found["id"])
        text = text[end:].lstrip()
    print(json.dumps({
        "kills of the watcher": killed, "answers": len(client.answered), "requests that failed": len(client.failed),
        "the first of them": client.failed[:3],
        "answered and not logged": len(set(client.answered) - set(logged)), "logged twice": len(logged) - len(set(logged)),
        "decisions": dict(Counter(f"{item.what} {item.status}" for item in made)),
        "causes decided twice": sum(count > 1 for count in Counter(item.cause for item in made).values()),
        "never ended": [f"{item.what}: {item.why}" for item in made if item.status == "begun"],
        "versions promoted twice": sum(count > 1 for count in promoted.values()),
        "passed and not promoted": sorted(trained - set(promoted)),
        "failed trainings": [item.why[-160:] for item in made if item.status == "failed"],
        "decisions not told": sum(item.told is None for item in made), "told twice": len(lines) - len(set(lines)),
        "champion": Registry(store, "days").champion().version,  # type: ignore[union-attr]
    }, indent=1, ensure_ascii=False))  # fmt: skip
    for item in reversed(made):
        print(item.what, item.status, f"v{item.version}", item.why[:150])
    print((place / "serve.log").read_text()[-500:])


if __name__ == "__main__":
    main()
