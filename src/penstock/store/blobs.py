"""Content-addressed bytes on any fsspec file system: written atomically, verified when read.

Knows digests and bytes only; what the bytes mean is the business of :mod:`penstock.store.formats`.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.errors import DamagedArtifactError, MissingArtifactError, StoreError

_OBJECTS = ("s3://", "s3a://", "gs://", "gcs://", "az://", "abfs://")
"""These know no folders, only objects."""


def digest_of(data: bytes | memoryview) -> str:
    """Return the name under which `data` is stored: its SHA-256 in hexadecimal.

    Examples
    --------
    >>> digest_of(b"penstock")[:12]
    '539508beacbe'
    """
    return hashlib.sha256(data).hexdigest()


class Blobs:
    """A folder of immutable blobs, each named by the digest of its content.

    Parameters
    ----------
    url : str or Path
        A folder, or any URL that fsspec understands, such as ``memory://store`` or ``s3://bucket/path``.

    Notes
    -----
    On a local disk a blob is written to a temporary name in the same folder, flushed with ``fsync`` and
    renamed, so that a reader sees all of it or nothing. Object stores put objects atomically by themselves.

    Examples
    --------
    >>> blobs = Blobs("memory://doctest-blobs")
    >>> digest = blobs.write(b"water")
    >>> blobs.read(digest)
    b'water'
    """

    def __init__(self, url: str | Path) -> None:
        self.url = str(url)
        self._local = Path(self.url) if "://" not in self.url else None
        self._fs: Any = None
        self._root = self.url
        if self._local is None:
            import fsspec

            try:
                self._fs, self._root = fsspec.core.url_to_fs(self.url)
            except ImportError as error:
                raise StoreError(f"store {self.url}: {error}. For S3: pip install 'penstock[s3]'") from error
            except ValueError as error:
                raise StoreError(f"store {self.url}: {error}") from error

    def path(self, digest: str) -> str:
        """Return where the blob `digest` lies, fanned out over 256 folders."""
        return f"{self._root}/{digest[:2]}/{digest[2:]}"

    def write(self, data: bytes) -> str:
        """Store `data` and return its digest. Equal content is stored once.

        Raises
        ------
        StoreError
            When the disk is full or the folder cannot be written.
        """
        digest = digest_of(data)
        if self._size(digest) == len(data):
            return digest
        path = self.path(digest)
        if self._local is None:
            with self._told(f"cannot write {len(data):,} bytes"):
                if not self.url.startswith(_OBJECTS):
                    self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                self._fs.pipe_file(path, data)
            return digest
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:  # noqa: PTH123 - str paths are faster on this hot path
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise StoreError(
                f"store {self.url}: cannot write {len(data):,} bytes: {error.strerror or error}. "
                "Nothing was lost; free some space or give another folder with --store, then run again."
            ) from error
        return digest

    def read(self, digest: str, name: str = "artifact", remedy: str = "") -> bytes:
        """Return the bytes of `digest`, verified.

        Parameters
        ----------
        digest : str
            Which blob.
        name : str
            What the caller knows it as, for the error message.
        remedy : str
            What the user can do about a damaged or missing blob.

        Raises
        ------
        MissingArtifactError
            When there is no such blob.
        DamagedArtifactError
            When its bytes have changed since they were written.
        """
        path = self.path(digest)
        with self._told(f"cannot read {name}"):
            try:
                data: bytes = Path(path).read_bytes() if self._local else self._fs.cat_file(path)
            except FileNotFoundError:
                raise MissingArtifactError(f"{name} ({digest[:12]}) is not in the store: no {path}. {remedy}") from None
        if digest_of(data) != digest:
            raise DamagedArtifactError(
                f"{name} ({digest[:12]}) is damaged: the bytes of {path} are not those that were written. {remedy}"
            )
        return data

    def exists(self, digest: str) -> bool:
        """Whether the blob is there (its content is checked when it is read)."""
        return self._size(digest) is not None

    def remove(self, digest: str) -> None:
        """Delete a blob; nothing happens when it is not there."""
        if self._local:
            Path(self.path(digest)).unlink(missing_ok=True)
        elif self._fs.exists(self.path(digest)):
            self._fs.rm_file(self.path(digest))

    def list(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and size in bytes of every blob."""
        if self._local:
            for path in self._local.glob("??/*"):
                if not path.name.endswith(".tmp"):
                    yield path.parent.name + path.name, path.stat().st_size
        else:
            for path, info in self._fs.find(self._root, detail=True).items():
                folder, name = str(path).rsplit("/", 2)[1:]
                yield folder + name, int(info["size"])

    def leftovers(self) -> Iterator[Path]:
        """Temporary files that killed writers left behind (local folders only)."""
        return self._local.glob("??/*.tmp") if self._local else iter(())

    def _size(self, digest: str) -> int | None:
        with self._told("cannot be asked"):
            try:
                if self._local:
                    return os.stat(self.path(digest)).st_size  # noqa: PTH116
                return int(self._fs.info(self.path(digest))["size"])
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what goes wrong on the way into a :class:`StoreError`; each file system has errors of its own."""
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError as error:
            raise StoreError(f"store {self.url}: {what}: there is no such bucket or folder ({error})") from error
        except OSError as error:
            raise StoreError(f"store {self.url}: {what}: {error.strerror or error}") from error
        except Exception as error:
            if self._local is not None:
                raise
            raise StoreError(f"store {self.url}: {what}: {type(error).__name__}: {error}") from error
