"""``models``, ``promote``, ``rollback``, ``keys``: versions, which of them answers, and whom."""

from __future__ import annotations

import click

from penstock.cli.common import echo_json, existing_store, json_option, named_model, store_option, table
from penstock.errors import InputError
from penstock.types.writing import figure, moment


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
    from penstock.deploy.rollout import changes

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
                    f"{metric} {figure(value)}",
                    moment(version.created),
                    version.user,
                    version.run,
                ]
            )
        click.secho(item, bold=True)
        table(["version", "alias", "metric", "made", "by", "run"], rows)
        if name is not None:
            click.echo()
            if tried := changes(opened, item):
                table(["when", "tried as", "version", "share", "by", "why"], [
                    [moment(one.at), one.kind, f"v{one.version}" if one.version else "none", f"{one.share:.0%}" if one.share else "", one.user, one.why]
                    for one in tried[:20]
                ])  # fmt: skip
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
@click.option("--canary", metavar="SHARE", help='Let it answer a share of the requests first, such as "10%".')
@click.option("--shadow", is_flag=True, help="Let it answer unseen beside the champion first.")
@click.option("--why", default="by hand", show_default=True, help="Kept in the history.")
@store_option
@json_option
def promote(
    name: str, version: str, canary: str | None, shadow: bool, why: str, store: str | None, as_json: bool
) -> None:
    """Make a version the champion; services change over without losing a request.

    VERSION is a number or an alias; the challenger when left out. A canary stays with those whom it answered once, and is
    stopped by itself when it is worse than the champion; promote it without --canary to make it the champion, or take it
    back with rollback.

    \b
    Example:  penstock promote churn 3 --why "agreed with sales"
              penstock promote churn 3 --canary 10%
    """
    from penstock.deploy import rollout
    from penstock.deploy.registry import Registry

    name, opened = named_model(name, store)
    if canary is not None and shadow:
        raise InputError("give --canary or --shadow, not both: begin with the shadow")
    if canary is not None or shadow:
        share = 0.0 if canary is None else _share(canary)
        number = rollout.begin(opened, name, "shadow" if shadow else "canary", _version(version), share, why)
        if as_json:
            echo_json({"name": name, "version": number, "as": "shadow" if shadow else "canary", "share": share})
        else:
            told = "unseen, beside the champion" if shadow else f"{100 * share:.3g} % of the requests"
            click.echo(f"{name} v{number} answers {told}")
            click.echo(
                f"next: GET /versions of the service, then penstock promote {name} {number}, or penstock rollback {name}"
            )
        return
    made = Registry(opened, name).promote(_version(version), why)
    for kind in ("canary", "shadow"):
        if getattr(rollout.rollout_of(opened, name), kind) is None:
            continue
        rollout.end(opened, name, kind, f"v{made.version} became champion")
    _tell(made, as_json)


def _share(text: str) -> float:
    number = text.strip().removesuffix("%")
    try:
        return float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise InputError(f'--canary {text}: give a share of the requests, such as "10%"') from None


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--why", default="rolled back by hand", show_default=True, help="Kept in the history.")
@store_option
@json_option
def rollback(name: str, why: str, store: str | None, as_json: bool) -> None:
    """Take back the latest change: end the canary and shadow that are tried, else make the champion before this one answer.

    \b
    Example:  penstock rollback churn --why "complaints since noon"
    """
    from penstock.deploy import rollout
    from penstock.deploy.registry import Registry

    name, opened = named_model(name, store)
    ended = [rollout.end(opened, name, kind, why) for kind in ("canary", "shadow")]
    if any(ended):
        _tell(Registry(opened, name).version("champion"), as_json)
        return
    _tell(Registry(opened, name).rollback(why), as_json)


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("action", type=click.Choice(["list", "make", "revoke"]), default="list")
@click.argument("key", metavar="[KEY]", required=False)
@click.option(
    "--scope", default="predict", show_default=True, type=click.Choice(["predict", "feedback", "admin"]),
    help="What a key that is made is for.",
)  # fmt: skip
@store_option
@json_option
def keys(name: str, action: str, key: str | None, scope: str, store: str | None, as_json: bool) -> None:
    """Make, list and revoke the keys of a service. Once there is a key, only who sends one is answered.

    A key is shown once, when it is made; the store keeps its SHA-256. Running services follow within a second.

    \b
    Example:  penstock keys churn make --scope predict
              penstock keys churn revoke 1f0c93ab
    """
    from penstock.deploy.keys import keys_of, make_key, revoke

    name, opened = named_model(name, store)
    if action == "make":
        made = make_key(opened, name, scope)
        if as_json:
            echo_json({"key": made, "scope": scope})
        else:
            click.echo(made)
            click.echo("keep it: it is not shown again. Send it as 'Authorization: Bearer KEY'.", err=True)
        return
    if action == "revoke":
        if key is None:
            raise InputError(f"which key? See: penstock keys {name}")
        revoke(opened, name, key)
    found = keys_of(opened, name)
    if as_json:
        echo_json([vars(item) for item in found])
    elif found:
        table(["key", "scope", "made", "by", "revoked"], [
            [f"ps_{item.id}_...", item.scope, moment(item.created), item.user, moment(item.revoked) if item.revoked else ""]
            for item in found
        ])  # fmt: skip
    else:
        click.echo("no keys: whoever reaches the service is answered")


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
