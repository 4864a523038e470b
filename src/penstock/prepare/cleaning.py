"""Cleaning one part of a table: what the author asked for, then what was decided about the whole; each change counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from penstock.errors import DataError
from penstock.prepare.operations import (
    Cast,
    Drop,
    DropDuplicates,
    Filter,
    Map,
    Normalise,
    Note,
    Operation,
    Rename,
    apply_cast,
    parse_of,
)
from penstock.prepare.tables import normalised, without_duplicates
from penstock.types.columns import need
from penstock.types.nested import flat
from penstock.types.parse import Parse, read_columns
from penstock.types.table import ROW, spread, twice

_AMONG = 1_000
"""Rows among which a function of the author's is called to see whether it looks at others."""
Notes = dict[str, Note]
"""Notes by a name that the notes of other parts about the same thing share."""


@dataclass(frozen=True)
class Decided:
    """What the whole table says about how a part of it is cleaned.

    Attributes
    ----------
    forms : sequence of (str or None)
        Of each operation the form of dates that was found for it.
    parses : sequence of Parse
        How columns of text are read at the end.
    dropped : mapping of int to array of int64, optional
        Of an operation that drops duplicates, the rows of this part that it drops; None where the part is the table.
    """

    forms: Sequence[str | None]
    parses: Sequence[Parse] = ()
    dropped: Mapping[int, npt.NDArray[np.int64]] | None = None


def clean(raw: pl.DataFrame, operations: Sequence[Operation], decided: Decided) -> tuple[pl.DataFrame, Notes]:
    """Clean one part.

    Returns
    -------
    DataFrame
        With a column :data:`ROW` that says which raw row of the part each was.
    dict of str to Note
        What was counted.

    Raises
    ------
    DataError
        When an operation does not fit the table.
    """
    notes = _non_finite(raw)
    frame = normalised(raw).with_row_index(ROW)
    for number, made in enumerate(operations):
        frame, more = clean_by(frame, made, number, decided)
        notes |= {f"{number} {name}": note for name, note in more.items()}
    return read_columns(frame, decided.parses), notes


def clean_by(frame: pl.DataFrame, made: Operation, number: int, decided: Decided) -> tuple[pl.DataFrame, Notes]:
    """Do the operation that is `number` in order."""
    before = frame.height
    if isinstance(made, Cast):
        need(f"ps.prepare.cast({made.column!r}, ...)", [made.column], frame.columns)
        frame, told = apply_cast(frame, made, parse_of(frame.schema, made, decided.forms[number]))
        return frame, {note.text[:5]: note for note in told}
    if isinstance(made, Rename):
        need("ps.prepare.rename(...)", [old for old, _ in made.names], frame.columns)
        taken = set(frame.columns)
        for old, new in made.names:
            if new in taken and new != old:
                raise DataError(
                    f'ps.prepare.rename({old!r} to {new!r}): there is a column "{new}" already; drop it, or give it '
                    "another name, in a step before"
                )
            taken.add(new)
        return frame.rename(dict(made.names)), {}
    if isinstance(made, Drop):
        need("ps.prepare.drop(...)", made.columns, frame.columns)
        return frame.drop(made.columns), {}
    if isinstance(made, DropDuplicates):
        need("ps.prepare.drop_duplicates(...)", made.columns, frame.columns)
        if decided.dropped is None:
            frame = without_duplicates(frame, duplicate_columns(frame, made), made.latest)
        else:
            frame = frame.filter(~pl.col(ROW).is_in(pl.Series(decided.dropped[number]).cast(pl.UInt32).implode()))
        what = f"in {', '.join(made.columns)}" if made.columns else "in all columns"
        kept = f"; the one with the latest {made.latest} is kept" if made.latest else ""
        return frame, {"": Note("prepare", None, before - frame.height, f"rows dropped as duplicates {what}{kept}")}
    if isinstance(made, Normalise):
        need("ps.prepare.normalise(...)", made.columns, frame.columns)
        notes = {}
        for name in made.columns:
            frame, notes[name] = _normalised_text(frame, name)
        return frame, notes
    if isinstance(made, Filter):
        need("ps.prepare.filter(...)", made.predicate.meta.root_names(), frame.columns)
        frame = frame.filter(made.predicate)
        return frame, {"": Note("prepare", None, before - frame.height, f"rows dropped by filter {made.predicate}")}
    return _mapped(frame, made), {"": Note("prepare", None, before, f"rows handed to {made.function.__name__}()")}


