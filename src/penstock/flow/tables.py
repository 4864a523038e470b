"""From sources to the training set, each table part by part: read, snapshot, inferred, prepared, divided, featured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.step import LazyPartitions, Partitions, Ref
from penstock.errors import DataError
from penstock.features.definitions import Feature
from penstock.features.parts import compute_parts
from penstock.features.resolve import resolve
from penstock.features.stored import Stored
from penstock.ingest.databases import Database
from penstock.ingest.databases import read_part as read_database
from penstock.ingest.download import download
from penstock.ingest.given import given_parts
from penstock.ingest.growth import STATE, read_new
from penstock.ingest.http import Http
from penstock.ingest.options import TextForm
from penstock.ingest.read import common_schema, in_either, read_parts, with_schema
from penstock.monitor.profile import Profile, profile_of
from penstock.prepare.cleaning import Decided, clean, together
from penstock.prepare.decisions import decide
from penstock.prepare.operations import Note, Operation
from penstock.prepare.repairs import Repair, fit_repairs
from penstock.prepare.rules import read_rules
from penstock.prepare.tables import Change, Facts, normalised
from penstock.prepare.validation import Finding, check_rules, stop_for
from penstock.store.formats import Bundle
from penstock.train.split import divide, looks_at, strange_classes, within_gap
from penstock.types.convert import convert
from penstock.types.durations import seconds_of
from penstock.types.integers import fits, is_wide, narrowed
from penstock.types.labels import fit_labels, text_of
from penstock.types.nested import flat
from penstock.types.parse import Parse
from penstock.types.split import Split
from penstock.types.table import ROW, Table
from penstock.types.target import Target

Parts = LazyPartitions[Any]
WHOLE = "penstock whole"
"""Name of the part that speaks of the whole table."""
_PROFILED_ROWS = 200_000


def read(file: Path, form: TextForm) -> pl.DataFrame | Iterator[tuple[str, pl.DataFrame]]:
    """Read one file as it is: a frame, or parts when it is large."""
    parts = read_parts(file, form)
    first = next(parts)
    second = next(parts, None)
    return narrowed(first[1]) if second is None else _stream([first, second], parts)


def read_in_either(file: Path, form: TextForm) -> pl.DataFrame | Iterator[tuple[str, pl.DataFrame]]:
    """Read one file in UTF-8 or, where it is not that, in the encoding of training's files."""

    def readable(form: TextForm) -> TextForm:
        for _ in read_parts(file, form):
            pass
        return form

    return read(file, form if form.encoding == "utf-8" else in_either(form, readable))


def _stream(
    begun: list[tuple[str, pl.DataFrame]], parts: Iterator[tuple[str, pl.DataFrame]]
) -> Iterator[tuple[str, pl.DataFrame]]:
    while begun:
        name, frame = begun.pop(0)
        yield name, narrowed(frame)
    for name, frame in parts:
        yield name, narrowed(frame)


def read_part(part: dict[str, Any], database: Database) -> pl.DataFrame:
    """Read one partition of a database's table."""
    name = "none" if part["bucket"] is None else str(part["bucket"]).removesuffix(".0")
    frames = [frame for frame in read_database(database, name) if frame.height]
    if not frames:
        raise DataError(f"{database.table or 'the query'}: partition {name} has vanished while it was read; run again")
    return narrowed(pl.concat(frames, how="vertical_relaxed"))


def read_whole(asked: dict[str, Any], database: Database) -> Iterator[tuple[str, pl.DataFrame]]:
    """Read a database's table in parts as they come."""
    rows = 0
    for number, frame in enumerate(read_database(database, "all")):
        rows += frame.height
        if frame.height:
            yield f"{number:05}", narrowed(frame)
    if not rows:
        raise DataError(f"{database.table or 'the query'}: has no rows")


