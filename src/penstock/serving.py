"""The champion behind the web API: its log, its canary and shadow, its keys; in one process or several."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from penstock.deploy import rollout
from penstock.deploy.judging import LEVEL, Looks, Traffic, worse, worse_losses
from penstock.deploy.keys import scopes_by_digest
from penstock.deploy.limits import Guard
from penstock.deploy.listening import Tls, listen, serve
from penstock.deploy.metrics import Metrics
from penstock.deploy.registry import CHAMPION, Registry
from penstock.deploy.service import Answer, Service, tell
from penstock.deploy.shadow import Shadow
from penstock.errors import InputError
from penstock.feed import EventFeed, event_log
from penstock.model import Model
from penstock.monitor.log import WAITING_BYTES, PredictionLog, Record, drop_old, log_folder
from penstock.outcome import load
from penstock.store.store import Store, open_store
from penstock.traffic import losses_since, traffic_of

_LOOKS_AT_LABELS = 10.0
"""Seconds between two looks at a canary's labels, and at files that are old enough to go."""


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


class Logbook:
    """Keeps answers and labels in the log of predictions, without what must not be stored."""

    def __init__(self, log: PredictionLog | None, redact: Mapping[str, str], secret: bytes) -> None:
        self._log, self._redact, self._secret = log, dict(redact), secret
        self.process = log.process if log is not None else secrets.token_hex(6)

    @property
    def behind(self) -> bool:
        """Whether the disk does not keep up."""
        return self._log is not None and self._log.waiting_bytes > WAITING_BYTES // 2

    @property
    def waiting_bytes(self) -> int:
        """What waits for the disk."""
        return 0 if self._log is None else self._log.waiting_bytes

    def answers(
        self, version: int, ids: list[str], rows: Sequence[Any], answers: Sequence[Answer], took: float
    ) -> Future[None] | None:
        """Keep a request's answers."""
        if self._log is None or not ids:
            return None
        now, took = time.time(), round(took, 7)
        if self._redact:
            rows = [self._redacted(row) for row in rows]
        return self._log.append(
            [
                Record(id_, now, version, row, answer.prediction, answer.probabilities, None, took)
                for id_, row, answer in zip(ids, rows, answers, strict=True)
            ]
        )

    def shadows(self, version: int, ids: list[str], answers: Sequence[Answer]) -> None:
        """Keep what a shadow would have answered."""
        if self._log is not None and ids:
            now = time.time()
            self._log.append(
                [
                    Record(id_, now, version, None, answer.prediction, answer.probabilities, shadow=True)
                    for id_, answer in zip(ids, answers, strict=True)
                ]
            )

    def labels(self, pairs: list[tuple[str, Any]]) -> Future[None] | None:
        """Keep what turned out to be true."""
        if self._log is None:
            raise InputError("this service keeps no log (--log off), so that it takes no labels")
        now = time.time()
        return self._log.append([Record(id_, now, label=label) for id_, label in pairs]) if pairs else None

    def close(self) -> None:
        """Write what waits."""
        if self._log is not None:
            self._log.close()

    def _redacted(self, row: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(row)
        for name, how in self._redact.items():
            value = made.pop(name, None)
            if how == "hash" and value is not None:
                made[name] = hashlib.blake2b(repr(value).encode(), key=self._secret, digest_size=12).hexdigest()
        return made


def secret_of(folder: Path) -> bytes:
    """Return the secret that hashes of a store are keyed with, made when first asked for."""
    path = folder / "secret"
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(made, secrets.token_bytes(32))
        os.close(made)
    return path.read_bytes()


def loaded(store: Store, name: str, version: int | str = CHAMPION) -> Model:
    """Load a version, ready to answer at once; one that cannot be is refused before requests come."""
    model = load(name, version, store, events=False)
    model.predictor  # noqa: B018
    return model


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
    model = model or loaded(store, name)
    metrics = Metrics(how.metrics)
    folder = log_folder(store.folder, name)
    options = champion.evaluation.get("deploy", {})
    log = None
    if how.log != "off":
        log = PredictionLog(folder, durable=how.log == "durable", wrote=metrics.synced)
    keeper = Logbook(log, options.get("redact", {}), secret_of(store.folder))
    feed = EventFeed(event_log(store, name, durable=how.log == "durable"))
    feed.prepare(model)
    feed.arrive(model)

    def pages(service: Service) -> Any:
        from penstock.deploy.pages import pages as made

        return made(service, lambda: _facts(registry, service.model.version), lambda: traffic_of(store, name))

    guard = Guard(scopes_by_digest(store, name), how.rate)
    return Service(model, keeper, pages, events=feed, guard=guard, metrics=metrics)


def _facts(registry: Registry, version: int) -> dict[str, Any]:
    found = registry.version(version)
    return {
        "metrics": found.evaluation.get("metrics", {}), "gate": found.evaluation.get("gate", {}), "aliases": found.aliases,
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.created)), "by": found.user, "run": found.run,
        "digest": found.digest, "rows": found.evaluation.get("rows", {}),
    }  # fmt: skip


