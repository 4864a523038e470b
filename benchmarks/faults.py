"""A service under faults: killed again and again under load, or asked for long at most of what it can do.

kills: `penstock serve` is killed (SIGKILL) while clients ask; then every id that a client was given must be in the log, once.
soak: asked at a share of its highest rate; latencies and resident memory at the beginning and at the end.
Run: python benchmarks/faults.py kills [--times 100] [--log durable]
     python benchmarks/faults.py soak [--seconds 600] [--load 0.8]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from service import HERE, ROW

BODY = json.dumps({"rows": [ROW]}).encode()
HEAD = {"content-type": "application/json"}


class Served:
    """`penstock serve` of the churn example, in a store of its own."""

    def __init__(self, store: Path, log: str) -> None:
        command = [
            sys.executable,
            "-m",
            "penstock",
            "serve",
            "churn",
            "--port",
            "0",
            "--json",
            "--log",
            log,
            "--store",
            str(store),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        text = ""
        while not text.rstrip().endswith("}\n}"):
            text += self.process.stdout.readline()
        self.url = json.loads(text)["url"]

    def resident(self) -> int:
        """Bytes in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def trained(place: Path) -> Path:
    """Run the churn example; return its store."""
    example = HERE.parent / "examples" / "churn" / "churn.py"
    command = [sys.executable, "-m", "penstock", "run", str(example), "--store", str(place / "store")]
    subprocess.run(command, check=True, capture_output=True)
    return place / "store"


async def ask(url: str, told: list[str], stop: asyncio.Event) -> None:
    """Ask until the service is gone; keep the ids of answers that came whole."""
    async with httpx.AsyncClient(timeout=10) as client:
        while not stop.is_set():
            try:
                answer = await client.post(f"{url}/predict", content=BODY, headers=HEAD)
                told.append(answer.json()["predictions"][0]["id"])
            except (httpx.TransportError, ValueError):
                return


async def killed(url: str, pid: int, seconds: float) -> list[str]:
    """Load a service with eight clients, kill it, and return what was answered."""
    told: list[str] = []
    stop = asyncio.Event()
    clients = [asyncio.create_task(ask(url, told, stop)) for _ in range(8)]
    await asyncio.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*clients)
    return told


def kills(times: int, log: str) -> None:
    """Kill, and compare the answers with the log."""
    from penstock.monitor.log import log_folder
    from penstock.monitor.window import take

    with tempfile.TemporaryDirectory() as folder:
        store, told, choose = trained(Path(folder)), [], random.Random(0)
        for _ in range(times):
            served = Served(store, log)
            told += asyncio.run(killed(served.url, served.process.pid, choose.uniform(0.05, 0.6)))
            served.process.wait()
        logged = [record.id for record in take(log_folder(store, "churn"), most=10**9).records]
    print(json.dumps({
        "kills": times, "log": log, "answered": len(told), "answered and not logged": len(set(told) - set(logged)),
        "logged twice": len(logged) - len(set(logged)),
    }))  # fmt: skip


async def paced(url: str, rate: float, seconds: float) -> list[float]:
    """Ask at a rate, by 16 connections that take turns; return the latencies, waiting included."""
    found: list[float] = []
    began, number = time.perf_counter(), 0

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal number
        while True:
            due = began + number / rate
            number += 1
            if max(due, time.perf_counter()) > began + seconds:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            (await client.post(f"{url}/predict", content=BODY, headers=HEAD)).raise_for_status()
            found.append(time.perf_counter() - due)

    async with httpx.AsyncClient(timeout=10) as client:
        await asyncio.gather(*(one(client) for _ in range(16)))
    return found


def soak(seconds: float, load: float) -> None:
    """Ask for long, and tell what changed from the first tenth to the last."""
    with tempfile.TemporaryDirectory() as folder:
        served = Served(trained(Path(folder)), "fast")
        try:
            most = len(asyncio.run(paced(served.url, 1e9, 5))) / 5
            parts = []
            for _ in range(10):
                found = sorted(asyncio.run(paced(served.url, load * most, seconds / 10)))
                at = [round(1000 * found[int(share * (len(found) - 1))], 2) for share in (0.5, 0.99, 0.999)]
                parts.append((len(found), *at, served.resident()))
            print(json.dumps({
                "seconds": seconds, "load": load, "requests/s": round(load * most), "requests": sum(part[0] for part in parts),
                "p50, p99, p99.9 ms at first": parts[0][1:4], "at last": parts[-1][1:4],
                "median of all": [round(statistics.median(part[at] for part in parts), 2) for at in (1, 2, 3)],
                "MB after the first tenth": round(parts[0][4] / 1e6, 1), "at the end": round(parts[-1][4] / 1e6, 1),
            }))  # fmt: skip
        finally:
            served.process.terminate()
            served.process.wait(20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "soak"])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--log", default="durable", choices=["fast", "durable"])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--load", type=float, default=0.8)
    asked = parser.parse_args()
    if asked.what == "kills":
        kills(asked.times, asked.log)
    else:
        soak(asked.seconds, asked.load)


if __name__ == "__main__":
    main()
