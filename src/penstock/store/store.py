"""A store: blobs and catalog together, found from an option, the environment or the pipeline's folder."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from penstock.errors import InputError, StoreError
from penstock.store.blobs import Blobs, digest_of
from penstock.store.cached import CachedBlobs
from penstock.store.catalog import Catalog
from penstock.store.formats import decode, encode
from penstock.store.location import Location, find_location
from penstock.types.secrets import filled

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
    folder : Path
        Of this machine: reports, prediction logs; of a store that is a folder, that folder.
    location : str
        What to hand to :func:`open_store` to get this store again.

    Examples
    --------
    >>> import tempfile
    >>> store = open_store(tempfile.mkdtemp())
    >>> digest = store.blobs.write(b"water")
    >>> store.blobs.exists(digest)
    True
    """

    def __init__(self, blobs: Blobs, catalog: Catalog, folder: Path, location: str | None = None) -> None:
        self.blobs = blobs
        self.catalog = catalog
        self.location = location or str(folder)
        self._folder = folder

    @cached_property
    def folder(self) -> Path:
        """The folder of this machine, made when first asked for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    @property
    def shared(self) -> bool:
        """Whether other machines reach it too."""
        return "://" in self.location

    def close(self) -> None:
        """Give back the catalog's connections."""
        self.catalog.close()


def opened(store: Store | str | Path | None, beside: str | Path | None = None) -> Store:
    """Return a store as it is, or open the place that is named, as :func:`open_store` does."""
    return store if isinstance(store, Store) else open_store(store, beside)


def open_store(location: str | Path | None = None, beside: str | Path | None = None) -> Store:
    """Open a store, making it when it is not there.

    Parameters
    ----------
    location : str or Path, optional
        A folder; ``"postgresql://USER@HOST/DATABASE + s3://BUCKET/FOLDER"``, which a team shares (``${NAME}`` in it is
        filled in from the environment); or ``"@prod"``, as ``penstock.toml`` says. Without it the environment's
        ``PENSTOCK_STORE``, else what ``penstock.toml`` says, else ``.penstock/`` in `beside`.
    beside : str or Path, optional
        The folder of the pipeline file; the working folder when left out.

    Raises
    ------
    StoreError
        When the folder cannot be made or written, the database or bucket cannot be reached, or the store was written
        by a newer Penstock.

    Examples
    --------
    >>> import tempfile
    >>> store = open_store(tempfile.mkdtemp())
    >>> store.shared
    False
    >>> store.close()
    """
    place = find_location(location, beside)
    if place.catalog is not None:
        return _open_shared(place, place.catalog)
    folder = Path(place.blobs).expanduser().resolve()
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


def _open_shared(place: Location, catalog: str) -> Store:
    """What lies with a shared store on this machine, its cache first of all, is in a folder named after it."""
    home = os.environ.get("PENSTOCK_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "penstock"
    folder = Path(home).expanduser() / digest_of(place.text.encode())[:16]
    blobs = CachedBlobs(place.blobs, folder / "blobs") if "://" in place.blobs else Blobs(place.blobs)
    try:
        url = filled(catalog, "the store")
    except InputError as error:
        raise StoreError(str(error)) from error
    return Store(blobs, Catalog(url), folder, place.text)


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
