"""``watch``, ``decisions``, ``approve`` and ``reject``: the loop that looks after a pipeline, and what it decided."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import click

from penstock.cli.common import echo_json, folder_of, json_option, load_pipeline, named_model, store_option, table
from penstock.errors import InputError, PenstockError
from penstock.store.store import open_store
from penstock.types.writing import moment


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@click.option("--every", default="60s", show_default=True, metavar="LENGTH", help="Between two looks.")
@click.option("--once", is_flag=True, help="Look once and leave, for cron.")
@click.option(
    "--unit",
    type=click.Choice(["systemd", "kubernetes"]),
    help="Print the file that keeps it running there, and leave.",
)
@store_option
@json_option
def watch(pipeline: str, every: str, once: bool, unit: str | None, store: str | None, as_json: bool) -> None:
    """Look after a pipeline: tell of drift, train a challenger when there is cause, promote it when it is better.

    What it may do stands in the pipeline file: ps.monitor.drift(retrain=ps.monitor.retrain(...), tell=[...]).

    \b
    Example:  penstock watch churn.py --every 10m
    Exit codes with --once: 0 calm or not enough data, 3 drift.
    """
    from penstock.types.durations import seconds_of
    from penstock.upkeep import Watcher

    pause = seconds_of(every)
    if pause < 0.1:
        raise InputError(f"--every {every}: give at least 0.1s between two looks")
    made = load_pipeline(pipeline)
    opened = open_store(store, folder_of(pipeline))
    if unit is not None:
        from penstock.export.schedules import schedule

        click.echo(schedule(f"watch-{unit}", made.name, pipeline, opened.location, every=every), nl=False)
        return
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def say(text: str) -> None:
        if not as_json:
            click.echo(f"{moment(_now())}  {text}")

    watcher = Watcher(opened, made, pipeline, say)
    if not once and not as_json:
        click.echo(f"watching {made.name} every {every} (Ctrl-C stops)")
    while not stop.is_set():
        try:
            found = watcher.look()
        except PenstockError as error:
            if once:
                raise
            say(f"error: {error}")
        else:
            if once:
                if as_json:
                    echo_json(None if found is None else found.as_json())
                else:
                    click.echo(_state(found))
                sys.exit(3 if found is not None and found.status == "drift" else 0)
        stop.wait(pause)


def _now() -> float:
    import time

    return time.time()


def _state(found: Any) -> str:
    if found is None:
        return "no champion yet, or another watcher looks"
    return f"{found.model} v{found.version}: {found.status} ({found.window.text})"


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, the latest first.")
@store_option
@json_option
def decisions(name: str, limit: int, store: str | None, as_json: bool) -> None:
    """List what the watcher decided, and why.

    \b
    Example:  penstock decisions churn
    """
    from penstock.monitor.decisions import decisions_of

    name, opened = named_model(name, store)
    found = decisions_of(opened, name)[:limit]
    if as_json:
        echo_json([vars(item) for item in found])
    elif found:
        table(["number", "when", "what", "status", "version", "why"], [
            [item.id, moment(item.at), item.what, item.status, f"v{item.version}" if item.version else "", item.why] for item in found
        ])  # fmt: skip
    else:
        click.echo("nothing was decided yet; begin with: penstock watch PIPELINE")


def _answer(name: str, number: int, status: str, why: str, store: str | None, as_json: bool) -> None:
    from penstock.monitor.decisions import answer

    name, opened = named_model(name, store)
    made = answer(opened, name, number, status, why)
    if as_json:
        echo_json({"decision": made.id, "status": status, "version": made.version})
    else:
        click.echo(f"decision {made.id} is {status}; the watcher acts at its next look")


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("number", type=int, metavar="NUMBER")
@click.option("--why", default="by hand", show_default=True, help="Kept with the decision.")
@store_option
@json_option
def approve(name: str, number: int, why: str, store: str | None, as_json: bool) -> None:
    """Let the watcher do what it asked for.

    \b
    Example:  penstock approve churn 12
    """
    _answer(name, number, "approved", why, store, as_json)


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("number", type=int, metavar="NUMBER")
@click.option("--why", default="by hand", show_default=True, help="Kept with the decision.")
@store_option
@json_option
def reject(name: str, number: int, why: str, store: str | None, as_json: bool) -> None:
    """Forbid the watcher what it asked for.

    \b
    Example:  penstock reject churn 12 --why "not before the holidays"
    """
    _answer(name, number, "rejected", why, store, as_json)
