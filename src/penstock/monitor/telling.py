"""Alarms and decisions told to people: by a webhook, by e-mail, by a command of theirs."""

from __future__ import annotations

import json
import smtplib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal

from penstock.errors import InputError
from penstock.types.secrets import filled, hidden

_SECONDS, _TRIES, _PAUSE = 10.0, 3, 1.0


@dataclass(frozen=True)
class Webhook:
    """A URL that is sent JSON; made by :func:`webhook`."""

    url: str
    shape: str = "json"

    def send(self, told: dict[str, Any]) -> None:
        """Send it."""
        body = {"text": told["text"]} if self.shape == "slack" else told
        request = urllib.request.Request(  # noqa: S310 - checked to be http(s) when it was made
            filled(self.url, "ps.monitor.webhook"), json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            answer.read(1)


@dataclass(frozen=True)
class Email:
    """A mail; made by :func:`email`."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int = 25
    user: str = ""
    password: str = ""
    tls: bool = False

    def send(self, told: dict[str, Any]) -> None:
        """Send it."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = (
            self.sender,
            ", ".join(self.to),
            told["text"].splitlines()[0],
        )
        message.set_content(f"{told['text']}\n\n{json.dumps(told, indent=2, ensure_ascii=False)}\n")
        with smtplib.SMTP(self.host, self.port, timeout=_SECONDS) as server:
            if self.tls:
                server.starttls()
            if self.user:
                server.login(filled(self.user, "ps.monitor.email"), filled(self.password, "ps.monitor.email"))
            server.send_message(message)


@dataclass(frozen=True)
class Command:
    """A program that is given JSON on its input; made by :func:`command`."""

    words: tuple[str, ...]

    def send(self, told: dict[str, Any]) -> None:
        """Run it."""
        subprocess.run(self.words, input=json.dumps(told).encode(), check=True, timeout=60, capture_output=True)


Channel = Webhook | Email | Command


def webhook(url: str, shape: Literal["json", "slack"] = "json") -> Webhook:
    """Tell a URL.

    Parameters
    ----------
    url : str
        ``https://...``; secrets as ``${NAME}``, filled in from the environment when it is told.
    shape : {"json", "slack"}
        All that is known, or ``{"text": ...}`` as Slack, Mattermost and Teams take it.

    Raises
    ------
    InputError
        When it is no URL of the web.

    Examples
    --------
    >>> webhook("https://hooks.example.org/${HOOK}").shape
    'json'
    """
    if not url.startswith(("http://", "https://", "${")) or shape not in ("json", "slack"):
        raise InputError(f'ps.monitor.webhook({url!r}, shape={shape!r}): give https://..., and "json" or "slack"')
    return Webhook(url, shape)


def email(
    to: str | Sequence[str],
    sender: str,
    host: str,
    port: int = 25,
    *,
    user: str = "",
    password: str = "",
    tls: bool = False,
) -> Email:
    """Tell people by e-mail.

    Parameters
    ----------
    to, sender : str
        Addresses; `to` may be several.
    host, port : str, int
        Of the mail server.
    user, password : str, optional
        As ``${NAME}``, filled in from the environment.
    tls : bool
        Ask the server for encryption (STARTTLS).

    Examples
    --------
    >>> email("team@example.org", "penstock@example.org", "mail.example.org").to
    ('team@example.org',)
    """
    people = (to,) if isinstance(to, str) else tuple(to)
    if not people or not all("@" in item for item in (*people, sender)):
        raise InputError(f"ps.monitor.email(to={to!r}, sender={sender!r}): give addresses")
    if password and not password.startswith("${"):
        raise InputError("ps.monitor.email(password=...): write ${NAME}, and set it in the environment")
    return Email(people, sender, host, port, user, password, tls)


def command(*words: str) -> Command:
    """Tell a program: it is given one JSON object on its input.

    Examples
    --------
    >>> command("logger", "-t", "penstock").words
    ('logger', '-t', 'penstock')
    """
    if not words:
        raise InputError("ps.monitor.command(): give a program and its arguments")
    return Command(words)


def send(channel: Channel, told: dict[str, Any], pause: Callable[[float], None] = time.sleep) -> str | None:
    """Tell a channel, three times where it fails; return what went wrong in the end, without secrets, or None."""
    problem = ""
    for turn in range(_TRIES):
        try:
            channel.send(told)
            return None
        except (OSError, smtplib.SMTPException, subprocess.SubprocessError, InputError) as error:
            problem = str(error)
        if turn < _TRIES - 1:
            pause(_PAUSE * 2**turn)
    shown = {"Webhook": getattr(channel, "url", ""), "Email": getattr(channel, "host", "")}.get(
        type(channel).__name__, ""
    )
    return hidden(f"{type(channel).__name__.lower()} {shown}: {problem}", shown, getattr(channel, "password", ""))
