"""The web API: requests in, answers out, every answer logged first; versions take over between two requests.

Knows HTTP and who is answered by which version; what a row means is the model's business, what a log is, monitor's.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import msgspec

from penstock.deploy.bodies import JSON, Answered, Asked, Header, read_body, with_query
from penstock.deploy.limits import BODY_SECONDS, Guard, Refusal
from penstock.deploy.messages import Why, read_events, read_feedback, why_of
from penstock.deploy.metrics import Metrics
from penstock.deploy.notices import tell
from penstock.deploy.protocols import read_infer, read_invocation
from penstock.deploy.rollout import takes_part
from penstock.deploy.served import Answer, Feed, Hearer, Keeper, Served
from penstock.deploy.shadow import Shadow
from penstock.deploy.unpacking import unpack
from penstock.errors import DataError, DataWarning, PenstockError
from penstock.types.nested import unnested
from penstock.types.rows import RowsError

MAX_BYTES = 16 * 1024 * 1024
"""Largest request."""
MAX_ROWS = 10_000
"""Most rows of one request."""
MAX_EXPLAINED = 100
"""Rows of one request that are explained: each takes thousands of answers."""


Reply = tuple[int, bytes, list[Header], Future[None] | None]
"""Status, body, headers, and what must be kept before it may leave."""

_encode = msgspec.json.Encoder().encode
POSTED = {"/predict": "predict", "/invocations": "predict", "/feedback": "feedback", "/events": "feedback"}
"""The busy paths, and the scope that each needs."""
_SHAPES = {
    "/predict": '; send {"rows": [{column: value}]} or {"columns": {column: [value]}}; for MLflow\'s forms POST to /invocations',
    "/feedback": '; send {"labels": [{"id": of the prediction, "label": what was true}]}',
    "/events": '; send {"table": name, "rows": [{column: value}]}',
}
_OTHER_SITES = (b"cross-site", b"same-site")
"""A browser asks on behalf of another site's page (https://www.w3.org/TR/fetch-metadata/)."""
_SAFE: list[Header] = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
"""Sent with every answer: browsers neither guess what it is nor keep it."""


