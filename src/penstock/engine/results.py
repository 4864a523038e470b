"""What a run did: the result of each step, and of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from penstock.engine.execute import load
from penstock.engine.step import Ref
from penstock.errors import CancelledError, InputError, StepError
from penstock.store.plain import decode_plain
from penstock.store.store import Store
from penstock.types.showing import shown_table

StepStatus = Literal["ran", "cached", "failed", "skipped"]
RunStatus = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class StepResult:
    """What became of one step in a run.

    Attributes
    ----------
    name : str
        The step.
    status : {"ran", "cached", "failed", "skipped"}
        Skipped: a step that it needs failed.
    seconds : float
        Wall time.
    digest : str or None
        Of the artifact.
    causes : tuple of str
        Why it was stale.
    started : float or None
        When its first work began, in seconds since 1970; None when nothing ran.
    cpu_seconds, peak_bytes, bytes_in, bytes_out, log, error
        As measured; see :class:`~penstock.engine.execute.Outcome`.
    """

    name: str
    status: StepStatus
    seconds: float = 0.0
    digest: str | None = None
    causes: tuple[str, ...] = ()
    stage: str | None = None
    key: str | None = None
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    log: str = ""
    error: str | None = None
    trace: str = ""
    exit_code: int = 1
    started: float | None = None


STEP_HEADERS = ("stage", "step", "status", "seconds", "why")


def step_rows(steps: Sequence[StepResult]) -> list[list[object]]:
    """Return steps as the rows of a table under :data:`STEP_HEADERS`."""
    return [[item.stage or "", item.name, item.status, f"{item.seconds:.3f}", "; ".join(item.causes)] for item in steps]


@dataclass(frozen=True)
class RunResult:
    """What a run did; its values can be read back.

    Attributes
    ----------
    run : str
        Its id.
    pipeline : str
        The name of the graph.
    status : {"succeeded", "failed", "cancelled"}
        How it ended.
    steps : tuple of StepResult
        In order.
    """

    run: str
    pipeline: str
    status: RunStatus
    steps: tuple[StepResult, ...]
    refs: Mapping[str, Ref] = field(default_factory=dict, repr=False)
    store: Store | None = field(default=None, repr=False, compare=False)
    types: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        """Return the value of a step's artifact."""
        assert self.store is not None
        if name not in self.refs:
            self.raise_for_status()
            raise InputError(f"run {self.run} has no result of {name!r}; it has {', '.join(self.refs) or 'none'}")
        return load(self.store, self.refs[name], self.types.get(name))

    def __repr__(self) -> str:
        failed = [f"step {item.name}: {item.error}" for item in self.steps if item.error]
        ran = sum(item.status == "ran" for item in self.steps)
        return f"<RunResult {self.pipeline} {self.run}: {'; '.join([self.status, f'{ran} of {len(self.steps)} steps ran', *failed])}>"

    def _repr_html_(self) -> str:
        lines = [f"{item.name}: {item.error}" for item in self.steps if item.error]
        return shown_table(f"{self.pipeline} {self.run}: {self.status}", lines, STEP_HEADERS, step_rows(self.steps))

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that steps of no stage returned, by ``step``, or ``step.key`` of a dict or dataclass of them."""
        found: dict[str, float] = {}
        stages = {item.name: item.stage for item in self.steps}
        for name, ref in self.refs.items():
            if ref.format == "json" and ref.value is not None and stages.get(name) is None:
                found.update(_numbers(name, decode_plain(ref.value)))
        return found

    def step(self, name: str) -> StepResult:
        """Return what became of one step."""
        return next(item for item in self.steps if item.name == name)

    def raise_for_status(self) -> None:
        """Raise the first failure, if there is one.

        Raises
        ------
        StepError, InputError, CancelledError
            With the step, its place and what was wrong.
        """
        if self.status == "cancelled":
            raise CancelledError(f"run {self.run} was stopped; finished steps are kept: run again to go on")
        for item in self.steps:
            if item.status == "failed":
                problem = InputError if item.exit_code == 2 else StepError
                raise problem(f"step {item.name}: {item.error}" + (f"\n{item.trace.rstrip()}" if item.trace else ""))


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(f"{name}.{key}", item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield name, value
