"""Does the source of a pipeline hold rows that were not learnt from?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from penstock.engine.history import artifact_of, past_run
from penstock.engine.run import run_graph
from penstock.errors import InputError, PenstockError
from penstock.ingest.databases import Database
from penstock.ingest.options import Files
from penstock.pipeline import Pipeline
from penstock.store.store import Store


@dataclass
class Arrivals:
    """Looks at the source, again and again.

    Files, and databases that have a cursor, tell by themselves whether they changed. The rows of an API, and of a query
    without a cursor, must be read to know: they are, once in a while, and held against those that were learnt from.

    Parameters
    ----------
    pipeline, store : Pipeline, Store
        Whose source.
    pause : float
        Seconds between two times that rows are read to know.
    say : callable
        Told why a source cannot be read.
    """

    pipeline: Pipeline
    store: Store
    pause: float = 0.0
    say: Callable[[str], None] = lambda _text: None
    _read_at: float = field(default=0.0, init=False)
    _problem: str = field(default="", init=False)

    def new(self, learnt: str) -> bool:
        """Whether there are rows that a run, given by its id, has not learnt from."""
        stale = [step for step in self.pipeline.plan(self.store).stale if step.stage == "ingest"]
        # A step that is stale by a new version of the code says nothing of rows.
        changed = {step.name for step in stale if any(cause.startswith("input ") for cause in step.causes)}
        silent = self._silent()
        if changed - set(silent):
            return True
        if not changed or time.time() - self._read_at < self.pause:
            return False
        try:
            result = run_graph(self.pipeline.graph().until(silent.values()), self.store)
            result.raise_for_status()
        except PenstockError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self.say(f"the source cannot be read: {error}")
            return False
        self._read_at, self._problem = time.time(), ""
        try:
            then = past_run(self.store, learnt)
        except InputError:  # cleaned away: nobody knows any more what it has learnt from
            return True
        known = {name: artifact_of(self.store, then, name) for name in silent.values()}
        return any(ref is None or ref.digest != result.refs[name].digest for name, ref in known.items())

    def _silent(self) -> dict[str, str]:
        """Return the steps that read what does not tell whether it changed, each with the step that gives its rows."""
        found = {}
        for table, ingest in self.pipeline.tables.items():
            if not (isinstance(ingest, Files) or (isinstance(ingest, Database) and ingest.cursor is not None)):
                suffix = "" if table == self.pipeline.base_table else f"_{table}"
                found[f"read{suffix}"] = f"snapshot{suffix}"
        return found
