"""``copy``: from one store to another; ``mirror``: to what a team has already."""

from __future__ import annotations

import click

from penstock.cli.common import echo_json, existing_store, json_option, named_model, store_option


@click.command()
@click.argument("what", metavar="MODEL|RUN")
@click.option(
    "--to", required=True, metavar="WHERE", help="The other store: a folder, postgresql:// + s3://, or @NAME."
)
@click.option("--version", "version", metavar="VERSION", default="champion", show_default=True, help="Of a model.")
@click.option("--promote", is_flag=True, help="Let the model answer there.")
@click.option("--data", is_flag=True, help="Also the tables that were read, prepared and learnt from.")
@store_option
@json_option
def copy(what: str, to: str, version: str, promote: bool, data: bool, store: str | None, as_json: bool) -> None:
    """Copy a model with its run, or a run alone, to another store.

    \b
    Example:  penstock copy churn --to @prod --promote
    """
    from penstock.copying import copy_model, copy_run
    from penstock.deploy.registry import names
    from penstock.engine.history import past_run
    from penstock.store.store import open_store

    name, source = named_model(what, store) if ".py" in what else (what, existing_store(store))
    target = open_store(to)
    if name in names(source):
        wanted = int(version.removeprefix("v")) if version.removeprefix("v").isdigit() else version
        made = copy_model(source, target, name, wanted, promote=promote, data=data)
    else:
        made = copy_run(source, target, past_run(source, name), data=data)
    if as_json:
        echo_json({
            "run": made.run, "artifacts": made.artifacts, "bytes": made.bytes,
            "version": None if made.version is None else made.version.version,
        })  # fmt: skip
        return
    if made.version is not None:
        click.echo(f"{name} is v{made.version.version} there ({', '.join(made.version.aliases) or 'no alias'})")
    click.echo(f"{made.artifacts} artifacts of run {made.run or '(its run is gone)'}, {made.bytes / 1e6:.1f} MB copied")


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--to", required=True, type=click.Choice(["mlflow", "openlineage"]), help="What takes it.")
@store_option
@json_option
def mirror(run: str, to: str, store: str | None, as_json: bool) -> None:
    """Tell a run to MLflow's tracking server, or to one that takes OpenLineage events.

    MLFLOW_TRACKING_URI or OPENLINEAGE_URL says where it is. Told twice, a run stands there once.

    \b
    Example:  penstock mirror latest --to mlflow
              penstock run churn.py --mirror mlflow --mirror openlineage
    """
    from penstock.mirror import mirror as tell

    where = tell(existing_store(store), run, to)
    if as_json:
        echo_json({"to": to, "where": where})
    else:
        click.echo(where)
