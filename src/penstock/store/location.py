"""Where a store is: a folder, or ``postgresql://... + s3://...``; asked for by option, environment or ``penstock.toml``."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.errors import StoreError
from penstock.types.secrets import names_in

SETTINGS = "penstock.toml"
_HELD = "PENSTOCK_STORE_PASSWORD"
_FORMS = 'a folder, or "postgresql://USER@HOST/DATABASE + s3://BUCKET/FOLDER"'


@dataclass(frozen=True)
class Location:
    """Where a store is.

    Attributes
    ----------
    text : str
        What gives it again; passwords stand in it by name alone.
    catalog : str or None
        The URL of its catalog; None for a folder, which holds both.
    blobs : str
        The folder, or the URL of the blobs.
    """

    text: str
    catalog: str | None
    blobs: str

    @property
    def shared(self) -> bool:
        """Whether it is reached by other machines too."""
        return self.catalog is not None


def find_location(given: str | Path | None = None, beside: str | Path | None = None) -> Location:
    """Find where the store is.

    Parameters
    ----------
    given : str or Path, optional
        A location; ``"@prod"`` is the environment of that name in ``penstock.toml``.
    beside : str or Path, optional
        The folder of the pipeline file; the working folder when left out.

    Returns
    -------
    Location
        What is given; else the environment's ``PENSTOCK_STORE``; else what ``penstock.toml`` says, in `beside` or a
        folder above; else the folder ``.penstock`` in `beside`.

    Raises
    ------
    StoreError
        When it cannot be read, or there is no such environment.
    """
    folder = Path(beside or ".").resolve()
    text = str(given or os.environ.get("PENSTOCK_STORE") or "")
    if text.startswith("@") or not text:
        settings = next((place / SETTINGS for place in (folder, *folder.parents) if (place / SETTINGS).is_file()), None)
        text = _said(settings, text[1:]) if settings is not None or text else str(folder / ".penstock")
        folder = settings.parent if settings is not None else folder
        if "://" not in text:
            text = str(folder / Path(text).expanduser())
    return read_location(text)


def _said(settings: Path | None, environment: str) -> str:
    """Return what the file says of an environment, or of the store where none is named."""
    if settings is None:
        raise StoreError(f"--store @{environment}: there is no {SETTINGS} here or in a folder above")
    try:
        told = tomllib.loads(settings.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StoreError(f"{settings}: cannot be read: {error}") from error
    known = told.get("environments", {})
    if environment and environment not in known:
        there = ", ".join(f"@{name}" for name in known) or "none"
        raise StoreError(f"{settings}: there is no environment {environment!r}; there are: {there}")
    text = known[environment].get("store") if environment else told.get("store", ".penstock")
    if not isinstance(text, str) or not text:
        raise StoreError(f"{settings}: store = ... must be {_FORMS}")
    return text


def read_location(text: str) -> Location:
    """Take a location apart; a password that stands in it is put into the environment, and no more shown.

    Raises
    ------
    StoreError
        When it is neither of both forms.

    Examples
    --------
    >>> read_location("postgresql://ann@db/team + s3://team/store").blobs
    's3://team/store'
    """
    if "://" not in text:
        return Location(text, None, text)
    catalog, plus, blobs = (part.strip() for part in text.partition(" + "))
    if not plus or not blobs or not catalog.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise StoreError(f"store {_without_password(text)}: give {_FORMS}")
    try:
        url = urlsplit(catalog)
    except ValueError as error:
        raise StoreError(f"store: its first part is no URL: {error}") from error
    if url.password and not names_in(url.password):
        os.environ[_HELD] = unquote(url.password)
        catalog = catalog.replace(f":{url.password}@", f":${{{_HELD}}}@", 1)
    return Location(f"{catalog} + {blobs}", "postgresql+psycopg" + catalog[catalog.index("://") :], blobs)


def _without_password(text: str) -> str:
    before, at, after = text.rpartition("@")
    scheme, colon, _ = before.rpartition(":") if before.count(":") > 1 else (before, "", "")
    return f"{scheme}{colon}***@{after}" if at and colon else text
