"""The plan: every step cached or stale, with the cause in words, before anything is run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from penstock.engine.code import first_change
from penstock.engine.files import flattened, partitions_ref
from penstock.engine.fingerprint import Fingerprint, fingerprint
from penstock.engine.graph import Graph
from penstock.engine.memory import find_artifacts, is_there, latest_artifacts, previous_parts, source_text
from penstock.engine.step import Ref, Step
from penstock.store.store import Store
from penstock.types.showing import shown_table

_NAMED_PARTITIONS = 1000


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan.

    Attributes
    ----------
    name : str
        The step.
    status : {"cached", "stale"}
        Whether its result is known.
    causes : tuple of str
        Why it is stale.
    stage : str or None
        The stage of the pipeline that it belongs to.
    needs : tuple of str
        The steps and sources whose results it takes.
    """

    name: str
    status: Literal["cached", "stale"]
    causes: tuple[str, ...] = ()
    stage: str | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes
    ----------
    pipeline : str
        Its name.
    steps : tuple of PlannedStep
        In the order in which they run.
    """

    pipeline: str
    steps: tuple[PlannedStep, ...]

    @property
    def stale(self) -> tuple[PlannedStep, ...]:
        """The steps that would run."""
        return tuple(item for item in self.steps if item.status == "stale")

    def __repr__(self) -> str:
        lines = [f"plan of {self.pipeline}: {len(self.stale)} of {len(self.steps)} steps would run"]
        return "\n".join(lines + [f"  {item.name}: {'; '.join(item.causes)}" for item in self.stale])

    def _repr_html_(self) -> str:
        rows = [[item.stage or "", item.name, item.status, "; ".join(item.causes)] for item in self.steps]
        line = f"{len(self.stale)} of {len(self.steps)} steps would run"
        return shown_table(f"plan of {self.pipeline}", [line], ["stage", "step", "status", "why"], rows)


@dataclass
class Cache:
    """What is known of results: refs by key, asked of the catalog in few questions."""

    store: Store
    pipeline: str
    known: dict[str, Ref] = field(default_factory=dict)

    def warm(self) -> None:
        """Take over what the last run used, in one query."""
        self.known.update(latest_artifacts(self.store, self.pipeline))

    def find(self, key: str) -> Ref | None:
        """Return the result stored under a key, when its bytes are still there."""
        ref = self.known.get(key)
        if ref is None:
            ref = find_artifacts(self.store, [key]).get(key)
        if ref is None or not is_there(self.store, ref):
            return None
        self.known[key] = ref
        return ref


def input_digests(step: Step, refs: Mapping[str, Ref]) -> dict[str, str]:
    """Return argument to digest of content; all the inputs must be known."""
    return {argument: refs[needed].digest for argument, needed in step.inputs.items()}


def partition_inputs(step: Step, refs: Mapping[str, Ref]) -> list[tuple[str, dict[str, Ref]]]:
    """Return, for each partition that a mapped step runs over, its name and its inputs by argument."""
    assert step.each is not None
    mapped = refs[step.inputs[step.each]]
    rows = []
    for name, part in mapped.partitions or (("all", mapped),):
        inputs = {argument: refs[needed] for argument, needed in step.inputs.items()}
        inputs[step.each] = part
        for argument in step.along:
            inputs[argument] = dict(refs[step.inputs[argument]].partitions)[name]
        rows.append((name, inputs))
    return rows


def look_up(step: Step, mark: Fingerprint, refs: Mapping[str, Ref], cache: Cache) -> Ref | None:
    """Return a step's result when it is known: as a whole, or from all its partitions."""
    if mark.each_time:
        return None
    found = cache.find(mark.key(input_digests(step, refs)))
    if found is not None or step.each is None:
        return found
    parts = []
    for name, inputs in partition_inputs(step, refs):
        part = cache.find(mark.key({argument: ref.digest for argument, ref in inputs.items()}, "each"))
        if part is None:
            return None
        parts.append((name, part))
    return partitions_ref(flattened(parts))


def fingerprints_of(graph: Graph) -> dict[str, Fingerprint]:
    """Work out the fingerprint of every step of a graph."""
    return {
        step.name: fingerprint(step, {argument: graph.result_type(needed) for argument, needed in step.inputs.items()})
        for step in graph.steps.values()
    }


def known_refs(
    graph: Graph,
    store: Store,
    marks: Mapping[str, Fingerprint] | None = None,
    force: Callable[[str], bool] = lambda _name: False,
) -> dict[str, Ref]:
    """Return the results of sources and steps that are known, by name, without running anything."""
    marks = fingerprints_of(graph) if marks is None else marks
    cache = Cache(store, graph.name)
    cache.warm()
    refs: dict[str, Ref] = {}
    for name in graph.order:
        if name in graph.sources:
            item = graph.sources[name]
            if all(needed in refs for needed in item.needs):
                refs[name] = item.resolve(store, refs)
            continue
        step = graph.steps[name]
        unknown = [needed for needed in step.inputs.values() if needed not in refs]
        found = None if unknown or force(name) else look_up(step, marks[name], refs, cache)
        if found is not None:
            refs[name] = found
    return refs


