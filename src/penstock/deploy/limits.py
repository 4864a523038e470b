"""Who may ask, how often, and how slowly: keys, rates, and connections that dribble."""

from __future__ import annotations

import base64
import binascii
import time
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.deploy.keys import digest_of

HEAD_SECONDS, BODY_SECONDS = 10.0, 30.0
"""In so much time a request's head, and its body, must have come."""
HEAD_BYTES = 64 * 1024
_CLIENTS = 10_000
"""So many clients' rates are remembered; the one not heard of for longest is forgotten."""

Refusal = tuple[int, str, str, list[tuple[bytes, bytes]]]
"""Status, code, message, headers."""
Headers = list[tuple[bytes, bytes]]


def header(headers: Headers, name: bytes) -> bytes:
    """Return a header's value, or nothing."""
    for key, value in headers:
        if key == name:
            return value
    return b""


class Guard:
    """Decides who is answered.

    Parameters
    ----------
    rate : float, optional
        Most requests a second of one key, or one address; as many at once.

    Attributes
    ----------
    scopes : dict of str to str, or None
        Digest of each key to its scope; None: all may ask.
    """

    def __init__(self, scopes: dict[str, str] | None = None, rate: float | None = None) -> None:
        self.scopes, self.rate = scopes, rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def open(self) -> bool:
        """Whether there is nothing to check."""
        return self.scopes is None and self.rate is None

    def refuse(self, scope: Any, need: str) -> Refusal | None:
        """Say why a request is not answered, or None.

        Parameters
        ----------
        scope : dict
            As ASGI gives it.
        need : str
            The scope of key that is asked for.
        """
        headers = scope["headers"]
        who = scope["client"][0] if scope.get("client") else ""
        if self.scopes is not None:
            given = _key_of(headers)
            if given is None:
                return (
                    401, "no_key", "this service asks for a key: send it as 'Authorization: Bearer KEY'",
                    [(b"www-authenticate", b'Basic realm="any name, and the key as password", charset="UTF-8"')],
                )  # fmt: skip
            who = digest_of(given)
            has = self.scopes.get(who)
            if has is None:
                return 401, "wrong_key", "the key is not known, or was revoked", []
            if has not in (need, "admin"):
                return 403, "wrong_scope", f"the key is for {has}, and this asks for {need}", []
        return self._too_often(who) if self.rate is not None else None

    def _too_often(self, who: str) -> Refusal | None:
        rate = float(self.rate or 0.0)
        now, most = time.monotonic(), max(1.0, rate)
        left, since = self._left.pop(who, (most, now))
        left = min(most, left + (now - since) * rate)
        refused = left < 1.0
        self._left[who] = (left if refused else left - 1.0, now)
        if len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        if not refused:
            return None
        wait = max(1, round((1.0 - left) / rate))
        return 429, "too_often", f"more than {rate:g} requests a second", [(b"retry-after", b"%d" % wait)]


def _key_of(headers: Headers) -> str | None:
    """Return the key that a request carries: as a bearer, in ``x-api-key``, or as the password that a browser asks for."""
    kind, _, value = header(headers, b"authorization").partition(b" ")
    if kind.lower() == b"bearer":
        return value.strip().decode("latin-1")
    if kind.lower() == b"basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8", "surrogateescape").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    given = header(headers, b"x-api-key")
    return given.decode("latin-1") if given else None


class Connection(HttpToolsProtocol):
    """A connection that is closed when a request's head does not come in time, or does not end."""

    head_since: float | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        self.head_since = self.loop.time()
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Begin to wait for a head."""
        self.head_since, self._head_bytes = self.loop.time(), 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count."""
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_BYTES:
            self.transport.abort()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            self.transport.abort()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait no longer."""
        self.head_since = None
        super().on_headers_complete()


def close_slow(connections: Any, now: float) -> int:
    """Close the connections whose heads do not come; return how many."""
    slow = [
        item for item in list(connections)
        if isinstance(item, Connection) and item.head_since is not None and now - item.head_since > HEAD_SECONDS
    ]  # fmt: skip
    for item in slow:
        item.transport.abort()
    return len(slow)
