"""Events that a service was told, and the models that must know of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import polars as pl

from penstock.deploy.events import EventLog, Told
from penstock.deploy.served import Hearer
from penstock.errors import InputError
from penstock.model import Model
from penstock.store.store import Store
from penstock.types.rows import RowsError

_AT_ONCE = 10_000
"""Events of a log that are counted together: each time costs what a table costs."""


def event_log(store: Store, name: str, *, durable: bool = False) -> EventLog:
    """Return the log of the events of a pipeline."""
    return EventLog(store.folder / "events" / name, durable=durable)


class EventFeed:
    """Keeps models up with the events that the service is told: logged first, then counted.

    Of each model it is known how far into the log it was told. One that is being loaded is told what the log holds while
    others answer, and what came meanwhile when it begins to.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._ends: WeakKeyDictionary[Model, dict[str, int]] = WeakKeyDictionary()

    def catch_up(self, model: Any) -> None:
        """Tell a model what the log holds that it was not told yet."""
        if isinstance(model, Model) and model.knows.event_tables:
            told, self._ends[model] = self.log.read(self._ends.get(model, {}))
            _replay(model, told)

    def follow(self, hearers: Sequence[Hearer]) -> None:
        """Tell models that answer what other services of this store were told since."""
        for hearer in hearers:
            hearer.run(partial(self.catch_up, hearer.model))

    def take(self, hearers: Sequence[Hearer], table: str, rows: list[Any]) -> None:
        """Check, log and count events: the first model that looks at their table says whether they are taken."""
        models = [hearer.model for hearer in hearers if isinstance(hearer.model, Model)]
        asked = next((model for model in models if model.knows.hears(table)), models[0])
        events = asked.knows.read_events(table, rows)
        end = self.log.append(table, rows)
        for hearer in hearers:
            if hearer.model in models:
                known = events if hearer.model is asked else None
                hearer.run(partial(self._count, hearer.model, table, rows, known, end))

    def _count(self, model: Model, table: str, rows: list[Any], events: pl.DataFrame | None, end: int) -> None:
        ends = self._ends.setdefault(model, {})
        if ends.get(self.log.name, 0) >= end:  # read from the log meanwhile
            return
        ends[self.log.name] = end
        with contextlib.suppress(InputError):  # what one version takes is not always another's business
            model.knows.take_events(table, model.knows.read_events(table, rows) if events is None else events)


def _replay(model: Model, told: Sequence[Told]) -> None:
    """Count events of the log, many at once; what an earlier model took and this one does not is not its business."""
    for known in model.knows.event_tables:
        rows = [row for item in told if item.table == known.name for row in item.rows]
        for start in range(0, len(rows), _AT_ONCE):
            _replay_rows(model, known.name, rows[start : start + _AT_ONCE])


def _replay_rows(model: Model, table: str, rows: list[Any]) -> None:
    try:
        model.knows.take_events(table, model.knows.read_events(table, rows), again=True)
    except RowsError as error:
        wrong = {problem.row for problem in error.problems}
        if wrong and len(wrong) < len(rows):
            _replay_rows(model, table, [row for number, row in enumerate(rows) if number not in wrong])
    except InputError:
        half = len(rows) // 2
        for some in (rows[:half], rows[half:]) if half else ():
            _replay_rows(model, table, some)