def duplicate_columns(frame: pl.DataFrame, made: DropDuplicates) -> list[str]:
    """Return the columns in which duplicates agree."""
    return list(made.columns) or [name for name in frame.columns if name != ROW]


def together(parts: Sequence[Notes]) -> list[Note]:
    """Add the notes of parts up; of what is said in words the first one counts."""
    found: Notes = {}
    for notes in parts:
        for name, note in notes.items():
            known = found.get(name)
            found[name] = note if known is None else replace(known, count=known.count + note.count)
    return [found[name] for name in sorted(found, key=lambda name: int(name.split(" ")[0]))]


def _normalised_text(frame: pl.DataFrame, name: str) -> tuple[pl.DataFrame, Note]:
    if frame.schema[name] != pl.String:
        raise DataError(f'ps.prepare.normalise: column "{name}" holds {frame.schema[name]}, not text')
    before = frame[name]
    frame = frame.with_columns(Parse(name, "normal").expression())
    changed = int((before != frame[name]).fill_null(value=False).sum())
    return frame, Note(
        "prepare", name, changed, "texts written alike, without case, spaces at the ends or forms of Unicode"
    )


def check_mapped(frame: pl.DataFrame, made: Map, target: str | None, rows: int = 16) -> None:
    """Demand that a function makes of a row alone, without its target, what it makes of it among others.

    Compares `rows` rows with what comes of them among up to a thousand, spread over the table.

    Raises
    ------
    DataError
        Naming the column that is another one, or what the function fails with.
    """
    others = frame if frame.height <= _AMONG else frame[spread(frame.height, _AMONG)]
    whole, who = _mapped(others, made), f"ps.prepare.map({_name_of(made)})"
    kept = [name for name in whole.columns if name not in (ROW, target)]
    for index in spread(others.height, rows):
        row = others[[index]].drop(target or [], strict=False)
        try:
            alone = _mapped(row, made)
        except Exception as error:
            told = (str(error).splitlines() or [""])[0]
            without = "" if target is None else f', without "{target}"'
            raise DataError(
                f"{who}: fails for a row that stands alone{without}, as in a service: {type(error).__name__}: {told}. "
                "The function may only use a row's own columns."
            ) from error
        for name in kept:
            one = alone[name][0] if name in alone.columns else None
            if not _same(one, whole[name][index]):
                raise DataError(
                    f'{who}: "{name}" looks at other rows, or at chance: among others row {others[ROW][index] + 1} has '
                    f"{whole[name][index]!r}, alone it has {one!r}. In a service a row stands alone, so use only its own columns."
                )


def _same(one: Any, other: Any) -> bool:
    """Whether two cells agree; a column of numbers may be summed in another order than one number."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, pl.Series) and isinstance(other, pl.Series):
        return one.equals(other, null_equal=True)
    return bool(one == other)


def _name_of(made: Map) -> str:
    return getattr(made.function, "__name__", "function")


def _mapped(frame: pl.DataFrame, made: Map) -> pl.DataFrame:
    name = _name_of(made)
    given = twice(frame.drop(ROW)) if frame.height == 1 else frame.drop(ROW)
    done = made.function(given)
    if not isinstance(done, pl.DataFrame) or done.height != given.height:
        raise DataError(
            f"ps.prepare.map({name}): returned {type(done).__name__} of {getattr(done, 'height', '?')} rows for "
            f"{given.height}; it must return a table with the same rows (to leave rows out, use ps.prepare.filter)"
        )
    return normalised(flat(done[: frame.height])).insert_column(0, frame[ROW])


def _non_finite(raw: pl.DataFrame) -> Notes:
    counts = raw.select((cs.float().is_nan() | cs.float().is_infinite()).sum())
    return {
        f"-1 {name}": Note("prepare", name, int(counts[name][0]), "NaN or infinite cells read as missing")
        for name in counts.columns
        if counts[name][0]
    }
