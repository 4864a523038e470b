"""How the snapshots of two runs differ: what moved in the distribution of each column."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Any

import polars as pl

from penstock.engine.execute import load
from penstock.engine.history import PastRun, RunDiff, artifact_of, past_run, past_runs
from penstock.engine.step import LazyPartitions
from penstock.errors import InputError
from penstock.monitor.compare import compare_columns
from penstock.monitor.options import Drift
from penstock.monitor.profile import Profile
from penstock.prepare.tables import normalised
from penstock.store.schema import runs
from penstock.store.store import Store
from penstock.types.table import Table
from penstock.types.writing import figure

_COMMITS = 500
_ROWS = 200_000
"""Of a larger snapshot so many rows, spread over it, are compared."""


def moved_columns(store: Store, one: str, other: str, how: Drift | None = None) -> list[str]:
    """Say of each snapshot which columns moved from run `one` to run `other`, in words.

    A column has moved when the difference is large and surely not chance, as :func:`penstock.monitor.drift` has it.
    """
    old, new = past_run(store, one), past_run(store, other)
    found: list[str] = []
    for step in new.steps:
        name = str(step["name"])
        if name != "snapshot" and not name.startswith("snapshot_"):
            continue
        was, now = artifact_of(store, old, name), artifact_of(store, new, name)
        profile = artifact_of(store, old, name.replace("snapshot", "profiled", 1))
        if was is None or now is None or profile is None or was.digest == now.digest:
            continue
        before: Profile = load(store, profile, Profile)
        table = Table(load(store, now, LazyPartitions))
        after = normalised(table.each(-(-table.height // _ROWS)).whole())
        compared = compare_columns(_comparable(before, after), after, how or Drift())
        found += [
            f"{name}: column {item.name} moved by {item.effect:.2f}: {item.text}" for item in compared if item.drifted
        ]
    return found


def run_of_branch(store: Store, ref: str, pipeline: str) -> str:
    """Return the latest run that succeeded of the newest commit of a branch that has one.

    Parameters
    ----------
    ref : str
        A branch, tag or commit of the Git repository of the working folder.

    Raises
    ------
    InputError
        When Git does not know it, or none of its latest commits was run.
    """
    if ref.startswith("-"):
        raise InputError(f"--base {ref}: not a branch")
    asked = ["git", "rev-list", f"--max-count={_COMMITS}", ref, "--"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise InputError(f"--base {ref}: {said[-1] if said else 'Git does not answer'}") from None
    commits = told.stdout.split()
    where = [runs.c.git_commit.in_(commits), runs.c.status == "succeeded", runs.c.git_diff.is_(None)]
    found = past_runs(store, pipeline, 10_000, where=where)
    if not found:
        raise InputError(
            f"none of the latest {len(commits)} commits of {ref} has a run of {pipeline} in {store.location}; "
            "run it there first, into the same store"
        )
    return min(found, key=lambda run: (commits.index(str(run.git_commit)), -run.started)).run


def as_markdown(one: PastRun, other: PastRun, found: RunDiff) -> str:
    """Write a difference for the comment of a pull request: the metrics as a table, the rest as lists.

    Parameters
    ----------
    one, other : PastRun
        The two runs.
    found : RunDiff
        From :func:`penstock.engine.history.diff_runs`.
    """
    lines = [f"### {_plain(other.pipeline)}: `{one.run}` → `{other.run}` ({other.status})", ""]
    lines += _metrics(one.summary.get("metrics", {}), other.summary)
    for item in other.steps:
        if item["error"]:
            lines += [f"**Step {_plain(item['name'])} failed**: {_plain(str(item['error']))}", ""]
    changed = {subject: getattr(found, subject) for subject in ("code", "parameters", "data", "environment", "steps")}
    for subject, told in changed.items():
        if told:
            lines += [f"**{subject.capitalize()}**", "", *(f"- {_plain(line)}" for line in told), ""]
    if not any(changed.values()):
        lines += ["Nothing changed in code, parameters, data or environment.", ""]
    return "\n".join(lines)


def _metrics(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    if not after.get("metrics"):
        return []
    lines = ["| metric | before | after | 95 % interval | change |", "|---|---:|---:|---:|---:|"]
    for name, now in after["metrics"].items():
        shown = f"**{_plain(name)}**" if name == after.get("metric") else _plain(name)
        was = before[name]["value"] if name in before else None
        old, change = ("–", "–") if was is None else (figure(was), f"{figure(now['value'] - was, signed=True)}")
        between = f"{figure(now['low'])} to {figure(now['high'])}" if "low" in now else "–"
        lines.append(f"| {shown} | {old} | {figure(now['value'])} | {between} | {change} |")
    if "gate" not in after:
        return [*lines, ""]
    gate = after["gate"]
    return [*lines, "", f"Gate {'passed' if gate['passed'] else 'said no'}: {_plain('; '.join(gate['reasons']))}", ""]


def _plain(text: str) -> str:
    """Keep text from being read as Markdown or HTML.

    Examples
    --------
    >>> print(_plain("a|b <img> *c*"))
    a\\|b &lt;img> \\*c\\*
    """
    return re.sub(r"([\\`*_\[\]|@#])", r"\\\1", text).replace("<", "&lt;").replace("\n", " ")


def _comparable(before: Profile, after: pl.DataFrame) -> Profile:
    """Leave out columns that cannot be compared, and those that tell rows apart, which say nothing."""
    found = []
    for item in before.columns:
        if item.name not in after.columns:
            continue
        now = after[item.name]
        kind = "number" if now.dtype.is_numeric() else "category"
        if now.dtype.is_temporal() or item.kind != kind:
            continue
        if now.dtype == pl.String and now.n_unique() > 0.5 * max(now.len(), 1):
            continue
        found.append(item)
    return Profile(found)
