"""The web API: requests in, answers out, every answer logged first; a new champion takes over between two requests.

Knows HTTP and the shape of requests; what a row means is the model's business, what a log is, monitor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from penstock.deploy.messages import (
    Named,
    Prediction,
    Predictions,
    Why,
    read_events,
    read_feedback,
    read_predict,
    why_of,
)
from penstock.deploy.openapi import describe
from penstock.errors import InputError, PenstockError
from penstock.types.rows import RowsError

MAX_BYTES = 16 * 1024 * 1024
"""Largest request."""
MAX_ROWS = 10_000
"""Most rows of one request."""
MAX_EXPLAINED = 100
"""Rows of one request that are explained: each takes thousands of answers."""


class Answer(Protocol):
    """One prediction."""

    @property
    def prediction(self) -> Any:
        """The likeliest class, or a number."""
        ...

    @property
    def probabilities(self) -> dict[str, float] | None:
        """Class to probability; None for a regression."""
        ...

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of a number, between which the truth is expected."""
        ...


class Served(Protocol):
    """A model that answers."""

    name: str
    version: int

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Answer]:
        """Answer raw rows, or raise :class:`RowsError`."""
        ...

    def explain(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Answer raw rows and say why, or raise :class:`RowsError`."""
        ...

    def check_label(self, label: Any) -> str | None:
        """Say what is wrong with a label, or None."""
        ...


class Feed(Protocol):
    """Keeps models up with events."""

    def prepare(self, model: Any) -> None:
        """Tell a model that was just loaded all that is known."""
        ...

    def arrive(self, model: Any) -> None:
        """Tell a model that takes over now what came since."""
        ...

    def follow(self, model: Any) -> None:
        """Tell the model that answers what other services were told."""
        ...

    def take(self, model: Any, table: str, rows: list[Any]) -> None:
        """Check, keep and count events, or raise :class:`RowsError`."""
        ...


Record = Callable[[int, list[tuple[str, Mapping[str, Any], Answer]]], None]
"""Keeps a model version's answers: id, row and answer of each."""


_encode = msgspec.json.Encoder().encode
_BUSY = ("/predict", "/feedback", "/events")
_JSON = [(b"content-type", b"application/json")]


class Service:
    """The ASGI application of one pipeline's champion.

    Parameters
    ----------
    model : Served
        What answers at first.
    record : callable
        Keeps answers before they leave.
    feedback : callable
        Keeps labels: called with (id, label) pairs.
    process : str
        Beginning of every prediction id, unlike any other process's.
    events : Feed, optional
        Checks, keeps and counts events.
    strict_log : bool
        Refuse to answer what could not be logged.
    """

    def __init__(
        self,
        model: Served,
        record: Record,
        feedback: Callable[[list[tuple[str, Any]]], None],
        process: str,
        *,
        events: Feed | None = None,
        strict_log: bool = False,
    ) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.model, self.record, self.feedback, self.strict_log = model, record, feedback, strict_log
        self.events = events
        self.process, self.numbers = process, itertools.count(1)
        registry = self.registry = CollectorRegistry()
        requests = Counter("penstock_requests", "Requests by path and status.", ["path", "status"], registry=registry)
        self._counted = {(path, status): requests.labels(path, str(status)) for path in _BUSY
                         for status in (200, 400, 413, 422, 500, 503)}  # fmt: skip
        self._rows = Counter("penstock_predictions", "Rows answered.", registry=registry)
        self._unlogged = Counter("penstock_unlogged_predictions", "Rows answered but not logged.", registry=registry)
        self._seconds = Histogram("penstock_request_seconds", "Time of a predict request.", registry=registry,
                                  buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5))  # fmt: skip
        self._version = Gauge("penstock_model_version", "Version of the model that answers.", registry=registry)
        self._version.set(model.version)
        self._web: Any = None
        self._warned = False

    def swap(self, model: Served) -> None:
        """Let another version answer from the next request on, after it was told the events that came meanwhile."""
        if self.events is not None:
            self.events.arrive(model)
        self.model = model
        self._version.set(model.version)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; everything but the two busy paths goes to Starlette."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in _BUSY:
            await self._post(scope, receive, send)
            return
        if self._web is None:
            self._web = self._routes()
        await self._web(scope, receive, send)

    async def _post(self, scope: Any, receive: Any, send: Any) -> None:
        started = time.perf_counter()
        path = scope["path"]
        body, whole = b"", False
        too_large = any(
            name == b"content-length" and value.isdigit() and int(value) > MAX_BYTES for name, value in scope["headers"]
        )
        while not whole and not too_large:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            whole = not message.get("more_body", False)
            too_large = len(body) > MAX_BYTES
        if too_large:
            status, data = _problem(
                413,
                "too_large",
                f"the request is larger than {MAX_BYTES // 1024**2} MB; send fewer rows at once",
            )
        else:
            answers = {"/predict": self._predict, "/feedback": self._take_feedback, "/events": self._take_events}
            status, data = self._guarded(answers[path], body)
        self._counted[path, status].inc()
        if path == "/predict":
            self._seconds.observe(time.perf_counter() - started)
        headers = [*_JSON, (b"content-length", b"%d" % len(data))]
        if too_large:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    def _guarded(self, answer: Callable[[bytes], tuple[int, bytes]], body: bytes) -> tuple[int, bytes]:
        try:
            return answer(body)
        except msgspec.ValidationError as error:
            return _problem(422, "bad_request", f"the request does not have the expected shape: {error}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _problem(400, "not_json", f"the request is not JSON: {error}")
        except RecursionError:
            return _problem(400, "not_json", "the request is nested too deeply")
        except RowsError as error:
            rows = [{"row": item.row, "field": item.field, "message": item.message} for item in error.problems[:100]]
            return _problem(422, "bad_rows", str(error), rows)
        except PenstockError as error:
            return _problem(422, "bad_rows", str(error))
        except Exception as error:
            _tell(f"error: {type(error).__name__}: {error}")
            return _problem(500, "internal", "the model failed on this request; the service's error output says why")

    def _predict(self, body: bytes) -> tuple[int, bytes]:
        model = self.model
        asked = read_predict(body)
        rows = asked.rows
        if len(rows) > MAX_ROWS:
            return _problem(422, "too_many_rows", f"{len(rows)} rows in one request; at most {MAX_ROWS} are answered")
        answers: Sequence[Answer]
        whys: Sequence[Why | msgspec.UnsetType] = [msgspec.UNSET] * len(rows)
        if asked.explain:
            if len(rows) > MAX_EXPLAINED:
                most = f"{len(rows)} rows in one request; at most {MAX_EXPLAINED} are explained"
                return _problem(422, "too_many_rows", most)
            explained = model.explain(rows)
            answers, whys = [item.answer for item in explained], [why_of(item) for item in explained]
        else:
            answers = model.predict_rows(rows)
        process, numbers = self.process, self.numbers
        kept = [(f"{process}-{next(numbers)}", row, answer) for row, answer in zip(rows, answers, strict=True)]
        try:
            self.record(model.version, kept)
        except OSError as error:
            if self.strict_log:
                return _problem(
                    503,
                    "not_logged",
                    f"the prediction log cannot be written: {error.strerror}; nothing was answered",
                )
            self._unlogged.inc(len(kept))
            if not self._warned:
                self._warned = True
                _tell(f"warning: the prediction log cannot be written: {error}; answers go on")
        self._rows.inc(len(kept))
        predictions = [
            Prediction(
                id_,
                answer.prediction,
                msgspec.UNSET if answer.probabilities is None else answer.probabilities,
                msgspec.UNSET if answer.interval is None else answer.interval,
                why,
            )
            for (id_, _, answer), why in zip(kept, whys, strict=True)
        ]
        return 200, _encode(Predictions(Named(model.name, model.version), predictions))

    def _take_feedback(self, body: bytes) -> tuple[int, bytes]:
        labels = read_feedback(body).labels
        wrong = [
            {"row": number, "field": "label", "message": problem}
            for number, item in enumerate(labels)
            if (problem := self.model.check_label(item.label)) is not None
        ]
        if wrong:
            return _problem(422, "bad_labels", str(wrong[0]["message"]), wrong[:100])
        try:
            self.feedback([(item.id, item.label) for item in labels])
        except OSError as error:
            return _problem(503, "not_logged", f"the labels cannot be written: {error.strerror}; send them again later")
        return 200, _encode({"accepted": len(labels)})

    def _take_events(self, body: bytes) -> tuple[int, bytes]:
        told = read_events(body)
        if len(told.rows) > MAX_ROWS:
            return _problem(
                422, "too_many_rows", f"{len(told.rows)} events in one request; at most {MAX_ROWS} are taken"
            )
        if self.events is None:
            return _problem(422, "no_events", "this service takes no events")
        try:
            self.events.take(self.model, told.table, told.rows)
        except OSError as error:
            return _problem(503, "not_logged", f"the events cannot be written: {error.strerror}; send them again later")
        return 200, _encode({"accepted": len(told.rows)})

    def _routes(self) -> Any:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse, Response
        from starlette.routing import Route

        async def live(_request: Any) -> Response:
            return JSONResponse({"status": "live"})

        async def ready(_request: Any) -> Response:
            return JSONResponse({"status": "ready", "model": {"name": self.model.name, "version": self.model.version}})

        async def metrics(_request: Any) -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        async def openapi(_request: Any) -> Response:
            return JSONResponse(describe(self.model))

        async def home(_request: Any) -> Response:
            paths = [
                "POST /predict",
                "POST /feedback",
                "POST /events",
                "/openapi.json",
                "/health/live",
                "/health/ready",
                "/metrics",
            ]
            return JSONResponse({"model": {"name": self.model.name, "version": self.model.version}, "paths": paths})

        async def wrong(_request: Any, error: Any) -> Response:
            message = {404: "there is no such path; see /", 405: "this path takes another method; see /"}.get(
                error.status_code, "error"
            )
            return JSONResponse(
                {"error": {"code": "not_found", "message": message, "rows": []}},
                status_code=error.status_code,
            )

        routes = [
            ("/health/live", live),
            ("/health/ready", ready),
            ("/metrics", metrics),
            ("/openapi.json", openapi),
            ("/", home),
        ]
        return Starlette(
            routes=[Route(path, call) for path, call in routes], exception_handlers={404: wrong, 405: wrong}
        )


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _problem(status: int, code: str, message: str, rows: Sequence[Mapping[str, Any]] = ()) -> tuple[int, bytes]:
    return status, _encode({"error": {"code": code, "message": message, "rows": list(rows)}})


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises
    ------
    InputError
        When another program has it, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(2048)
    except OSError as error:
        made.close()
        raise InputError(
            f"cannot serve on {host}:{port}: {error.strerror}. Give another port with --port, or --port 0 for a free one."
        ) from None
    return made


async def serve(
    service: Service,
    taken: socket.socket,
    newest: Callable[[], Served | None],
    *,
    poll: float = 1.0,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Answer until the process is told to stop; requests that are being answered are finished.

    Parameters
    ----------
    service : Service
        What answers.
    taken : socket
        From :func:`listen`.
    newest : callable
        Returns another version to swap to, or None; asked every `poll` seconds in a thread. When it fails, what
        serves goes on serving.
    started : callable
        Called when requests are taken.
    """
    import uvicorn

    config = uvicorn.Config(
        service,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=10,
        ws="none",
    )
    server = uvicorn.Server(config)

    async def watch() -> None:
        complaint = ""
        while True:
            await asyncio.sleep(poll)
            try:
                model = await asyncio.to_thread(newest)
                if model is not None:
                    service.swap(model)
                    _tell(f"now serving {model.name} v{model.version}")
                elif service.events is not None:
                    service.events.follow(service.model)
                complaint = ""
            except Exception as error:
                if str(error) != complaint:
                    complaint = str(error)
                    _tell(f"warning: v{service.model.version} goes on serving: {error}")

    watcher = asyncio.create_task(watch())
    asyncio.get_running_loop().call_soon(started)
    try:
        await server.serve(sockets=[taken])
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
