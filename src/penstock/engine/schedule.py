"""The state of one run: what is known, what waits, what runs; and its way into the catalog."""

from __future__ import annotations

import functools
import json
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.engine.execute import Outcome, Task
from penstock.engine.executors import Executor
from penstock.engine.files import flattened, partitions_ref
from penstock.engine.graph import Graph
from penstock.engine.memory import Claims, keep_artifact, previous_parts
from penstock.engine.origin import git_state
from penstock.engine.packages import installed_packages
from penstock.engine.plan import (
    Cache,
    fingerprints_of,
    input_digests,
    look_up,
    partition_inputs,
    partition_names,
    stale_causes,
)
from penstock.engine.results import RunStatus, StepResult, StepStatus
from penstock.engine.step import Ref, Step
from penstock.store.catalog import hostname, whoami
from penstock.store.schema import SETTINGS, runs, steps
from penstock.store.store import Store

_POLL = 0.05
_RENEW = 5.0
_FLUSH = 0.5


Observer = Callable[[str, Step, StepResult | None], None]
"""Called with ``"started"`` or ``"finished"``, the step, and its result when finished."""


@dataclass
class _Job:
    """One call that is waiting, running or done: a step, or one partition of a mapped step."""

    step: Step
    key: str
    inputs: dict[str, Ref]
    partition: str | None = None


