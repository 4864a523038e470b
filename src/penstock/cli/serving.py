"""``serve`` and ``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import echo_json, json_option, named_model, store_option


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address; other machines can ask only when you change it.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--durable", is_flag=True, help="Answer only what the disk already holds in the log.")
@store_option
@json_option
def serve(name: str, host: str, port: int, durable: bool, store: str | None, as_json: bool) -> None:
    """Answer requests with the champion; changes over when another is promoted.

    \b
    Example:  penstock serve churn --port 8000
              curl localhost:8000/predict -d '{"rows": [{"tenure": 3, ...}]}'
    """
    from penstock.serving import serve_champion

    name, opened = named_model(name, store)

    def started(url: str, model: Any) -> None:
        if as_json:
            echo_json({"url": url, "model": {"name": model.name, "version": model.version}})
        else:
            click.echo(f"serving {model.name} v{model.version} on {url} (Ctrl-C stops)")
            click.echo(f"try: curl {url}/openapi.json")

    serve_champion(opened, name, host, port, durable=durable, started=started)


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", required=True, metavar="OUT", help="File to write: .parquet, .csv or .jsonl.")
@click.option("--version", "which", default="champion", show_default=True, help="Number or alias.")
@store_option
@json_option
def predict(name: str, source: str, output: str, which: str, store: str | None, as_json: bool) -> None:
    """Answer every row of a file.

    \b
    Example:  penstock predict churn customers.csv -o answers.parquet
    """
    from penstock.cli.models import _version
    from penstock.outcome import load
    from penstock.serving import predict_file

    name, opened = named_model(name, store)
    model = load(name, _version(which), opened)
    rows = predict_file(model, Path(source), Path(output))
    if as_json:
        echo_json(
            {
                "model": {"name": model.name, "version": model.version},
                "rows": rows,
                "output": str(Path(output).resolve()),
            }
        )
    else:
        click.echo(f"{rows} rows answered by {model.name} v{model.version}: {output}")
