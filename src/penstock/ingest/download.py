"""Rows from HTTP APIs: JSON or CSV, page after page, with retries, a limit of speed, and resumption after a failed page.

Pages already fetched lie in a folder until all are there: a run that failed goes on from the page that failed.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import DataError, InputError
from penstock.ingest.answers import TruncatedError, at_path, kind_of, rows_of
from penstock.ingest.http import Http
from penstock.types.secrets import filled, hidden

_KEPT_SECONDS = 86_400.0
"""Pages of a failed run older than this are fetched anew."""
_LONGEST_WAIT = 300.0
_MOST_BYTES = 512 * 1024**2
"""Largest page."""


def place_of(source: Http, folder: Path) -> str:
    """Return where the pages of this request lie until all are there."""
    told = hashlib.sha256(repr(source).encode()).hexdigest()[:16]
    return str(folder / "partial" / told)


def download(source: Http, place: str, start: str | None = None) -> Iterator[tuple[str, pl.DataFrame]]:
    """Fetch page after page and yield their rows.

    Parameters
    ----------
    place : str
        From :func:`place_of`.
    start : str, optional
        Only rows from here on are asked for, and there may be none.

    Raises
    ------
    DataError
        When a page cannot be had or holds no rows of the expected form; pages fetched before it are kept.
    """
    import shutil

    folder = Path(place if start is None else f"{place}-{hashlib.sha256(start.encode()).hexdigest()[:8]}")
    state = folder / "state.json"
    if state.is_file() and time.time() - state.stat().st_mtime > _KEPT_SECONDS:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept: dict[str, Any] = (
        json.loads(state.read_text()) if state.is_file() else {"done": [], "next": _first(source, start)}
    )
    seen: set[Any] = set()
    total = 0
    digests: set[str] = set()
    asked = {json.dumps(kept["next"])}
    for number, kind in enumerate(kept["done"]):
        rows = _rows(source, _page(folder, number, kind), number)
        digests.add(_digest(rows))
        made = _unseen(rows, source, seen)
        total += made.height
        yield f"page {number + 1:06}", made
    if kept["done"]:
        print(f"{len(kept['done'])} pages were fetched before")  # noqa: T201 - the step's log
    limit = _Pace(source.rate)
    with _client(source) as client:
        while kept["next"] is not None:
            number = len(kept["done"])
            body, kind, link = _fetch(client, source, kept["next"], limit)
            page = _page(folder, number, kind)
            page.write_bytes(body)
            rows = _rows(source, page, number)
            digest = _digest(rows)
            following = _following(source, kept["next"], body, kind, link, rows.height)
            if not rows.height and json.dumps(following) in asked:
                following = None  # an API that has no more rows may give its last token again
            if following is not None and ((digest in digests and rows.height) or json.dumps(following) in asked):
                raise DataError(
                    f"{_who(source)}: page {number + 1} is the same as an earlier one, or leads to it; the API goes round{_hint(source)}"
                )
            digests.add(digest)
            asked.add(json.dumps(following))
            kept = {"done": [*kept["done"], kind], "next": following}
            written = folder / "state.tmp"
            written.write_text(json.dumps(kept))
            written.replace(state)
            made = _unseen(rows, source, seen)
            total += made.height
            if made.height:
                yield f"page {number + 1:06}", made
    if not total and start is None:
        raise DataError(f"{_who(source)}: gave no rows")
    shutil.rmtree(folder, ignore_errors=True)


def _digest(rows: pl.DataFrame) -> str:
    """Of the rows alone: answers may tell the time, or number themselves."""
    buffer = io.BytesIO()
    rows.write_ipc(buffer)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _hint(source: Http) -> str:
    pages = source.pages
    if pages.kind == "cursor":
        return f'. If it expects the token in another parameter than "{pages.parameter}", give by_cursor("{pages.name}", parameter=...)'
    if pages.kind in ("page", "offset"):
        return f'. If it expects another parameter than "{pages.name}", give by_{pages.kind}(...) its name'
    return ""


def _page(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:06}.{kind}"


def _rows(source: Http, page: Path, number: int) -> pl.DataFrame:
    return rows_of(page, source.records, f"{_who(source)}, page {number + 1}")


def _who(source: Http) -> str:
    return f"ps.ingest.http({source.url!r})"


def _first(source: Http, start: str | None) -> dict[str, Any]:
    pages, params = source.pages, dict(source.params)
    if start is not None:
        params[str(source.since)] = start
    if pages.kind in ("page", "offset"):
        params[pages.name] = str(pages.start)
        if pages.size:
            params[pages.size_name] = str(pages.size)
    return {"url": source.url, "params": params}


def _following(
    source: Http, asked: dict[str, Any], body: bytes, kind: str, link: str | None, height: int
) -> dict[str, Any] | None:
    pages = source.pages
    if pages.kind == "one":
        return None
    if pages.kind == "link":
        return None if link is None else {"url": link, "params": {}}
    if pages.kind == "cursor":
        found = at_path(json.loads(body), pages.name) if kind == "json" else None
        if found in (None, "", False):
            return None
        if re.match(r"(?i)https?://|/", str(found)):
            return {"url": str(found), "params": {}}
        return {"url": source.url, "params": {**asked["params"], pages.parameter: str(found)}}
    if height == 0 or (pages.size and height < pages.size):
        return None
    step = height if pages.kind == "offset" else 1
    return {"url": source.url, "params": {**asked["params"], pages.name: str(int(asked["params"][pages.name]) + step)}}


def _client(source: Http) -> Any:
    try:
        import httpx
    except ModuleNotFoundError as error:
        raise InputError(
            f"{_who(source)}: needs the package {error.name}. Install it with: pip install 'penstock[http]'"
        ) from None
    headers = {name: filled(value, _who(source)) for name, value in source.headers}
    return httpx.Client(timeout=source.timeout, headers=headers, follow_redirects=False)


class _Pace:
    """Holds requests apart."""

    def __init__(self, rate: float | None) -> None:
        self.pause = 1 / rate if rate else 0.0
        self.free = 0.0

    def wait(self) -> None:
        """Sleep until the next request may go."""
        now = time.monotonic()
        if self.free > now:
            time.sleep(self.free - now)
        self.free = max(now, self.free) + self.pause


def _fetch(client: Any, source: Http, asked: dict[str, Any], pace: _Pace) -> tuple[bytes, str, str | None]:
    import httpx
    import stamina

    who = _who(source)
    secrets = [value for _, value in (*source.headers, *source.params)] + [source.url]

    def again(error: Exception) -> bool | float:
        if isinstance(error, httpx.HTTPStatusError):
            if error.response.status_code not in (408, 425, 429) and error.response.status_code < 500:
                return False
            wait = _retry_after(error.response.headers.get("retry-after"))
            return True if wait is None else wait
        return isinstance(error, httpx.TransportError | TruncatedError)

    def get() -> tuple[bytes, str, str | None]:
        for attempt in stamina.retry_context(
            again, attempts=source.retries + 1, timeout=None, wait_initial=0.2, wait_max=20.0, wait_jitter=0.2
        ):
            with attempt:
                pace.wait()
                url = httpx.URL(source.url.split("?")[0]).join(filled(asked["url"], who))
                params = {name: filled(value, who) for name, value in asked["params"].items()}
                if url.host != httpx.URL(source.url).host:  # secrets go to the host that the author named
                    raise DataError(f"{who}: the next page is on another host, {url.host}, and is not asked for")
                # What the URL asks for stays: given as params=, it would be lost.
                with client.stream("GET", url.copy_merge_params(params)) as answer:
                    answer.raise_for_status()
                    taken = bytearray()
                    for chunk in answer.iter_bytes():
                        taken += chunk
                        if len(taken) > _MOST_BYTES:
                            raise DataError(
                                f"{who}: a page is larger than {_MOST_BYTES // 1024**2} MB; ask for smaller ones"
                            )
                body = bytes(taken)
                said = answer.headers.get("content-type", "") if source.format == "auto" else source.format
                kind = kind_of(body, said, who)
                link = answer.links.get("next", {}).get("url")
                return body, kind, None if link is None else str(answer.url.join(link))
        raise AssertionError  # pragma: no cover - the context returns or raises

    try:
        return get()
    except httpx.HTTPStatusError as error:
        said = error.response.status_code
        advice = "; check the secret in the environment" if said in (401, 403) else ""
        if (
            said == 404
            and source.pages.kind == "page"
            and asked["params"][source.pages.name] != str(source.pages.start)
        ):
            advice = (
                '; if that is its way to say that there are no more pages, follow its own link, such as by_cursor("next"), '
                "or give by_page(size=...), so that a page with fewer rows is the last"
            )
        if 300 <= said < 400:
            advice = f"; it has moved to {error.response.headers.get('location')}"
        raise DataError(hidden(f"{who}: answered {said} {error.response.reason_phrase}{advice}", *secrets)) from None
    except (httpx.TransportError, TruncatedError) as error:
        text = f"{type(error).__name__}: {error}" if isinstance(error, httpx.TransportError) else str(error)
        raise DataError(hidden(f"{who}: after {source.retries + 1} tries: {text}", *secrets)) from None


def _retry_after(text: str | None) -> float | None:
    """Read the header in both its forms, RFC 9110 section 10.2.3: seconds, or a date."""
    if text is None:
        return None
    if text.strip().isdigit():
        return min(float(text), _LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0), _LONGEST_WAIT)


def _unseen(rows: pl.DataFrame, source: Http, seen: set[Any]) -> pl.DataFrame:
    if source.unique is None or not rows.height:
        return rows
    if source.unique not in rows.columns:
        raise DataError(
            f"{_who(source)}: unique={source.unique!r} is not a column; there are {', '.join(rows.columns)}"
        )
    keep = []
    for value in rows[source.unique].to_list():
        keep.append(value not in seen)
        seen.add(value)
    if not all(keep):
        print(f"{keep.count(False)} rows came twice and count once")  # noqa: T201 - the step's log
    return rows.filter(pl.Series(keep))
