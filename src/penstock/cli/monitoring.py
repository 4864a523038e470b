"""``monitor``: is the champion still asked what it has learnt, and still right?"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.common import echo_json, events_named, events_option, json_option, named_model, store_option, table
from penstock.errors import InputError
from penstock.types.writing import figure

if TYPE_CHECKING:
    from penstock.monitor.compare import ColumnDrift
    from penstock.monitored import Monitoring

_LISTED, _MOVES = 25, 5
"""Of the columns, and of the moves that bear on the answers, so many are printed; the report and ``--json`` have all."""


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--window",
    metavar="LENGTH",
    help='The latest "6h", "1d" or "500 rows". [default: the pipeline file\'s, else 1d]',
)
@click.option("--data", metavar="FILES", help="Look at these rows instead; their target column is the truth.")
@events_option
@click.option("-o", "--output", metavar="FILE", help="Write the report, .html.")
@store_option
@json_option
def monitor(
    name: str,
    window: str | None,
    data: str | None,
    events: tuple[str, ...],
    output: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Compare the champion's latest predictions with the rows that it has learnt from.

    NAME is a pipeline's name, or its file, whose ps.monitor.drift(...) then counts.

    \b
    Example:  penstock monitor churn --window "500 rows"
              penstock monitor churn --data march.parquet
    Exit codes: 0 calm or not enough data, 3 drift.
    """
    from penstock.cli.common import load_pipeline
    from penstock.monitor.drawings import sparkline
    from penstock.monitor.options import drift
    from penstock.observed import from_batch, read_rows
    from penstock.outcome import load
    from penstock.retrospect import history
    from penstock.watch import monitor as look

    if events and data is None:
        raise InputError("--events goes with --data: services are told of events by POST /events")
    if None not in (window, data):
        raise InputError("--window chooses among predictions, --data takes all rows of the files: give one of them")

    how = load_pipeline(name).monitor if ".py" in name else None
    name, opened = named_model(name, store)
    if window is not None:
        given = drift(window)
        how = given if how is None else dataclasses.replace(how, seconds=given.seconds, rows=given.rows)
    batch = None
    if data is not None:
        model = load(name, store=opened)
        past = {table: read_rows(files, model.form(table)) for table, files in events_named(events).items()}
        batch = from_batch(model, read_rows(data, model.form()), past)
    found = look(name, opened, how, batch)
    if output is not None:
        from penstock.retrospect import report

        Path(output).write_text(report(name, opened, how, found, batch), encoding="utf-8")
    if as_json:
        echo_json(found.as_json())
        sys.exit(3 if found.status == "drift" else 0)
    _tell(found, batch=data is not None)
    moments, metric = history(name, opened, how, batch)
    if found.estimate is not None:
        click.echo(
            f"without labels {metric} is expected to be {figure(found.estimate)}, if the world answers as it did"
        )
    if len(moments) > 1:
        when = f"since {moments[0].at}" if found.window.first else f"{len(moments)} parts of the rows"
        click.echo(f"largest effect  {sparkline([moment.effect for moment in moments])}  {when}")
        if any(moment.value is not None for moment in moments):
            click.echo(f"{metric:<15} {sparkline([moment.value for moment in moments])}")
    if output is not None:
        click.echo(f"report {output}")
    if found.status == "drift":
        click.echo("next: add the new data, then penstock run; the gate decides. Or let penstock watch do it.")
    sys.exit(3 if found.status == "drift" else 0)


def nothing_asked(name: str) -> str:
    """Say where answers are looked for, and how those of batches are looked at."""
    return f"no service was asked yet; rows answered in batches are judged by: penstock monitor {name} --data FILES"


