"""What is read of a log of any length: a window of a version's answers, thinned out by the hash of their ids where they are many.

An answer and the label that comes later have one id, so both are taken or neither. Lines are told by their index; only those that
are taken are read and decoded: in memory are 8 bytes of each answer, and the index of one file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from penstock.monitor.index import ANSWER, LABEL, ODD, SHADOW, Lines, index_of, read_lines
from penstock.monitor.log import Record, files_since

MOST = 100_000
"""Of more answers so many are looked at, about."""


@dataclass
class Taken:
    """A window of answers.

    Attributes
    ----------
    records : list of Record
        In order of time: all, or of many those that were taken.
    labels : dict
        Prediction id to label, the latest of several; also of answers outside of the window.
    rows : int
        Answers in the window, taken or not.
    """

    records: list[Record] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    rows: int = 0


def take(
    folder: Path,
    version: int | None = None,
    since: float | None = None,
    latest: int | None = None,
    most: int = MOST,
    *,
    shadows: bool = False,
    without: Sequence[tuple[float, float]] = (),
) -> Taken:
    """Read answers, and the labels that came of them.

    Parameters
    ----------
    folder : Path
        Of the log.
    version : int, optional
        Of this one alone.
    since : float, optional
        No earlier ones, in seconds since 1970.
    latest : int, optional
        No more than so many, the latest.
    most : int
        Of more answers, about so many are taken, the same each time.
    shadows : bool
        Also what was answered unseen.
    without : sequence of (float, float)
        Spans of time whose answers are left out, in seconds since 1970.
    """
    paths = files_since(folder, since)
    start = -math.inf if since is None else since
    times = np.concatenate(
        [np.empty(0), *(lines["at"][_answers(lines, version, shadows, without)] for lines in map(index_of, paths))]
    )
    times = times[times >= start]
    if latest is not None and len(times) > latest:
        start = float(np.partition(times, -latest)[-latest])
    rows = len(times) if latest is None else min(latest, len(times))
    step = max(1, math.ceil(rows / most))
    found = Taken(rows=rows)
    for path in paths:
        lines = index_of(path)
        wanted = (_answers(lines, version, shadows, without) & (lines["at"] >= start)) | (lines["kind"] == LABEL)
        wanted &= lines["hash"] % step == 0
        for record in read_lines(path, lines[wanted | (lines["kind"] == ODD)]):
            if not record.version:
                found.labels[record.id] = record.label
            elif record.at >= start and version in (None, record.version) and (shadows or not record.shadow):
                found.records.append(record)
    found.records.sort(key=lambda record: record.at)
    if latest is not None and step == 1:
        found.records = found.records[-latest:]  # several may have the time of the first
    return found


def labelled(folder: Path, since: float) -> Iterator[tuple[Record, Any]]:
    """Yield answers from a moment on whose truth is known by now, with it; but for shadows."""
    paths, hashes = files_since(folder, since), [np.empty(0, np.uint32)]
    labels: dict[str, Any] = {}
    for path in paths:
        lines = index_of(path)
        lines = lines[(lines["kind"] == LABEL) | (lines["kind"] == ODD)]
        labels |= {record.id: record.label for record in read_lines(path, lines) if not record.version}
        hashes.append(lines["hash"])
    known = np.unique(np.concatenate(hashes))
    for path in paths if labels else ():
        lines = index_of(path)
        wanted = (lines["kind"] == ANSWER) & (lines["at"] >= since) & np.isin(lines["hash"], known)
        for record in read_lines(path, lines[wanted | (lines["kind"] == ODD)]):
            if record.version and record.at >= since and not record.shadow and record.id in labels:
                yield record, labels[record.id]


def counted(folder: Path, version: int, since: float) -> tuple[int, int]:
    """Return how many answers a version gave after a moment, and how many labels lie in the files that may hold them."""
    answers = labels = 0
    for lines in map(index_of, files_since(folder, since)):
        labels += int((lines["kind"] == LABEL).sum())
        answers += int((_answers(lines, version, shadows=False) & (lines["at"] > since)).sum())
    return answers, labels


def times_of(
    folder: Path, version: int, since: float, without: Sequence[tuple[float, float]] = ()
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return when a version answered from a moment on, in order, but for spans of time that are left out."""
    found = [
        lines["at"][_answers(lines, version, False, without)] for lines in map(index_of, files_since(folder, since))
    ]
    times = np.concatenate([np.empty(0), *found])
    return np.sort(times[times >= since])


def _answers(
    lines: Lines, version: int | None, shadows: bool, without: Sequence[tuple[float, float]] = ()
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    kinds = lines["kind"] <= SHADOW if shadows else lines["kind"] == ANSWER
    found = np.asarray(kinds if version is None else kinds & (lines["version"] == version))
    for first, last in without:
        found &= (lines["at"] < first) | (lines["at"] > last)
    return found
