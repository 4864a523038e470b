"""The champion behind the web API: its log, its canary and shadow, its keys; in one process or several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.deploy.keys import scopes_by_digest
from penstock.deploy.limits import Guard
from penstock.deploy.listening import Tls, listen, serve
from penstock.deploy.metrics import Metrics
from penstock.deploy.registry import CHAMPION, Registry
from penstock.deploy.service import Service
from penstock.deploy.traces import traced
from penstock.errors import PenstockError
from penstock.feed import EventFeed, event_log
from penstock.following import Follower, fallbacks, first_that_loads, redacted
from penstock.logbook import Logbook, secret_of
from penstock.model import Model
from penstock.monitor.log import PredictionLog, log_folder
from penstock.store.store import Store, open_store
from penstock.traffic import traffic_of


@dataclass(frozen=True)
class Serving:
    """How a service answers.

    Attributes
    ----------
    log : {"fast", "durable", "off"}
        Whether an answer is logged before it leaves, and whether it waits until the disk holds it.
    workers : int
        Processes.
    rate : float or None
        Most requests a second of one key, or one address.
    tls : Tls or None
        Speak HTTPS.
    metrics : Path or None
        Folder in which the processes of one service keep their figures.
    """

    log: str = "fast"
    workers: int = 1
    rate: float | None = None
    tls: Tls | None = None
    metrics: Path | None = None


def make_service(store: Store, name: str, how: Serving = Serving(), model: Model | None = None) -> Service:
    """Make the web application of a pipeline's champion.

    Parameters
    ----------
    model : Model, optional
        The champion, where it was loaded already.

    Raises
    ------
    InputError
        When there is no champion.
    """
    registry = Registry(store, name)
    champion = registry.version(CHAMPION)
    model = model or first_that_loads(store, name)
    metrics = Metrics(how.metrics)
    folder = log_folder(store.folder, name)
    log = None
    if how.log != "off":
        log = PredictionLog(folder, durable=how.log == "durable", wrote=metrics.synced)
    keeper = Logbook(log, redacted(registry, champion), secret_of(store.folder))
    feed = EventFeed(event_log(store, name, durable=how.log == "durable"))

    def pages(service: Service) -> Any:
        from penstock.deploy.pages import pages as made

        return made(service, lambda: _facts(registry, service.model.version), lambda: traffic_of(store, name))

    guard = Guard(scopes_by_digest(store, name), how.rate)
    service = Service(model, keeper, pages, events=feed, guard=guard, metrics=metrics)
    service.fallbacks = fallbacks(store, champion, model)
    for hearer in service.hearers():
        feed.catch_up(hearer.model)
    return service


def _facts(registry: Registry, version: int) -> dict[str, Any]:
    found = registry.version(version)
    return {
        "metrics": found.evaluation.get("metrics", {}), "gate": found.evaluation.get("gate", {}), "aliases": found.aliases,
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.created)), "by": found.user, "run": found.run,
        "digest": found.digest, "rows": found.evaluation.get("rows", {}),
    }  # fmt: skip


def serve_champion(
    store: Store,
    name: str,
    host: str,
    port: int,
    how: Serving = Serving(),
    started: Callable[[str, Model], None] = lambda _url, _model: None,
) -> None:
    """Serve the champion of a pipeline until told to stop.

    Parameters
    ----------
    host, port : str, int
        Where; port 0 takes a free one.
    started : callable
        Told the URL and the model when requests are taken.

    Raises
    ------
    InputError
        When there is no champion, or the port is not to be had.
    """
    taken = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"{'http' if how.tls is None else 'https'}://{shown}:{taken.getsockname()[1]}"
    if how.workers == 1:
        service = make_service(store, name, how)
        _answer(store, service, taken, how, lambda: started(url, _model(service)))
        return
    with tempfile.TemporaryDirectory(prefix="penstock-metrics-") as folder:
        how = replace(how, metrics=Path(folder))
        from penstock.deploy.processes import run_workers

        Registry(store, name).version(CHAMPION)
        model = first_that_loads(store, name)
        # Tables start threads, which a fork does not carry over: a model that looks into tables is loaded by each worker.
        shared = None if model.knows.looks_up else _warm(model)
        store.close()

        def work(number: int) -> None:
            own = open_store(store.location)
            service = make_service(own, name, how, shared)
            _answer(own, service, taken, how, lambda: started(url, _model(service)) if number == 0 else None)

        run_workers(how.workers, work)


def _model(service: Service) -> Model:
    assert isinstance(service.model, Model)
    return service.model


def _warm(model: Model) -> Model:
    model.predictor  # noqa: B018
    with contextlib.suppress(Exception):  # a typical row may be none that the model accepts
        model.predict_rows([model.typical_row()])
    return model


def _answer(store: Store, service: Service, taken: Any, how: Serving, started: Callable[[], None]) -> None:
    import uvloop

    follower = Follower(store, service, how.workers)
    application = traced(service, service.model.name) if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") else service
    with contextlib.suppress(PenstockError):  # a champion that cannot be loaded: the next look tells of it
        if (change := follower.look()) is not None:
            change()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            serve(application, taken, follower.look, started=started, tls=how.tls, behind_proxy=how.rate is not None)
        )
    if isinstance(service.keeper, Logbook):
        service.keeper.close()
