"""What a service keeps of its answers, without what must not be stored."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from penstock.deploy.served import Answer
from penstock.errors import InputError
from penstock.monitor.log import WAITING_BYTES, PredictionLog, Record


class Logbook:
    """Keeps answers and labels in the log of predictions, without what must not be stored."""

    def __init__(self, log: PredictionLog | None, redact: Mapping[str, str], secret: bytes) -> None:
        self._log, self._redact, self._secret = log, dict(redact), secret
        self.process = log.process if log is not None else secrets.token_hex(6)

    @property
    def behind(self) -> bool:
        """Whether the disk does not keep up."""
        return self._log is not None and self._log.waiting_bytes > WAITING_BYTES // 2

    @property
    def waiting_bytes(self) -> int:
        """What waits for the disk."""
        return 0 if self._log is None else self._log.waiting_bytes

    def answers(
        self, version: int, ids: list[str], rows: Sequence[Any], answers: Sequence[Answer], took: float
    ) -> Future[None] | None:
        """Keep a request's answers."""
        if self._log is None or not ids:
            return None
        now, took = time.time(), round(took, 7)
        if self._redact:
            rows = [self._redacted(row) for row in rows]
        return self._log.append(
            [
                Record(id_, now, version, row, answer.prediction, answer.probabilities, None, took)
                for id_, row, answer in zip(ids, rows, answers, strict=True)
            ]
        )

    def shadows(self, version: int, ids: list[str], answers: Sequence[Answer]) -> None:
        """Keep what a shadow would have answered."""
        if self._log is not None and ids:
            now = time.time()
            self._log.append(
                [
                    Record(id_, now, version, None, answer.prediction, answer.probabilities, shadow=True)
                    for id_, answer in zip(ids, answers, strict=True)
                ]
            )

    def labels(self, pairs: list[tuple[str, Any]]) -> Future[None] | None:
        """Keep what turned out to be true."""
        if self._log is None:
            raise InputError("this service keeps no log (--log off), so that it takes no labels")
        now = time.time()
        return self._log.append([Record(id_, now, label=label) for id_, label in pairs]) if pairs else None

    def close(self) -> None:
        """Write what waits."""
        if self._log is not None:
            self._log.close()

    def hide(self, redact: Mapping[str, str]) -> None:
        """Keep these columns out from now on: ``drop``, or ``hash``."""
        self._redact = dict(redact)

    def _redacted(self, row: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(row)
        for name, how in self._redact.items():
            value = made.pop(name, None)
            if how == "hash" and value is not None:
                made[name] = hashlib.blake2b(repr(value).encode(), key=self._secret, digest_size=12).hexdigest()
        return made


def secret_of(folder: Path) -> bytes:
    """Return the secret that hashes of a store are keyed with, made when first asked for."""
    path = folder / "secret"
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(made, secrets.token_bytes(32))
        os.close(made)
    return path.read_bytes()
