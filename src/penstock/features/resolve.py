"""From what an author declared to what a model stores: names found, types checked, aggregates understood."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from penstock.errors import DataError, InputError
from penstock.features.columns import Categories, Select, Text
from penstock.features.definitions import Feature, Written, expressions_of
from penstock.features.events import DAY, Aggregate, Span
from penstock.features.relations import Asof, Join, Keys, Nth, Rate, TimeSince, Window
from penstock.features.selectors import written_out
from penstock.features.stored import Stored, StoredAsof, StoredJoin, StoredWindow
from penstock.types.columns import OURS, ROW_NUMBERS, nearest, need
from penstock.types.durations import seconds_of

_ONE = {"Literal": {"Dyn": {"Int": 1}}}
_MISSING = {"Literal": {"Scalar": {"Null": "Null"}}}
Schema = Mapping[str, pl.DataType]
_SIMPLE = {
    "Mean": "mean", "Sum": "sum", "Min": "min", "Max": "max", "First": "first", "Last": "last", "NUnique": "n_unique",
}  # fmt: skip
_BLIND = {"sum", "mean", "std", "var", "min", "max", "count", "quantile", "nearest", "first_known", "last_known"}
"""What passes over missing values: of the rows that a filter leaves, and of all with the others made missing, it is the same."""
_NUMBERS = re.compile(rf"^({ROW_NUMBERS})$", re.IGNORECASE)
_ANY_TYPE = {"count", "first", "last", "first_known", "last_known", "n_unique", "nth"}


def resolve(
    features: Sequence[Feature],
    base: str,
    schemas: Mapping[str, Schema],
    times: Mapping[str, str | None],
    target: str | None = None,
) -> list[Stored]:
    """Turn declared features into stored ones, in order.

    Parameters
    ----------
    base : str
        The table whose rows are predicted.
    schemas : mapping
        Table to the columns and types of the prepared table.
    times : mapping
        Table to the column that says when its rows happened.
    target : str, optional
        The column that is predicted: of its own row no feature may look at it, and no selector names it.

    Raises
    ------
    InputError, DataError
        For tables, columns and times that are not there, keys of unlike types, names that are taken, aggregates
        that are not known, and features that look at the target.
    """
    taken = dict(schemas[base])
    own = {name: kind for name, kind in taken.items() if name != target and not name.startswith(OURS)}
    found: list[Stored] = []

    def take(name: str, kind: pl.DataType | None = None) -> None:
        if name in taken:
            raise DataError(f'feature "{name}" has the name of a column; give it another name')
        taken[name] = kind or pl.Null()

    for item in features:
        if isinstance(item, Text | Categories | Select):  # learnt from training rows, later
            continue
        if isinstance(item, Window):
            made: Stored = _window(item, base, taken, schemas, times)
        elif isinstance(item, Asof):
            made = _asof(item, base, taken, schemas, times)
        elif isinstance(item, Join):
            made = _join(item, base, taken, schemas)
        else:
            for name, expression in expressions_of(item):
                take(name)
                found.append(Written.of(name, written_out(expression, own, f'feature "{name}"')))
            continue
        for name in made.names:
            take(name)
        found.append(made)
    for known in found:
        if target in known.needs:
            raise DataError(
                f'feature "{known.names[0]}" looks at the target "{target}" of its own row, which is not known when a '
                "prediction is wanted. Of rows before it, ps.features.lag and window(delay=...) may look at it."
            )
    return found


def _window(
    item: Window, base: str, row: Schema, schemas: Mapping[str, Schema], times: Mapping[str, str | None]
) -> StoredWindow:
    who = f"ps.features.window({item.table or base!r})"
    table = _table(item.table or base, schemas, who)
    schema = schemas[table]
    by = _pairs(item.by, row, schema, who)
    row_time, time, unit = _clocks(base, table, row, schema, times, who)
    values: dict[str, Written] = {}
    parsed = [(name, *_parsed(name, made, values, schema, who)) for name, made in item.aggregates]
    spans = []
    for suffix, over in item.over:
        length = None if over is None else _units(over, time, unit, who)
        made = []
        for name, function, value, argument in parsed:
            if function == "rate":
                if length is None or unit != 1e6:
                    raise InputError(f"{who}: rate() needs over= and a time column of dates; give both")
                argument = length / DAY
            made.append(Aggregate(name + suffix, function, value, unit if function == "since" else argument))
        spans.append(Span(length, item.rows, _units(item.delay, time, unit, who), made))
    return StoredWindow(table, by, row_time, time, list(values.values()), spans)


def _parsed(name: str, made: Any, values: dict[str, Written], schema: Schema, who: str) -> tuple[str, str, float]:
    """Return function, value column and argument of an aggregate; its inner expression is added to `values`."""
    if isinstance(made, Rate):
        return "rate", "", 0.0
    if isinstance(made, TimeSince):
        return "since", "", 0.0
    if isinstance(made, Nth):
        need(who, [made.column], schema)
        return "nth", _value(pl.col(made.column), name, values, schema, "nth", who), float(made.back)
    tree = json.loads(made.meta.serialize(format="json"))
    while isinstance(tree, dict) and "Alias" in tree:
        tree = tree["Alias"][0]
    if tree == "Len":
        return "len", "", 0.0
    function, inner, argument = _function(tree, name, who)
    if function == "len":
        return "len", "", 0.0
    inner, filtered = _unfiltered(inner)
    if filtered and function not in _BLIND:
        raise InputError(
            f"{who}: {name}={made}: first, last and n_unique do not go with filter(...), because missing values count for them; "
            "write pl.when(condition).then(value).drop_nulls().last() or first()"
        )
    if function is None or _holds_aggregate(inner):
        raise InputError(
            f"{who}: {name}={made} is not an aggregate that a service can repeat for one row; known are len, count, sum, "
            "mean, std, var, min, max, first, last (also of drop_nulls()), n_unique, median and quantile of an expression of the event's own "
            "columns, or of what filter(...) leaves of it. Combine several with ps.features.derive after the window."
        )
    expression = pl.Expr.deserialize(io.BytesIO(json.dumps(inner).encode()), format="json")
    return function, _value(expression, name, values, schema, function, who), argument


def _function(tree: Any, name: str, who: str) -> tuple[str | None, Any, float]:
    held = tree.get("Agg") if isinstance(tree, dict) else None
    if held:
        ((kind, inner),) = held.items()
        if isinstance(inner, dict) and "input" in inner:
            inner = inner["input"]
        if kind in ("First", "Last") and (known := _without_nulls(inner)) is not None:
            return f"{kind.lower()}_known", known, 0.0
        if kind in _SIMPLE:
            return _SIMPLE[kind], inner, 0.0
        if kind == "Median":
            return "quantile", inner, 0.5
        if kind in ("Std", "Var"):
            return kind.lower(), inner[0], float(inner[1])
        if kind == "Count" and not held[kind].get("include_nulls"):
            return "count", inner, 0.0
        if kind == "Count" and "Filter" in inner:
            return "count", {"Filter": {**inner["Filter"], "input": _ONE}}, 0.0
        if kind == "Count":
            return "len", None, 0.0
    function = tree.get("Function") if isinstance(tree, dict) else None
    if function and isinstance(function["function"], dict) and "Quantile" in function["function"]:
        method = function["function"]["Quantile"]["method"]
        level = function["input"][1].get("Literal", {}).get("Dyn", {}).get("Float")
        if method in ("Linear", "Nearest") and level is not None:
            return ("quantile" if method == "Linear" else "nearest"), function["input"][0], float(level)
        raise InputError(f'{who}: {name}: give quantile(level) or quantile(level, interpolation="linear")')
    return None, None, 0.0


def _unfiltered(tree: Any) -> tuple[Any, bool]:
    """Return values that ``filter`` chooses as those of all rows, missing where it chooses none; and whether it does."""
    if not isinstance(tree, dict) or "Filter" not in tree:
        return tree, False
    values, _ = _unfiltered(tree["Filter"]["input"])
    return {"Ternary": {"predicate": tree["Filter"]["by"], "truthy": values, "falsy": _MISSING}}, True


def _without_nulls(tree: Any) -> Any:
    """Return what stands before ``drop_nulls()``, or None."""
    if isinstance(tree, dict) and "Function" in tree and tree["Function"]["function"] == "DropNulls":
        return tree["Function"]["input"][0]
    return None


def _holds_aggregate(tree: Any) -> bool:
    text = json.dumps(tree)
    return any(f'"{word}"' in text for word in ("Agg", "Len", "Over", "Window", "Rolling"))


def _value(expression: pl.Expr, name: str, values: dict[str, Written], schema: Schema, function: str, who: str) -> str:
    """Return the name under which an expression's values are kept; equal expressions share one."""
    shown = {column: kind for column, kind in schema.items() if not column.startswith(OURS)}
    expression = written_out(expression, shown, f"{who}: {name}")
    need(f"{who}: {name}", expression.meta.root_names(), schema)
    label = f"penstock value {len(values)}"
    held = values.setdefault(expression.meta.serialize(format="json"), Written.of(label, expression.alias(label)))
    kind = pl.DataFrame(schema=dict(schema)).select(expression.alias(label)).schema[label]
    if function not in _ANY_TYPE and not (kind.is_numeric() or kind == pl.Boolean):
        raise DataError(
            f"{who}: {name}: {function} needs numbers or yes/no, and {expression} is {kind}; for times use "
            "ps.features.time_since(), for texts count, first, last or n_unique"
        )
    return held.name