def _tell(found: Monitoring, *, batch: bool) -> None:
    """Print what was seen of the rows, then what their labels say."""
    from penstock.monitored import behind_in_words, concept_in_words
    from penstock.performance import calibration_in_words, group_in_words, performance_in_words
    from penstock.unlabelled import skew_in_words, together_in_words

    colour = {"calm": "green", "drift": "red"}.get(found.status, "yellow")
    status = click.style(found.status, fg=colour)
    click.echo(f"{found.model} v{found.version}: {status} ({found.window.in_words})")
    if found.columns:
        _columns(found.columns)
    for words in found.moves_in_words():
        click.echo(click.style("drift", fg="red") + f": {words}")
    if found.answers is not None and not found.answers.drifted:
        click.echo(f"answers are as at training ({found.answers.text})")
    if found.together is not None and not found.together.apart:
        click.echo(together_in_words(found.together))
    if found.skew is not None:
        told = skew_in_words(found.skew)
        click.echo(click.style(told, fg="red") if found.skew.unlike else told)
    for column, moved in list(found.bearing.items())[:_MOVES]:
        click.echo(f"the move of {column} moves an answer by {figure(moved)} on average")
    if found.behind is not None:
        click.echo(behind_in_words(found.behind))
    for words in found.ahead:
        click.echo(click.style("stale", fg="yellow") + f": {words}")
    if found.performance:
        verdict = click.style("decayed", fg="red") if found.performance.decayed else "holds"
        click.echo(f"{performance_in_words(found.performance)}: {verdict}")
    elif batch:
        click.echo("no metric: fewer than 30 of the rows hold a truth that training knew, or all have the same")
    elif found.window.rows:
        click.echo("no metric yet: send labels by POST /feedback")
    else:
        click.echo(nothing_asked(found.model))
    if found.strange:
        click.echo(click.style("new", fg="red") + f": {found.strange:,} rows are of a class that training did not know")
    if found.concept is not None:
        told = concept_in_words(found.concept) if found.concept.drifted else "losses are as at training"
        since = "" if batch else " since it became champion"
        click.echo(f"{told} ({found.concept.labels:,} labels{since})")
    worse = [group for group in found.groups if group.worse]
    for group in worse[:5]:
        click.echo(click.style("worse", fg="red") + f" for {group_in_words(group)}")
    if found.groups and not worse:
        click.echo(f"none of {len(found.groups)} groups is surely worse than at training")
    if found.calibration is not None:
        verdict = click.style("no longer", fg="red") if found.calibration.off else "as at training"
        click.echo(f"{calibration_in_words(found.calibration)}: {verdict}")


def _columns(columns: Sequence[ColumnDrift]) -> None:
    usual = any(c.usual for c in columns)
    rows = [
        [
            c.name, "yes" if c.drifted else "no", f"{c.effect:.3f}", *([f"{c.usual:.3f}"] if usual else []),
            f"{c.p_value:.2g}", c.test, c.text,
        ]
        for c in columns[:_LISTED]
    ]  # fmt: skip
    table(["column", "drifted", "effect", *(["usual"] if usual else []), "p-value", "test", "what"], rows)
    if len(columns) > _LISTED:
        click.echo(f"and {len(columns) - _LISTED:,} more columns")


@click.command()
@click.argument("reference", metavar="REFERENCE")
@click.argument("current", metavar="CURRENT")
@click.option("-o", "--output", metavar="FILE", help="Write the report, .html or .json.")
@click.option("--effect", default=0.1, show_default=True, help="Least difference that counts, from 0 to 1.")
@click.option(
    "--significance", default=0.01, show_default=True, help="Greatest chance of a false alarm, all columns together."
)
@json_option
def compare(
    reference: str, current: str, output: str | None, effect: float, significance: float, as_json: bool
) -> None:
    """Compare two tables: has CURRENT drifted from REFERENCE? Needs no pipeline and no store.

    \b
    Example:  penstock compare january.parquet february.parquet -o drift.html
    Exit codes: 0 calm or not enough data, 3 drift.
    """
    from penstock.comparing import compare as compare_tables

    found = compare_tables(reference, current, effect=effect, significance=significance)
    if output is not None:
        found.save(output)
    if as_json:
        echo_json(found.as_json())
    else:
        colour = {"calm": "green", "drift": "red"}.get(found.status, "yellow")
        click.echo(f"{click.style(found.status, fg=colour)}: {found.rows[1]:,} rows against {found.rows[0]:,}")
        if found.columns:
            _columns(found.columns)
        if found.shift is not None:
            click.echo(f"trees tell the two tables apart with ROC AUC {found.shift.score:.3f} (0.5: they are alike)")
        for name in found.missing:
            click.echo(f"column {name} is gone")
        if output is not None:
            click.echo(f"report {output}")
    sys.exit(3 if found.status == "drift" else 0)
