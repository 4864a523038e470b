"""Blobs of a shared store with a folder of this machine before them: what was read once is not fetched again."""

from __future__ import annotations

from pathlib import Path

from penstock.errors import DamagedArtifactError, StoreError
from penstock.store.blobs import Blobs


class CachedBlobs(Blobs):
    """Blobs at a URL, read through a folder.

    Blobs never change, so what lies near is right, and its digest is checked as ever. The folder can be removed at any time.

    Parameters
    ----------
    url : str
        Where they are.
    near : Path
        The folder.

    Examples
    --------
    >>> import tempfile
    >>> blobs = CachedBlobs("memory://doctest-cached", Path(tempfile.mkdtemp()))
    >>> digest = blobs.write(b"water")
    >>> blobs.near.read(digest), Blobs("memory://doctest-cached").read(digest)
    (b'water', b'water')
    """

    def __init__(self, url: str, near: Path) -> None:
        super().__init__(url)
        self.near = Blobs(near)

    def write(self, data: bytes) -> str:
        """Store `data` there, and here."""
        digest = super().write(data)
        self._keep(data)
        return digest

    def read(self, digest: str, name: str = "artifact", remedy: str = "") -> bytes:
        """Return the bytes of `digest`, from here if they are."""
        if self.near.exists(digest):
            try:
                return self.near.read(digest)
            except DamagedArtifactError:
                self.near.remove(digest)
        data = super().read(digest, name, remedy)
        self._keep(data)
        return data

    def exists(self, digest: str) -> bool:
        """Whether the blob is here or there."""
        return self.near.exists(digest) or super().exists(digest)

    def remove(self, digest: str) -> None:
        """Delete a blob here and there."""
        self.near.remove(digest)
        super().remove(digest)

    def _keep(self, data: bytes) -> None:
        """Keep them near; a full disk of this machine is no error: they lie where they belong."""
        try:
            self.near.write(data)
        except StoreError:
            return
