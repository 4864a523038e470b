"""A store: blobs and catalog together, found from an option, the environment or the pipeline's folder."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from penstock.errors import StoreError
from penstock.store.blobs import Blobs, digest_of
from penstock.store.catalog import Catalog
from penstock.store.formats import decode, encode

INLINE_BYTES = 2048
"""Artifacts up to this size lie in the catalog's row itself: a file and its fsync would cost more."""


class Store:
    """Where artifacts lie, together with the catalog of what made them.

    Parameters
    ----------
    blobs : Blobs
        The bytes.
    catalog : Catalog
        The memory.
    folder : Path or None
        The local folder of the store, when it has one: reports, prediction logs.

    Examples
    --------
    >>> import tempfile
    >>> store = open_store(tempfile.mkdtemp())
    >>> digest = store.blobs.write(b"water")
    >>> store.blobs.exists(digest)
    True
    """

    def __init__(self, blobs: Blobs, catalog: Catalog, folder: Path | None) -> None:
        self.blobs = blobs
        self.catalog = catalog
        self._folder = folder

    @cached_property
    def folder(self) -> Path:
        """The local folder beside the catalog, made when first asked for."""
        if self._folder is None:
            raise StoreError("this store has no local folder, which reports and prediction logs need here")
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    @property
    def location(self) -> str:
        """What to hand to :func:`open_store` to get this store again."""
        return str(self._folder) if self._folder else self.blobs.url

    def close(self) -> None:
        """Give back the catalog's connections."""
        self.catalog.close()


def open_store(location: str | Path | None = None, beside: str | Path | None = None) -> Store:
    """Open a store, making it when it is not there.

    Parameters
    ----------
    location : str or Path, optional
        A folder. Without it the environment's ``PENSTOCK_STORE``, else ``.penstock/`` in `beside`.
    beside : str or Path, optional
        The folder of the pipeline file; the working folder when left out.

    Raises
    ------
    StoreError
        When the folder cannot be made or written, or was written by a newer Penstock.
    """
    place = location or os.environ.get("PENSTOCK_STORE") or Path(beside or ".") / ".penstock"
    if "://" in str(place):
        raise StoreError(
            f"store {place}: only folders can be opened by this version. Give a folder with --store or PENSTOCK_STORE."
        )
    folder = Path(place).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"store {folder}: cannot be made: {error.strerror or error}. Give a folder that can be written with --store."
        ) from error
    ignore = folder / ".gitignore"
    if not ignore.exists():
        try:
            ignore.write_text("*\n")
        except OSError as error:
            raise StoreError(
                f"store {folder}: cannot be written: {error.strerror or error}. "
                "Give a folder that can be written with --store."
            ) from error
    return Store(Blobs(folder / "blobs"), Catalog(f"sqlite:///{folder / 'catalog.db'}"), folder)


__all__ = ["Store", "open_store", "digest_of", "decode", "encode", "INLINE_BYTES"]


def read_value(store: Store, row: Any, annotation: Any = None, remedy: str = "") -> Any:
    """Return the value of an artifact's catalog row, its digest checked."""
    from penstock.errors import DamagedArtifactError

    if row.value is None:
        data = store.blobs.read(row.digest, f"artifact of {row.step}", remedy)
    else:
        data = bytes(row.value)
        if digest_of(data) != row.digest:
            raise DamagedArtifactError(
                f"artifact of {row.step} ({row.digest[:12]}) is damaged in the catalog. {remedy}"
            )
    return decode(row.format, data, annotation)
