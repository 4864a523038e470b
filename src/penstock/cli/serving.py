"""``serve``, ``predict`` and ``trace``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from penstock.cli.common import (
    echo_json,
    events_named,
    events_option,
    existing_store,
    json_option,
    named_model,
    store_option,
)
from penstock.errors import InputError
from penstock.types.writing import moment


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
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes that answer.")
@click.option(
    "--log", default="fast", show_default=True, type=click.Choice(["fast", "durable", "off"]),
    help="fast: logged before it leaves; durable: on the disk before it leaves.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Most requests a second of one key or address."
)
@click.option("--tls-cert", metavar="FILE", help="Certificate, in PEM: speak HTTPS.")
@click.option("--tls-key", metavar="FILE", help="Its key, in PEM.")
@store_option
@json_option
def serve(
    name: str, host: str, port: int, workers: int, log: str, rate: float | None, tls_cert: str | None,
    tls_key: str | None, store: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Answer requests with the champion; changes over when another is promoted.

    \b
    Example:  penstock serve churn --port 8000
              curl localhost:8000/predict -d '{"rows": [{"tenure": 3, ...}]}'
    """
    from penstock.deploy.keys import scopes_by_digest
    from penstock.deploy.listening import Tls
    from penstock.deploy.notices import write_as_json
    from penstock.serving import Serving, serve_champion

    if (tls_cert is None) != (tls_key is None):
        raise InputError("give --tls-cert and --tls-key together")
    write_as_json(as_json)
    tls = None if tls_cert is None else Tls(Path(tls_cert), Path(str(tls_key)))
    name, opened = named_model(name, store)
    if host not in ("127.0.0.1", "::1", "localhost") and scopes_by_digest(opened, name) is None:
        click.echo(f"warning: whoever reaches {host} is answered; make a key with: penstock keys {name} make", err=True)

    def started(url: str, model: Any) -> None:
        if as_json:
            echo_json({"url": url, "model": {"name": model.name, "version": model.version}})
        else:
            click.echo(f"serving {model.name} v{model.version} on {url} (Ctrl-C stops)")
            click.echo(f"try it by hand, in a browser: {url}/")

    serve_champion(opened, name, host, port, Serving(log, workers, rate, tls), started)


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", required=True, metavar="OUT", help="File to write: .parquet, .csv or .jsonl.")
@click.option("--version", "which", default="champion", show_default=True, help="Number or alias.")
@click.option("--on", metavar="WHERE", help="processes, ray or ray://host:port: parts are steps, kept and resumed.")
@events_option
@store_option
@json_option
def predict(
    name: str,
    source: str,
    output: str,
    which: str,
    on: str | None,
    events: tuple[str, ...],
    store: str | None,
    as_json: bool,
) -> None:
    """Answer every row of a file, of any size: a part is in memory at a time.

    With --on, IN may be a pattern of files, and parts are answered at once.

    \b
    Example:  penstock predict churn customers.csv -o answers.parquet
              penstock predict churn 'days/*.parquet' -o answers.parquet --on processes
    """
    from penstock.batch import predict_file
    from penstock.cli.models import _version
    from penstock.observed import read_rows
    from penstock.outcome import load

    name, opened = named_model(name, store)
    model = load(name, _version(which), opened)
    for table, files in events_named(events).items():
        model.knows.take_rows(table, read_rows(files, model.form(table)))
    watched = sys.stderr.isatty() and not as_json

    def progress(rows: int) -> None:
        if watched:
            click.echo(f"\r{rows:,} rows", nl=False, err=True)

    if on is None:
        rows = predict_file(model, Path(source), Path(output), progress)
        if watched:
            click.echo("\r", nl=False, err=True)
    else:
        rows = _predicted_on(model, opened, source, Path(output), on, as_json)
    if as_json:
        echo_json(
            {
                "model": {"name": model.name, "version": model.version},
                "rows": rows,
                "output": str(Path(output).resolve()),
            }
        )
    else:
        click.echo(f"{rows:,} rows answered by {model.name} v{model.version}: {output}")


def _predicted_on(model: Any, store: Any, source: str, output: Path, on: str, as_json: bool) -> int:
    from penstock.answering import answering_graph, predict_on
    from penstock.cli.running import progress

    graph = answering_graph(model, source)
    with progress(list(graph.steps), quiet=as_json) as observe:
        return predict_on(graph, store, output, on, observe)


@click.command()
@click.argument("id_", metavar="ID")
@store_option
@json_option
def trace(id_: str, store: str | None, as_json: bool) -> None:
    """Walk back from a prediction: what was asked and answered, by which version, made of which data, code and libraries.

    \b
    Example:  penstock trace 3f09ab41c2d7-18
    """
    from penstock.tracing import trace_of

    found = trace_of(existing_store(store), id_)
    if as_json:
        echo_json(found)
        return
    click.secho(f"{id_}: {found['prediction']}", bold=True)
    lines = {
        "asked": ", ".join(f"{name}={value}" for name, value in (found["row"] or {}).items()),
        "answered": moment(found["at"]) + (f", in {1000 * found['took']:.2f} ms" if found["took"] else ""),
        "probabilities": ", ".join(f"{name} {share:.4f}" for name, share in (found["probabilities"] or {}).items()),
        "truth": "" if found["label"] is None else str(found["label"]),
        "model": f"{found['model']['name']} v{found['model']['version']}, digest {found['model']['digest'][:12]}",
        "run": f"{found['run']['id']}, {moment(found['run']['started'])}, {found['run']['user']} on {found['run']['host']}",
        "code": f"{found['run']['file'] or '–'}; git {(found['run']['git_commit'] or 'none')[:12]}"
        + (" with uncommitted changes" if found["run"]["changed"] else ""),
        "data": ", ".join(f"{name} {digest[:12]}" for name, digest in found["data"].items()),
        "libraries": ", ".join(f"{name} {version}" for name, version in found["libraries"].items()),
    }
    for subject, text in lines.items():
        if text:
            click.echo(f"{subject:14}{text}")
    click.echo(f"next: penstock show {found['run']['id']}")
