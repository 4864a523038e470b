"""Selectors within expressions, such as ``pl.all()``, written out as the columns that they name at training."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from penstock.errors import InputError

_HORIZONTAL = ("Horizontal", "Coalesce", "AsStruct", '"Concat"')
"""Functions of which one takes all columns of a selector; others are done to each."""


def written_out(expression: pl.Expr, schema: Mapping[str, pl.DataType], who: str) -> pl.Expr:
    """Return an expression that names each column by itself, so that later rows are looked at alike.

    Parameters
    ----------
    expression : Polars expression
        Of one column.
    schema : mapping
        The columns that it may look at, with their types.
    who : str
        For errors.

    Raises
    ------
    InputError
        When it selects no column, or makes more than one.

    Examples
    --------
    >>> schema = {"a": pl.Float64(), "b": pl.Float64(), "c": pl.String()}
    >>> missing = pl.sum_horizontal(pl.all().is_null())
    >>> sorted(written_out(missing, schema, "derive(missing=...)").meta.root_names())
    ['a', 'b', 'c']
    >>> written_out(pl.max_horizontal(pl.col("a", "b")), schema, "derive(most=...)").meta.root_names()
    ['a', 'b']
    """
    text = expression.meta.serialize(format="json")
    if '"Selector"' not in text:
        return expression
    try:
        made = _copies(json.loads(text), pl.DataFrame(schema=dict(schema)))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{who}: {str(error).splitlines()[0]}; the columns are {', '.join(schema)}") from None
    if len(made) != 1:
        raise InputError(
            f"{who}: the expression makes {len(made)} columns of those that it selects; give one that makes one, such as "
            "pl.sum_horizontal(...)"
        )
    return _read(made[0])


def _copies(node: Any, empty: pl.DataFrame) -> list[Any]:
    """Return a node of an expression once for each column that it selects."""
    if isinstance(node, dict) and set(node) == {"Selector"}:
        names = empty.select(_read(node)).columns
        if not names:
            raise pl.exceptions.ColumnNotFoundError("a selector names no column")
        return [{"Column": name} for name in names]
    if isinstance(node, dict) and "Function" in node:
        inner = node["Function"]
        inputs = [_copies(item, empty) for item in inner["input"]]
        if any(word in json.dumps(inner["function"]) for word in _HORIZONTAL):
            return [{"Function": {**inner, "input": [item for each in inputs for item in each]}}]
        return [{"Function": {**inner, "input": list(item)}} for item in _alike(inputs)]
    if isinstance(node, dict):
        return [dict(zip(node, item, strict=True)) for item in _alike([_copies(item, empty) for item in node.values()])]
    if isinstance(node, list):
        return [list(item) for item in _alike([_copies(item, empty) for item in node])]
    return [node]


def _alike(children: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Pair the copies of a node's children; what is there once goes with each."""
    most = {len(item) for item in children} - {1}
    count = most.pop() if most else 1
    if most:
        return []
    return (
        list(zip(*(item * count if len(item) == 1 else item for item in children), strict=True)) if children else [()]
    )


def _read(node: Any) -> pl.Expr:
    return pl.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")
