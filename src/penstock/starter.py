"""Looking at data and writing the first pipeline file for it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import DataError, InputError
from penstock.features.encoding import fit_encoding
from penstock.ingest.databases import BACKENDS, database, read_part
from penstock.ingest.options import TextForm
from penstock.ingest.read import concatenate, in_found, read_table
from penstock.prepare.decisions import prepare
from penstock.prepare.inference import infer, look_at
from penstock.prepare.operations import Filter, Operation, cast
from penstock.train.split import time_column
from penstock.types.columns import need
from penstock.types.labels import fit_labels, text_of
from penstock.types.nested import flat
from penstock.types.parse import read_columns
from penstock.types.table import ROW
from penstock.types.target import Target

_MANY = 20
"""Whole numbers that are more are hardly classes."""
_SELDOM = 5
"""Rows of a whole number, below which it is hardly a class."""
_UNSAID = frozenset({"na", "n/a", "n.a.", "nan", "null", "?", "#n/a"})
"""Texts that name no class: what is not known of a row. Others, such as "none" and "unknown", may well be one."""
_SAME = 5
"""Columns of which one thing is to be said are named one by one up to so many."""


@dataclass(frozen=True)
class _Found:
    """Raw rows, what ``ingest=`` says of them, and what their pipeline may be called."""

    raw: pl.DataFrame
    source: str
    name: str
    encoding: str | None = None


def write_starter(
    data: str,
    target: str,
    output: Path,
    name: str | None = None,
    table: str | None = None,
    columns: Sequence[str] = (),
    skip: int = 0,
) -> dict[str, Any]:
    """Write a short, commented pipeline file that runs as it is.

    Parameters
    ----------
    data : str
        A file, a glob pattern, or the URL of a database.
    target : str
        The column to predict.
    output : Path
        Where to write.
    name : str, optional
        Of the pipeline.
    table : str, optional
        Of the database, or the sheet of an Excel file.
    columns : sequence of str
        Names of the columns of text without a header.
    skip : int
        Lines above the header of text.

    Returns
    -------
    dict
        ``name``, ``task``, ``rows``, ``columns`` and ``notes``.

    Raises
    ------
    DataError, InputError
        When the data cannot be read, or there is no such column.
    """
    sheet = table if Path(data).suffix.lower().startswith(".xls") else None
    if (table and not sheet) or data.split("://")[0] in BACKENDS:
        if columns:
            raise InputError(f"{data}: a database names its columns itself; --columns is for text without a header")
        found = _in_database(data, table, output)
    else:
        found = _in_files(data, output, TextForm(columns=tuple(columns), sheet=sheet, skip=skip))
    raw = found.raw
    need(f"--target {target}", [target], raw.columns)
    amounts, told = _amounts(raw[target])
    done: list[Operation] = []
    mended = ""
    if amounts is None:
        done, mended, told = _mend(target, raw[target])
    rows, facts = prepare(raw, done, target)
    wanted = amounts if amounts is not None else rows[target] if done else raw[target]
    task = guess_task(wanted)
    labels = fit_labels(wanted, Target(target, task))  # type: ignore[arg-type]
    encoding = fit_encoding(rows, [column for column in rows.columns if column not in (target, ROW)])
    time = time_column(rows, target)
    judges = time is None or task == "regression" or _classes_at_the_end(rows[time], wanted) > 1
    name = name or re.sub(r"[^a-z0-9]+", "-", found.name.lower()).strip("-") or "pipeline"
    notes = [
        f"{note.column}: {note.text}" if note.column else f"{note.count:,} {note.text}"
        for note in facts.notes
        if not done or note.column not in (None, target)
    ]
    if found.encoding:
        notes.append(f"the text is not UTF-8 and read as {found.encoding}: correct encoding= where letters look wrong")
    notes += [f"{target}: {told}"] if told else []
    missing = {column: raw[column].null_count() for column in raw.columns if raw[column].null_count()}
    notes += _told([(column, f"left out, {reason}") for column, reason in encoding.ignored])
    notes += _told([(column, f"{count} cells are missing") for column, count in missing.items()], "cells are missing")
    text = _text(name, found.source, mended, target, task, labels.values, time, judges, raw, notes)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from None
    return {
        "name": name,
        "task": task,
        "rows": raw.height,
        "columns": raw.columns,
        "notes": notes,
        "output": str(output),
    }


def _in_files(data: str, output: Path, form: TextForm) -> _Found:
    from penstock.engine.files import find_files

    files = find_files([data], Path.cwd())
    raw, encoding = _read(files, form)
    place = os.path.relpath(files[0] if len(files) == 1 else Path.cwd() / data, output.resolve().parent)
    said = [json_text(place), *([f"encoding={json_text(encoding)}"] if encoding else [])]
    said += [f"skip={form.skip}"] if form.skip else []
    said += [f"sheet={json_text(form.sheet)}"] if form.sheet else []
    said += [f"columns=[{', '.join(map(json_text, form.columns))}]"] if form.columns else []
    return _Found(raw, f"files({', '.join(said)})", files[0].name.split(".")[0], encoding)


def _in_database(url: str, table: str | None, output: Path) -> _Found:
    if table is None:
        raise InputError(f"{url}: is a database; name one of its tables with --table")
    source = replace(database(url, table=table), folder=str(Path.cwd()))
    batches = [batch for batch in read_part(source, "all") if batch.height]
    if not batches:
        raise DataError(f"{url}: {table} has no rows")
    raw = flat(pl.concat(batches, how="vertical_relaxed"))
    kind, _, path = source.url.partition(":///")
    if kind in ("sqlite", "duckdb"):
        url = f"{kind}:///{os.path.relpath(Path.cwd() / path, output.resolve().parent)}"
    return _Found(raw, f"database({json_text(url)}, table={json_text(table)})", table)


def _amounts(cells: pl.Series) -> tuple[pl.Series | None, str]:
    """Return a target of text as the numbers that a regression reads it as, if it asks for one, and what is told."""
    parses, notes = infer(cells.to_frame(), set()) if cells.dtype == pl.String else ([], [])
    if not parses or parses[0].to != "number":
        return None, ""
    found = read_columns(cells.to_frame(), parses).to_series()
    whole = found.drop_nulls()
    counted = whole.cast(pl.Int64) if (whole % 1 == 0).all() and whole.abs().max() < 2**53 else whole  # type: ignore[operator]
    told = notes[0].text + (", whose rows are left out" if found.null_count() else "")
    return (found, told) if guess_task(counted) == "regression" else (None, "")


def _mend(target: str, cells: pl.Series) -> tuple[list[Operation], str, str]:
    """What a target needs that preparation finds out by itself of all other columns, how it is written, and what is told."""
    if cells.dtype != pl.String:
        return [], "", ""
    look, quoted = look_at(cells), json_text(target)
    if look.commas == [""] and look.numbers < look.values:
        told = "is read as numbers with a comma before the fraction"
        return [cast(target, "number", decimal=",")], f'ps.prepare.cast({quoted}, "number", decimal=",")', told
    if look.blank and look.numbers == look.values > 0:
        told = f"is read as numbers; {look.blank:,} rows without one are left out"
        return [cast(target, "number")], f'ps.prepare.cast({quoted}, "number")', told
    unsaid = sorted({cell for cell in cells.drop_nulls().unique() if cell.strip().lower() in _UNSAID})
    if not unsaid:
        return [], "", ""
    listed = ", ".join(map(json_text, unsaid))
    told = f"{cells.is_in(unsaid).sum():,} rows with {listed} are left out; without the filter that is a class"
    return [Filter(~pl.col(target).is_in(unsaid))], f"ps.prepare.filter(~pl.col({quoted}).is_in([{listed}]))", told


def guess_task(column: pl.Series) -> str:
    """Say what kind of question a column is.

    Examples
    --------
    >>> guess_task(pl.Series("count", ["Yes", "No"])), guess_task(pl.Series([1.5, 2.5, 3.5]))
    ('binary', 'regression')
    >>> guess_task(pl.Series([3, 4, 5] * 9)), guess_task(pl.Series([3, 4, 5] * 9 + [17]))
    ('multiclass', 'regression')
    """
    counts = text_of(column).drop_nulls().value_counts(name="penstock count")["penstock count"]
    if len(counts) <= 2:
        return "binary"
    if column.dtype.is_float():
        return "regression"
    # Whole numbers may name classes; of one that is seldom seen nothing can be learnt but its place among the others.
    if column.dtype.is_integer() and (len(counts) > _MANY or counts.min() < _SELDOM):  # type: ignore[operator]
        return "regression"
    return "multiclass"


def _read(files: Sequence[Path], form: TextForm) -> tuple[pl.DataFrame, str | None]:
    """Read files as one table; and in which encoding, where that is not UTF-8."""

    def read(encoding: str) -> pl.DataFrame:
        written = replace(form, encoding=encoding)
        return concatenate({path.name: read_table(path, written) for path in files})

    return in_found(read)


def _told(notes: Sequence[tuple[str, str]], alike: str = "") -> list[str]:
    """Write what is to be said of columns: in one line where it is the same of many.

    Examples
    --------
    >>> _told([("a", "empty"), ("b", "empty")])
    ['a: empty', 'b: empty']
    >>> _told([(name, "empty") for name in "abcdefg"])
    ['7 columns: empty (a, b, c, d, e, ...)']
    """
    by_text: dict[str, list[str]] = {}
    for column, text in notes:
        by_text.setdefault(alike or text, []).append(column)
    lines = [f"{column}: {text}" for column, text in notes if len(by_text[alike or text]) <= _SAME]
    return lines + [
        f"{len(columns)} columns: {text} ({', '.join(columns[:_SAME])}, ...)"
        for text, columns in by_text.items()
        if len(columns) > _SAME
    ]


def _text(
    name: str,
    source: str,
    mended: str,
    target: str,
    task: str,
    values: list[Any],
    time: str | None,
    judges: bool,
    raw: pl.DataFrame,
    notes: list[str],
) -> str:
    quoted = json_text(target)
    what = f"ps.{task}({quoted}, positive={json_text(values[1])})" if task == "binary" else f"ps.{task}({quoted})"
    metric = {"binary": "roc_auc=0.8", "multiclass": "accuracy=0.8", "regression": "r2=0.5"}[task]
    lines = [
        f'"""Predicts {target}: {raw.height:,} rows, {raw.width} columns when this was written.',
        "",
        "What was seen in the data, and is done without being asked:" if notes else "Nothing in the data needs repair.",
        *(f"  {note}" for note in notes[:25]),
        '"""',
        "",
        *(["import polars as pl", ""] if "pl." in mended else []),
        "import penstock as ps",
        "",
        "pipeline = ps.Pipeline(",
        f"    name={json_text(name)},",
        f"    ingest=ps.ingest.{source if time is None else f'{source[:-1]}, time={json_text(time)})'},",
        *([f"    prepare=[{mended}],"] if mended else []),
        "    # prepare=[ps.prepare.drop_duplicates()],  # also: cast, fill, clip, normalise, rename, drop, filter, map",
        "    # features=[ps.features.derive(ratio=pl.col(\"a\") / pl.col(\"b\"))],  # after: import polars as pl"
        + ("" if time is None else "; also: lag, window, time_since"),
        f"    target={what},",
        f"    split=ps.split.time({json_text(time)}, test=0.2),  # judged on the latest rows" if time and judges
        else "    split=ps.split.stratified(test=0.2),  # the latest rows are all of one class" if time
        else f"    split=ps.split.{'random' if task == 'regression' else 'stratified'}(test=0.2),  # judged on rows never seen",
        '    train=ps.train.search(budget="60s"),  # linear models and boosted trees, by cross-validation',
        f"    # evaluate=ps.evaluate.gate({metric}),  # without it: better than the baseline, no worse than the champion",
        '    monitor=ps.monitor.drift(window="1d"),',
        ")",
        "",
    ]  # fmt: skip
    return "\n".join(
        line.replace('"""', "'''") if 0 < number < len(notes[:25]) + 3 else line for number, line in enumerate(lines)
    )


def _classes_at_the_end(moments: pl.Series, target: pl.Series) -> int:
    """How many classes the latest fifth of the rows has."""
    return target.filter(moments >= moments.quantile(0.8, "lower")).n_unique()


def json_text(value: Any) -> str:
    """Write a value as Python source with double quotes.

    Examples
    --------
    >>> json_text("a"), json_text(True), json_text(1)
    ('"a"', 'True', '1')
    """
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
