"""``export``: a model that runs elsewhere, or a pipeline that others run."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.common import echo_json, folder_of, json_option, load_pipeline, named_model, store_option
from penstock.errors import InputError
from penstock.store.store import open_store

_DAILY = "0 5 * * *"
_NEXT = {
    "python": "pip install -r {folder}/requirements.txt, then python {folder}/predict.py ROWS.csv",
    "docker": "docker build -t {name} {folder}",
    "onnx": "onnxruntime.InferenceSession('{folder}') in any language that it speaks",
    "grafana": "Grafana: Dashboards, New, Import, {folder}",
    "mlflow": "mlflow models serve -m {folder} --env-manager local",
    "airflow": "read the paths at its top, then put {folder} into Airflow's folder of DAGs",
    "kubernetes": "kubectl apply -f {folder}",
    "github-actions": "commit {folder} below .github/workflows/",
}


@click.command()
@click.argument("name", metavar="NAME|PIPELINE")
@click.option("--to", "kind", required=True, type=click.Choice(list(_NEXT)), help="What to write.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="PLACE",
    help="A new folder for python, docker and mlflow; else a new file.",
)
@click.option("--version", "which", help="Number or alias of the model.  [default: champion]")
@click.option(
    "--cron",
    help=f"When airflow, kubernetes or github-actions run it: minute, hour, day, month, weekday.  [default: {_DAILY}]",
)
@store_option
@json_option
def export(
    name: str, kind: str, output: str, which: str | None, cron: str | None, store: str | None, as_json: bool
) -> None:
    """Write a model so that it runs elsewhere, or the file with which a scheduler runs a pipeline.

    A model NAME as plain Python, a container's build, an MLflow model, an ONNX file, a dashboard of its service;
    a PIPELINE file for Airflow, Kubernetes or GitHub Actions.

    \b
    Example:  penstock export churn --to docker -o churn-image
              penstock export churn.py --to airflow -o dags/churn.py
    """
    from penstock.cli.models import _version
    from penstock.export import export as write
    from penstock.export.schedules import SCHEDULERS

    if kind in SCHEDULERS and which is not None:
        raise InputError(f"--version is of a model; --to {kind} runs the pipeline, which trains and judges its own")
    if kind not in SCHEDULERS and cron is not None:
        raise InputError(f"--cron says when a pipeline runs; --to {kind} writes a model, which runs when it is asked")
    if kind in SCHEDULERS:
        _schedule(name, kind, Path(output), cron or _DAILY, store)
        told: dict[str, object] = {"pipeline": name}
        made = name
    else:
        name, opened = named_model(name, store)
        found = write(opened, name, _version(which or "champion"), kind, Path(output))
        told = {"model": {"name": found.name, "version": found.version}}
        made = f"{found.name} v{found.version}"
    if as_json:
        echo_json({**told, "to": kind, "output": str(Path(output).resolve())})
    else:
        click.echo(f"{made} as {kind}: {output}")
        click.echo("next: " + _NEXT[kind].format(folder=output, name=name))


def _schedule(pipeline: str, kind: str, target: Path, cron: str, store: str | None) -> None:
    from penstock.export.schedules import schedule

    if len(cron.split()) != 5:
        raise InputError(f"--cron {cron!r}: five fields are expected, such as '0 5 * * *' for each day at five")
    if target.exists():
        raise InputError(f"{target}: is there already")
    made = load_pipeline(pipeline)
    graph = made.graph() if hasattr(made, "graph") else made
    opened = open_store(store, folder_of(pipeline))
    stages = list(dict.fromkeys(step.stage or step.name for step in graph.steps.values()))
    text = schedule(f"run-{kind}", graph.name, pipeline, opened.location, stages=stages, cron=cron)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
