"""``monitor``: is the champion still asked what it has learnt, and still right?"""

from __future__ import annotations

import sys

import click

from penstock.cli.common import echo_json, json_option, named_model, store_option, table


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--window",
    metavar="LENGTH",
    help='The latest "6h", "1d" or "500 rows". [default: the pipeline file\'s, else 1d]',
)
@store_option
@json_option
def monitor(name: str, window: str | None, store: str | None, as_json: bool) -> None:
    """Compare the champion's latest predictions with the rows that it has learnt from.

    NAME is a pipeline's name, or its file, whose ps.monitor.drift(...) then counts.

    \b
    Example:  penstock monitor churn --window "500 rows"
    Exit codes: 0 calm or not enough data, 3 drift.
    """
    from penstock.cli.common import load_pipeline
    from penstock.monitor.options import drift
    from penstock.watch import monitor as look

    how = load_pipeline(name).monitor if ".py" in name else None
    name, opened = named_model(name, store)
    if window is not None:
        given = drift(window)
        how = given if how is None else type(how)(given.seconds, given.rows, how.effect, how.significance, how.least)
    found = look(name, opened, how)
    if as_json:
        echo_json(found.as_json())
        sys.exit(3 if found.status == "drift" else 0)
    colour = {"calm": "green", "drift": "red"}.get(found.status, "yellow")
    span = f", {found.window.first} to {found.window.last}" if found.window.rows else ""
    click.echo(f"{name} v{found.version}: {click.style(found.status, fg=colour)} ({found.window.rows} rows{span})")
    if found.columns:
        table(
            ["column", "drifted", "effect", "p-value", "test", "what"],
            [
                [c.name, "yes" if c.drifted else "no", f"{c.effect:.3f}", f"{c.p_value:.2g}", c.test, c.text]
                for c in found.columns[:25]
            ],
        )
    if found.performance:
        p = found.performance
        verdict = click.style("decayed", fg="red") if p.decayed else "holds"
        click.echo(
            f"{p.metric} {p.value:.4g} ({p.low:.4g} to {p.high:.4g}) on {p.labels} rows with labels; "
            f"at training {p.reference:.4g} ({p.reference_low:.4g} to {p.reference_high:.4g}): {verdict}"
        )
    else:
        click.echo("no metric yet: send labels by POST /feedback")
    if found.status == "drift":
        click.echo("next: add the new data, then penstock run; the gate decides")
    sys.exit(3 if found.status == "drift" else 0)
