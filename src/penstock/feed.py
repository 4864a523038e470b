"""Events that a service was told, and the models that must know of them."""

from __future__ import annotations

import contextlib
from typing import Any

from penstock.deploy.events import EventLog, Told
from penstock.errors import InputError
from penstock.model import Model
from penstock.store.store import Store


def event_log(store: Store, name: str, *, durable: bool = False) -> EventLog:
    """Return the log of the events of a pipeline."""
    return EventLog(store.folder / "events" / name, durable=durable)


class EventFeed:
    """Keeps models up with the events that the service is told: logged first, then counted.

    A model that is being loaded misses what comes meanwhile; it gets that when it takes over.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._ends: dict[str, int] = {}
        self._ends_coming: dict[str, int] = {}

    def prepare(self, model: Model) -> None:
        """Tell a model that was just loaded all that the log holds."""
        if model.knows.event_tables:
            told, self._ends_coming = self.log.read({})
            self._tell(model, told)

    def arrive(self, model: Model) -> None:
        """Tell a model that takes over now what came since :meth:`prepare`."""
        if model.knows.event_tables:
            told, self._ends = self.log.read(self._ends_coming)
            self._tell(model, told)

    def follow(self, model: Model) -> None:
        """Tell the model that answers what other services of this store were told since."""
        if model.knows.event_tables:
            told, self._ends = self.log.read(self._ends, own=False)
            self._tell(model, told)

    def take(self, model: Model, table: str, rows: list[Any]) -> None:
        """Check, log and count events."""
        events = model.knows.read_events(table, rows)
        self.log.append(table, rows)
        model.knows.take_events(table, events)

    @staticmethod
    def _tell(model: Model, told: list[Told]) -> None:
        for item in told:
            # What an earlier model took and this one does not is not its business.
            with contextlib.suppress(InputError):
                model.knows.take_events(item.table, model.knows.read_events(item.table, item.rows), again=True)