class Scheduler:
    """The state of one run: what is known, what waits, what runs."""

    def __init__(
        self, graph: Graph, store: Store, pool: Executor, force: Callable[[str], bool], observe: Observer
    ) -> None:
        self.graph, self.store, self.pool = graph, store, pool
        self.force, self.observe = force, observe
        self.run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:6]}"
        self.refs: dict[str, Ref] = {}
        self.results: dict[str, StepResult] = {}
        self.cache = Cache(store, graph.name)
        self.claims = Claims(store, self.run)
        self.queued: deque[_Job] = deque()  # to be begun when the machine has room
        self.elsewhere: list[_Job] = []  # another run computes these
        self.asked = 0.0  # when they were last looked for
        self.running: dict[int, _Job] = {}
        self.parts: dict[str, dict[str, Ref | None]] = {}  # of mapped steps: partition to result
        self.part_outcomes: dict[str, list[Outcome]] = {}
        self.parts_left: dict[str, int] = {}
        self.causes: dict[str, tuple[str, ...]] = {}
        self.missing: dict[str, int] = {}
        self.followers: dict[str, list[str]] = {}
        self.ready: deque[str] = deque()
        self.numbers = 0
        self.kept_texts: set[str] = set()
        self.unwritten: list[StepResult] = []
        self.positions = {name: index for index, name in enumerate(graph.steps)}
        self.extra = len(self.positions)
        self.flushed = time.monotonic()
        self.stopped = threading.Event()

    @functools.cached_property
    def _before(self) -> dict[str, dict[str, Any]]:
        """With what each step last ran, asked of the catalog at once when the first is stale."""
        return previous_parts(self.store, self.graph.name, list(self.graph.steps))

    def begin(self, seed: int, file: str | None, settings: Sequence[str] = ()) -> None:
        """Fingerprint every step, find what is ready, and write the run into the catalog."""
        self.marks = fingerprints_of(self.graph)
        self.cache.warm()
        for name in self.graph.order:
            node = self.graph.node(name)
            needed = set(node.inputs.values() if isinstance(node, Step) else node.needs)
            self.missing[name] = len(needed)
            for item in needed:
                self.followers.setdefault(item, []).append(name)
        self.ready.extend(name for name in self.graph.order if self.missing[name] == 0)
        row = {
            "id": self.run,
            "pipeline": self.graph.name,
            "status": "running",
            "started": time.time(),
            "user": whoami(),
            "host": hostname(),
            **git_state(file),
            "packages": json.dumps(installed_packages()),
            "parameters": json.dumps(
                {
                    f"{step.name}.{name[10:]}": value
                    for step in self.graph.steps.values()
                    for name, value in self.marks[step.name].parts.items()
                    if name.startswith("parameter:")
                }
                | ({SETTINGS: list(settings)} if settings else {})
            ),
            "seed": seed,
            "file": file,
        }
        with self.store.catalog.begin() as connection:
            connection.execute(runs.insert(), row)
        threading.Thread(target=self._keep_claims, name="penstock-claims", daemon=True).start()

    def end(self, status: RunStatus) -> None:
        """Write what became of the run, and give back what it claimed."""
        self.stopped.set()
        for name in self.graph.steps:
            if name not in self.results:
                self._result(StepResult(name, "skipped", stage=self.graph.steps[name].stage))
        self.flush()
        self.claims.give_back()
        with self.store.catalog.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == self.run).values(status=status, finished=time.time()))

    def loop(self) -> None:
        """Start what is ready, take what is finished, until nothing is left; Ctrl-C ends it in between."""
        while True:
            while self.ready:
                self._start(self.ready.popleft())
            self._look_elsewhere()
            while self.queued and self._fits(self.queued[0].step):
                self._begin(self.queued.popleft())
            if self.ready:
                continue
            if not (self.running or self.queued or self.elsewhere):
                return
            try:
                number, outcome = self.pool.finished.get(timeout=_POLL if self.elsewhere else _FLUSH)
            except queue.Empty:
                self.flush()
                continue
            self._finish(self.running.pop(number), outcome)
            if time.monotonic() - self.flushed > _FLUSH:
                self.flush()

    def _start(self, name: str) -> None:
        if name in self.graph.sources:
            self._known(name, self.graph.sources[name].resolve(self.store, self.refs))
            return
        step, mark = self.graph.steps[name], self.marks[name]
        found = None if self.force(name) else look_up(step, mark, self.refs, self.cache)
        if found is not None:
            key = mark.key(input_digests(step, self.refs))
            self._result(StepResult(name, "cached", 0.0, found.digest, stage=step.stage, key=key, bytes_out=found.size))
            if step.each is not None and key not in self.cache.known:
                self._keep(step, key, found, input_digests(step, self.refs))
            self._known(name, found)
            return
        before = self._before.get(name)
        self.causes[name] = (
            ("asked for",) if self.force(name) else tuple(stale_causes(step, mark, self.refs, self.store, before))
        )
        self.observe("started", step, None)
        inputs = {argument: self.refs[needed] for argument, needed in step.inputs.items()}
        if step.each is None:
            self.queued.append(_Job(step, mark.key(input_digests(step, self.refs)), inputs))
            return
        rows = partition_inputs(step, self.refs)
        self.parts[name] = dict.fromkeys((part for part, _ in rows), None)
        self.part_outcomes[name] = []
        self.parts_left[name] = len(rows)
        for part, inputs in rows:
            key = mark.key({argument: ref.digest for argument, ref in inputs.items()}, "each")
            job = _Job(step, key, inputs, part)
            found = None if mark.each_time or self.force(name) else self.cache.find(key)
            if found is not None:
                self._done(job, found, Outcome(found), "cached")
            else:
                self.queued.append(job)

    def _begin(self, job: _Job) -> None:
        """Hand a job to the pool, unless another run computes it or has just finished it."""
        step = job.step
        if not self.marks[step.name].each_time:
            if not self.claims.take(job.key):
                self.elsewhere.append(job)
                return
            found = None if self.force(step.name) else self.cache.find(job.key)
            if found is not None:
                self.claims.give_back(job.key)
                self._done(job, found, Outcome(found), "cached")
                return
        self.numbers += 1
        self.running[self.numbers] = job
        types = {
            argument: step.annotations.get(argument) or self.graph.result_type(needed)
            for argument, needed in step.inputs.items()
        }
        self.pool.submit(
            self.numbers,
            Task(
                step.name,
                step.function,
                job.inputs,
                step.parameters,
                types,
                step.retries,
                step.backoff,
                step.timeout,
                step.cpus,
                step.memory,
            ),
        )

    def _look_elsewhere(self) -> None:
        """Ask whether other runs have finished what this one waits for; one of theirs that died is taken over."""
        if not self.elsewhere or time.monotonic() - self.asked < _POLL:
            return
        self.asked = time.monotonic()
        pending, self.elsewhere = self.elsewhere, []
        for job in pending:
            found = self.cache.find(job.key)
            if found is not None:
                self._done(job, found, Outcome(found), "cached")
            else:
                self.queued.append(job)

    def _fits(self, step: Step) -> bool:
        running = [job.step for job in self.running.values()]
        if not running:
            return True
        cpus = sum(item.cpus for item in running) + step.cpus
        memory = sum(item.memory for item in running) + step.memory
        return cpus <= self.pool.cpus and memory <= self.pool.memory

    def _finish(self, job: _Job, outcome: Outcome) -> None:
        if outcome.ref is None:
            if not self.marks[job.step.name].each_time:
                self.claims.give_back(job.key)
            self._done(job, None, outcome, "failed")
            return
        if not self.marks[job.step.name].each_time:
            label = job.step.name if job.partition is None else f"{job.step.name}[{job.partition}]"
            digests = {argument: ref.digest for argument, ref in job.inputs.items()}
            self._keep(job.step, job.key, outcome.ref, digests, label)
        self._done(job, outcome.ref, outcome, "ran")

    def _keep(self, step: Step, key: str, ref: Ref, inputs: Mapping[str, str], label: str | None = None) -> None:
        mark = self.marks[step.name]
        texts = {digest: text for digest, text in mark.texts.items() if digest not in self.kept_texts}
        self.kept_texts.update(texts)
        keep_artifact(
            self.store,
            key=key,
            ref=ref,
            pipeline=self.graph.name,
            step=label or step.name,
            run=self.run,
            parts={**mark.parts, **partition_names(step, self.refs)},
            inputs=inputs,
            texts=texts,
            owner=self.claims.owner,
        )
        self.cache.known[key] = ref

    def _done(self, job: _Job, ref: Ref | None, outcome: Outcome, status: StepStatus) -> None:
        name = job.step.name
        if job.partition is None:
            self._end_step(job.step, job.key, ref, [outcome], status)
            return
        self.parts[name][job.partition] = ref
        if status == "failed":
            outcome = replace(outcome, error=f"partition {job.partition}: {outcome.error}")
        part_status: StepStatus = status
        self._result(self._measured(f"{name}[{job.partition}]", job, ref, [outcome], part_status), part=True)
        if status != "cached":
            self.part_outcomes[name].append(outcome)
        self.parts_left[name] -= 1
        if self.parts_left[name]:
            return
        outcomes = self.part_outcomes[name]
        if any(item.ref is None for item in outcomes):
            self._end_step(job.step, None, None, outcomes, "failed")
            return
        done = [(part, item) for part, item in self.parts[name].items() if item is not None]
        whole = partitions_ref(flattened(done))
        key = self.marks[name].key(input_digests(job.step, self.refs))
        if not self.marks[name].each_time:
            self._keep(job.step, key, whole, input_digests(job.step, self.refs))
        self._end_step(job.step, key, whole, outcomes, "ran" if outcomes else "cached")

    def _measured(
        self, name: str, job: _Job, ref: Ref | None, outcomes: list[Outcome], status: StepStatus
    ) -> StepResult:
        errors = [item for item in outcomes if item.error is not None]
        return StepResult(
            name=name,
            status=status,
            seconds=sum(item.seconds for item in outcomes),
            digest=None if ref is None else ref.digest,
            causes=self.causes.get(job.step.name, ()),
            stage=job.step.stage,
            key=job.key,
            cpu_seconds=sum(item.cpu_seconds for item in outcomes),
            peak_bytes=max((item.peak_bytes for item in outcomes), default=0),
            bytes_in=sum(item.bytes_in for item in outcomes),
            bytes_out=0 if ref is None else ref.size,
            log="".join(item.log for item in outcomes),
            error=errors[0].error if errors else None,
            trace=errors[0].trace if errors else "",
            exit_code=errors[0].exit_code if errors else 1,
            started=min((item.started for item in outcomes if item.started is not None), default=None),
        )

    def _end_step(
        self, step: Step, key: str | None, ref: Ref | None, outcomes: list[Outcome], status: StepStatus
    ) -> None:
        result = self._measured(step.name, _Job(step, key or "", {}), ref, outcomes, status)
        if result.error is not None and result.exit_code != 2:
            result = replace(result, error=f"{result.error} ({step.location})")
        self._result(result)
        if ref is None:
            self._skip_after(step.name)
        else:
            self._known(step.name, ref)

    def _skip_after(self, name: str) -> None:
        pending = list(self.followers.get(name, []))
        while pending:
            item = pending.pop()
            if item in self.results:
                continue
            if item in self.graph.steps:
                self._result(StepResult(item, "skipped", stage=self.graph.steps[item].stage))
            pending.extend(self.followers.get(item, []))

    def _known(self, name: str, ref: Ref) -> None:
        self.refs[name] = ref
        for follower in self.followers.get(name, ()):
            self.missing[follower] -= 1
            if self.missing[follower] == 0 and follower not in self.results:
                self.ready.append(follower)

    def _result(self, result: StepResult, *, part: bool = False) -> None:
        self.unwritten.append(result)
        if not part:
            self.results[result.name] = result
            self.observe("finished", self.graph.steps[result.name], result)

    def flush(self) -> None:
        """Write the results that the catalog does not have yet, in one statement."""
        self.flushed = time.monotonic()
        if not self.unwritten:
            return
        rows = []
        for item in self.unwritten:
            position = self.positions.get(item.name)
            if position is None:
                position, self.extra = self.extra, self.extra + 1
            rows.append(
                {
                    "run": self.run,
                    "position": position,
                    "name": item.name,
                    "stage": item.stage,
                    "status": item.status,
                    "key": item.key or None,
                    "digest": item.digest,
                    "started": item.started,
                    "seconds": item.seconds,
                    "cpu_seconds": item.cpu_seconds,
                    "peak_bytes": item.peak_bytes,
                    "bytes_in": item.bytes_in,
                    "bytes_out": item.bytes_out,
                    "causes": json.dumps(item.causes) if item.causes else None,
                    "log": item.log or None,
                    "error": item.error,
                }
            )
        self.unwritten = []
        with self.store.catalog.begin() as connection:
            connection.execute(steps.insert(), rows)

    def _keep_claims(self) -> None:
        while not self.stopped.wait(_RENEW):
            self.claims.renew()
