"""Files with which other programs run a pipeline: when, where, and again when it failed."""

from __future__ import annotations

import importlib.resources
import json
import shlex
import string
import sys
from collections.abc import Sequence
from pathlib import Path

SCHEDULERS = ("airflow", "kubernetes", "github-actions")


def schedule(
    kind: str, name: str, pipeline: str, store: str, *, stages: Sequence[str] = (), cron: str = "", every: str = ""
) -> str:
    """Return the text of such a file.

    Parameters
    ----------
    kind : str
        ``run-`` and one of `SCHEDULERS`; ``watch-systemd`` or ``watch-kubernetes``.
    name : str
        Of the pipeline.
    pipeline : str
        Its file, also with ``:variable``.
    store : str
        Where its store is, without secrets.
    stages : sequence of str
        In order; of Airflow, a task each.
    cron : str
        When it is run.
    every : str
        How long the watcher waits between two looks.
    """
    where, colon, inside = pipeline.partition(".py:")
    path = Path(f"{where}.py" if colon else pipeline).resolve()
    root = next((folder for folder in path.parents if (folder / ".git").exists()), path.parent)
    variable = f":{inside}" if colon else ""
    told = {
        "name": name,
        "slug": _slug(name),
        "file": f"{path}{variable}",
        "within": f"{path.relative_to(root).as_posix()}{variable}",
        "folder": str(path.parent),
        "state": f"{path.parent.relative_to(root).as_posix()}/.penstock",
        "store": store,
        "python": sys.executable,
        "stages": json.dumps(list(stages)),
        "cron": cron,
        "every": every,
    }
    told |= {f"quoted_{key}": shlex.quote(value) for key, value in told.items()}
    # A JSON text is one of YAML and of Python too.
    told |= {f"text_{key}": json.dumps(value, ensure_ascii=False) for key, value in told.items()}
    text = (importlib.resources.files("penstock.export") / "templates" / f"{kind}.txt").read_text(encoding="utf-8")
    return string.Template(text).substitute(told)


def _slug(name: str) -> str:
    """Return a name that every scheduler takes.

    Examples
    --------
    >>> _slug("Churn, über alles!"), _slug("解約")
    ('churn---ber-alles', 'pipeline')
    """
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return plain.strip("-")[:50].strip("-") or "pipeline"
