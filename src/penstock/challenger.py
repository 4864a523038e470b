"""Training a challenger in a process of its own, as ``penstock run`` does, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.deploy.registry import CHAMPION, Registry
from penstock.store.store import Store

_RENEW = 20.0
"""Seconds after which whoever waits is called."""


@dataclass(frozen=True)
class Challenger:
    """What came of a training.

    Attributes
    ----------
    status : {"passed", "refused", "champion", "failed"}
        What the gate said; ``champion`` when what was made answers already.
    why : str
        In words.
    version : int or None
        Of the model that was kept.
    run : str or None
        That made it.
    """

    status: str
    why: str
    version: int | None = None
    run: str | None = None


def train_challenger(store: Store, name: str, file: str, waits: Callable[[], Any]) -> Challenger:
    """Run a pipeline without promoting what it makes; steps that are finished are not done again, also after a kill.

    Parameters
    ----------
    name, file : str
        The pipeline, and where it stands: ``path.py`` or ``path.py:name``.
    waits : callable
        Called every twenty seconds.
    """
    command = [
        sys.executable, "-m", "penstock", "run", file, "--store", store.location, "--json", "--set", "deploy.promote=by hand",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while True:
            try:
                out, errors = process.communicate(timeout=_RENEW)
                break
            except subprocess.TimeoutExpired:
                waits()
    if process.returncode not in (0, 3):
        lines = errors.strip().splitlines()
        told = next((line for line in lines if line.startswith("error")), lines[-1] if lines else "it said nothing")
        ended = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        return Challenger("failed", f"the run ended with {ended}: {told}")
    found = json.loads(out)
    version, run, reasons = int(found["model"]["version"]), found["run"], "; ".join(found["gate"]["reasons"])
    digests = {item["name"]: item["digest"] for item in found["steps"]}
    made = digests.get("refitted", digests["trained"])
    if not any(item.version == version and item.digest == made for item in Registry(store, name).versions()):
        # Where a store is a folder that was away for a while, the run has begun another one in its place.
        why = f"the run kept its model as v{version} of another store: was this one out of reach?"
        return Challenger("failed", why)
    if process.returncode == 3:
        return Challenger("refused", f"v{version} was trained, and the gate said no: {reasons}", version, run)
    if CHAMPION in found["model"]["aliases"]:
        return Challenger("champion", f"what comes of it is v{version}, which answers already", version, run)
    return Challenger("passed", f"v{version} was trained and passed the gate: {reasons}", version, run)
