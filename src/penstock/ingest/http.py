"""The declaration of tables of HTTP APIs, as a pipeline's author writes it; they are fetched by ``download``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from penstock.errors import InputError
from penstock.types.durations import seconds_of

Format = Literal["auto", "json", "jsonl", "csv"]


@dataclass(frozen=True)
class Pages:
    """How one page leads to the next; made by :func:`by_page`, :func:`by_offset`, :func:`by_cursor`, :func:`by_link`."""

    kind: Literal["one", "page", "offset", "cursor", "link"]
    name: str = ""
    start: int = 0
    size: int = 0
    size_name: str = ""
    parameter: str = ""


def by_page(parameter: str = "page", *, start: int = 1, size: int = 0, size_name: str = "per_page") -> Pages:
    """Ask for pages by number until one is empty (or holds fewer than `size` rows, when that is given).

    Examples
    --------
    >>> by_page("p", start=0).start
    0
    """
    return Pages("page", parameter, start, size, size_name)


def by_offset(parameter: str = "offset", *, size: int, size_name: str = "limit") -> Pages:
    """Ask for rows from an offset on, `size` at a time, until a page holds fewer.

    Raises
    ------
    InputError
        When `size` is not at least 1.

    Examples
    --------
    >>> by_offset(size=500).size
    500
    """
    if size < 1:
        raise InputError("ps.ingest.by_offset(size=...): give how many rows a page holds")
    return Pages("offset", parameter, 0, size, size_name)


def by_cursor(field: str, parameter: str | None = None) -> Pages:
    """Follow a field of each answer: the URL of the next page, or a token for a parameter.

    Parameters
    ----------
    field : str
        Such as ``"next"`` or ``"meta.next_cursor"``; empty or missing on the last page.
    parameter : str, optional
        Where a token goes; when left out, the last part of `field`, as a request would call it.

    Examples
    --------
    >>> by_cursor("meta.next_cursor").parameter, by_cursor("nextPageToken").parameter, by_cursor("after").parameter
    ('cursor', 'pageToken', 'after')
    """
    last = field.rpartition(".")[2]
    asked = re.sub(r"^next_?(cursor|page_?token|page|offset)$", lambda name: _lower(name[1]), last, flags=re.IGNORECASE)
    return Pages("cursor", field, parameter=parameter or asked)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def by_link() -> Pages:
    """Follow the ``Link: <...>; rel="next"`` header (RFC 8288).

    Examples
    --------
    >>> by_link().kind
    'link'
    """
    return Pages("link")


@dataclass(frozen=True)
class Http:
    """Rows of an HTTP API; made by :func:`http`."""

    url: str
    pages: Pages
    records: str | None
    format: Format
    params: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    time: str | None
    unique: str | None
    retries: int
    timeout: float
    rate: float | None = field(default=None)
    since: str | None = None
    cursor: str | None = None
    lateness: float | str = 0


def http(
    url: str,
    *,
    pages: Pages | None = None,
    records: str | None = None,
    format: Format = "auto",
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    time: str | None = None,
    unique: str | None = None,
    retries: int = 6,
    timeout: float = 30.0,
    rate: str | float | None = None,
    since: str | None = None,
    cursor: str | None = None,
    lateness: float | str = 0,
) -> Http:
    """Take rows from an HTTP API.

    Parameters
    ----------
    url : str
        Where the first page is.
    pages : Pages, optional
        How one page leads to the next: :func:`by_page`, :func:`by_offset`, :func:`by_cursor` or :func:`by_link`; one
        page when left out.
    records : str, optional
        Where the list of rows is in a JSON answer, such as ``"data.items"``; found when left out.
    format : {"auto", "json", "jsonl", "csv"}
        Of the answers; told by their content type and first bytes when left out, Parquet too.
    params, headers : mapping, optional
        Sent with each request. Secrets are written as ``${NAME}`` and taken from the environment, such as
        ``{"Authorization": "Bearer ${TOKEN}"}``.
    time : str, optional
        The column that says when each row happened.
    unique : str, optional
        A column that tells rows apart: a row that comes twice, because pages shift while they are read, counts once.
    retries : int
        How many times more a page is asked for after 408, 425, 429, 5xx, a time-out, a lost connection or a truncated
        answer; with growing pauses, or as long as ``Retry-After`` says.
    timeout : float
        Seconds for one request.
    rate : str or float, optional
        Most requests, such as ``"10/s"`` or ``"100/m"``.
    since : str, optional
        A parameter of the request that asks for rows from a moment or number on: then a run asks for new rows only,
        and those that it knew are kept. A row that comes again, by `unique`, takes the place of the one that was known.
    cursor : str, optional
        The column that `since` speaks of; `time` when left out. Another one says when a row was last written to, often
        with its label, and is not learnt from.
    lateness : float or str
        Ask from so long before the latest row that is known, such as ``"2d"``: rows may come late.

    Raises
    ------
    InputError
        For a URL that is not HTTP, a rate that cannot be read, or `since` without `unique` and `cursor`.

    Examples
    --------
    >>> http("https://api.example.org/planes", pages=by_cursor("next"), rate="10/s").rate
    10.0
    """
    if not re.match(r"(?i)https?://", url):
        raise InputError(f"ps.ingest.http({url!r}): give a URL that begins with https:// or http://")
    if format not in get_args(Format):
        raise InputError(f"ps.ingest.http(format={format!r}): give one of {', '.join(get_args(Format))}")
    if retries < 0 or timeout <= 0:
        raise InputError("ps.ingest.http: retries must not be negative, timeout must be positive")
    if since is not None and (unique is None or (cursor or time) is None):
        raise InputError(
            f"ps.ingest.http({url!r}, since={since!r}): also say which column tells rows apart, unique=, and which one "
            "since speaks of, cursor="
        )
    seconds_of(lateness)
    for name, value in {**(headers or {}), **(params or {})}.items():
        if re.search(r"(?i)auth|token|key|secret|password", name) and "${" not in str(value):
            raise InputError(
                f"ps.ingest.http: {name} looks like a secret in plain text, which would be kept with every run; write "
                "${NAME} and set NAME in the environment"
            )
    return Http(
        url, pages or Pages("one"), records, format, tuple((k, str(v)) for k, v in (params or {}).items()),
        tuple((headers or {}).items()), time, unique, retries, timeout, _rate(rate),
        since, cursor or time, lateness,
    )  # fmt: skip


def _rate(text: str | float | None) -> float | None:
    if text is None or isinstance(text, int | float):
        return text
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|h)\s*", text)
    if not found or not float(found[1]):
        raise InputError(f"ps.ingest.http(rate={text!r}): write it as 10/s, 100/m or 1000/h")
    return float(found[1]) / {"s": 1, "m": 60, "h": 3600}[found[2]]
