"""What is read of a log of any length: a window of a version's answers, thinned out by the hash of their ids where they are many.

An answer and the label that comes later have one id, so both are taken or neither. Lines are told by how they begin; only those that
are taken are decoded: what is in memory does not grow with the log.
"""

from __future__ import annotations

import math
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from penstock.monitor.log import Record, decoded, files_since, lines_of

MOST = 100_000
"""Of more answers so many are looked at, about."""
_BEGIN = re.compile(rb'\{"id":"((?:[^"\\]|\\.)+)","at":([0-9.eE+-]+),(?:"version":(-?[0-9]+)|"label":)')
_SHADOW = b'"shadow":true}'


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
    """
    paths = files_since(folder, since)
    start = -math.inf if since is None else since
    times = _times(paths, version, shadows)
    times = times[times >= start]
    if latest is not None and len(times) > latest:
        start = float(np.partition(times, -latest)[-latest])
    rows = len(times) if latest is None else min(latest, len(times))
    step = max(1, math.ceil(rows / most))
    found = Taken(rows=rows)
    for line in lines_of(paths):
        begin = _BEGIN.match(line)
        if begin is not None:
            if step > 1 and zlib.crc32(begin[1]) % step:
                continue
            if begin[3] is not None and (not _is(begin, version) or float(begin[2]) < start):
                continue
        record = decoded(line)
        if record is None:
            continue
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
    paths, labels = files_since(folder, since), {}
    for line in lines_of(paths):
        begin = _BEGIN.match(line)
        if (begin is None or begin[3] is None) and (record := decoded(line)) is not None and not record.version:
            labels[record.id] = record.label
    for line in lines_of(paths) if labels else ():
        begin = _BEGIN.match(line)
        if begin is not None and (begin[3] is None or (b"\\" not in begin[1] and begin[1].decode() not in labels)):
            continue
        record = decoded(line)
        if record is not None and record.version and record.at >= since and not record.shadow and record.id in labels:
            yield record, labels[record.id]


def counted(folder: Path, version: int, since: float) -> tuple[int, int]:
    """Return how many answers a version gave after a moment, and how many labels lie in the files that may hold them."""
    answers = labels = 0
    for line in lines_of(files_since(folder, since)):
        begin = _BEGIN.match(line)
        if begin is None:
            continue
        if begin[3] is None:
            labels += 1
        elif int(begin[3]) == version and float(begin[2]) > since and not line.rstrip().endswith(_SHADOW):
            answers += 1
    return answers, labels


def _is(begin: re.Match[bytes], version: int | None) -> bool:
    return version is None or int(begin[3]) == version


def _times(paths: list[Path], version: int | None, shadows: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = array("d")
    for line in lines_of(paths):
        begin = _BEGIN.match(line)
        unseen = not shadows and line.rstrip().endswith(_SHADOW)
        if begin is not None and begin[3] is not None and _is(begin, version) and not unseen:
            found.append(float(begin[2]))
    return np.frombuffer(found, dtype=np.float64) if found else np.empty(0)
