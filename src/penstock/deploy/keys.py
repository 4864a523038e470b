"""Keys of the web API: made once, shown once, kept as digests; each for one pipeline and one scope.

A key is 192 random bits, so that a plain SHA-256 of it can be neither guessed nor reversed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa

from penstock.deploy.registry import Registry
from penstock.errors import InputError
from penstock.store.catalog import whoami
from penstock.store.schema import api_keys
from penstock.store.store import Store

SCOPES = ("predict", "feedback", "admin")
"""What a key is for: asking; telling labels and events; both, and the pages and metrics."""


@dataclass(frozen=True)
class Key:
    """One key, without what it reads.

    Attributes
    ----------
    id : str
        To revoke it by; its first characters.
    scope : str
        One of :data:`SCOPES`.
    """

    id: str
    scope: str
    created: float
    user: str
    revoked: float | None


def digest_of(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def make_key(store: Store, name: str, scope: str) -> str:
    """Make a key and return it: it cannot be shown again.

    Raises
    ------
    InputError
        For a scope that is not known, or a pipeline without models.
    """
    if scope not in SCOPES:
        raise InputError(f"scope {scope!r}: there are {', '.join(SCOPES)}")
    if not Registry(store, name).versions():
        Registry(store, name).version(1)  # says that there is none, and which there are
    shown = secrets.token_hex(4)
    key = f"ps_{shown}_{secrets.token_urlsafe(24)}"
    row = {
        "id": shown, "pipeline": name, "scope": scope, "digest": digest_of(key), "created": time.time(), "user": whoami(),
        "revoked": None,
    }  # fmt: skip
    with store.catalog.begin() as connection:
        connection.execute(api_keys.insert(), row)
    return key


def keys_of(store: Store, name: str) -> list[Key]:
    """Return every key of a pipeline, the latest first."""
    question = sa.select(api_keys).where(api_keys.c.pipeline == name).order_by(api_keys.c.created.desc())
    with store.catalog.read() as connection:
        return [Key(row.id, row.scope, row.created, row.user, row.revoked) for row in connection.execute(question)]


def revoke(store: Store, name: str, key: str) -> None:
    """Make a key worthless, by its id.

    Raises
    ------
    InputError
        When there is no such key, or it was revoked before.
    """
    change = (
        api_keys.update()
        .where(api_keys.c.pipeline == name, api_keys.c.id == key, api_keys.c.revoked.is_(None))
        .values(revoked=time.time())
    )
    with store.catalog.begin() as connection:
        done = connection.execute(change).rowcount
    if not done:
        there = ", ".join(item.id for item in keys_of(store, name) if item.revoked is None) or "none"
        raise InputError(f"model {name} has no key {key!r} that could be revoked; keys: {there}")


def scopes_by_digest(store: Store, name: str) -> dict[str, str] | None:
    """Return the scope of each key that counts, by its digest; None when no key was ever made: all may ask.

    With the last key revoked nobody may ask: a service does not become open by losing its keys.
    """
    question = sa.select(api_keys).where(api_keys.c.pipeline == name)
    with store.catalog.read() as connection:
        rows = connection.execute(question).all()
    return {row.digest: row.scope for row in rows if row.revoked is None} if rows else None
