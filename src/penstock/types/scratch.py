"""Temporary folders that do not outlive their program, however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time

_NEW = 60.0
"""Seconds in which a folder may not be locked yet by the program that makes it."""


class Scratch(tempfile.TemporaryDirectory[str]):
    """A temporary folder; those of its kind that killed programs left behind are removed when it is made.

    Its program holds a lock on it, which ends with the program, by whatever signal.

    Parameters
    ----------
    kind : str
        What it is for; part of its name.

    Examples
    --------
    >>> with Scratch("doctest") as folder:
    ...     "penstock-doctest-" in folder
    True
    """

    def __init__(self, kind: str) -> None:
        prefix = f"penstock-{kind}-"
        _remove_left(prefix)
        super().__init__(prefix=prefix, ignore_cleanup_errors=True)
        self._lock: int | None = None
        with contextlib.suppress(OSError):  # a file system without locks: what is left there stays
            self._lock = _locked(self.name)

    def cleanup(self) -> None:
        """Remove the folder and what is in it."""
        super().cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _remove_left(prefix: str) -> None:
    if sys.platform == "win32":  # folders cannot be locked there
        return
    with os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    if about.st_uid == os.getuid() and about.st_mtime < time.time() - _NEW:
                        lock = _locked(entry.path)
                        shutil.rmtree(entry.path, ignore_errors=True)
                        if lock is not None:
                            os.close(lock)


def _locked(path: str) -> int | None:
    """Lock a folder until what is returned is closed, or the program ends.

    Raises
    ------
    OSError
        When another program holds it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