@dataclass
class Follower:
    """Looks, again and again, at what has changed in the store: who answers, who is tried, whose keys count.

    Parameters
    ----------
    workers : int
        How many processes judge a canary: each at its share of the level.
    """

    store: Store
    service: Service
    workers: int = 1
    _now: rollout.Rollout = field(default_factory=rollout.Rollout)
    _canary: Model | None = None
    _traffic: dict[int, Traffic] = field(default_factory=dict)
    _since: float = 0.0
    _looks: Looks = field(default_factory=Looks)
    _label_looks: Looks = field(default_factory=Looks)
    _looked: float = 0.0

    def look(self) -> Callable[[], None] | None:
        """Return what to do about it between two requests, or None."""
        service, name = self.service, self.service.model.name
        registry = Registry(self.store, name)
        service.guard.scopes = scopes_by_digest(self.store, name)
        service.metrics.numbers.log_waiting = getattr(service.keeper, "waiting_bytes", 0)
        service.metrics.write()
        self._judge(name)
        self._clean(registry)
        champion, now = registry.champion(), rollout.rollout_of(self.store, name)
        other = None
        if champion is not None and champion.version != service.model.version:
            other = loaded(self.store, name, champion.version)
            if service.events is not None:
                service.events.prepare(other)
        if other is None and now == self._now:
            return self._follow_events
        canary, shadow = self._tried(name, now)

        def change() -> None:
            if other is not None:
                service.swap(other)
                tell(f"now serving {other.name} v{other.version}")
            if now != self._now:
                self._take_up(now, canary, shadow)

        return change

    def _follow_events(self) -> None:
        if self.service.events is not None:
            self.service.events.follow(self.service.model)

    def _tried(self, name: str, now: rollout.Rollout) -> tuple[Model | None, Model | None]:
        """Load the versions that are newly tried."""
        canary = self._canary if now.canary == self._now.canary else None
        if canary is None and now.canary is not None:
            canary = self._told(loaded(self.store, name, now.canary))
        shadow = None
        if now.shadow is not None and now.shadow != self._now.shadow:
            shadow = self._told(loaded(self.store, name, now.shadow))
        return canary, shadow

    def _told(self, model: Model) -> Model:
        """Tell a model that is tried the events that the log holds; later ones it learns of when it takes over."""
        EventFeed(event_log(self.store, model.name)).prepare(model)
        return model

    def _take_up(self, now: rollout.Rollout, canary: Model | None, shadow: Model | None) -> None:
        service = self.service
        if (now.canary, now.share) != (self._now.canary, self._now.share):
            self._traffic = {version: Traffic() for version in (service.model.version, now.canary) if version}
            self._since, self._looks = time.time(), Looks(LEVEL / self.workers / 2)
            self._label_looks = Looks(LEVEL / self.workers / 2)
            service.seen = self._count if now.canary else None
            tell(
                f"canary v{now.canary} answers {now.share:.0%} of the requests"
                if now.canary
                else f"the canary v{self._now.canary} has ended"
            )
        self._canary = canary
        service.canary = None if canary is None else (canary, now.share)
        if now.shadow != self._now.shadow:
            if isinstance(service.shadow, Shadow):
                service.shadow.end()
            service.shadow = None if shadow is None else self._shadow(shadow)
            tell(f"v{now.shadow} answers as a shadow" if now.shadow else f"the shadow v{self._now.shadow} has ended")
        self._now = now

    def _shadow(self, model: Model) -> Shadow:
        keeper, metrics = self.service.keeper, self.service.metrics
        complained: list[Exception] = []

        def keep(version: int, ids: list[str], answers: Sequence[Any]) -> None:
            keeper.shadows(version, ids, answers)  # type: ignore[attr-defined]
            metrics.shadowed(version, len(ids))

        def failed(error: Exception) -> None:
            if not complained:
                complained.append(error)
                tell(f"warning: the shadow v{model.version} failed: {error}")

        def skipped(rows: int) -> None:
            metrics.numbers.not_shadowed += rows

        return Shadow(model, keep, skipped, failed)

    def _count(self, version: int, status: int, seconds: float) -> None:
        found = self._traffic.get(version)
        if found is not None:
            found.count(status, seconds)

    def _judge(self, name: str) -> None:
        """Stop the canary when it is worse than the champion."""
        version = self._now.canary
        mine, its = self._traffic.get(version or 0), self._traffic.get(self.service.model.version)
        if version is None or mine is None or its is None:
            return
        level = self._looks.due(mine.requests)
        why = None if level is None else worse(its, mine, level)
        if why is None and time.monotonic() - self._looked > _LOOKS_AT_LABELS:
            losses = losses_since(self.store, name, self._since)
            here = losses.get(version, [])
            level = self._label_looks.due(len(here))
            why = None if level is None else worse_losses(losses.get(self.service.model.version, []), here, level)
        if why is not None:
            rollout.end(self.store, name, "canary", f"stopped by itself: {why}")
            tell(f"warning: canary v{version} is stopped: {why}")

    def _clean(self, registry: Registry) -> None:
        """Remove what is older than the log is to be kept."""
        if time.monotonic() - self._looked < _LOOKS_AT_LABELS:
            return
        self._looked = time.monotonic()
        champion = registry.champion()
        keep = None if champion is None else champion.evaluation.get("deploy", {}).get("keep_seconds")
        if keep is not None:
            drop_old(log_folder(self.store.folder, registry.name), float(keep))


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
        model = load(name, CHAMPION, store, events=False)
        # Tables start threads, which a fork does not carry over: a model that looks into tables is loaded by each worker.
        shared = None if model.looks_up else _warm(model)
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
    change = follower.look()
    if change is not None:
        change()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            serve(service, taken, follower.look, started=started, tls=how.tls, behind_proxy=how.rate is not None)
        )
    if isinstance(service.keeper, Logbook):
        service.keeper.close()
