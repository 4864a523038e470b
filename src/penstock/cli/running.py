"""``plan``, ``run`` and ``reproduce``."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Sequence
from typing import Any

import click

from penstock.cli.common import echo_json, folder_of, json_option, load_pipeline, store_option, tell_numbers
from penstock.cli.settings import set_option, with_settings
from penstock.engine.telling import listening
from penstock.errors import InputError, PenstockError
from penstock.store.store import Store, open_store
from penstock.types.writing import figure, seconds

until_option = click.option(
    "--until", metavar="NAME", multiple=True, help="No further than this step or stage; no model is made then."
)


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@until_option
@store_option
@set_option
@json_option
def plan(pipeline: str, until: tuple[str, ...], store: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Say what a run would do, and why, without running anything.

    \b
    Example:  penstock plan churn.py
    """
    from penstock.engine.plan import make_plan

    made = with_settings(load_pipeline(pipeline), settings)
    graph = made if not hasattr(made, "graph") else made.graph()
    graph = graph.until(until) if until else graph
    found = make_plan(graph, open_store(store, folder_of(pipeline)))
    if as_json:
        echo_json(
            {
                "pipeline": found.pipeline,
                "steps": [
                    {
                        "name": item.name,
                        "status": item.status,
                        "causes": list(item.causes),
                        "stage": item.stage,
                    }
                    for item in found.steps
                ],
            }
        )
        return
    _tree(found)


