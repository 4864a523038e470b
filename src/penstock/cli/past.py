"""``runs``, ``show``, ``note``, ``tag``, ``audit`` and ``diff``: what the catalog remembers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from penstock.cli.common import echo_json, existing_store, json_option, store_option, table, tell_numbers
from penstock.errors import InputError
from penstock.types.writing import figure, moment, seconds, size

if TYPE_CHECKING:
    from penstock.engine.history import PastRun
    from penstock.store.store import Store


@click.command()
@click.argument("pipeline", metavar="[PIPELINE]", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, the latest first.")
@click.option("--tag", metavar="TAG", help="Only those that have it.")
@store_option
@json_option
def runs(pipeline: str | None, limit: int, tag: str | None, store: str | None, as_json: bool) -> None:
    """List the latest runs.

    \b
    Example:  penstock runs churn
    """
    from penstock.engine.history import past_runs, tagged
    from penstock.engine.notes import tags_of

    opened = existing_store(store)
    found = past_runs(opened, pipeline, limit, where=[tagged(tag)] if tag else [])
    tags = tags_of(opened, [item.run for item in found])
    if as_json:
        echo_json([{"run": r.run, "pipeline": r.pipeline, "status": r.status, "started": r.started, "finished": r.finished,
                    "user": r.user, "host": r.host, "git_commit": r.git_commit, "model": r.summary.get("model"),
                    "metrics": r.summary.get("metrics", {}), "tags": tags[r.run]} for r in found])  # fmt: skip
        return
    rows = []
    for item in found:
        metric = item.summary.get("metric") or next(iter(item.summary.get("metrics", ())), None)
        value = f"{metric} {figure(item.summary['metrics'][metric]['value'])}" if metric else ""
        model = item.summary.get("model")
        took = seconds(item.finished - item.started) if item.finished else "–"
        rows.append(
            [
                item.run,
                item.pipeline,
                item.status,
                moment(item.started),
                took,
                value,
                f"v{model['version']}" if model else "",
                ", ".join(tags[item.run]),
            ]
        )
    if rows:
        table(["run", "pipeline", "status", "started", "took", "metric", "model", "tags"], rows)
        click.echo(f"next: penstock show {rows[0][0]}")
    else:
        click.echo("no runs yet")


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("step", metavar="[STEP]", required=False)
@click.option("--log", is_flag=True, help="Also what the steps printed.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write what STEP made to a file.")
@store_option
@json_option
def show(run: str, step: str | None, log: bool, output: Path | None, store: str | None, as_json: bool) -> None:
    """Show one run: who, when, which code, each step with its time, memory and sizes; or what one of its steps made.

    RUN is an id, its beginning, a tag, "latest" or "latest~1", or a pipeline's name or "churn~1".

    \b
    Example:  penstock show latest
              penstock show latest prepared -o prepared.parquet
    """
    from penstock.engine.history import past_run
    from penstock.engine.notes import notes_of
    from penstock.store.schema import SETTINGS

    opened = existing_store(store)
    found = past_run(opened, run)
    if step is not None:
        _made(opened, found, step, output, as_json)
        return
    if output is not None:
        raise InputError("-o writes what a step made; name the step after the run")
    said = notes_of(opened, [found.run])
    tags = [item.tag for item in said if item.tag]
    if as_json:
        notes = [{"text": item.text, "at": item.at, "user": item.user} for item in said if item.text]
        echo_json({**vars(found), "tags": tags, "notes": notes})
        return
    click.secho(f"{found.pipeline} {found.run}: {found.status}", bold=True)
    changed = " with uncommitted changes" if found.git_diff else ""
    click.echo(f"{moment(found.started)} to {moment(found.finished)}, {found.user} on {found.host}, seed {found.seed}")
    click.echo(
        f"file {found.file or '–'}; git {(found.git_commit or 'none')[:12]}{changed}; {len(found.packages)} packages recorded"
    )
    if SETTINGS in found.parameters:
        click.echo(f"set {', '.join(found.parameters[SETTINGS])}")
    if tags:
        click.echo(f"tags {', '.join(tags)}")
    for remark in said:
        if remark.text:
            click.echo(f"{remark.user}, {moment(remark.at)}: {remark.text}")
    rows = [
        [
            item["stage"] or "", item["name"], item["status"], seconds(item["seconds"] or 0), seconds(item["cpu_seconds"] or 0),
            size(item["peak_bytes"]), size(item["bytes_in"]), size(item["bytes_out"]), (item["digest"] or "–")[:12], "; ".join(item["causes"]),
        ]
        for item in found.steps
    ]  # fmt: skip
    table(["stage", "step", "status", "wall", "cpu", "peak", "in", "out", "digest", "why"], rows)
    for item in found.steps:
        if item["error"]:
            click.echo(f"error: step {item['name']}: {item['error']}")
        if log and item["log"]:
            click.secho(f"-- {item['name']}", bold=True)
            click.echo(item["log"].rstrip())
    metric = found.summary.get("metric")
    if not metric:  # a graph of steps of one's own
        tell_numbers({name: item["value"] for name, item in found.summary.get("metrics", {}).items()})
    else:
        value = found.summary["metrics"][metric]
        click.echo(
            f"{metric} {figure(value['value'])} ({figure(value['low'])} to {figure(value['high'])}); report {found.summary['report']}"
        )


def _made(store: Store, run: PastRun, step: str, output: Path | None, as_json: bool) -> None:
    """Show what a step made, or write it: a table as its file's name says, anything else as it is kept."""
    from penstock.batch import written_whole
    from penstock.engine.execute import load, read_bytes
    from penstock.engine.history import is_table, named_artifact
    from penstock.engine.step import LazyPartitions
    from penstock.ui.previews import preview

    ref = named_artifact(store, run, step)
    if output is None and as_json:
        echo_json({"run": run.run, "step": step, "digest": ref.digest, "format": ref.format, "bytes": ref.size})
        return
    if output is None:
        found = preview(store, ref)
        click.echo(found.told)
        if found.columns:
            table([name for name, _ in found.columns], found.rows)
        elif found.text:
            click.echo(found.text)
        return
    if is_table(ref):
        import polars as pl

        parts = load(store, ref, LazyPartitions[pl.DataFrame])
        with written_whole(output) as file:
            for name in parts:
                file.write(parts[name])
    elif ref.format == "partitions":
        raise InputError(
            f"step {step} made {len(ref.partitions):,} parts that are no tables; name one, such as {step}[{ref.partitions[0][0]}]"
        )
    else:
        try:
            output.write_bytes(ref.value if ref.value is not None else read_bytes(store, ref.digest))
        except OSError as error:
            raise InputError(f"{output}: cannot be written: {error.strerror or error}") from None
    if as_json:
        echo_json({"run": run.run, "step": step, "digest": ref.digest, "written": str(output)})
    else:
        click.echo(f"wrote {output}")


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("text", metavar="TEXT")
@store_option
@json_option
def note(run: str, text: str, store: str | None, as_json: bool) -> None:
    """Keep a note with a run, for all who use the store.

    \b
    Example:  penstock note latest "without the duplicates of March"
    """
    from penstock.engine.history import past_run
    from penstock.engine.notes import add_note

    opened = existing_store(store)
    found = past_run(opened, run)
    add_note(opened, found.run, text)
    if as_json:
        echo_json({"run": found.run, "note": text.strip()})
    else:
        click.echo(f"noted with {found.pipeline} {found.run}")


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("tags", metavar="TAG...", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take them away instead.")
@store_option
@json_option
def tag(run: str, tags: tuple[str, ...], remove: bool, store: str | None, as_json: bool) -> None:
    """Give a run tags: it is found by them, and gc leaves it.

    \b
    Example:  penstock tag latest baseline
              penstock diff baseline latest
    """
    from penstock.engine.history import past_run
    from penstock.engine.notes import add_tags, remove_tags, tags_of

    opened = existing_store(store)
    found = past_run(opened, run)
    (remove_tags if remove else add_tags)(opened, found.run, tags)
    now = tags_of(opened, [found.run])[found.run]
    if as_json:
        echo_json({"run": found.run, "tags": now})
    else:
        click.echo(f"{found.pipeline} {found.run}: {', '.join(now) or 'no tags'}")


@click.command()
@click.argument("pipeline", metavar="[PIPELINE]", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the latest first.")
@store_option
@json_option
def audit(pipeline: str | None, limit: int, store: str | None, as_json: bool) -> None:
    """List who did what: runs, versions, what answers, keys, decisions, notes.

    \b
    Example:  penstock audit churn
    """
    from penstock.audit import acts

    found = acts(existing_store(store), pipeline, limit)
    if as_json:
        echo_json([vars(item) for item in found])
    elif found:
        table(["when", "who", "pipeline", "what", "", "run"], [
            [moment(item.at), item.user, item.pipeline, item.what, item.detail, item.run or ""] for item in found
        ])  # fmt: skip
    else:
        click.echo("nothing was done yet")


@click.command()
@click.argument("asked", metavar="[RUN] [RUN]", nargs=-1)
@click.option(
    "--base",
    metavar="REF",
    help="Instead of the first RUN: the latest run of this branch's newest commit that has one.",
)
@click.option(
    "--format", "style", default="text", show_default=True, type=click.Choice(["text", "markdown"]),
    help="markdown: for the comment of a pull request.",
)  # fmt: skip
@store_option
@json_option
def diff(asked: tuple[str, ...], base: str | None, style: str, store: str | None, as_json: bool) -> None:
    """Say what changed from one run to another (else the latest): code, parameters, data, environment, metrics.

    \b
    Example:  penstock diff latest~1
              penstock diff --base main --format markdown > comment.md
    """
    if len(asked) > (2 if base is None else 1) or (base is None and not asked):
        raise InputError("give one or two runs, or --base REF and at most one")
    from penstock.changes import as_markdown, moved_columns, run_of_branch
    from penstock.engine.history import diff_runs, past_run

    opened = existing_store(store)
    *first, other = asked if len(asked) == 2 or (base is not None and asked) else (*asked, "latest")
    one = first[0] if base is None else run_of_branch(opened, base, past_run(opened, other).pipeline)
    found = diff_runs(opened, one, other)
    found.data.extend(moved_columns(opened, one, other))
    if as_json:
        echo_json(msgspec.to_builtins(found))
        return
    if style == "markdown":
        click.echo(as_markdown(past_run(opened, found.one), past_run(opened, found.other), found), nl=False)
        return
    click.secho(f"{found.one} -> {found.other}", bold=True)
    empty = True
    for subject in ("code", "parameters", "data", "environment", "steps", "metrics"):
        lines = getattr(found, subject)
        for number, line in enumerate(lines):
            click.echo(f"{subject if number == 0 else '':12}{line}")
            empty = False
    if empty:
        click.echo("nothing changed")
