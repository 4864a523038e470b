"""Simple features as plain functions of one row: arithmetic, comparisons and conditions, without a data frame.

An expression is read from the same JSON that a stored model holds. What is not surely equal to Polars, bit for
bit, is not compiled and goes through a frame; the tests hold the rest to that.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal

from penstock.features.arithmetic import ARITHMETIC, COMPARED, EQUAL, divided, wrapped
from penstock.types.dates import microseconds

Row = Mapping[str, Any]
Compiled = Callable[[Row], Any]
Kind = Literal["integer", "float", "time", "length", "part", "boolean", "text"]
"""A length of time is so many microseconds. A part of a date, a count and a whole number that was written down have fewer
than 64 bits in Polars: compared here, but not reckoned with."""
_COLUMNS: dict[str, Kind] = {"Int64": "integer", "Float64": "float", "Boolean": "boolean", "String": "text"}
_SECOND = 1.0 / 1e6  # Polars multiplies by the inverse of a number that is the same for all rows


def compile_feature(expression: str, kinds: Mapping[str, str]) -> Compiled | None:
    """Return a function from a prepared row to the feature's value, or None when Polars must compute it.

    Parameters
    ----------
    expression : str
        As ``Expr.meta.serialize(format="json")`` writes it.
    kinds : mapping of str to str
        Column to Polars type.

    Examples
    --------
    >>> import polars as pl
    >>> written = (pl.col("total") / pl.col("months").clip(1)).meta.serialize(format="json")
    >>> compile_feature(written, {"total": "Float64", "months": "Int64"})({"total": 6.0, "months": 0})
    6.0
    """
    try:
        node, kind = _node(json.loads(expression), kinds)
    except (_NotCompiled, KeyError, TypeError, ValueError):
        return None
    if kind == "length":
        node = _each(node, _seconds)

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
        kind: Kind | None = "time" if name.startswith("Datetime") else _COLUMNS.get(name)
        if kind is None:
            raise _NotCompiled
        return (lambda row: row[held]), kind
    if name == "BinaryExpr":
        return _logic(held, kinds) if held["op"] in _LOGIC else _binary(held, kinds)
    if name == "Ternary":
        return _condition(held, kinds)
    if name == "Cast":
        return _cast(held, kinds)
    if name == "Function":
        function = held["function"] if isinstance(held["function"], str) else next(iter(held["function"]))
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](held, kinds)
    raise _NotCompiled


def _each(inner: Compiled, read: Callable[[Any], Any]) -> Compiled:
    """What is not missing, read further."""
    return lambda row: None if (found := inner(row)) is None else read(found)


def _seconds(microseconds: int) -> float:
    return microseconds * _SECOND


_PARTS: dict[str, Callable[[Any], int]] = {
    "Year": operator.attrgetter("year"),
    "Month": operator.attrgetter("month"),
    "Day": operator.attrgetter("day"),
    "Hour": operator.attrgetter("hour"),
    "Minute": operator.attrgetter("minute"),
    "Second": operator.attrgetter("second"),
    "WeekDay": operator.methodcaller("isoweekday"),
    "Week": lambda moment: moment.isocalendar().week,
    "Quarter": lambda moment: (moment.month + 2) // 3,
    "OrdinalDay": lambda moment: moment.timetuple().tm_yday,
}
_LENGTHS = {
    "TotalDays": 86_400_000_000, "TotalHours": 3_600_000_000, "TotalMinutes": 60_000_000, "TotalSeconds": 1_000_000,
    "TotalMilliseconds": 1_000, "TotalMicroseconds": 1,
}  # fmt: skip


def _part(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """A part of a date, the calendar's, of a time without zone; or how many whole days and the like a length has."""
    inner, kind = _node(held["input"][0], kinds)
    wanted = held["function"]["TemporalExpr"]
    if isinstance(wanted, str):
        if kind != "time" or wanted not in _PARTS:
            raise _NotCompiled
        return _each(inner, _PARTS[wanted]), "part"
    ((name, how),) = wanted.items()
    if kind != "length" or name not in _LENGTHS or how != {"fractional": False}:
        raise _NotCompiled
    unit = _LENGTHS[name]
    return _each(inner, lambda length: length // unit if length >= 0 else -(-length // unit)), "integer"


def _moment(tree: Any, kinds: Mapping[str, str]) -> Compiled:
    """A time in microseconds since 1970: a column, or one that is written down."""
    if isinstance(tree, dict) and set(tree) == {"Literal"}:
        count, unit, zone = tree["Literal"]["Scalar"]["Datetime"]
        if unit != "Microseconds" or zone is not None:
            raise _NotCompiled
        return lambda _row: count
    inner, kind = _node(tree, kinds)
    if kind != "time":
        raise _NotCompiled
    return _each(inner, microseconds)


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
    if sign in EQUAL and (texts := _texts(held, kinds)) is not None:
        return _both(*texts, EQUAL[sign]), "boolean"
    if sign == "Minus" and (moments := _moments(held, kinds)) is not None:
        return _both(*moments, operator.sub), "length"
    left, right = _literal(held["left"]), _literal(held["right"])
    if left is not None and right is not None:
        raise _NotCompiled
    one, one_kind = _constant(left) if left is not None else _node(held["left"], kinds)
    two, two_kind = _constant(right) if right is not None else _node(held["right"], kinds)
    both = {one_kind, two_kind}
    if sign in COMPARED:
        if both == {"integer", "float"} and (left is not None or right is not None):
            return _both(_as_float(one), _as_float(two), COMPARED[sign]), "boolean"
        # Polars compares whole numbers with others in a type of its own choice.
        if not (both <= {"integer", "part"} or both == {"float"}):
            raise _NotCompiled
        return _both(one, two, COMPARED[sign]), "boolean"
    if not both <= {"integer", "float"}:
        raise _NotCompiled
    kind: Kind = "integer" if one_kind == two_kind == "integer" else "float"
    if sign == "TrueDivide":
        if right is not None:
            if right == 0:
                raise _NotCompiled
            inverse = 1.0 / right  # as Polars does with a number that is the same for all rows
            return _both(one, _constant(inverse)[0], ARITHMETIC["Multiply"]), "float"
        return _both(one, two, divided), "float"
    if sign not in ARITHMETIC:
        raise _NotCompiled
    return _both(one, two, ARITHMETIC[sign]), kind


def _constant(value: float) -> tuple[Compiled, Kind]:
    return (lambda _row: value), "integer" if isinstance(value, int) else "float"


def _as_float(inner: Compiled) -> Compiled:
    return lambda row: None if (found := inner(row)) is None else float(found)


def _both(one: Compiled, two: Compiled, operate: Callable[[Any, Any], Any]) -> Compiled:
    def value(row: Row) -> Any:
        a = one(row)
        if a is None:
            return None
        b = two(row)
        return None if b is None else operate(a, b)

    return value


def _text_of(tree: Any) -> str | None:
    found = tree.get("Literal", {}).get("Scalar", {}) if isinstance(tree, dict) else {}
    return found.get("String") if isinstance(found, dict) else None


def _texts(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Compiled] | None:
    """The sides of a comparison of texts, or None when it is one of something else."""
    sides: list[Compiled] = []
    for tree in (held["left"], held["right"]):
        if (text := _text_of(tree)) is not None:
            sides.append(lambda _row, text=text: text)  # type: ignore[misc]
        elif isinstance(tree, dict) and kinds.get(tree.get("Column", "")) == "String":
            sides.append(_node(tree, kinds)[0])
        else:
            return None
    return sides[0], sides[1]


def _moments(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Compiled] | None:
    """The sides of a difference of times, or None when it is one of something else."""
    try:
        return _moment(held["left"], kinds), _moment(held["right"], kinds)
    except (_NotCompiled, KeyError, TypeError):
        return None


def _boolean(tree: Any, kinds: Mapping[str, str]) -> Compiled:
    made, kind = _node(tree, kinds)
    if kind != "boolean":
        raise _NotCompiled
    return made


_LOGIC = {"And": False, "Or": True, "LogicalAnd": False, "LogicalOr": True}
"""What decides whatever the other side is, missing ones included (Kleene 1952)."""


def _logic(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    one, two = _boolean(held["left"], kinds), _boolean(held["right"], kinds)
    decides = _LOGIC[held["op"]]

    def value(row: Row) -> Any:
        both = one(row), two(row)
        if decides in both:
            return decides
        return None if None in both else not decides

    return value, "boolean"


def _test(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """Whether a cell is missing, or the contrary of a yes or no."""
    function, tree = held["function"]["Boolean"], held["input"][0]
    if function == "Not":
        inner = _boolean(tree, kinds)
        return (lambda row: None if (found := inner(row)) is None else not found), "boolean"
    if function not in ("IsNull", "IsNotNull") or set(tree) != {"Column"} or tree["Column"] not in kinds:
        raise _NotCompiled
    name, missing = tree["Column"], function == "IsNull"
    return (lambda row: (row[name] is None) is missing), "boolean"


def _count(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """How many of several are true: of numbers the last bit would hang on the order."""
    if not held["function"]["SumHorizontal"]["ignore_nulls"]:
        raise _NotCompiled
    inner = [_boolean(tree, kinds) for tree in held["input"]]
    return (lambda row: sum(each(row) is True for each in inner)), "part"


def _condition(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """One of two values of one type; whole numbers that are both written down are shorter than 64 bits."""
    asked = _boolean(held["predicate"], kinds)
    trees = held["truthy"], held["falsy"]
    nothing = [tree == {"Literal": {"Scalar": {"Null": "Null"}}} for tree in trees]
    numbers = [None if none else _literal(tree) for tree, none in zip(trees, nothing, strict=True)]
    made = [
        None if none or number is not None else _node(tree, kinds)
        for tree, none, number in zip(trees, nothing, numbers, strict=True)
    ]
    found = {node[1] for node in made if node is not None}
    written = [number for number in numbers if number is not None]
    if len(found) > 1 or not found | set(map(type, written)):
        raise _NotCompiled
    if not found:
        kind: Kind = "part" if all(type(number) is int for number in written) else "float"
    else:
        (kind,) = found
    if kind == "part" and any(abs(number) >= 2**31 for number in written):
        raise _NotCompiled
    if found and written and not (kind == "float" or (kind == "integer" and type(written[0]) is int)):
        raise _NotCompiled

    def side(at: int) -> Compiled:
        node, number = made[at], numbers[at]
        if node is not None:
            return node[0]
        constant = float(number) if number is not None and kind == "float" else number
        return lambda _row: constant

    yes, no = side(0), side(1)
    return (lambda row: yes(row) if asked(row) else no(row)), kind


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


def _cast(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    inner, kind = _node(held["expr"], kinds)
    if held["dtype"] != {"Literal": "Float64"} or kind in ("time", "length", "text"):
        raise _NotCompiled
    return _each(inner, float), "float"


def _number(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    inner, kind = _node(held["input"][0], kinds)
    if kind not in ("integer", "float"):
        raise _NotCompiled
    if held["function"] == "Abs":
        return _each(inner, lambda number: wrapped(abs(number))), kind
    if held["function"] == {"Pow": "Sqrt"} and kind == "float":
        return _each(inner, lambda number: math.sqrt(number) if number >= 0 else math.nan), "float"
    raise _NotCompiled


def _length(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """How many characters a text has."""
    inner, kind = _node(held["input"][0], kinds)
    if kind != "text" or held["function"]["StringExpr"] != "LenChars":
        raise _NotCompiled
    return _each(inner, len), "part"


def _filled(held: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Compiled, Kind]:
    """A value, or where it is missing a number that is written down."""
    inner, kind = _node(held["input"][0], kinds)
    number = _literal(held["input"][1])
    if number is None or not (kind == "float" or (kind == "integer" and type(number) is int)):
        raise _NotCompiled
    other = float(number) if kind == "float" else number
    return (lambda row: other if (found := inner(row)) is None else found), kind


_FUNCTIONS: dict[str, Callable[[Mapping[str, Any], Mapping[str, str]], tuple[Compiled, Kind]]] = {
    "Clip": _clip,
    "TemporalExpr": _part,
    "Boolean": _test,
    "SumHorizontal": _count,
    "Abs": _number,
    "Pow": _number,
    "StringExpr": _length,
    "FillNull": _filled,
}
