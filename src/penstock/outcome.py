"""Running a pipeline: its graph, then the registry; and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.deploy.registry import ModelVersion, Registry
from penstock.engine.own_code import look_in
from penstock.engine.results import STEP_HEADERS, RunResult, StepResult, step_rows
from penstock.engine.run import run_graph, set_summary
from penstock.evaluate.gates import Verdict
from penstock.evaluate.measure import Evaluation, Interval
from penstock.store.schema import JUDGED
from penstock.store.store import Store, opened
from penstock.types.convert import convert
from penstock.types.showing import shown_page, shown_table
from penstock.types.writing import figure

if TYPE_CHECKING:
    from penstock.model import Model
    from penstock.pipeline import Pipeline


@dataclass(frozen=True)
class PipelineRun:
    """What a run of a pipeline did.

    Attributes
    ----------
    run : str
        Its id.
    pipeline : str
        The pipeline's name.
    status : {"succeeded", "failed", "cancelled"}
        How it ended; a gate that says no is a success.
    steps : tuple of StepResult
        Each step: ran, cached, failed or skipped.
    metrics : dict of str to Interval
        On the test rows, with 95 % intervals.
    baseline : dict of str to float
        Of the baseline, on the same rows.
    gate : Verdict or None
        What the gate said.
    model : ModelVersion or None
        The version that the model is kept as.
    report : str or None
        Path of the HTML report.
    """

    run: str
    pipeline: str
    status: str
    steps: tuple[StepResult, ...]
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    gate: Verdict | None = None
    model: ModelVersion | None = None
    report: str | None = None
    metric: str | None = None
    baseline_name: str | None = None
    result: RunResult | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> Any:
        """Return the artifact of a step."""
        assert self.result is not None
        return self.result[name]

    def __repr__(self) -> str:
        found = [self.status, *(f"step {item.name}: {item.error}" for item in self.steps if item.status == "failed")]
        if self.metric is not None:
            value, simple = self.metrics[self.metric].value, self.baseline.get(self.metric)
            found.append(f"{self.metric} {figure(value)} (baseline {figure(simple)})")
            found.append(f"model v{self.model.version}" if self.model else "no model kept")
        return f"<PipelineRun {self.pipeline} {self.run}: {'; '.join(found)}>"

    def _repr_html_(self) -> str:
        title = f"{self.pipeline} {self.run}: {self.status}"
        if self.metric is None:
            return shown_table(title, [], STEP_HEADERS, step_rows(self.steps))
        kept = f"model {self.model.name} v{self.model.version}" if self.model else "no model kept"
        ran = sum(item.status == "ran" for item in self.steps)
        lines = [f"{kept}; {ran} steps ran, {len(self.steps) - ran} cached"]
        if self.gate is not None:
            lines.append(f"gate {'passed' if self.gate.passed else 'said no'}: " + "; ".join(self.gate.reasons))
        rows = [
            [name, figure(item.value), f"{figure(item.low)} to {figure(item.high)}", figure(self.baseline[name]) if name in self.baseline else ""]
            for name, item in self.metrics.items()
        ]  # fmt: skip
        shown = shown_table(title, lines, ["metric on test rows", "value", "95 % interval", "baseline"], rows)
        return shown if self.result is None else shown + shown_page(self["report"].decode(), "report")

    def raise_for_status(self) -> None:
        """Raise the first failure, if there is one."""
        assert self.result is not None
        self.result.raise_for_status()

    def as_json(self) -> dict[str, Any]:
        """Return what ``penstock run --json`` prints."""
        return {
            "run": self.run,
            "pipeline": self.pipeline,
            "status": self.status,
            "steps": [steps_json(item) for item in self.steps],
            "metrics": {name: msgspec.to_builtins(item) for name, item in self.metrics.items()},
            "baseline": dict(self.baseline),
            "gate": {"passed": self.gate.passed, "reasons": self.gate.reasons}
            if self.gate
            else {"passed": False, "reasons": []},
            "model": model_json(self.model),
            "report": self.report,
        }


def steps_json(item: StepResult) -> dict[str, Any]:
    """Return one step as commands print it."""
    found: dict[str, Any] = {
        "name": item.name, "status": item.status, "seconds": round(item.seconds, 6), "digest": item.digest,
        "stage": item.stage, "causes": list(item.causes),
    }  # fmt: skip
    if item.error:
        found["error"] = item.error
    return found


def model_json(model: ModelVersion | None) -> dict[str, Any] | None:
    """Return a model version as commands print it."""
    return None if model is None else {"name": model.name, "version": model.version, "aliases": list(model.aliases)}


def run_pipeline(pipeline: Pipeline, store: Store, **options: Any) -> PipelineRun:
    """Run a pipeline's graph, keep its model as a version, and move the champion if the gate lets it."""
    done = run_graph(pipeline.graph(), store, seed=pipeline.seed, file=pipeline.file or None, **options)
    if done.status != "succeeded":
        return PipelineRun(done.run, pipeline.name, done.status, done.steps, result=done)
    pipeline.keep_schema(store, done.refs)
    evaluation = convert(done["evaluated"]["evaluation"], Evaluation)
    verdict = convert(done["gated"], Verdict)
    path = store.folder / "reports" / f"{pipeline.name}-{done.run}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(done["report"])
    path.with_suffix(".md").write_bytes(done["card"])
    registry = Registry(store, pipeline.name)
    champion = registry.champion()
    judged = done.refs["trained"].digest
    digest = done.refs["refitted"].digest if pipeline.train.refit else judged
    against = None if champion is None or champion.judged == judged else champion.judged
    summary = {
        "metric": evaluation.metric,
        "metrics": msgspec.to_builtins(evaluation.metrics),
        "baseline": evaluation.baseline,
        "gate": {"passed": verdict.passed, "reasons": verdict.reasons},
        "report": str(path),
    }
    serving = {"deploy": pipeline.deploy.as_json(), "rows": done["compared"], "code": pipeline.code_folders()}
    if digest != judged:
        serving[JUDGED] = judged
    why = f"run {done.run}: " + (verdict.reasons[0] if verdict.reasons else "no conditions")
    model = registry.register(
        digest,
        done.run,
        {**summary, **serving},
        passed=verdict.passed,
        promote=pipeline.deploy.promote == "gate",
        judged_against=against,
        why=why,
    )
    set_summary(store, done.run, {**summary, "model": model_json(model)})
    return PipelineRun(
        done.run, pipeline.name, done.status, done.steps, evaluation.metrics, evaluation.baseline, verdict, model, str(path),
        evaluation.metric, evaluation.baseline_name, done,
    )  # fmt: skip


