"""A version that answers a share of the requests, or answers unseen beside the champion, before it may replace it.

The share is chosen by the hash of a request's key, so that who asks stays on one version, or of its body: one program
may ask for all customers. The version's number counts too, so that it is not always the same ones who try new versions.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from penstock.deploy.registry import CHAMPION, Registry
from penstock.errors import InputError
from penstock.store.catalog import whoami
from penstock.store.schema import rollouts
from penstock.store.store import Store

Kind = Literal["canary", "shadow"]
_POINTS = 10_000


@dataclass(frozen=True)
class Rollout:
    """Which versions are tried beside the champion.

    Attributes
    ----------
    canary : int or None
        The version that answers `share` of the requests.
    share : float
        From 0 to 1.
    shadow : int or None
        The version whose answers are kept, and not given.
    """

    canary: int | None = None
    share: float = 0.0
    shadow: int | None = None


@dataclass(frozen=True)
class Change:
    """One beginning or end of a canary or shadow."""

    kind: str
    version: int | None
    share: float
    at: float
    user: str
    why: str


def rollout_of(store: Store, name: str) -> Rollout:
    """Return what is tried now; a version that is the champion already is not."""
    newest = sa.select(sa.func.max(rollouts.c.id)).where(rollouts.c.pipeline == name).group_by(rollouts.c.kind)
    with store.catalog.read() as connection:
        rows = connection.execute(sa.select(rollouts).where(rollouts.c.id.in_(newest))).all()
    held = {row.kind: row for row in rows if row.version is not None}
    if not held:
        return Rollout()
    champion = Registry(store, name).champion()
    now = {kind: row for kind, row in held.items() if champion is None or row.version != champion.version}
    canary, shadow = now.get("canary"), now.get("shadow")
    return Rollout(
        None if canary is None else canary.version, 0.0 if canary is None else canary.share,
        None if shadow is None else shadow.version,
    )  # fmt: skip


def begin(store: Store, name: str, kind: Kind, version: int | str, share: float, why: str) -> int:
    """Let a version answer a share of the requests, or beside the champion; the one before it stops.

    Raises
    ------
    InputError
        When there is no such version, it is the champion, or the share is not above 0 and below 1.
    """
    if kind == "canary" and not 0 < share < 1:
        raise InputError(f"a canary answers more than 0 % and less than 100 % of the requests, not {share:.0%}")
    made = Registry(store, name).version(version)
    if "champion" in made.aliases:
        raise InputError(f"model {name} v{made.version} is the champion already")
    _write(store, name, kind, made.version, share, why)
    return made.version


def end(store: Store, name: str, kind: Kind, why: str) -> int | None:
    """End a canary or shadow; return its version, or None when there was none."""
    now = rollout_of(store, name)
    version = now.canary if kind == "canary" else now.shadow
    if version is not None:
        _write(store, name, kind, None, 0.0, why)
    return version


def changes(store: Store, name: str) -> list[Change]:
    """Return every beginning and end, the latest first."""
    question = sa.select(rollouts).where(rollouts.c.pipeline == name).order_by(rollouts.c.id.desc())
    with store.catalog.read() as connection:
        return [
            Change(row.kind, row.version, row.share, row.at, row.user, row.why) for row in connection.execute(question)
        ]


def canary_spans(store: Store, name: str, version: int) -> list[tuple[float, float]]:
    """Return when a version was a canary, in seconds since 1970: whom it answered then says nothing of who asks.

    The last one has no end while it lasts.
    """
    rows = [item for item in reversed(changes(store, name)) if item.kind == "canary"]
    promoted = [
        item.at for item in Registry(store, name).history() if (item.alias, item.version) == (CHAMPION, version)
    ]
    return [
        (row.at, min((at for at in (*promoted, *(later.at for later in rows)) if at > row.at), default=math.inf))
        for row in rows
        if row.version == version
    ]


def _write(store: Store, name: str, kind: Kind, version: int | None, share: float, why: str) -> None:
    row = {
        "pipeline": name, "kind": kind, "version": version, "share": share, "at": time.time(), "user": whoami(), "why": why,
    }  # fmt: skip
    with store.catalog.begin() as connection:
        connection.execute(rollouts.insert(), row)


def takes_part(key: bytes, version: int, share: float) -> bool:
    """Whether a request with this key is answered by the canary.

    Examples
    --------
    >>> sum(takes_part(b"customer %d" % number, 3, 0.1) for number in range(10_000))
    976
    """
    place = int.from_bytes(hashlib.blake2b(b"%d:%b" % (version, key), digest_size=8).digest()) % _POINTS
    return place < share * _POINTS
