"""What a whole table says about how its parts are cleaned: forms of dates, types of text, duplicates across parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError
from penstock.prepare.changes import Dropped, Kept, Once, Renamed
from penstock.prepare.cleaning import Decided, check_mapped, clean, clean_by, duplicate_columns, together
from penstock.prepare.inference import date_format_of_parts, infer_parts
from penstock.prepare.mapped import MapReference
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
    parse_of,
)
from penstock.prepare.tables import Change, Facts, normalised, raw_type
from penstock.types.buckets import Buckets
from penstock.types.columns import need, refuse_names
from penstock.types.parse import Parse, read_columns
from penstock.types.table import ROW, Table
from penstock.types.twins import twins

_COMPARED_ROWS = 200_000
"""In larger tables near-duplicates are not looked for."""
_BUCKET_ROWS = 2_000_000
"""So many rows, or fewer, are compared at once when duplicates are looked for across parts."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """What was decided about a table.

    Attributes
    ----------
    forms, parses
        As in :class:`Decided`.
    dropped : mapping of str to mapping of int to array
        Part, and operation, to the rows that are dropped as duplicates; None for a table that is one part.
    raw : tuple of (str, str)
        Columns and their types in the words of the API.
    changes : tuple of Change
        What is done to each row.
    notes : tuple of Note
        What was seen in the whole.
    """

    forms: tuple[str | None, ...]
    parses: tuple[Parse, ...]
    dropped: Mapping[str, Mapping[int, Rows]] | None
    raw: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    notes: tuple[Note, ...]

    def of(self, part: str) -> Decided:
        """Return what concerns one part."""
        return Decided(self.forms, self.parses, None if self.dropped is None else self.dropped[part])


def prepare(
    raw: pl.DataFrame,
    operations: Sequence[Operation],
    target: str | None,
    time: str | None = None,
    *,
    amounts: bool = False,
) -> tuple[pl.DataFrame, Facts]:
    """Do what the author asked for, then read what is left as text for what it is; of a table in memory.

    Parameters
    ----------
    raw : DataFrame
        The snapshot.
    operations : sequence
        From :mod:`penstock.prepare`.
    target : str or None
        Column to predict, whose cells are left as they are; None for a table that is only looked up in.
    time : str, optional
        The column that says when each row happened: whole numbers there may be dates.
    amounts : bool
        Whether the target is one of numbers: then its text is read so.

    Returns
    -------
    DataFrame
        With a column :data:`ROW` that says which raw row each was.
    Facts
        What was done.

    Raises
    ------
    DataError
        When an operation does not fit the table, or no row is left.
    """
    table = Table.of(raw)
    made = decide(table, operations, target, time, amounts=amounts)
    frame, notes = clean(raw, operations, made.of("all"))
    if frame.height == 0:
        raise DataError("no row is left after ps.prepare.filter(...); make its condition wider")
    return frame, Facts(made.raw, made.changes, (*together([notes]), *made.notes), raw.height, frame.height)


def decide(
    table: Table,
    operations: Sequence[Operation],
    target: str | None,
    time: str | None = None,
    *,
    amounts: bool = False,
) -> Decisions:
    """Look at a table, part by part and as often as is needed, and decide how each part is cleaned.

    Parameters
    ----------
    table : Table
        The snapshot.
    operations, target, time, amounts
        As for :func:`prepare`.

    Raises
    ------
    DataError
        When an operation does not fit the table.
    """
    refuse_names(table.columns)
    one = len(table.names) == 1
    forms: list[str | None] = [None] * len(operations)
    dropped: dict[str, dict[int, Rows]] | None = None if one else {name: {} for name in table.names}
    changes: list[Change] = []
    settled: set[str] = set() if target is None else {target}
    first = normalised(table.parts[table.names[0]]).with_row_index(ROW)

    def seen(until: int) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the parts with the operations before `until` done to them."""
        if one:
            yield table.names[0], first
            return
        for name, raw in table.frames():
            mine = Decided(forms, (), None if dropped is None else dropped[name])
            yield name, clean(raw, operations[:until], mine)[0]

    for number, made in enumerate(operations):
        if isinstance(made, Cast):
            need(f"ps.prepare.cast({made.column!r}, ...)", [made.column], first.columns)
            parse = parse_of(first.schema, made, None)
            if parse is not None and made.to == "date" and made.format is None:
                forms[number] = _date_form(made.column, (frame for _, frame in seen(number)))
                parse = parse_of(first.schema, made, forms[number])
            settled.add(made.column)
            changes += [parse] if parse else []
        elif isinstance(made, DropDuplicates):
            need("ps.prepare.drop_duplicates(...)", made.columns, first.columns)
            over = duplicate_columns(first, made)
            if dropped is not None:
                found = _dropped(seen(number), over, made.latest, 1 + table.height // _BUCKET_ROWS)
                for name in table.names:
                    dropped[name][number] = found.get(name, np.zeros(0, np.int64))
            changes.append(Once(tuple(over), made.latest))
        elif isinstance(made, Rename):
            changes.extend(Renamed(old, new) for old, new in made.names)
        elif isinstance(made, Drop):
            changes.extend(Dropped(name) for name in made.columns)
        elif isinstance(made, Normalise):
            settled.update(made.columns)
            changes.extend(Parse(name, "normal") for name in made.columns)
        elif isinstance(made, Filter):
            changes.append(Kept.of(made.predicate))
        elif isinstance(made, Map):
            changes.append(made.reference or MapReference.of(made.function))
            check_mapped(first, made, target)
        mine = Decided(forms, (), None if dropped is None else dropped[table.names[0]])
        first = clean_by(first, made, number, mine)[0]
    if target is not None:
        need("target", [target], first.columns)
    frames = (frame for _, frame in seen(len(operations)))
    parses, notes = infer_parts(frames, settled, time, target if amounts else None)
    if table.height <= _COMPARED_ROWS:
        whole = pl.concat([frame for _, frame in seen(len(operations))])
        notes += _near_duplicates(read_columns(whole, parses), target)
    raw_types = tuple((name, raw_type(kind)) for name, kind in table.schema.items())
    return Decisions(tuple(forms), tuple(parses), dropped, raw_types, (*changes, *parses), tuple(notes))


def _date_form(column: str, frames: Iterable[pl.DataFrame]) -> str:
    example: list[str] = []

    def cells() -> Iterator[pl.Series]:
        for frame in frames:
            example.extend(frame[column].drop_nulls()[: 1 - len(example)].to_list())
            yield frame[column]

    found = date_format_of_parts(cells())
    if found is None:
        raise DataError(
            f'column "{column}": its cells are not dates in one known form (first: {example}). '
            'Say the form with ps.prepare.cast(..., format="%d/%m/%Y").'
        )
    return found


def _dropped(
    frames: Iterable[tuple[str, pl.DataFrame]], over: Sequence[str], latest: str | None, count: int
) -> dict[str, Rows]:
    """Find the rows that are dropped as duplicates of rows of any part: the first is kept, or the latest."""
    found: dict[str, list[Rows]] = {}
    part = "penstock part"
    names: list[str] = []
    with Buckets(count) as buckets:
        for name, frame in frames:
            if latest is not None:
                need("ps.prepare.drop_duplicates(latest=...)", [latest], frame.columns)
            wanted = dict.fromkeys([*over, *([] if latest is None else [latest]), ROW])
            buckets.add(frame.select(*wanted, pl.lit(len(names), pl.Int32).alias(part)), over)
            names.append(name)
        for number in range(count):
            rows = buckets.read(number)
            if rows is None:
                continue
            if latest is not None:
                rows = rows.sort(latest, nulls_last=False, maintain_order=True)
            kept = rows.unique(over, keep="first" if latest is None else "last", maintain_order=True)
            lost = rows.select(part, ROW).join(kept.select(part, ROW), on=[part, ROW], how="anti")
            for (at,), some in lost.partition_by(part, as_dict=True).items():
                found.setdefault(names[int(at)], []).append(some[ROW].cast(pl.Int64).to_numpy())
    return {name: np.sort(np.concatenate(rows)) for name, rows in found.items()}


def _near_duplicates(frame: pl.DataFrame, target: str | None) -> list[Note]:
    """Count rows that differ only in case, spaces or the form of Unicode, or in nothing at all; none is dropped."""
    columns = [name for name in frame.columns if name not in (ROW, target)]
    texts = frame.select(columns).select(pl.col(pl.String)).columns
    if not columns:
        return []
    exact = frame.height - frame.select(columns).n_unique()
    few = bool(exact) and twins(frame.select(columns), frame.height) >= 1.0
    kept = "kept, as few values make many equal" if few else "kept (ps.prepare.drop_duplicates() drops them)"
    notes = [Note("prepare", None, exact, f"rows equal another one in all columns; {kept}")]
    if texts:
        alike = frame.select(columns).with_columns(Parse(name, "normal").expression() for name in texts)
        near = frame.height - alike.n_unique() - exact
        notes.append(
            Note("prepare", None, near, "more equal another one but for case, spaces or the form of Unicode; kept")
        )
    return [note for note in notes if note.count]
