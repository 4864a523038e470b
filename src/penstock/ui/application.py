"""The pages themselves: one function a page, each a question to the catalog and a template."""

from __future__ import annotations

import base64
import json
import secrets
import time
import urllib.parse
from pathlib import Path
from typing import Any

import jinja2
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from penstock import audit, catalogue, outcome, retrospect
from penstock.changes import moved_columns
from penstock.deploy import rollout
from penstock.deploy.notices import tell
from penstock.deploy.registry import Registry, names
from penstock.engine import notes
from penstock.engine.execute import load
from penstock.engine.history import artifact_of, diff_runs, past_run, past_runs
from penstock.engine.memory import find_artifacts
from penstock.errors import InputError, PenstockError
from penstock.monitor.decisions import answer, decisions_of
from penstock.store.schema import alerts, runs
from penstock.store.store import Store
from penstock.traffic import traffic_of
from penstock.types.writing import figure, moment, seconds, size
from penstock.ui import drawings, questions, trying
from penstock.ui.access import COOKIE, Access
from penstock.ui.previews import preview
from penstock.ui.timeline import happenings, timeline
from penstock.version import __version__

_HERE = Path(__file__).parent
_LARGEST_FORM = 8_192
_HEADERS = {
    "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "same-origin", "cache-control": "no-store",
}  # fmt: skip
_DOCUMENT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
"""Policy of a report: a document of our own without scripts, opened where it can reach nothing."""