class Service:
    """The ASGI application of one pipeline's models.

    Parameters
    ----------
    model : Served
        The champion.
    keeper : Keeper
        Keeps answers before they leave.
    pages : callable
        From the service to the ASGI application that answers all but the busy paths; made when first asked for.
    events : Feed, optional
        Checks, keeps and counts events.
    guard : Guard, optional
        Who is answered; all when left out.
    metrics : Metrics, optional
        What is counted.
    """

    def __init__(
        self,
        model: Served,
        keeper: Keeper,
        pages: Callable[[Service], Any],
        *,
        events: Feed | None = None,
        guard: Guard | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.model, self.keeper, self.events = model, keeper, events
        self.canary: tuple[Served, float] | None = None
        self.shadow: Shadow | None = None
        self.fallbacks: Sequence[Served] = ()
        self.seen: Callable[[int, int, float], None] | None = None
        self.guard, self.metrics = guard or Guard(), metrics or Metrics()
        self.numbers = itertools.count(1)
        self._pages, self._web = pages, cast("Any", None)
        self.metrics.version, self.metrics.made = model.version, model.made

    def swap(self, model: Served) -> None:
        """Let another version answer from the next request on."""
        self.model = model
        if self.canary is not None and self.canary[0].version == model.version:
            self.canary = None
        self.metrics.version, self.metrics.made = model.version, model.made

    def hearers(self) -> list[Hearer]:
        """Return who must know of events: all that answer, or that may."""
        here = [self.model, *(() if self.canary is None else (self.canary[0],)), *self.fallbacks]
        found = [Hearer(model, _at_once) for model in here]
        return found if self.shadow is None else [*found, Hearer(self.shadow.model, self.shadow.run)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; pages and facts go to Starlette."""
        if scope["type"] != "http":
            return
        need = POSTED.get(scope["path"])
        if need is None and scope["path"].startswith("/v2/models/") and scope["path"].endswith("/infer"):
            need = "predict"
        if need is not None and scope["method"] == "POST":
            await self._post(scope, receive, send, need)
            return
        if self._web is None:
            self._web = self._pages(self)
        await self._web(scope, receive, send)

    async def _post(self, scope: Any, receive: Any, send: Any, need: str) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        refused = None if self.guard.open else self.guard.refuse(scope, need)
        if refused is None and headers.get(b"sec-fetch-site") in _OTHER_SITES:
            refused = 403, "other_site", "a page of another site may not ask on a browser's behalf", []
        body = b""
        if refused is None:
            found = await _body(receive, headers)
            if found is None:
                return
            if isinstance(found, bytes):
                body = found
            else:
                refused = found
        if refused is not None:
            status, code, told, more_headers = refused
            self.metrics.refused(code)
            reply: Reply = status, _problem(code, told), [*JSON, *more_headers, (b"connection", b"close")], None
        else:
            reply = self._reply(scope, headers, need, body, started)
        status, data, extra, kept = reply
        if kept is not None:
            try:
                await asyncio.wrap_future(kept)
            except OSError as error:
                status, data, extra = self._not_logged(error)
        await send({"type": "http.response.start", "status": status,
                    "headers": [*extra, (b"content-length", b"%d" % len(data)), *_SAFE]})  # fmt: skip
        await send({"type": "http.response.body", "body": data})

    def _reply(self, scope: Any, headers: dict[bytes, bytes], need: str, body: bytes, started: float) -> Reply:
        """Answer a request whose body has come; whatever it holds, this does not raise."""
        path, model, rows = scope["path"], self.model, 0
        kept: Future[None] | None = None
        try:
            if need == "predict":
                if self.canary is not None and takes_part(
                    headers.get(b"x-key") or body, self.canary[0].version, self.canary[1]
                ):
                    model = self.canary[0]
                asked = _asked(headers, path, body, model, scope["query_string"])
                rows = asked.count
                data, extra, kept = self._predict_or_fall_back(model, asked, rows, started)
            elif path == "/feedback":
                data, extra, kept = self._take_feedback(body)
            else:
                data, extra = self._take_events(body)
            status = 200
        except _RefusedError as error:
            status, data, extra = error.status, _problem(error.code, str(error), error.rows), JSON
        except msgspec.ValidationError as error:
            status, extra = 422, JSON
            data = _problem(
                "bad_request", f"the request does not have the expected shape: {error}{_SHAPES.get(path, '')}"
            )
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            told = f"the request is not JSON: {error}{_other_kind(headers, path, body)}"
            status, data, extra = 400, _problem("not_json", told), JSON
        except RecursionError:
            status, data, extra = 400, _problem("not_json", "the request is nested too deeply"), JSON
        except RowsError as error:
            wrong = [{"row": item.row, "field": item.field, "message": item.message} for item in error.problems[:100]]
            status, data, extra = 422, _problem("bad_rows", str(error), wrong), JSON
        except PenstockError as error:
            status, data, extra = 422, _problem("bad_rows", str(error)), JSON
        except OSError as error:
            status, data, extra = self._not_logged(error)
        except Exception as error:
            tell(f"a request failed: {type(error).__name__} at {_place(error)}", "error")
            told = "the model failed on this request; the service's error output says why"
            status, data, extra = 500, _problem("internal", told), JSON
        seconds = time.perf_counter() - started
        named = path if path in POSTED else "/v2/infer"
        self.metrics.answered(model.version, named, status, rows if status == 200 and need == "predict" else 0, seconds)
        if self.seen is not None and need == "predict":
            self.seen(model.version, status, seconds)
        return status, data, extra, kept

    def _not_logged(self, error: OSError) -> tuple[int, bytes, list[Header]]:
        self.metrics.numbers.log_failures += 1
        told = f"the log cannot be written: {error.strerror or error}; nothing was answered, ask again later"
        return 503, _problem("not_logged", told), [*JSON, (b"retry-after", b"1")]

    def _predict_or_fall_back(
        self, model: Served, asked: Asked, count: int, started: float
    ) -> tuple[bytes, list[Header], Future[None] | None]:
        """Let the fallbacks answer, one after the other, where a model fails that should not; bad rows stay bad."""
        try:
            return self._predict(model, asked, count, started)
        except (_RefusedError, PenstockError, OSError):
            raise
        except Exception as error:
            for other in self.fallbacks:
                try:
                    data, headers, kept = self._predict(other, asked, count, started)
                except OSError:
                    raise
                except Exception as again:
                    tell(f"v{other.version} failed too: {type(again).__name__} at {_place(again)}", "error")
                    continue
                told = f"v{other.version}" if other.version > 0 else "constant"
                tell(f"v{model.version} failed: {type(error).__name__} at {_place(error)}; answered: {told}", "error")
                return data, [*headers, (b"x-penstock-fallback", told.encode())], kept
            raise

    def _predict(
        self, model: Served, asked: Asked, count: int, started: float
    ) -> tuple[bytes, list[Header], Future[None] | None]:
        if count > MAX_ROWS:
            raise _RefusedError("too_many_rows", f"{count} rows in one request; at most {MAX_ROWS} are answered")
        try:
            answers, whys = _answered(model, asked)
        except RowsError:
            # Nested as in the files: looked for where rows do not fit, so that it costs the others nothing.
            if asked.rows is None or (plain := unnested(asked.rows)) is None:
                raise
            asked = msgspec.structs.replace(asked, rows=plain)
            answers, whys = _answered(model, asked)
        process, numbers = self.keeper.process, self.numbers
        ids = [f"{process}-{next(numbers)}" for _ in answers]
        rows: Sequence[Any] = asked.rows if asked.rows is not None else asked.table.to_dicts()
        data, headers = asked.write(Answered(model.name, model.version, ids, answers, whys))
        kept = self.keeper.answers(model.version, ids, rows, answers, time.perf_counter() - started)
        if self.shadow is not None and count:
            self.shadow(ids, asked.rows, asked.table)
        return data, headers, kept

    def _take_feedback(self, body: bytes) -> tuple[bytes, list[Header], Future[None] | None]:
        labels = read_feedback(body)
        wrong = [
            {"row": number, "field": "label", "message": problem}
            for number, item in enumerate(labels)
            if (problem := self.model.check_label(item.label)) is not None
        ]
        if wrong:
            raise _RefusedError("bad_labels", str(wrong[0]["message"]), wrong[:100])
        kept = self.keeper.labels([(item.id, item.label) for item in labels])
        return _encode({"accepted": len(labels)}), JSON, kept

    def _take_events(self, body: bytes) -> tuple[bytes, list[Header]]:
        told = read_events(body)
        if len(told.rows) > MAX_ROWS:
            raise _RefusedError(
                "too_many_rows", f"{len(told.rows)} events in one request; at most {MAX_ROWS} are taken"
            )
        if self.events is None:
            raise _RefusedError("no_events", "this service takes no events")
        self.events.take(self.hearers(), told.table, unnested(told.rows) or told.rows)
        return _encode({"accepted": len(told.rows)}), JSON


def _at_once(work: Callable[[], None]) -> None:
    work()


def _answered(model: Served, asked: Asked) -> tuple[Sequence[Answer], list[Why] | None]:
    """Answer what was asked, and say why where that was asked too."""
    if asked.explain:
        if asked.count > MAX_EXPLAINED:
            most = f"{asked.count} rows in one request; at most {MAX_EXPLAINED} are explained"
            raise _RefusedError("too_many_rows", most)
        explained = model.explain(asked.rows or [])
        return [item.answer for item in explained], [why_of(item) for item in explained]
    if asked.rows is not None:
        return model.predict_rows(asked.rows), None
    assert asked.table is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        try:
            return model.answer(asked.table), None
        except DataWarning as warning:  # refused as rows that come as JSON are
            raise DataError(warning.found) from None


class _RefusedError(Exception):
    """A request that is understood and not answered."""

    def __init__(self, code: str, message: str, rows: Sequence[Mapping[str, Any]] = (), status: int = 422) -> None:
        super().__init__(message)
        self.code, self.rows, self.status = code, rows, status


_TOO_LARGE: Refusal = (
    413,
    "too_large",
    f"the request is larger than {MAX_BYTES // 1024**2} MB; send fewer rows at once",
    [],
)


async def _body(receive: Any, headers: Mapping[bytes, bytes]) -> bytes | Refusal | None:
    """Read a body to its end and unpack it, or say why not; None when the other side has gone."""
    message = await receive()
    body = message.get("body", b"")
    if len(body) > MAX_BYTES or _announced(headers) > MAX_BYTES:
        return _TOO_LARGE
    if message.get("more_body", False):
        try:
            async with asyncio.timeout(BODY_SECONDS):
                rest = await _rest(body, receive)
        except TimeoutError:
            return 408, "too_slow", f"the request did not come within {BODY_SECONDS:.0f} s", []
        if rest is None:
            return None
        body = rest
    if coding := headers.get(b"content-encoding"):
        unpacked = unpack(body, coding, MAX_BYTES)
        return _TOO_LARGE if unpacked is None else unpacked
    return body if len(body) <= MAX_BYTES else _TOO_LARGE


async def _rest(body: bytes, receive: Any) -> bytes | None:
    """Read on to the end, or to where it is too much; None when the other side has gone."""
    parts, size = [body], len(body)
    while size <= MAX_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _announced(headers: Mapping[bytes, bytes]) -> int:
    """How long the body says it is."""
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _asked(headers: Mapping[bytes, bytes], path: str, body: bytes, model: Served, query: bytes) -> Asked:
    kind = headers.get(b"content-type", b"")
    if path == "/predict":
        asked = read_body(kind, headers.get(b"accept", b""), body)
        return with_query(asked, query) if query else asked
    if path == "/invocations":
        return read_invocation(kind, body)
    name, _, rest = path.removeprefix("/v2/models/").rpartition("/infer")[0].partition("/versions/")
    if name != model.name or (rest and rest != str(model.version)):
        known = f"{model.name}, version {model.version}"
        raise _RefusedError("not_found", f"there is no such model or version here; there is {known}", (), 404)
    return read_infer(body, headers.get(b"inference-header-content-length", b""))


def _other_kind(headers: Mapping[bytes, bytes], path: str, body: bytes) -> str:
    """Say what may be meant by a body that is not JSON."""
    if b"NaN" in body or b"Infinity" in body:
        return "; NaN and Infinity are no JSON: send null"
    if path == "/predict" and b"json" not in headers.get(b"content-type", b"json"):
        return "; other bodies say by Content-Type what they are: text/csv, application/x-ndjson, application/vnd.apache.arrow.stream"
    if path == "/predict" and b"\n{" in body:
        return "; for a row a line say Content-Type: application/x-ndjson"
    return ""


def _place(error: BaseException) -> str:
    """Where an error arose. Its own words are left out: they may hold cells of the request."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "–" if frame is None else f"{Path(frame.tb_frame.f_code.co_filename).name}, line {frame.tb_lineno}"


def _problem(code: str, message: str, rows: Sequence[Mapping[str, Any]] = ()) -> bytes:
    return _encode({"error": {"code": code, "message": message, "rows": list(rows)}})
