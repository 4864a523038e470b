"""``init``, ``gc``, ``roles``, ``doctor`` and ``completion``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from penstock.cli.common import echo_json, existing_store, json_option, store_option
from penstock.errors import InputError
from penstock.types.writing import figure


@click.command()
@click.argument("data", metavar="DATA")
@click.option("--target", required=True, metavar="COLUMN", help="What to predict.")
@click.option(
    "-o", "--output", default="pipeline.py", show_default=True, metavar="FILE", help="Pipeline file to write."
)
@click.option("--name", help="Of the pipeline. [default: from the data's name]")
@click.option("--table", metavar="NAME", help="Of a database, whose URL is DATA then; or the sheet of an Excel file.")
@click.option("--columns", metavar="NAMES", help="Of text without a header, such as age,city,bought.")
@click.option("--skip", type=click.IntRange(0), default=0, metavar="LINES", help="Of text, above its header.")
@click.option("--overwrite", is_flag=True, help="Replace the file when it is there.")
@json_option
def init(
    data: str,
    target: str,
    output: str,
    name: str | None,
    table: str | None,
    columns: str | None,
    skip: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Look at data and write a short pipeline file that runs as it is.

    \b
    Example:  penstock init telco.csv --target Churn -o churn.py
    From a database:  penstock init sqlite:///shop.db --table orders --target late
    """
    from penstock.starter import write_starter

    path = Path(output)
    if path.exists() and not overwrite:
        raise InputError(f"{output}: is there already; choose another name with -o, or replace it with --overwrite")
    named = [item.strip() for item in columns.split(",")] if columns else []
    made = write_starter(data, target, path, name, table, named, skip)
    if as_json:
        echo_json(made)
        return
    click.echo(f"{made['rows']:,} rows, {len(made['columns'])} columns; {target}: {made['task']}")
    for line in made["notes"]:
        click.echo(f"  {line}")
    click.echo(f"wrote {output}")
    click.echo(f"next: penstock run {output}")


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@click.option(
    "--label-delay", metavar="LENGTH", help="How long after a row its target is known; its past is then tried."
)
@store_option
@json_option
def discover(pipeline: str, label_delay: str | None, store: str | None, as_json: bool) -> None:
    """Propose features over the past, and keep those that help under cross-validation: code to paste.

    \b
    Example:  penstock discover flights.py --label-delay 12h
    """
    from penstock.cli.common import folder_of, load_pipeline
    from penstock.discovery import discover as look
    from penstock.pipeline import Pipeline
    from penstock.store.store import open_store

    made = load_pipeline(pipeline)
    if not isinstance(made, Pipeline):
        raise InputError(f"{pipeline}: holds steps alone; discover needs a pipeline with tables")
    found = look(made, open_store(store, folder_of(pipeline)), label_delay)
    if as_json:
        echo_json({**vars(found), "proposals": [vars(item) for item in found.proposals]})
        return
    if not found.proposals:
        click.echo(f"{found.tried} candidates tried; none is surely better than {found.metric} {figure(found.before)}")
        return
    low, high = found.gain
    click.echo(
        f"{found.tried} candidates tried: {found.metric} {figure(found.before)} -> {figure(found.after)} on later rows that took no "
        f"part in the choice (better by {figure(low)} to {figure(high)}). Add to features=[...]:"
    )
    for item in found.proposals:
        click.echo(f"    {item.code},")


@click.command()
@click.option("--keep", default=10, show_default=True, type=click.IntRange(0), help="Runs of each pipeline that stay.")
@click.option("--older-than", "older", metavar="LENGTH", help="Of the others, only runs older than this, such as 90d.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@store_option
@json_option
def gc(keep: int, older: str | None, dry_run: bool, store: str | None, as_json: bool) -> None:
    """Remove what no kept run and no model needs.

    \b
    Example:  penstock gc --keep 5 --older-than 90d --dry-run
    """
    from penstock.engine.cleanup import clean
    from penstock.types.durations import seconds_of

    found = clean(existing_store(store), keep, older=seconds_of(older) if older else 0.0, dry_run=dry_run)
    if as_json:
        echo_json({**vars(found), "dry_run": dry_run})
        return
    verb = "would remove" if dry_run else "removed"
    click.echo(
        f"{verb} {found.runs} runs, {found.artifacts} artifacts and {found.blobs} blobs ({found.bytes / 1e6:.1f} MB); "
        f"{found.kept_bytes / 1e6:.1f} MB stay"
    )


@click.command()
@json_option
def roles(as_json: bool) -> None:
    """Print the SQL that gives a team's PostgreSQL database the roles reader, author and deployer.

    The owner of the tables runs it, then grants each user one of them.

    \b
    Example:  penstock roles | psql team
              psql team -c "GRANT penstock_author TO ann"
    """
    from penstock.store.roles import statements

    if as_json:
        echo_json(statements())
    else:
        click.echo("\n".join(statements()))


@click.command()
@store_option
@json_option
def doctor(store: str | None, as_json: bool) -> None:
    """Check this machine and the store: versions, libraries, disk, and every stored byte.

    \b
    Example:  penstock doctor
    """
    from penstock.doctor import examine

    checks = examine(store)
    if as_json:
        echo_json(checks)
    else:
        for item in checks:
            mark = click.style("ok  ", fg="green") if item["ok"] else click.style("BAD ", fg="red")
            click.echo(f"{mark} {item['check']}: {item['found']}")
    sys.exit(0 if all(item["ok"] for item in checks) else 1)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete penstock's commands.

    \b
    Example:  penstock completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    from penstock.cli import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "penstock", "_PENSTOCK_COMPLETE").source())