def _asof(
    item: Asof, base: str, row: Schema, schemas: Mapping[str, Schema], times: Mapping[str, str | None]
) -> StoredAsof:
    who = f"ps.features.asof({item.table!r})"
    table = _table(item.table, schemas, who)
    if table == base:
        raise InputError(
            f"{who}: is the base table, whose latest row at a row's own time is the row itself; use ps.features.lag"
        )
    schema = schemas[table]
    by = _pairs(item.by, row, schema, who)
    row_time, time, unit = _clocks(base, table, row, schema, times, who)
    columns = _columns(item.columns, table, schema, {time, *(other for _, other in by)}, who)
    return StoredAsof(
        table, by, row_time, time, columns, None if item.within is None else _units(item.within, time, unit, who)
    )


def _join(item: Join, base: str, row: Schema, schemas: Mapping[str, Schema]) -> StoredJoin:
    who = f"ps.features.join({item.table!r})"
    table = _table(item.table, schemas, who)
    if table == base:
        raise InputError(f"{who}: is the base table itself; give the name of another one")
    schema = schemas[table]
    on = _pairs(item.on, row, schema, who)
    return StoredJoin(
        table, on, _columns(item.columns, table, schema, {other for _, other in on}, who), item.duplicates
    )


def _table(name: str, schemas: Mapping[str, Schema], who: str) -> str:
    if name not in schemas:
        hint = nearest(name, schemas)
        raise InputError(f"{who}: there is no table {name!r} in ingest=.{hint} There are: {', '.join(schemas)}")
    return name


