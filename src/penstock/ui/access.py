"""Who may look, and who may decide: tokens from the environment, a signed cookie, forms that other sites cannot send."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.errors import InputError

LOOKER, DECIDER = "PENSTOCK_UI_READ_TOKEN", "PENSTOCK_UI_TOKEN"
"""Environment variables: the token of who may look; of who may also approve, reject, and look at drift anew."""
COOKIE = "penstock_ui"
_LEAST = 16
_SECONDS = 12 * 3600
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Access:
    """The rules of one server.

    Attributes
    ----------
    tokens : dict of str to str
        Role, ``reader`` or ``decider``, by token; empty: whoever reaches this machine's loopback address decides.
    secret : bytes
        Signs cookies and forms: made of the tokens, so that a new token ends all sessions; else drawn at the start.
    hosts : frozenset of str or None
        Names by which it may be asked: without tokens only its own, so that no site's name can be pointed at it.
    """

    tokens: Mapping[str, str] = field(repr=False)
    secret: bytes = field(repr=False)
    hosts: frozenset[str] | None = None

    @classmethod
    def from_environment(cls, host: str) -> Access:
        """Read the tokens.

        Raises
        ------
        InputError
            When `host` is not this machine's loopback address and there is no token, or one is short.
        """
        tokens = {}
        for variable, role in ((LOOKER, "reader"), (DECIDER, "decider")):
            token = os.environ.get(variable)
            if token and len(token) < _LEAST:
                raise InputError(f"{variable}: {len(token)} characters; expected at least {_LEAST}, drawn at random")
            if token:
                tokens[token] = role
        if not tokens:
            if host not in _HERE:
                raise InputError(
                    f"on {host} others could look too: set {DECIDER} (who may decide) or {LOOKER} (who may only look) "
                    f"to at least {_LEAST} random characters"
                )
            return cls({}, secrets.token_bytes(32), _HERE)
        joined = "\0".join(f"{role}:{token}" for token, role in sorted(tokens.items()))
        return cls(tokens, hashlib.sha256(joined.encode("utf-8", "surrogateescape")).digest())

    def role_of(self, token: str) -> str | None:
        """Return the role of a token, compared in constant time."""
        found = None
        for known, role in self.tokens.items():
            if hmac.compare_digest(known.encode("utf-8", "surrogateescape"), token.encode("utf-8", "surrogateescape")):
                found = role
        return found

    def cookie(self, role: str) -> str:
        """Return the cookie of a session of twelve hours."""
        said = f"{role}.{int(time.time()) + _SECONDS}.{secrets.token_urlsafe(12)}"
        return f"{said}.{self._sign(said)}"

    def role_in(self, cookie: str | None, bearer: str | None = None) -> str | None:
        """Return the role of who asks, by cookie or by an ``Authorization: Bearer`` token; None: nobody known."""
        if not self.tokens:
            return "decider"
        if bearer is not None:
            return self.role_of(bearer)
        said, _, mark = (cookie or "").rpartition(".")
        parts = said.split(".")
        if len(parts) != 3 or not hmac.compare_digest(mark.encode(), self._sign(said).encode()):
            return None
        return parts[0] if parts[1].isdigit() and int(parts[1]) > time.time() else None

    def form_token(self, cookie: str | None) -> str:
        """Return what a form of this session must carry."""
        return self._sign(f"form {cookie or ''}")

    def form_is_ours(self, cookie: str | None, token: str) -> bool:
        """Tell whether a form was made for this session."""
        return hmac.compare_digest(self.form_token(cookie).encode(), token.encode("utf-8", "surrogateescape"))

    def knows_host(self, host: str) -> bool:
        """Tell whether a ``Host`` header names this server; see `hosts`."""
        if self.hosts is None:
            return True
        name = host[1:].split("]")[0] if host.startswith("[") else host.rsplit(":", 1)[0]
        return name in self.hosts

    def _sign(self, text: str) -> str:
        return hmac.new(self.secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
