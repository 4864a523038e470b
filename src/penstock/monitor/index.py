"""What is known of the lines of a log without reading them again: an index beside each of its files, of what was read of it so far.

A file of a log only grows, so that its index holds what it held, and new lines are added by whoever looks next. Of a window then
only those lines are read that are wanted of it. Without a place to write to, the index is made anew each time.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.monitor.log import Record, decoded

LINES = np.dtype([("at", "f8"), ("start", "i8"), ("length", "u4"), ("version", "i4"), ("hash", "u4"), ("kind", "u1")])
"""Of each line when its record was, where it stands, of which version it is, a hash of its id, and what it is."""
ANSWER, SHADOW, LABEL, ODD = range(4)
"""Kinds of lines; one that begins in another way is odd, and told by its content alone."""
_BEGIN = re.compile(rb'\{"id":"((?:[^"\\]|\\.)+)","at":([0-9.eE+-]+),(?:"version":(-?[0-9]+)|"label":)')
_END = b'"shadow":true}'
_WORTH = 1_000
"""So many new lines are worth being written down."""

Lines = npt.NDArray[Any]


def index_of(path: Path) -> Lines:
    """Return the lines of a file, shape (n_lines,) of :data:`LINES`, in their order.

    A line without an end may still be written: it is told of, and looked at again the next time.
    """
    place = path.with_suffix(".index")
    known = _read(place, path)
    covered = int(known[-1]["start"] + known[-1]["length"]) if len(known) else 0
    new, ended = _lines(path, covered)
    if ended >= _WORTH:
        _write(place, np.concatenate([known, new[:ended]]))
    return np.concatenate([known, new])


def read_lines(path: Path, lines: Lines) -> Iterator[Record]:
    """Yield the records of some lines of a file; a line that was cut short holds none."""
    with path.open("rb") as file:
        for start, length in zip(lines["start"].tolist(), lines["length"].tolist(), strict=True):
            record = decoded(os.pread(file.fileno(), length, start))
            if record is not None:
                yield record


def _read(place: Path, path: Path) -> Lines:
    with contextlib.suppress(OSError, ValueError, EOFError):
        known: Lines = np.load(place, allow_pickle=False)
        if known.dtype == LINES and len(known) and known[-1]["start"] + known[-1]["length"] <= path.stat().st_size:
            return known
    return np.empty(0, LINES)


def _write(place: Path, lines: Lines) -> None:
    with contextlib.suppress(OSError):
        opened, made = tempfile.mkstemp(prefix=f"{place.name}.", dir=place.parent)  # readable by its owner alone
        try:
            with os.fdopen(opened, "wb") as file:
                np.save(file, lines)
            Path(made).replace(place)
        finally:
            Path(made).unlink(missing_ok=True)


def _lines(path: Path, start: int) -> tuple[Lines, int]:
    """Return the lines of a file from a place on, and how many of them have an end."""
    columns: list[Any] = [array(code) for code in "dqIiIB"]
    ended = 0
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line[:1] == b"\0":  # space that was taken and not needed
                break
            begin = _BEGIN.match(line)
            if begin is None:
                at, version, mark, kind = 0.0, 0, 0, ODD
            elif begin[3] is None:
                at, version, mark, kind = float(begin[2]), 0, zlib.crc32(begin[1]), LABEL
            else:
                kind = SHADOW if line.rstrip().endswith(_END) else ANSWER
                at, version, mark = float(begin[2]), int(begin[3]), zlib.crc32(begin[1])
            for column, value in zip(columns, (at, start, len(line), version, mark, kind), strict=True):
                column.append(value)
            start += len(line)
            ended += line[-1:] == b"\n"
    found = np.empty(len(columns[0]), LINES)
    for name, column in zip(LINES.names or (), columns, strict=True):
        found[name] = column
    return found, ended
