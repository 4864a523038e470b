"""The log of predictions: lines of JSON appended to files, one file a process and day.

A line is written with one system call before its answer leaves, so a killed service loses nothing that it
answered; a line cut short by a power failure is skipped when the log is read.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


class Record(msgspec.Struct, omit_defaults=True):
    """One prediction, or one label that came later.

    Attributes
    ----------
    id : str
        Of the prediction.
    at : float
        Seconds since 1970.
    version : int
        The model's; 0 for a label.
    row : dict, optional
        As it was asked.
    prediction, probabilities
        As answered.
    label : optional
        The truth.
    """

    id: str
    at: float
    version: int = 0
    row: dict[str, Any] | None = None
    prediction: Any = None
    probabilities: dict[str, float] | None = None
    label: Any = None


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Record)


class PredictionLog:
    """Appends records of one pipeline.

    Parameters
    ----------
    folder : Path
        Where its files lie.
    durable : bool
        Wait until the disk holds a line (``fdatasync``) before going on: safe against a power failure too.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder, self.durable = folder, durable
        self.process = uuid.uuid4().hex[:12]
        self._day, self._file = "", -1

    def append(self, records: list[Record]) -> None:
        """Write records, together.

        Raises
        ------
        OSError
            When the disk cannot take them.
        """
        now = time.time()
        day = time.strftime("%Y%m%d", time.gmtime(now))
        if day != self._day:
            self.close()
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{day}-{self.process}.jsonl"
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._day = day
        data = b"".join([_encode(record) + b"\n" for record in records])
        while data:
            data = data[os.write(self._file, data) :]
        if self.durable:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file, self._day = -1, ""


@dataclass
class Logged:
    """What a log holds.

    Attributes
    ----------
    records : list of Record
        Predictions in order of time.
    labels : dict
        Prediction id to label, the latest of several.
    """

    records: list[Record] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)


def log_folder(store_folder: Path, name: str) -> Path:
    """Return where the log of a pipeline lies."""
    return store_folder / "predictions" / name


def read_log(folder: Path, since: float | None = None) -> Logged:
    """Read a log; lines that are not whole are skipped.

    Parameters
    ----------
    folder : Path
        From :func:`log_folder`.
    since : float, optional
        Only files that may hold records from this moment on (labels may come later, so all later files are read).
    """
    found = Logged()
    first = time.strftime("%Y%m%d", time.gmtime(since)) if since is not None else ""
    for path in sorted(folder.glob("*.jsonl")):
        if path.name[:8] < first:
            continue
        for record in _records(path):
            if record.version:
                found.records.append(record)
            else:
                found.labels[record.id] = record.label
    found.records.sort(key=lambda record: record.at)
    return found


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for line in file:
            try:
                yield _decoder.decode(line)
            except msgspec.DecodeError:
                continue
