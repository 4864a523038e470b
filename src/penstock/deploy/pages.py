"""What the service says of itself: pages for people, facts for machines, health for whoever watches over it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from penstock.deploy.openapi import describe
from penstock.deploy.protocols import model_metadata, server_metadata
from penstock.deploy.service import POSTED, Service
from penstock.types.writing import figure
from penstock.version import __version__

Facts = Callable[[], dict[str, Any]]
"""What the catalog knows of the champion: metrics, run, lineage."""
Compared = Callable[[], list[dict[str, Any]]]
"""What the log knows of each version: answers, latency, the metric where labels came."""

_HEADERS = {
    "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}  # fmt: skip


def pages(service: Service, facts: Facts, compared: Compared) -> Any:
    """Return the ASGI application of all paths but the busy ones."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters["figure"] = figure

    def page(name: str, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(16)
        text = templates.get_template(name).render(nonce=nonce, penstock=__version__, **values)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(text, headers={"content-security-policy": policy})

    def named() -> dict[str, Any]:
        return {"name": service.model.name, "version": service.model.version}

    def live(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    def ready(_request: Request) -> Response:
        if service.keeper.behind:
            return JSONResponse({"status": "log behind", "model": named()}, 503)
        return JSONResponse({"status": "ready", "model": named()})

    def metrics(_request: Request) -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    def openapi(_request: Request) -> Response:
        return JSONResponse(describe(service.model))

    def home(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"model": named(), "paths": PATHS})
        model: Any = service.model
        ranges, typical = model.manifest.profile.ranges(), model.typical_row()
        columns = [
            {"name": column.name, "type": column.type, "reads": column.reads, "values": column.values,
             "range": ranges.get(column.name), "value": typical.get(column.name)}
            for column in model.inputs if column.required
        ]  # fmt: skip
        return page(
            "home.html", model=model, columns=columns, typical=typical, facts=facts(), paths=PATHS,
            url=str(request.base_url).rstrip("/"), described=describe(model), locked=service.guard.scopes is not None,
        )  # fmt: skip

    def model(_request: Request) -> Response:
        return JSONResponse({**named(), **_schema(service.model), **facts()})

    def versions(request: Request) -> Response:
        found = compared()
        tried = {"canary": None, "share": 0.0}
        if service.canary is not None:
            tried = {"canary": service.canary[0].version, "share": service.canary[1]}
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"champion": service.model.version, **tried, "versions": found})
        return page("versions.html", model=service.model, versions=found, tried=tried)

    def metadata(request: Request) -> Response:
        if wrong := _unknown(request, service.model):
            return wrong
        return JSONResponse(model_metadata(service.model))

    def model_ready(request: Request) -> Response:
        return _unknown(request, service.model) or JSONResponse({"name": service.model.name, "ready": True})

    routes: dict[str, tuple[Callable[[Request], Response], str]] = {
        "/health": (ready, ""),
        "/healthz": (ready, ""),
        "/health/live": (live, ""),
        "/health/ready": (ready, ""),
        "/v2/health/live": (lambda _: JSONResponse({"live": True}), ""),
        "/v2/health/ready": (
            lambda _: JSONResponse({"ready": not service.keeper.behind}, 503 if service.keeper.behind else 200),
            "",
        ),
        "/ping": (lambda _: Response("\n", media_type="application/json"), ""),
        "/version": (lambda _: Response(__version__), ""),
        "/": (home, "predict"),
        "/docs": (lambda _: RedirectResponse("/"), "predict"),
        "/model": (model, "predict"),
        "/openapi.json": (openapi, "predict"),
        "/v2": (lambda _: JSONResponse(server_metadata()), "predict"),
        "/v2/models/{name}": (metadata, "predict"),
        "/v2/models/{name}/ready": (model_ready, "predict"),
        "/v2/models/{name}/versions/{version}": (metadata, "predict"),
        "/v2/models/{name}/versions/{version}/ready": (model_ready, "predict"),
        "/metrics": (metrics, "admin"),
        "/versions": (versions, "admin"),
    }

    def guarded(answer: Callable[[Request], Response], need: str) -> Callable[[Request], Response]:
        def answering(request: Request) -> Response:
            refused = service.guard.refuse(request.scope, need) if need and not service.guard.open else None
            if refused is None:
                made = answer(request)
            else:
                status, code, told, more = refused
                made = _problem(status, code, told)
                for key, value in more:
                    made.headers[key.decode()] = value.decode()
            for name, text in _HEADERS.items():
                made.headers.setdefault(name, text)
            return made

        return answering

    def wrong(_request: Request, error: Any) -> Response:
        if error.status_code == 405:
            allowed = error.headers or {}
            answered = _problem(405, "other_method", f"this path takes {allowed.get('Allow', 'another method')}; see /")
            answered.headers.update(allowed)
            return answered
        return _problem(404, "not_found", "there is no such path; see /")

    return Starlette(
        routes=[
            *(Route(path, guarded(answer, need)) for path, (answer, need) in routes.items()),
            # What is posted there is the service's own: here all other methods are told so.
            *(Route(path, live, methods=["POST"]) for path in (*POSTED, "/v2/models/{name}/infer")),
        ],
        exception_handlers={404: wrong, 405: wrong},
    )


PATHS = {
    "POST /predict": "rows as objects or columns, CSV, or an Arrow stream; explain: why",
    "POST /feedback": "what turned out to be true",
    "POST /events": "what has happened since",
    "GET /model": "columns, metrics, lineage",
    "GET /openapi.json": "this API, described",
    "GET /versions": "the versions under traffic",
    "GET /metrics": "figures for Prometheus",
    "GET /health/live": "whether the process answers",
    "GET /health/ready": "whether it takes requests",
    "POST /v2/models/NAME/infer": "the Open Inference Protocol, as KServe's clients speak it",
    "POST /invocations": "MLflow's scoring protocol",
}
"""What there is, for who asks at ``/``."""


def _unknown(request: Request, model: Any) -> Response | None:
    name, version = request.path_params["name"], request.path_params.get("version")
    if name == model.name and version in (None, str(model.version)):
        return None
    return _problem(404, "not_found", f"there is no such model or version; there is {model.name}, v{model.version}")


def _problem(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "rows": []}}, status)


def _schema(model: Any) -> Mapping[str, Any]:
    columns = [
        {"name": column.name, "type": column.type, "required": column.required, "values": column.values}
        for column in model.inputs
    ]
    return {
        "task": model.task, "target": model.labels.column, "classes": model.labels.names, "columns": columns,
        "example": model.typical_row(),
    }  # fmt: skip
