"""``export``: a model that runs elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.common import echo_json, json_option, named_model, store_option

_NEXT = {
    "python": "pip install -r {folder}/requirements.txt, then python {folder}/predict.py ROWS.csv",
    "docker": "docker build -t {name} {folder}",
    "onnx": "onnxruntime.InferenceSession('{folder}') in any language that it speaks",
    "grafana": "Grafana: Dashboards, New, Import, {folder}",
    "mlflow": "mlflow models serve -m {folder} --env-manager local",
}


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--to", "kind", required=True, type=click.Choice(list(_NEXT)), help="What to write.")
@click.option("-o", "--output", required=True, metavar="PLACE", help="A new folder; of onnx and grafana, a new file.")
@click.option("--version", "which", default="champion", show_default=True, help="Number or alias.")
@store_option
@json_option
def export(name: str, kind: str, output: str, which: str, store: str | None, as_json: bool) -> None:
    """Write a model so that it runs elsewhere: plain Python, a container's build, an MLflow model, an ONNX file.

    \b
    Example:  penstock export churn --to docker -o churn-image
    """
    from penstock.cli.models import _version
    from penstock.export import export as write

    name, opened = named_model(name, store)
    made = write(opened, name, _version(which), kind, Path(output))
    if as_json:
        echo_json(
            {"model": {"name": made.name, "version": made.version}, "to": kind, "output": str(Path(output).resolve())}
        )
    else:
        click.echo(f"{made.name} v{made.version} as {kind}: {output}")
        click.echo("next: " + _NEXT[kind].format(folder=output, name=name))