def _tree(found: Any) -> None:
    """Print a plan as a tree: stages, their steps, and why each is stale."""
    click.secho(found.pipeline, bold=True)
    stages: dict[str, list[Any]] = {}
    for item in found.steps:
        stages.setdefault(item.stage or "steps", []).append(item)
    names = list(stages)
    width = max((len(item.name) for item in found.steps), default=0)
    for stage in names:
        last = stage == names[-1]
        click.echo(f"{'└─' if last else '├─'} {stage}")
        for number, item in enumerate(stages[stage]):
            branch = ("   " if last else "│  ") + ("└─" if number == len(stages[stage]) - 1 else "├─")
            mark = click.style("cached", fg="green") if item.status == "cached" else click.style("stale ", fg="yellow")
            click.echo(f"{branch} {item.name.ljust(width)}  {mark}  {'; '.join(item.causes)}".rstrip())
    click.echo(
        f"{len(found.stale)} of {len(found.steps)} steps would run"
        if found.stale
        else "everything is cached: nothing would run"
    )


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@store_option
@click.option(
    "--on",
    "--executor",
    "executor",
    metavar="WHERE",
    default="local",
    show_default=True,
    help="Where steps run: local, processes, ray, or ray://HOST:PORT.",
)
@click.option("--workers", type=click.IntRange(1), help="Steps at once. [default: as many as there are cores]")
@until_option
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    type=click.Choice(["mlflow", "openlineage"]),
    help="Tell the run to it afterwards.",
)
@click.option("--force", metavar="PATTERN", multiple=True, help="Run these steps whatever is known; * for all.")
@set_option
@json_option
def run(
    pipeline: str,
    store: str | None,
    executor: str,
    workers: int | None,
    until: tuple[str, ...],
    mirrors: tuple[str, ...],
    force: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run what is stale; judge the model and, if the gate lets it, make it the champion.

    \b
    Example:  penstock run churn.py --set train.budget=10m
    Exit codes: 0 fine, 1 a step failed, 2 the input cannot be used, 3 the gate said no.
    """
    from penstock.deploy.registry import Registry
    from penstock.engine.run import run_graph

    made = with_settings(load_pipeline(pipeline), settings)
    opened = open_store(store, folder_of(pipeline))
    is_graph = not hasattr(made, "graph")
    graph = made if is_graph else made.graph()
    seed, file = (0, _file_of(pipeline)) if is_graph else (made.seed, made.file or None)
    if until:
        graph, is_graph = graph.until(until), True
    unknown = [item for item in force if not fnmatch.filter(list(graph.steps), item)]
    if unknown:
        raise InputError(f"--force {unknown[0]}: no step has that name; there are {', '.join(graph.steps)}")
    options: dict[str, Any] = {
        "executor": executor,
        "settings": settings,
        "workers": workers,
        "force": lambda name: any(fnmatch.fnmatch(name, item) for item in force),
    }
    with progress(list(graph.steps), quiet=as_json) as observe:
        if is_graph:
            done: Any = run_graph(graph, opened, observe=observe, seed=seed, file=file, **options)
        else:
            done = made.run(opened, observe=observe, **options)
    for to in mirrors:
        _mirror(opened, done.run, to)
    if as_json:
        echo_json(graph_json(done) if is_graph else done.as_json())
    elif not is_graph and done.status == "succeeded":
        summary(done, Registry(opened, done.pipeline).may_deploy())
    elif done.status == "succeeded":
        ran = sum(item.status == "ran" for item in done.steps)
        tell_numbers(done.metrics)
        click.echo(f"{graph.name}: {ran} steps ran, {len(done.steps) - ran} cached; run {done.run}")
    sys.exit(exit_code(done))


def _mirror(store: Store, run: str, to: str) -> None:
    """Tell a run; it is in the store whatever comes of that."""
    from penstock.mirror import mirror

    try:
        click.echo(f"told to {mirror(store, run, to)}", err=True)
    except PenstockError as error:
        click.echo(f"warning: run {run} was not told: {error}", err=True)


def _file_of(pipeline: str) -> str:
    path = pipeline.partition(".py:")[0]
    return path if path.endswith(".py") else f"{path}.py"


def exit_code(done: Any) -> int:
    """Return what a run leaves with, after telling its first failure."""
    if done.status == "cancelled":
        click.echo(f"run {done.run} was stopped; finished steps are kept: run again to go on", err=True)
        return 1
    failed = [item for item in done.steps if item.status == "failed"]
    if failed:
        for item in failed:
            click.echo(f"error: step {item.name}: {item.error}", err=True)
            if item.trace:
                click.echo(item.trace.rstrip(), err=True)
        return int(failed[0].exit_code)
    gate = getattr(done, "gate", None)
    return 3 if gate is not None and not gate.passed else 0


def graph_json(done: Any) -> dict[str, Any]:
    """Return what ``run --json`` prints of a graph that is no pipeline: the same shape, without a model."""
    from penstock.outcome import steps_json

    return {
        "run": done.run, "pipeline": done.pipeline, "status": done.status, "steps": [steps_json(item) for item in done.steps],
        "metrics": {name: {"value": value} for name, value in done.metrics.items()}, "baseline": {}, "gate": {"passed": True, "reasons": []}, "model": None, "report": None,
    }  # fmt: skip


def summary(done: Any, may_deploy: bool = True) -> None:
    """Print what a run of a pipeline came to, and what to do next."""
    ran = sum(item.status == "ran" for item in done.steps)
    click.echo(f"{done.pipeline}: {ran} steps ran, {len(done.steps) - ran} cached; run {done.run}")
    item = done.metrics[done.metric]
    click.echo(
        f"{done.metric} {figure(item.value)} (95 % interval {figure(item.low)} to {figure(item.high)}); "
        f"baseline ({done.baseline_name}) {figure(done.baseline[done.metric])}"
    )
    verdict = click.style("passed", fg="green") if done.gate.passed else click.style("said no", fg="red")
    click.echo(f"gate {verdict}: {'; '.join(done.gate.reasons)}")
    from penstock.evaluate.doubts import doubts

    for finding, advice in doubts(done["evaluated"]["evaluation"]):
        click.secho(f"warning: {finding}: {advice}", fg="yellow")
    for note in _unclear(done):
        click.secho(f"warning: column {note['column']}: {note['text']}", fg="yellow")
    unlike = list(dict.fromkeys(f"{item['table']} {item['column']}".strip() for item in done["checked"]))
    if unlike:
        some = ", ".join(unlike[:5]) + (" and more" if len(unlike) > 5 else "")
        click.echo(f"data unlike the schema file, within its tolerance: {some}; the report says how")
    if any(item.name == "trials" for item in done.steps) and (rows := done["trials"]["rows"]):
        click.echo(
            f"learnt from {rows:,} of the training rows, evenly spaced: a larger budget or memory lets it see more"
        )
    aliases = ", ".join(done.model.aliases) or "no alias"
    again = ", fitted again on the test rows too" if done.model.judged != done.model.digest else ""
    click.echo(f"model {done.model.name} v{done.model.version} ({aliases}){again}")
    if not done.model.aliases and not may_deploy:
        click.echo("this database user may not change what answers: a deployer promotes it")
    click.echo(f"report {done.report}")
    serves = "champion" in done.model.aliases
    following = (
        f"penstock serve {done.model.name}" if serves else f"penstock promote {done.model.name} {done.model.version}"
    )
    click.echo(f"next: {following}")


def _unclear(done: Any) -> list[dict[str, Any]]:
    """Return what preparation saw in columns and left to the author, of each table."""
    from penstock.flow.tables import WHOLE

    names = [item.name for item in done.steps if item.name == "inferred" or item.name.startswith("inferred_")]
    return [note for name in names for note in done[name][WHOLE]["notes"] if note["unclear"]][:5]


class progress:  # noqa: N801 - used like a function
    """Show steps as they start and end: live on a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, names: Sequence[str], *, quiet: bool) -> None:
        self.quiet = quiet
        self.width = max((len(name) for name in names), default=0)
        self.live: Any = None
        self.running: dict[str, Any] = {}
        self.begun = False
        self.listening: Any = None

    def __enter__(self) -> Any:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self.live = Progress(*columns, console=Console(stderr=True), transient=True)
            self.live.start()
            self.listening = listening(self.told)
            self.listening.__enter__()
        return self.observe

    def __exit__(self, *_: object) -> None:
        if self.listening is not None:
            self.listening.__exit__(None, None, None)
        if self.live is not None:
            self.live.stop()

    def told(self, text: str) -> None:
        """Show what the search says of itself under its step."""
        task = self.running.get("trials")
        if task is not None:
            self.live.update(task, description="train · trials\n" + text)

    def observe(self, event: str, step: Any, result: Any) -> None:
        """Take one event of a run."""
        if self.quiet:
            return
        self.begun = self.begun or result is None or result.status != "skipped"
        if not self.begun:  # what stopped the run before its first step is told by its error
            return
        if event == "started":
            if self.live is not None:
                self.running[step.name] = self.live.add_task(f"{step.stage or 'step'} · {step.name}")
            return
        task = self.running.pop(step.name, None)
        if task is not None:
            self.live.remove_task(task)
        line = f"{(step.stage or 'step').ljust(9)}{result.name.ljust(self.width)}  {result.status}"
        if result.status == "ran":
            line += f" in {seconds(result.seconds)}"
            if result.causes and result.causes != ("never ran",):
                line += f" ({'; '.join(result.causes)})"
        if self.live is not None:
            self.live.console.print(line, highlight=False, markup=False)
        else:
            click.echo(line, err=True)


