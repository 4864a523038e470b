"""Rows of a request, one by one: checked, prepared, given their features and encoded by plain functions.

No data frame is made unless a feature needs one. The tests hold this to what a table gives.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from penstock.features.compiled import Compiled, compile_feature
from penstock.features.definitions import Written, apply_features
from penstock.inputs import dtype_named, readers_of
from penstock.prepare.repairs import Clipped, Filled
from penstock.rowcode import Cell, compile_row
from penstock.types.columns import nearest
from penstock.types.reading import shown
from penstock.types.rows import RowProblem, RowsError

if TYPE_CHECKING:
    from penstock.model import Model

_HINTS = 100
_FEW = 200
"""Up to so many prepared rows, features cost less row by row than as a table."""


def compile_rows(model: Model) -> Callable[[Sequence[Mapping[str, Any]]], list[list[float]]]:
    """Return what checks and encodes the rows of a request: plain functions, one a column.

    A model whose rows need a function of the author's own, or a type read from something else than text,
    prepares them as a table; the features of a few are computed one by one all the same.
    """
    inputs = {column.name: column for column in model.inputs}
    plan, by_table = readers_of(model.inputs, model.manifest.changes)
    repairs = [change.row for change in model.manifest.changes if isinstance(change, Filled | Clipped)]
    repaired = {change.column for change in model.manifest.changes if isinstance(change, Filled | Clipped)}
    by_table = by_table or model.plain or not repaired <= {now for _, now, _ in plan}
    target = model.labels.column
    encode = model.manifest.encoding.row()
    features = row_features(model)

    touched: list[Callable[[dict[str, Any]], None]] = [
        *repairs,
        *(functools.partial(_one, feature) for feature in features),
    ]

    def change(values: dict[str, Any]) -> None:
        for each in touched:
            each(values)

    # What is named so may be written by repairs and features; all that is read may be looked at by them.
    made = {name for item in model.manifest.features for name in item.names} | repaired
    made |= {change.indicator for change in model.manifest.changes if isinstance(change, Filled) and change.indicator}
    looked_at = {name for item in model.manifest.features for name in item.needs} | repaired
    fast = None
    if not by_table:
        cells = [Cell(inputs[raw], now, reader) for raw, now, reader in plan]
        fast = compile_row(
            cells, {*inputs, *([target] if target else [])}, model.manifest.encoding.encoders,
            change if touched else None, looked_at, made,
        )  # fmt: skip

    framed = _needs_frame(model)

    def read(rows: Sequence[Any]) -> list[list[float]]:
        # A frame for all rows costs as much as one for a single row.
        if fast is not None and (len(rows) == 1 or not framed):
            # Whatever is wrong, the slower way below says where.
            with contextlib.suppress(Exception):
                return [fast(row) for row in rows]
        problems: list[RowProblem] = []
        prepared: list[dict[str, Any]] = []
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                problems.append(RowProblem(number, "", f"expected an object of column to value, found {shown(row)}"))
                continue
            values: dict[str, Any] = {}
            for raw, now, reader in plan:
                try:
                    values[now] = reader(row[raw])
                except KeyError:
                    problems.append(RowProblem(number, raw, "is missing (send null when the value is not known)"))
                except (ValueError, TypeError, OverflowError) as error:
                    problems.append(RowProblem(number, raw, f"{error}, found {shown(row[raw])}"))
            for name in row:
                if name not in inputs and name != target:
                    # To look for what is meant takes as long as all else: not for each of a million names.
                    hint = nearest(str(name), inputs) if len(problems) < _HINTS else ""
                    problems.append(
                        RowProblem(number, name, f"is not a column of this model{'.' if hint else ''}{hint}")
                    )
            prepared.append(values)
        if problems:
            raise RowsError(problems)
        if by_table:
            table = model.without_features(model.frame_of(rows))
            if len(rows) <= _FEW and not model.plain:
                with contextlib.suppress(Exception):
                    return finish(table.to_dicts())
            matrix: list[list[float]] = model.manifest.encoding.matrix(model.with_features(table)).tolist()
            return matrix
        for repair in repairs:
            for values in prepared:
                repair(values)
        return finish(prepared)

    def finish(prepared: list[dict[str, Any]]) -> list[list[float]]:
        for feature in features if prepared else ():
            feature(prepared)
        return [encode(values) for values in prepared]

    return read


def row_features(model: Model) -> list[Callable[[list[dict[str, Any]]], None]]:
    """Return the features as functions that write their values into prepared rows, in order.

    Relations answer from what is live; expressions are compiled where they can be, the others go through a frame
    together.
    """
    found: list[Callable[[list[dict[str, Any]]], None]] = []
    group: list[Written] = []

    def flush() -> None:
        if group:
            compiled, framed = _apart(group, model.manifest.dtypes)
            found.extend([_by_function(compiled)] if compiled else [])
            found.extend([_by_frame(framed, model.manifest.dtypes)] if framed else [])
            group.clear()

    for made, live in zip(model.manifest.features, model.knows.live, strict=True):
        if isinstance(made, Written):
            group.append(made)
        else:
            flush()
            assert live is not None
            found.append(functools.partial(_each, live.row))
    flush()
    return found


def _needs_frame(model: Model) -> bool:
    """Whether an expression is left to Polars."""
    dtypes = model.manifest.dtypes
    written = [item for item in model.manifest.features if isinstance(item, Written)]
    return bool(_apart(written, dtypes)[1])


def _one(feature: Callable[[list[dict[str, Any]]], None], values: dict[str, Any]) -> None:
    feature([values])


def _each(row: Callable[[dict[str, Any]], None], prepared: list[dict[str, Any]]) -> None:
    for values in prepared:
        row(values)


def _apart(group: Sequence[Written], dtypes: Mapping[str, str]) -> tuple[list[tuple[str, Compiled]], list[Written]]:
    """Return the expressions that are plain functions, and those that go through a frame, with what these need."""
    made = {item.name: compile_feature(item.expression, dtypes) for item in group if item.name not in dtypes}
    compiled = [(name, function) for name, function in made.items() if function is not None]
    if len(compiled) == len(group):
        return compiled, []
    if len({item.name for item in group}) < len(group):
        return [], list(group)
    wanted = {item.name for item in group} - {name for name, _ in compiled}
    for item in reversed(group):
        if item.name in wanted:
            wanted.update(item.needs)
    return compiled, [item for item in group if item.name in wanted]


def _by_function(made: Sequence[tuple[str, Compiled]]) -> Callable[[list[dict[str, Any]]], None]:
    def write(prepared: list[dict[str, Any]]) -> None:
        for values in prepared:
            for name, feature in made:
                values[name] = feature(values)

    return write


def _by_frame(group: Sequence[Written], dtypes: Mapping[str, str]) -> Callable[[list[dict[str, Any]]], None]:
    expressions = [item.read() for item in group]
    needed = sorted({name for item in group for name in item.needs} - {item.name for item in group})
    kinds = {name: dtype_named(dtypes[name]) for name in needed}

    def write(prepared: list[dict[str, Any]]) -> None:
        columns = [_series(name, [values[name] for values in prepared], kinds[name]) for name in needed]
        frame = pl.DataFrame(columns) if columns else pl.DataFrame({"penstock row": [0] * len(prepared)})
        table = apply_features(frame, expressions)
        for name, _ in expressions:
            for values, value in zip(prepared, table[name].to_list(), strict=True):
                values[name] = value

    return write


def _series(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    if kind.is_integer() and any(isinstance(value, float) and not value.is_integer() for value in values):
        kind = pl.Float64()
    return pl.Series(name, values, kind, strict=False)