def application(store: Store, access: Access, *, secure: bool = False) -> Starlette:
    """Return the ASGI application.

    Parameters
    ----------
    store : Store
        Whose catalog is shown.
    access : Access
        Who may look and decide.
    secure : bool
        Whether it is reached by HTTPS, so that browsers send its cookie by nothing else.
    """
    templates = _templates()

    def page(request: Request, template: str, code: int = 200, /, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(16)
        cookie = request.cookies.get(COOKIE)
        text = templates.get_template(template).render(
            nonce=nonce, penstock=__version__, store=store.location, form_token=access.form_token(cookie), path=request.url.path,
            role=access.role_in(cookie, _bearer(request)), open=not access.tokens, asked=request.query_params.get("q", ""), **values,
        )  # fmt: skip
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        return HTMLResponse(text, code, headers={"content-security-policy": policy})

    def home(request: Request) -> Response:
        return page(request, "pipelines.html", pipelines=questions.pipelines(store))

    def run_list(request: Request) -> Response:
        asked = request.query_params
        text = asked.get("page", "1")
        number = int(text) if text.isdecimal() and len(text) < 10 else 1
        pipeline, status = asked.get("pipeline") or None, asked.get("status") or None
        found, more = questions.runs_page(store, pipeline, status, max(number, 1))
        return page(
            request,
            "runs.html",
            runs=found,
            more=more,
            number=number,
            pipeline=pipeline,
            status=status,
            modelled=pipeline in names(store),
            tags=notes.tags_of(store, [item.run for item in found]),
        )

    def run(request: Request, template: str = "run.html") -> Response:
        found = past_run(store, request.path_params["run"])
        drawn = questions.graph_of(store, found)
        ended = found.finished or time.time()
        before = past_runs(store, found.pipeline, 1, where=[runs.c.started < found.started])
        return page(
            request, template, run=found, drawn=drawn, ended=ended, before=before[0] if before else None,
            said=notes.notes_of(store, [found.run]),
        )  # fmt: skip

    def live(request: Request) -> Response:
        return run(request, "live.html")

    def step(request: Request) -> Response:
        found, name = past_run(store, request.path_params["run"]), request.path_params["step"]
        item = next((item for item in found.steps if item["name"] == name), None)
        if item is None:
            raise InputError(f"run {found.run} has no step {name!r}")
        ref = find_artifacts(store, [item["key"]]).get(item["key"]) if item["key"] else None
        drawn = questions.graph_of(store, found)
        return page(
            request, "step.html", run=found, item=item, ref=ref, seen=None if ref is None else preview(store, ref),
            parts={} if ref is None else questions.parts_of(store, item["key"]), needs=[one for one, other in drawn.edges if other == name],
            feeds=[other for one, other in drawn.edges if one == name], pieces=drawn.parts.get(name, []),
        )  # fmt: skip

    def compare(request: Request) -> Response:
        one, other = request.query_params.get("one", "latest~1"), request.query_params.get("other", "latest")
        found = diff_runs(store, one, other)
        found.data.extend(moved_columns(store, one, other))
        return page(
            request, "compare.html", found=found, one=past_run(store, found.one), other=past_run(store, found.other)
        )

    def model(request: Request) -> Response:
        name = request.path_params["name"]
        registry = Registry(store, name)
        versions = registry.versions()
        if not versions:
            registry.version(1)  # says that there is none, and which there are
        return page(
            request, "model.html", name=name, versions=versions, changes=registry.history(), tried=rollout.rollout_of(store, name),
        )  # fmt: skip

    def features(request: Request) -> Response:
        name = request.path_params["name"]
        return page(request, "features.html", name=name, features=catalogue.feature_catalogue(store, name))

    def traffic(request: Request) -> Response:
        name = request.path_params["name"]
        return page(
            request, "traffic.html", name=name, versions=traffic_of(store, name), changes=rollout.changes(store, name),
            tried=rollout.rollout_of(store, name),
        )  # fmt: skip

    def monitoring(request: Request) -> Response:
        name = request.path_params["name"]
        Registry(store, name).version("champion")
        question = sa.select(alerts).where(alerts.c.pipeline == name).order_by(alerts.c.id.desc()).limit(50)
        with store.catalog.read() as connection:
            rung = connection.execute(question).all()
        decided, now = decisions_of(store, name)[:200], time.time()
        seen = [(item.at, ", ".join(json.loads(item.verdict)["columns"]) or "answers") for item in rung]
        lanes = happenings(Registry(store, name).history(), seen, decided, now)
        return page(request, "monitoring.html", name=name, decisions=decided, alerts=rung, lanes=lanes, now=now)

    def attempt(request: Request) -> Response:
        name = request.path_params["name"]
        model = outcome.load(name, "champion", store)
        tried = trying.answered(model, dict(request.query_params))
        return page(request, "try.html", name=name, model=model, tried=tried)

    def document(request: Request) -> Response:
        name, what = request.path_params["name"], request.path_params["what"]
        version = request.path_params["version"]
        found = Registry(store, name).version(int(version) if version.isdecimal() and len(version) < 10 else version)
        ref = artifact_of(store, past_run(store, found.run), what)
        if ref is None:
            raise InputError(f"the {what} of {name} v{found.version} is no longer in the store")
        made = load(store, ref)
        if what == "card":
            return PlainTextResponse(made, headers={"content-security-policy": _DOCUMENT})
        return HTMLResponse(made, headers={"content-security-policy": _DOCUMENT})

    def acted(request: Request) -> Response:
        name = request.query_params.get("pipeline") or None
        return page(request, "audit.html", name=name, acts=audit.acts(store, name, 200))

    def search(request: Request) -> Response:
        return page(request, "search.html", found=questions.search(store, request.query_params.get("q", "")))

    def login(request: Request) -> Response:
        return page(request, "login.html", wrong=False, next=_inside(request.query_params.get("next", "/")))

    async def enter(request: Request) -> Response:
        form = await _form(request)
        role = access.role_of(form.get("token", ""))
        if role is None:
            return page(request, "login.html", 403, wrong=True, next=_inside(form.get("next", "/")))
        made = RedirectResponse(_inside(form.get("next", "/")), 303)
        made.set_cookie(COOKIE, access.cookie(role), httponly=True, samesite="strict", secure=secure, path="/")
        return made

    async def leave(_request: Request) -> Response:
        made = RedirectResponse("/login", 303)
        made.delete_cookie(COOKIE, path="/")
        return made

    async def decided(request: Request) -> Response:
        form = await _form(request)
        name, number, status = (request.path_params[key] for key in ("name", "number", "status"))
        if status not in ("approved", "rejected"):
            raise _Refused(404, "a decision is approved or rejected")
        why = form.get("why", "").strip()[:500] or "by hand, on the page"
        # A token says what one may do, not who one is; without tokens it is who began the page.
        by = "the page" if access.tokens else None
        await run_in_threadpool(answer, store, name, number, status, why, by)
        return RedirectResponse(f"/models/{urllib.parse.quote(name, safe='')}/monitoring", 303)

    async def noted(request: Request) -> Response:
        form = await _form(request)
        found = await run_in_threadpool(past_run, store, request.path_params["run"])
        try:
            if tag := form.get("tag", "").strip():
                await run_in_threadpool(notes.add_tags, store, found.run, [tag])
            if text := form.get("text", "").strip():
                await run_in_threadpool(notes.add_note, store, found.run, text)
        except InputError as error:
            raise _Refused(400, str(error)) from error
        return RedirectResponse(f"/runs/{found.run}", 303)

    async def look(request: Request) -> Response:
        await _form(request)
        made = await run_in_threadpool(retrospect.report, request.path_params["name"], store)
        return HTMLResponse(made, headers={"content-security-policy": _DOCUMENT})

    async def _form(request: Request) -> dict[str, str]:
        """Read a form that this server made; one of another site is refused before anything is done."""
        body = b""
        async for some in request.stream():
            body += some
            if len(body) > _LARGEST_FORM:
                raise _Refused(413, "the form is too large")
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        origin = request.headers.get("origin")
        if origin is not None and urllib.parse.urlsplit(origin).netloc != request.headers.get("host"):
            raise _Refused(403, "the form was sent by another site")
        if not access.form_is_ours(request.cookies.get(COOKIE), form.get("form_token", "")):
            raise _Refused(403, "the form is not of this session: open the page again")
        return form

    def refusal(request: Request, need: str | None) -> Response | None:
        if not access.knows_host(request.headers.get("host", "")):
            return PlainTextResponse("this server is asked by its own name only, such as localhost", 421)
        role = access.role_in(request.cookies.get(COOKIE), _bearer(request))
        if need is None or role == "decider" or role == need:
            return None
        if role is not None:
            text = "Your token lets you look; to decide takes the other one."
            return page(request, "error.html", 403, told=text, code=403)
        where = urllib.parse.quote(str(request.url.path), safe="/")
        return RedirectResponse(f"/login?next={where}", 303)

    def told(request: Request, error: Exception) -> Response:
        code, text = 404, "There is no such page."
        if isinstance(error, _Refused):
            code, text = error.status, str(error)
        elif isinstance(error, PenstockError):
            code, text = 404 if error.exit_code == 2 else 500, str(error)
        return page(request, "error.html", code, told=text, code=code)

    def guarded(what: Any, need: str | None) -> Any:
        async def answering(request: Request) -> Response:
            made: Response
            if (refused := refusal(request, need)) is not None:
                made = refused
            else:
                try:
                    made = await (what(request) if what in waits else run_in_threadpool(what, request))
                except (PenstockError, _Refused) as error:
                    made = told(request, error)
                except Exception as error:
                    tell(f"{request.url.path}: {type(error).__name__}: {error}", "error")
                    made = page(request, "error.html", 500, told="An error of ours; the terminal says more.", code=500)
            for header, text in _HEADERS.items():
                made.headers.setdefault(header, text)
            return made

        return answering

    waits = (enter, leave, decided, noted, look)
    shown: list[tuple[str, Any]] = [
        ("/", home), ("/runs", run_list), ("/runs/{run}", run), ("/runs/{run}/live", live), ("/runs/{run}/steps/{step:path}", step), ("/compare", compare),
        ("/search", search), ("/audit", acted), ("/models/{name}", model), ("/models/{name}/features", features), ("/models/{name}/traffic", traffic),
        ("/models/{name}/monitoring", monitoring), ("/models/{name}/try", attempt), ("/models/{name}/versions/{version}/{what:str}", document),
    ]  # fmt: skip
    changes: list[tuple[str, Any]] = [
        ("/models/{name}/decisions/{number:int}/{status}", decided), ("/models/{name}/drift", look),
        ("/runs/{run}/notes", noted),
    ]  # fmt: skip
    return Starlette(
        routes=[
            *(Route(path, guarded(what, "reader")) for path, what in shown),
            *(Route(path, guarded(what, "decider"), methods=["POST"]) for path, what in changes),
            Route("/login", guarded(login, None)),
            Route("/login", guarded(enter, None), methods=["POST"]),
            Route("/logout", guarded(leave, None), methods=["POST"]),
        ],
        exception_handlers={404: told, 405: told},
    )


class _Refused(Exception):
    def __init__(self, status: int, told: str) -> None:
        super().__init__(told)
        self.status = status


def _bearer(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" and token else None


def _inside(path: str) -> str:
    """Return a path of this server, whatever a link said."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_HERE / "templates", _HERE.parent / "deploy" / "templates"]),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "moment": moment, "took": seconds, "quoted": lambda text: urllib.parse.quote(str(text), safe=""),
        "unjson": json.loads, "figure": figure, "size": size,
        "data_url": lambda data: "data:image/png;base64," + base64.b64encode(data).decode(),
    }  # fmt: skip
    made.globals |= {
        "graph": drawings.graph, "bar": drawings.bar, "sparkline": drawings.sparkline, "timeline": timeline,
    }  # fmt: skip
    return made