def read_given(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Take rows that the author has in hand, part by part."""
    yield from given_parts(rows)


def read_pages(asked: dict[str, Any], known: Parts, http: Http) -> Iterator[tuple[str, Any]]:
    """Read the pages of an HTTP API as they come; only new rows where it can be asked for them."""
    if http.since is None:
        for name, frame in download(http, asked["place"]):
            yield name, flat(frame)
    else:
        yield from read_new(http, asked["place"], known, known.refs)


def snapshot(parts: Parts) -> Iterator[tuple[str, pl.DataFrame | Ref]]:
    """Make the parts one table, the raw one of this moment: those that have its columns and types already stay as they are."""
    names = [name for name in parts if name != STATE]
    schemas = {name: parts.shape(name)[0] for name in names}
    common = common_schema(schemas)
    for column in [column for column, kind in common.items() if is_wide(kind)]:
        # Files of several such types have a wide one in common, though all of their values are small.
        if all(fits(parts.select([column])[name][column]) for name in names if column in schemas[name]):
            common[column] = pl.Int64()
    for name in names:
        same = list(schemas[name].items()) == list(common.items())
        yield name, parts.refs[name] if same else with_schema(parts[name], common)


def profiled(snapshot: Parts) -> Profile:
    """Summarise the columns of a snapshot: of a large one, rows spread over it."""
    table = Table(snapshot)
    step = -(-table.height // _PROFILED_ROWS)
    return profile_of(normalised(table.each(step).whole()), table.columns)


def inferred(
    snapshot: Parts, operations: Sequence[Operation], target: str | None, time: str | None, *, amounts: bool
) -> Partitions[Any]:
    """Look at the whole snapshot and decide how each part of it is cleaned; the part :data:`WHOLE` speaks of all."""
    table = Table(snapshot)
    made = decide(table, operations, target, time, amounts=amounts)
    found: dict[str, Any] = {}
    for name in table.names:
        mine = made.of(name)
        files = {f"{at}.npy": rows.tobytes() for at, rows in (mine.dropped or {}).items()}
        manifest = {"forms": mine.forms, "parses": mine.parses, "alone": mine.dropped is None}
        found[name] = Bundle(msgspec.to_builtins(manifest), files)
    whole = {"raw": made.raw, "changes": made.changes, "notes": made.notes}
    return Partitions({**found, WHOLE: msgspec.to_builtins(whole)})


def prepared(snapshot: pl.DataFrame, inferred: Bundle, operations: Sequence[Operation]) -> Partitions[Any]:
    """Clean one part: its ``table``, and the ``notes`` of what was counted."""
    manifest = inferred.manifest
    dropped = {int(name[:-4]): np.frombuffer(data, np.int64) for name, data in inferred.files.items()}
    parses = convert(manifest["parses"], list[Parse])
    decided = Decided(manifest["forms"], parses, None if manifest["alone"] else dropped)
    table, notes = clean(snapshot, operations, decided)
    return Partitions({"table": table, "notes": {"rows": snapshot.height, "notes": notes}})


def facts_of(inferred: Parts, prepared: Parts) -> Facts:
    """Put together what is known of a table's preparation."""
    whole = inferred[WHOLE]
    told = list(prepared.ending("notes").values())
    counted = [{name: convert(note, Note) for name, note in item["notes"].items()} for item in told]
    notes = [*together(counted), *convert(whole["notes"], list[Note])]
    changes = convert(whole["changes"], list[Change])
    if "repairs" in prepared:
        repairs = prepared["repairs"]
        changes += convert(repairs["changes"], list[Change])
        notes += convert(repairs["notes"], list[Note])
    raw = tuple((name, kind) for name, kind in whole["raw"])
    return Facts(raw, tuple(changes), tuple(notes), sum(item["rows"] for item in told), table_of_parts(prepared).height)


def table_of_parts(prepared: Parts) -> Table:
    """Return the prepared table."""
    return Table(prepared.ending("table"))


def checked(schema: str, snapshot: Parts, base: str, file: str, **others: Parts) -> list[Finding]:
    """Hold the snapshots against what the schema file expects; a grave difference stops the run here."""
    findings = check_rules(snapshots(base, snapshot, others), read_rules(schema, file))
    stop_for(findings, file)
    return findings


def snapshots(base: str, snapshot: Parts, others: Mapping[str, Parts]) -> dict[str, Table]:
    """Return every raw table by its name in ``ingest=``."""
    return {
        base: Table(snapshot),
        **{
            name.removeprefix("snapshot_"): Table(item) for name, item in others.items() if name.startswith("snapshot_")
        },
    }


def divided(prepared: Parts, checked: list[Any], split: Split, target: Target, time: str | None) -> Partitions[Any]:
    """Choose the test rows, by the content of prepared rows, before anything learns: ``test`` flags, ``kept`` flags of rows that have a target, and the ``division``."""
    table = table_of_parts(prepared)
    if not table.height:
        raise DataError("no row is left after ps.prepare.filter(...); make its condition wider")
    names = looks_at(table.schema, split, target.column, time)
    fit_labels(table.column(target.column), target)
    usable = np.concatenate([_has_target(part, target) for part in table.column(target.column)])
    known = table.chosen(usable)
    looked = known.whole(names)

    def rows() -> Iterator[pl.DataFrame]:
        for _, frame in known.frames():
            yield frame

    flags, division = divide(looked, split, target.column, target.task, time, rows)
    test = np.zeros(table.height, dtype=np.bool_)
    places = np.flatnonzero(usable)
    test[places] = flags
    gap = seconds_of(split.gap)
    if (
        division.kind == "time"
        and isinstance(split.gap, str)
        and gap
        and not looked.schema[str(division.column)].is_temporal()
    ):
        raise DataError(
            f'split by time: gap="{split.gap}" needs a column of dates; "{division.column}" holds numbers, so give one: gap=3'
        )
    if division.kind == "time" and gap:
        between = within_gap(looked[str(division.column)], flags, gap)
        usable[places[between]] = False
        division = division.with_gap(split.gap, gap, int(between.sum()))
    if target.task == "multiclass":
        column = table[target.column]
        strange = strange_classes(column, usable & ~test, test)
        division = division.without(column.filter(pl.Series(strange)))
        usable, test = usable & ~strange, test & ~strange
    if target.task != "regression":
        classes = text_of(table[target.column])
        tested = classes.filter(pl.Series(test)).unique()
        if tested.len() == 1 and classes.filter(pl.Series(usable & ~test)).n_unique() > 1:
            raise DataError(
                f'split {division.text}; all test rows are of class "{tested[0]}", so no answer can be judged. Take more test '
                "rows, such as ps.split.time(test=0.4), or divide in another way: ps.split.stratified()"
            )
    return Partitions({"test": test, "kept": usable, "division": division})


def undivided(divided: Partitions[Any], trained: Bundle) -> Partitions[Any]:
    """Count the test rows among those to learn from: the model without them is there to be judged, the one that answers may know them.

    `trained` is waited for: two fits at a time would take twice the memory.
    """
    test = divided["test"]
    found = {**dict(divided.items()), "kept": divided["kept"] | test, "test": np.zeros_like(test)}
    if "weights" in found:  # they fade with age, and test rows are the newest
        found["weights"] = np.where(test, found["weights"].max(), found["weights"])
    return Partitions(found)


def _has_target(column: pl.Series, target: Target) -> npt.NDArray[np.bool_]:
    kept = column.is_not_null()
    if column.dtype == pl.String and target.task == "regression":
        kept = kept & ~column.to_frame().select(Parse(column.name, "number").blank()).to_series()
    elif column.dtype == pl.String:
        kept = kept & (column.str.strip_chars().str.len_bytes() > 0)
    if column.dtype.is_float():
        kept = kept & column.is_finite()
    return kept.fill_null(value=False).to_numpy()


def repaired(
    prepared: Parts, divided: Partitions[Any], repairs: Sequence[Repair], target: str
) -> Iterator[tuple[str, Any]]:
    """Fill missing cells and hold outliers, as learnt from the training rows; the part ``repairs`` says how."""
    table = table_of_parts(prepared)
    present = set(table.columns)
    names = list(dict.fromkeys(name for repair in repairs for name in repair.columns if name in present))
    looked = table.whole(names)
    learnt = looked.filter(pl.Series(divided["kept"] & ~divided["test"]))
    _, fitted, notes = fit_repairs(looked, learnt, repairs, target, table.columns)
    for name, frame in table.frames():
        for made in fitted:
            frame = frame.with_columns(made.expressions())
        yield f"{name}/table", frame
        yield f"{name}/notes", prepared.refs[f"{name}/notes"]
    yield "repairs", {"changes": msgspec.to_builtins(fitted), "notes": notes}


def featured(
    prepared: Parts,
    features: Sequence[Feature],
    base: str,
    times: Mapping[str, str | None],
    target: str,
    **others: Parts,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Add the features to the prepared table, from its own columns, its past, and the other prepared tables.

    :data:`ROW` then counts from the first row of the snapshot.
    """
    tables = tables_of(base, prepared, others)
    stored = stored_features(features, base, times, tables, target)
    rows = [item["rows"] for item in prepared.ending("notes").values()]
    before = 0
    for (name, frame), height in zip(compute_parts(tables[base], stored, tables), rows, strict=True):
        yield name, frame.with_columns(pl.col(ROW).cast(pl.Int64) + before)
        before += height


def tables_of(base: str, prepared: Parts, others: Mapping[str, Parts]) -> dict[str, Table]:
    """Return every prepared table by its name in ``ingest=``."""
    named = {
        name.removeprefix("prepared_"): table_of_parts(item)
        for name, item in others.items()
        if name.startswith("prepared_")
    }
    return {base: table_of_parts(prepared), **named}


def stored_features(
    features: Sequence[Feature], base: str, times: Mapping[str, str | None], tables: Mapping[str, Table], target: str
) -> list[Stored]:
    """Return declared features as a model stores them."""
    return resolve(features, base, {name: table.schema for name, table in tables.items()}, times, target)


def other_facts(name: str, others: Mapping[str, Parts]) -> Facts:
    """Return what is known of the preparation of another table."""
    return facts_of(others[f"inferred_{name}"], others[f"prepared_{name}"])