def _pairs(keys: Keys, row: Schema, other: Schema, who: str) -> list[tuple[str, str]]:
    for mine, theirs in keys:
        need(who, [mine], row)
        need(who, [theirs], other)
        one, two = _family(row[mine]), _family(other[theirs])
        if one != two and "unknown" not in (one, two):
            raise DataError(
                f'{who}: keys of unlike types: "{mine}" of the row holds {one}, "{theirs}" of the table {two}, so that '
                f'none would ever be equal. Read one as the other with ps.prepare.cast("{mine}", ...).'
            )
    return list(keys)


def _family(kind: pl.DataType) -> str:
    if kind.is_numeric():
        return "numbers"
    if kind == pl.Boolean:
        return "yes/no"
    return "unknown" if kind == pl.Null else "times" if kind.is_temporal() else "text"


def _clocks(
    base: str, table: str, row: Schema, schema: Schema, times: Mapping[str, str | None], who: str
) -> tuple[str, str, float]:
    """Return the columns that say when row and event happened, and how many of their units make a second."""
    found = []
    for name, columns in ((base, row), (table, schema)):
        column = times.get(name)
        if column is None:
            raise InputError(
                f"{who}: nothing says when the rows of {name} happened; say it at its ingest with time=, "
                f'such as ps.ingest.files(..., time="when")'
            )
        need(f"{who}: time= of {name}", [column], columns)
        kind = columns[column]
        if not (kind.is_temporal() or kind.is_integer()):
            raise DataError(
                f'{who}: column "{column}" of {name} holds {kind}, not times or whole numbers; read it with '
                f'ps.prepare.cast("{column}", pl.Datetime)'
            )
        found.append((column, kind.is_temporal()))
    if found[0][1] != found[1][1]:
        raise DataError(
            f'{who}: "{found[0][0]}" of {base} and "{found[1][0]}" of {table}: one holds dates, the other numbers'
        )
    return found[0][0], found[1][0], 1e6 if found[0][1] else 1.0


def _units(length: float | str, column: str, unit: float, who: str) -> int:
    if isinstance(length, str) and unit == 1.0:
        raise DataError(
            f'{who}: "{column}" holds numbers that are no dates, so {length!r} says nothing of them; give a number of their '
            f'unit, such as over=3, or read them as dates with ps.prepare.cast("{column}", "date", format="%Y")'
        )
    return round(seconds_of(length) * unit)


def _columns(
    wanted: Sequence[str] | None, table: str, schema: Schema, keys: set[str], who: str
) -> list[tuple[str, str]]:
    need(who, wanted or (), schema)
    names = wanted
    if names is None:
        left = [name for name in schema if name not in keys and not name.startswith(OURS)]
        # Where a row stands in its file says nothing of what it is about; in the rows predicted it is left out too.
        names = [name for name in left if not _NUMBERS.match(name) or not schema[name].is_integer()] or left
    if not names:
        raise DataError(f"{who}: has no column besides its keys")
    return [(f"{table}_{name}", name) for name in names]
