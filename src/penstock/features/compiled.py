"""Simple features as plain functions of one row: arithmetic on numbers, without a data frame.

An expression is read from the same JSON that a stored model holds. What is not surely equal to Polars, bit for
bit, is not compiled and goes through a frame; the tests hold the rest to that.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal

Row = Mapping[str, Any]
Compiled = Callable[[Row], Any]
Kind = Literal["integer", "float", "time", "part", "boolean"]
"""A part of a date is a whole number of eight bits or so in Polars: it is compared, but not reckoned with, here."""
_INF = float("inf")
_HALF, _WHOLE = 1 << 63, 1 << 64


def compile_feature(expression: str, kinds: Mapping[str, str]) -> Compiled | None:
    """Return a function from a prepared row to the feature's value, or None when Polars must compute it.

    Parameters
    ----------
    expression : str
        As ``Expr.meta.serialize(format="json")`` writes it.
    kinds : mapping of str to str
        Column to Polars type; only Int64 and Float64 are compiled.

    Examples
    --------
    >>> import polars as pl
    >>> written = (pl.col("total") / pl.col("months").clip(1)).meta.serialize(format="json")
    >>> compile_feature(written, {"total": "Float64", "months": "Int64"})({"total": 6.0, "months": 0})
    6.0
    """
    try:
        node, _ = _node(json.loads(expression), kinds)
    except (_NotCompiled, KeyError, TypeError, ValueError):
        return None

    def value(row: Row) -> Any:
        found = node(row)
        return found if found is None or type(found) is not float or found - found == 0 else None

    return value


class _NotCompiled(Exception):
    """Left to Polars."""


def _node(tree: Any, kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    if not isinstance(tree, dict) or len(tree) != 1:
        raise _NotCompiled
    ((name, held),) = tree.items()
    if name == "Alias":
        return _node(held[0], kinds)
    if name == "Column":
        name = kinds.get(held, "")
        kind = {"Int64": "integer", "Float64": "float"}.get(name, "time" if name.startswith("Datetime") else None)
        if kind is None:
            raise _NotCompiled
        return (lambda row: row[held]), kind  # type: ignore[return-value]
    if name == "BinaryExpr":
        return _binary(held, kinds)
    if name == "Function" and isinstance(held["function"], dict) and "Clip" in held["function"]:
        return _clip(held, kinds)
    if name == "Function" and isinstance(held["function"], dict) and "TemporalExpr" in held["function"]:
        return _part(held, kinds)
    raise _NotCompiled


_PARTS: dict[str, Callable[[Any], int]] = {
    "Year": operator.attrgetter("year"),
    "Month": operator.attrgetter("month"),
    "Day": operator.attrgetter("day"),
    "Hour": operator.attrgetter("hour"),
    "WeekDay": operator.methodcaller("isoweekday"),
}


def _part(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """A part of a date: the calendar's, of a time without zone."""
    inner, kind = _node(held["input"][0], kinds)
    part = _PARTS.get(held["function"]["TemporalExpr"]) if isinstance(held["function"]["TemporalExpr"], str) else None
    if kind != "time" or part is None:
        raise _NotCompiled

    def value(row: Row) -> Any:
        moment = inner(row)
        return None if moment is None else part(moment)

    return value, "part"


def _literal(tree: Any) -> float | int | None:
    if isinstance(tree, dict) and set(tree) == {"Literal"}:
        dynamic = tree["Literal"].get("Dyn", {})
        found = dynamic.get("Int", dynamic.get("Float"))
        if type(found) in (int, float) and abs(found) < 2**53:
            return found  # type: ignore[no-any-return]
        raise _NotCompiled
    return None


def _binary(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    sign = held["op"]
    left, right = _literal(held["left"]), _literal(held["right"])
    if left is not None and right is not None:
        raise _NotCompiled
    one, one_kind = _constant(left) if left is not None else _node(held["left"], kinds)
    two, two_kind = _constant(right) if right is not None else _node(held["right"], kinds)
    both = {one_kind, two_kind}
    if sign in _COMPARED:
        # Polars compares whole numbers with others in a type of its own choice.
        if not (both <= {"integer", "part"} or both == {"float"}):
            raise _NotCompiled
        return _both(one, two, _COMPARED[sign]), "boolean"
    if not both <= {"integer", "float"}:
        raise _NotCompiled
    kind: Kind = "integer" if one_kind == two_kind == "integer" else "float"
    if sign == "TrueDivide":
        if right is not None:
            if right == 0:
                raise _NotCompiled
            inverse = 1.0 / right  # as Polars does with a number that is the same for all rows
            return _both(one, _constant(inverse)[0], _times), "float"
        return _both(one, two, _divided), "float"
    if sign not in _ARITHMETIC:
        raise _NotCompiled
    return _both(one, two, _ARITHMETIC[sign]), kind


def _constant(value: float) -> tuple[Compiled, Kind]:
    return (lambda _row: value), "integer" if isinstance(value, int) else "float"


def _both(one: Compiled, two: Compiled, operate: Callable[[Any, Any], Any]) -> Compiled:
    def value(row: Row) -> Any:
        a = one(row)
        if a is None:
            return None
        b = two(row)
        return None if b is None else operate(a, b)

    return value


def _wrapped(number: Any) -> Any:
    """Integers of 64 bits go round, as Polars' do."""
    if type(number) is int and not -_HALF <= number < _HALF:
        return (number + _HALF) % _WHOLE - _HALF
    return number


def _plus(a: Any, b: Any) -> Any:
    return _wrapped(a + b)


def _minus(a: Any, b: Any) -> Any:
    return _wrapped(a - b)


def _times(a: Any, b: Any) -> Any:
    return _wrapped(a * b)


def _divided(a: Any, b: Any) -> float:
    try:
        return float(a) / float(b)
    except ZeroDivisionError:
        return float("nan") if a == 0 or a != a else _INF


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"Plus": _plus, "Minus": _minus, "Multiply": _times}


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "Gt": operator.gt,
    "GtEq": operator.ge,
    "Lt": operator.lt,
    "LtEq": operator.le,
}


def _clip(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    inner, kind = _node(held["input"][0], kinds)
    if kind not in ("integer", "float"):
        raise _NotCompiled
    bounds = [_literal(item) for item in held["input"][1:]]
    wanted = held["function"]["Clip"]
    if any(item is None or (kind == "integer" and not isinstance(item, int)) for item in bounds):
        raise _NotCompiled
    rest = iter(bounds)
    low = next(rest) if wanted["has_min"] else None
    high = next(rest) if wanted["has_max"] else None
    if kind == "float":
        low, high = (None if item is None else float(item) for item in (low, high))

    def value(row: Row) -> Any:
        found = inner(row)
        if found is None:
            return None
        if low is not None and found < low:
            found = low
        if high is not None and found > high:
            found = high
        return found

    return value, kind