@click.command()
@click.argument("run", metavar="RUN")
@store_option
@json_option
def reproduce(run: str, store: str | None, as_json: bool) -> None:
    """Compute a run again from its recorded trials, and say which artifacts come out the same.

    The pipeline file and its data must be those of the run. Nothing in the store is changed.

    \b
    Example:  penstock reproduce latest
    """
    from penstock.cli.common import existing_store
    from penstock.engine.history import past_run
    from penstock.reproduce import reproduce_run
    from penstock.store.schema import SETTINGS

    opened = existing_store(store)
    past = past_run(opened, run)
    if past.file is None:
        raise InputError(f"run {past.run} does not say which file its pipeline lies in, so it cannot be computed again")
    made = with_settings(load_pipeline(past.file), past.parameters.get(SETTINGS, ()))
    compared = reproduce_run(made, opened, past)
    same = all(item["same"] for item in compared)
    if as_json:
        echo_json({"run": past.run, "same": same, "steps": compared})
    else:
        width = max((len(item["name"]) for item in compared), default=0)
        for item in compared:
            click.echo(f"{item['name'].ljust(width)}  {'same bytes' if item['same'] else 'DIFFERS: ' + item['why']}")
        click.echo("every artifact is the same byte for byte" if same else "not every artifact is the same")
    sys.exit(0 if same else 1)