def make_plan(graph: Graph, store: Store, force: Callable[[str], bool] = lambda _name: False) -> Plan:
    """Say of each step of `graph` whether its result is known, and if not, why.

    Parameters
    ----------
    graph : Graph
        What would run.
    store : Store
        Where results are looked for.
    force : callable
        Step name to whether it is to run whatever is known.

    Raises
    ------
    FingerprintError, DataError
        When a step cannot be fingerprinted or a source cannot be found.
    """
    marks = fingerprints_of(graph)
    refs = known_refs(graph, store, marks, force)
    before = previous_parts(store, graph.name, [name for name in graph.steps if name not in refs])
    planned = []
    for name, step in graph.steps.items():
        causes = []
        if name not in refs:
            asked = force(name)
            causes = ["asked for"] if asked else stale_causes(step, marks[name], refs, store, before.get(name))
        status: Literal["cached", "stale"] = "cached" if name in refs else "stale"
        planned.append(PlannedStep(name, status, tuple(causes), step.stage, tuple(step.inputs.values())))
    return Plan(graph.name, tuple(planned))


def stale_causes(
    step: Step, mark: Fingerprint, refs: Mapping[str, Ref], store: Store, before: Mapping[str, Any] | None
) -> list[str]:
    """Return in words why a step is stale, `before` being the components of the fingerprint with which it last ran."""
    if mark.each_time:
        return [mark.each_time]
    if before is None:
        return ["never ran"]
    causes = changed_parts(before, mark, step, store)
    for argument, needed in step.inputs.items():
        if needed not in refs:
            causes.append(f"after {needed}")
        elif before.get(f"input:{argument}") != refs[needed].digest:
            causes.append(f"input {needed} changed{_partition_change(before, argument, refs[needed])}")
    return causes or ["its result is no longer in the store"]


def partition_names(step: Step, refs: Mapping[str, Ref]) -> dict[str, Any]:
    """Return what is kept of the inputs' partitions, to tell later which were added."""
    return {
        f"partitions:{argument}": [name for name, _ in refs[needed].partitions]
        for argument, needed in step.inputs.items()
        if 0 < len(refs[needed].partitions) <= _NAMED_PARTITIONS
    }


def _partition_change(before: Mapping[str, Any], argument: str, ref: Ref) -> str:
    old = before.get(f"partitions:{argument}")
    new = [name for name, _ in ref.partitions]
    if not old and not new:
        return ""
    added, removed = len(set(new) - set(old or [])), len(set(old or []) - set(new))
    signs = [f"{sign}{count}" for sign, count in (("+", added), ("-", removed)) if count]
    if not signs:
        return " (a partition's content)"
    return f" ({', '.join(signs)} partition{'s' if added + removed > 1 else ''})"


def changed_parts(before: Mapping[str, Any], mark: Fingerprint, step: Step, store: Store) -> list[str]:
    """Return in words which components of a fingerprint differ from those of the last run."""
    now = mark.parts
    causes = []
    if ("version" in before) != ("version" in now):
        return ["the way its code is known changed (version=)"]
    for name in sorted(now.keys() | {key for key in before if not key.startswith(("input:", "partitions:"))}):
        kind, _, what = name.partition(":")
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if kind in {"code", "class", "module"}:
            causes.append(_code_change(kind, what, old, new, mark, step, store))
        elif kind == "package" and old and new:
            causes.append(f"{what} {old} -> {new}")
        elif kind == "package":
            causes.append(f"now uses {what} {new}" if new else f"no longer uses {what}")
        elif kind == "constant" and (old is None or new is None):
            causes.append(f"now uses {what}" if old is None else f"no longer uses {what}")
        else:
            label = {"parameter": what, "constant": what}.get(kind, name)
            causes.append(f"{label}{_value_change(old, new)}")
    return causes


def _value_change(old: Any, new: Any) -> str:
    if old is None:
        return f" is new ({_readable(new)})" if not str(new).startswith("#") else " is new"
    if new is None:
        return " is gone"
    if "#" in (str(old)[:1], str(new)[:1]):
        return " changed"
    return f" {_readable(old)} -> {_readable(new)}"


def _readable(written: Any) -> str:
    """Take the type off a scalar's token: ``int 3`` is shown as ``3``."""
    text = str(written)
    kind, _, rest = text.partition(" ")
    return rest if kind in {"int", "float", "str", "bool", "bytes", "NoneType"} and rest else text


def _code_change(
    kind: str, what: str, old: str | None, new: str | None, mark: Fingerprint, step: Step, store: Store
) -> str:
    shown = f"{what}()" if kind == "code" else what
    if old is None:
        return f"now uses {shown}"
    if new is None:
        return f"no longer uses {shown}"
    was, now = source_text(store, old), mark.texts.get(new)
    if was is None or now is None or not was[2] or not now[2]:
        return f"code of {shown} changed"
    offset = first_change(was[2], now[2])
    if offset is None:
        return f"code of {shown} changed"
    file = Path(os.fspath(now[0])).name
    place = "" if step.location.startswith(f"{file}:") else f" of {file}"
    return f"code of {shown} changed at line {now[1] + offset}{place}"
