"""The log of events that a service was told: read again when it restarts, or when another version takes over.

Lines of JSON appended to files, one file a process; a line is written before its events count.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec


class Told(msgspec.Struct):
    """Events of one table that came together.

    Attributes
    ----------
    table : str
        As in ``ingest=``.
    rows : list of dict
        Raw rows.
    """

    table: str
    rows: list[dict[str, Any]]


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Told)


class EventLog:
    """Appends events of one pipeline.

    Parameters
    ----------
    folder : Path
        Where its files lie.
    durable : bool
        Wait until the disk holds a line before going on.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder, self.durable = folder, durable
        self.process = uuid.uuid4().hex[:12]
        self._file = -1

    @property
    def name(self) -> str:
        """Of the file that this process appends to."""
        return f"{self.process}.jsonl"

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write events, together, and return where the file ends now.

        Raises
        ------
        OSError
            When the disk cannot take them.
        """
        path = self.folder / self.name
        if self._file < 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._file = os.open(path, flags, 0o600)
        data = _encode(Told(table, [dict(row) for row in rows])) + b"\n"
        while data:
            data = data[os.write(self._file, data) :]
        if self.durable:
            os.fdatasync(self._file)
        return os.lseek(self._file, 0, os.SEEK_CUR)

    def read(self, ends: Mapping[str, int]) -> tuple[list[Told], dict[str, int]]:
        """Return the events that any process was told since, file by file from the oldest, and where the files end.

        Lines cut short by a power failure are skipped.

        Parameters
        ----------
        ends : mapping of str to int
            Where each file ended when it was last read; nothing for all events.
        """
        found: list[Told] = []
        now = dict(ends)
        paths = [(path.stat().st_mtime_ns, path.name, path) for path in self.folder.glob("*.jsonl")]
        for _, name, path in sorted(paths):
            start = ends.get(name, 0)
            if path.stat().st_size > start:
                told, now[name] = _lines(path, start)
                found += told
        return found, now


def _lines(path: Path, start: int) -> tuple[list[Told], int]:
    found = []
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.splitlines():
        try:
            found.append(_decoder.decode(line))
        except msgspec.DecodeError:
            continue
    return found, start + len(whole)
