"""Does the source of a pipeline hold rows that were not learnt from, and what does the champion make of them?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from penstock.deploy.registry import ModelVersion
from penstock.engine.execute import load
from penstock.engine.history import artifact_of, past_run
from penstock.engine.plan import known_refs
from penstock.engine.run import run_graph
from penstock.engine.step import LazyPartitions, Ref
from penstock.errors import InputError, PenstockError
from penstock.ingest.databases import Database
from penstock.ingest.options import Files
from penstock.monitor.options import Drift
from penstock.observed import Observed, from_features
from penstock.outcome import load as load_model
from penstock.pipeline import Pipeline
from penstock.store.store import Store
from penstock.train.split import seconds_in
from penstock.watch import judged_by


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
    _featured: Ref | None = field(default=None, init=False)
    _given: dict[str, Ref] = field(default_factory=dict, init=False)
    _known_at: float = field(default=0.0, init=False)
    _seen: tuple[tuple[int, str], Observed | None] = field(default=((0, ""), None), init=False)

    def new(self, learnt: str) -> bool:
        """Whether there are rows that a run, given by its id, has not learnt from."""
        stale = [step for step in self.pipeline.plan(self.store).stale if step.stage == "ingest"]
        # A step that is stale by a new version of the code says nothing of rows.
        changed = {step.name for step in stale if any(cause.startswith("input ") for cause in step.causes)}
        silent = self._silent()
        if changed - set(silent):
            return True
        if changed and time.time() - self._read_at >= self.pause and not self._run(silent.values()):
            return False
        return self._unlike(learnt)

    def unlearnt(self, version: ModelVersion, how: Drift) -> Observed | None:
        """Let a version answer the rows at the source that are later than all it has learnt from, with the pipeline's features.

        Parameters
        ----------
        version : ModelVersion
            Of the pipeline.
        how : Drift
            Of these rows those in its window are looked at; all where that holds fewer than are judged.

        Returns
        -------
        Observed or None
            None where rows have no time, none is later, or the source cannot be read.
        """
        if self.pipeline.tables[self.pipeline.base_table].time is None:
            return None
        refs = known_refs(self.pipeline.graph().until(["featured"]), self.store)
        if "featured" in refs:
            self._know(refs, time.time())
        elif not self._silent() or time.time() - self._read_at >= self.pause:
            self._run(["featured"])
        if self._featured is None:
            return None
        known = version.version, self._featured.digest
        if self._seen[0] != known:
            self._seen = known, self._observed(version, self._featured, how)
        return self._seen[1]

    def _observed(self, version: ModelVersion, featured: Ref, how: Drift) -> Observed | None:
        judged = judged_by(self.store, version)
        newest = [] if judged is None else judged["outcomes"].get("newest", [])
        model = load_model(version.name, version.version, self.store, events=False)
        time_of = model.manifest.time
        if time_of is None or not len(newest):
            return None
        parts = load(self.store, featured, LazyPartitions[pl.DataFrame])
        later = [
            part.filter(pl.Series(seconds_in(part[time_of]) > newest[0])) for part in map(parts.__getitem__, parts)
        ]
        rows = pl.concat(later, how="vertical_relaxed").sort(time_of, maintain_order=True)
        missing = [name for name in model.manifest.encoding.columns() if name not in rows.columns]
        if missing:
            self._tell(f"v{version.version} has learnt from {missing[0]}, which {self.pipeline.name} no longer makes")
            return None
        if how.rows is not None:
            window = rows.tail(how.rows)
        elif how.seconds is not None and rows.height:
            at = seconds_in(rows[time_of])
            window = rows.filter(pl.Series(at > at[-1] - how.seconds))
        else:
            window = rows
        chosen = rows if window.height < how.least else window
        return from_features(model, chosen) if chosen.height else None

    def _run(self, until: Iterable[str]) -> bool:
        """Run the pipeline so far; what hinders that is told once."""
        began = time.time()
        try:
            result = run_graph(self.pipeline.graph().until(until), self.store)
            result.raise_for_status()
        except PenstockError as error:
            self._tell(f"the source cannot be read: {error}")
            return False
        self._read_at, self._problem = time.time(), ""
        self._know(result.refs, began)
        return True

    def _know(self, refs: Mapping[str, Ref], at: float) -> None:
        """Keep what is known of the source from a moment on."""
        self._featured = refs.get("featured", self._featured)
        self._given = {name: ref for name, ref in refs.items() if name.partition("_")[0] == "snapshot"}
        self._known_at = at

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self.say(problem)

    def _unlike(self, learnt: str) -> bool:
        """Whether what was known of the source last, if later than a run began, is not what that has learnt from."""
        if not self._given:
            return False
        try:
            then = past_run(self.store, learnt)
        except InputError:  # cleaned away: nobody knows any more what it has learnt from
            return True
        if then.started > self._known_at:
            return False
        learnt_from = {name: artifact_of(self.store, then, name) for name in self._given}
        return any(ref is None or ref.digest != self._given[name].digest for name, ref in learnt_from.items())

    def _silent(self) -> dict[str, str]:
        """Return the steps that read what does not tell whether it changed, each with the step that gives its rows."""
        found = {}
        for table, ingest in self.pipeline.tables.items():
            if not (isinstance(ingest, Files) or (isinstance(ingest, Database) and ingest.cursor is not None)):
                suffix = "" if table == self.pipeline.base_table else f"_{table}"
                found[f"read{suffix}"] = f"snapshot{suffix}"
        return found
