"""Overhead of a step: a chain and a fan of trivial steps, cold and cached, beside the peers.

Every peer is installed in an environment of its own under `.bench/` (made when missing) and runs the script of its name in
`benchmarks/peers/`. Steps that cost a peer much are fewer there; figures are per step, measured inside the process.
Run: python benchmarks/engine.py [peer ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parent / ".bench"
PEERS = {
    "penstock": ("", 1000),
    "hamilton": ("sf-hamilton==1.90.0", 1000),
    "kedro": ("kedro==1.7.0", 1000),
    "redun": ("redun==0.44.1", 100),
    "dagster": ("dagster==1.13.0", 100),
    "prefect": ("prefect==3.8.0", 100),  # its server fails with FastAPI 0.165
    "metaflow": ("metaflow==2.19.0", 10),
}


def python_of(peer: str, requirement: str) -> str:
    """Return the peer's Python, installing it first where it is missing."""
    if not requirement:
        return sys.executable
    place = PLACE / peer
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        base = requirement.partition("==")[0]
        for wanted in (requirement, base):
            if subprocess.run([python, "-m", "pip", "install", "-q", wanted], check=False).returncode == 0:
                break
        else:
            raise SystemExit(f"{peer} cannot be installed")
        if peer == "prefect":
            subprocess.run([python, "-m", "pip", "install", "-q", "fastapi<0.118"], check=False)
        (place / "ready").touch()
    return str(python)


def main() -> None:
    """Measure and print."""
    for peer in sys.argv[1:] or PEERS:
        python, count = python_of(peer, PEERS[peer][0]), PEERS[peer][1]
        for shape in ("chain", "fan"):
            command = [python, str(HERE / "peers" / f"{peer}.py"), shape, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            found = (
                json.loads(lines[-1])
                if lines
                else {"failed": done.stderr.strip().splitlines()[-1:] or done.stdout[-200:]}
            )
            print(json.dumps({"engine": peer, "shape": shape, "steps": count, **found}), flush=True)


if __name__ == "__main__":
    main()
