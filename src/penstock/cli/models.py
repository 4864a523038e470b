"""``models``, ``promote`` and ``rollback``: versions and which of them answers."""

from __future__ import annotations

import click

from penstock.cli.common import (
    echo_json,
    existing_store,
    json_option,
    moment,
    named_model,
    store_option,
    table,
)


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@store_option
@json_option
def models(name: str | None, store: str | None, as_json: bool) -> None:
    """List the versions of a pipeline's models, and the history of who answers.

    \b
    Example:  penstock models churn
    """
    from penstock.deploy.registry import Registry, names

    if name is None:
        opened = existing_store(store)
        wanted = names(opened)
    else:
        name, opened = named_model(name, store)
        Registry(opened, name).version(1) if not Registry(opened, name).versions() else None
        wanted = [name]
    if as_json:
        echo_json(
            [
                {"name": item, "versions": [vars(version) for version in Registry(opened, item).versions()],
                 "history": [vars(change) for change in Registry(opened, item).history()]}
                for item in wanted
            ]
        )  # fmt: skip
        return
    if not wanted:
        click.echo("no models yet; make one with: penstock run PIPELINE")
    for item in wanted:
        rows = []
        for version in Registry(opened, item).versions():
            metric = version.evaluation.get("metric", "")
            value = version.evaluation.get("metrics", {}).get(metric, {}).get("value", float("nan"))
            rows.append(
                [
                    f"v{version.version}",
                    ", ".join(version.aliases),
                    f"{metric} {value:.4g}",
                    moment(version.created),
                    version.user,
                    version.run,
                ]
            )
        click.secho(item, bold=True)
        table(["version", "alias", "metric", "made", "by", "run"], rows)
        if name is not None:
            click.echo()
            table(["when", "alias", "version", "by", "why"], [
                [moment(change.at), change.alias, f"v{change.version}" if change.version else "none", change.user, change.why]
                for change in Registry(opened, item).history()
            ])  # fmt: skip


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--version", "which", default="champion", show_default=True, help="Number or alias.")
@store_option
@json_option
def features(name: str, which: str, store: str | None, as_json: bool) -> None:
    """List what a model learns from: definition, source, importance, share of missing values.

    \b
    Example:  penstock features flights
    """
    from penstock.catalogue import feature_catalogue

    name, opened = named_model(name, store)
    found = feature_catalogue(opened, name, _version(which))
    if as_json:
        echo_json([{**vars(item), "comes_from": list(item.comes_from)} for item in found])
        return
    rows = [
        [
            item.name,
            "–" if item.importance is None else f"{item.importance:.4f}",
            "–" if item.missing is None else f"{item.missing:.1%}",
            item.learnt_as,
            item.definition,
            ", ".join(item.comes_from),
        ]
        for item in found
    ]
    table(["feature", "importance", "missing", "learnt as", "definition", "comes from"], rows)


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("version", metavar="[VERSION]", default="challenger")
@click.option("--why", default="by hand", show_default=True, help="Kept in the history.")
@store_option
@json_option
def promote(name: str, version: str, why: str, store: str | None, as_json: bool) -> None:
    """Make a version the champion; services change over without losing a request.

    VERSION is a number or an alias; the challenger when left out.

    \b
    Example:  penstock promote churn 3 --why "agreed with sales"
    """
    from penstock.deploy.registry import Registry

    name, opened = named_model(name, store)
    made = Registry(opened, name).promote(_version(version), why)
    _tell(made, as_json)


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--why", default="rolled back by hand", show_default=True, help="Kept in the history.")
@store_option
@json_option
def rollback(name: str, why: str, store: str | None, as_json: bool) -> None:
    """Make the version that answered before the champion again.

    \b
    Example:  penstock rollback churn --why "complaints since noon"
    """
    from penstock.deploy.registry import Registry

    name, opened = named_model(name, store)
    _tell(Registry(opened, name).rollback(why), as_json)


def _version(text: str) -> int | str:
    digits = text.removeprefix("v")
    return int(digits) if digits.isdigit() else text


def _tell(made: object, as_json: bool) -> None:
    from penstock.outcome import model_json

    found = model_json(made)  # type: ignore[arg-type]
    assert found is not None
    if as_json:
        echo_json(found)
    else:
        click.echo(f"{found['name']} v{found['version']} is the champion")
