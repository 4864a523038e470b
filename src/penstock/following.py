"""A service that follows its store: who answers, who is tried and judged, whose keys count, what is old enough to go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.deploy import rollout
from penstock.deploy.fallback import Constant
from penstock.deploy.judging import LEVEL, Looks, Traffic, worse, worse_losses
from penstock.deploy.keys import scopes_by_digest
from penstock.deploy.notices import tell
from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.deploy.served import Served
from penstock.deploy.service import Service
from penstock.deploy.shadow import Shadow
from penstock.errors import InputError, PenstockError
from penstock.model import Model
from penstock.monitor.log import drop_old, log_folder
from penstock.outcome import load
from penstock.store.store import Store
from penstock.traffic import losses_since

_LOOKS_AT_LABELS = 10.0
"""Seconds between two looks at a canary's labels, and at files that are old enough to go."""


def loaded(store: Store, name: str, version: int | str = CHAMPION) -> Model:
    """Load a version, ready to answer at once; one that cannot be is refused before requests come."""
    model = load(name, version, store, events=False)
    model.predictor  # noqa: B018
    return model


def redacted(registry: Registry, champion: ModelVersion | None, canary: int | None = None) -> dict[str, str]:
    """Return what the log must not hold, as the versions that answer say; what one of them drops is dropped."""
    tried = None if canary is None else registry.find(canary)
    found: dict[str, str] = {}
    for version in (champion, tried):
        for name, how in (
            version.evaluation.get("deploy", {}).get("redact", {}) if version is not None else {}
        ).items():
            found[name] = "drop" if "drop" in (how, found.get(name)) else how
    return found


def first_that_loads(store: Store, name: str) -> Model:
    """Load the champion; where it cannot be and its pipeline asks for a fallback, the version before.

    Raises
    ------
    PenstockError
        When none can be loaded.
    """
    registry = Registry(store, name)
    champion = registry.version(CHAMPION)
    try:
        return loaded(store, name)
    except PenstockError as error:
        before = registry.previous(champion.version)
        if before is None or not champion.evaluation.get("deploy", {}).get("fallback"):
            raise
        tell(f"v{champion.version} cannot be loaded, v{before} answers: {error}", "error")
        return loaded(store, name, before)


def fallbacks(store: Store, champion: ModelVersion | None, serving: Model) -> list[Served]:
    """Return who answers where `serving` fails, as its pipeline says.

    Raises
    ------
    InputError
        When the constant is no answer that the model could give.
    """
    how = {} if champion is None else champion.evaluation.get("deploy", {})
    found: list[Served] = []
    before = Registry(store, serving.name).previous(serving.version) if how.get("fallback") else None
    if before is not None:
        try:
            found.append(loaded(store, serving.name, before))
        except PenstockError as error:
            tell(f"v{before} cannot be loaded as the fallback: {error}", "warning")
    if (constant := how.get("otherwise")) is not None:
        if (wrong := serving.check_label(constant)) is not None:
            raise InputError(f"ps.deploy.api(otherwise={constant!r}): {wrong}")
        found.append(Constant(serving.name, constant))
    return found


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
        service.keeper.hide(redacted(registry, champion, now.canary))
        other, instead = None, service.fallbacks
        if champion is not None and champion.version != service.model.version:
            other = loaded(self.store, name, champion.version)
            instead = fallbacks(self.store, champion, other)
        if other is None and now == self._now:
            return self._follow_events
        canary, shadow = self._tried(name, now)
        new = [] if other is None else [other, *instead]
        new += [model for model in (canary, shadow) if model is not None and model is not self._canary]
        self._catch_up(new)

        def change() -> None:
            self._catch_up(new)  # what came while they were loaded
            if other is not None:
                service.swap(other)
                service.fallbacks = instead
                self._traffic[other.version] = Traffic()
                tell(f"now serving {other.name} v{other.version}")
            if now != self._now:
                self._take_up(now, canary, shadow)

        return change

    def _catch_up(self, models: Sequence[Served]) -> None:
        if self.service.events is not None:
            for model in models:
                self.service.events.catch_up(model)

    def _follow_events(self) -> None:
        if self.service.events is not None:
            self.service.events.follow(self.service.hearers())

    def _tried(self, name: str, now: rollout.Rollout) -> tuple[Model | None, Model | None]:
        """Load the versions that are newly tried."""
        canary = self._canary if now.canary == self._now.canary else None
        if canary is None and now.canary is not None:
            canary = loaded(self.store, name, now.canary)
        shadow = None
        if now.shadow is not None and now.shadow != self._now.shadow:
            shadow = loaded(self.store, name, now.shadow)
        return canary, shadow

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
            if service.shadow is not None:
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
                tell(f"the shadow v{model.version} failed: {error}", "warning")

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
            known = losses_since(self.store, name, self._since)
            losses = {of: [loss for _, loss in found] for of, found in known.items()}
            here = losses.get(version, [])
            level = self._label_looks.due(len(here))
            why = None if level is None else worse_losses(losses.get(self.service.model.version, []), here, level)
        if why is not None:
            rollout.end(self.store, name, "canary", f"stopped by itself: {why}")
            tell(f"canary v{version} is stopped: {why}", "warning")

    def _clean(self, registry: Registry) -> None:
        """Remove what is older than the log is to be kept."""
        if time.monotonic() - self._looked < _LOOKS_AT_LABELS:
            return
        self._looked = time.monotonic()
        champion = registry.champion()
        keep = None if champion is None else champion.evaluation.get("deploy", {}).get("keep_seconds")
        if keep is not None:
            drop_old(log_folder(self.store.folder, registry.name), float(keep))