def load(
    name: str, version: int | str = "champion", store: Store | str | Path | None = None, *, events: bool = True
) -> Model:
    """Load a model that was kept by a run.

    Parameters
    ----------
    name : str
        The pipeline.
    version : int or str
        A number, or an alias.
    store : Store or path, optional
        ``PENSTOCK_STORE``, else ``.penstock/`` in the working folder, when left out.
    events : bool
        Also tell it the events that services of this store were told since.

    Raises
    ------
    InputError
        When there is no such model.

    Examples
    --------
    >>> import tempfile
    >>> load("churn", store=tempfile.mkdtemp())  # of a run that kept one: a model with predict and predict_proba
    Traceback (most recent call last):
    penstock.errors.InputError: there is no model churn; pipelines with models: none. Make one with: penstock run
    """
    from penstock.engine.execute import read_bytes
    from penstock.feed import EventFeed, event_log
    from penstock.model import Model
    from penstock.store.formats import decode

    where = opened(store)
    found = Registry(where, name).version(version)
    look_in(found.evaluation.get("code", []))
    bundle = decode("bundle", read_bytes(where, found.digest))
    plain = not found.evaluation.get("rows", {}).get("equal", True)
    model = Model(bundle, name, found.version, found.digest, made=found.created, plain=plain)
    if events:
        EventFeed(event_log(where, name)).catch_up(model)
    return model
