"""Values that hold others: lists, tuples, dicts and their like, whose leaves are each written in a format of its own.

What a step returns comes back as it was, so that a value from the store is the one that was computed: a tuple is no
list, a date no text, and `return train, test` gives two tables.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.errors import StoreError
from penstock.store.plain import converted, fields_of, is_plain, is_record, written

_KIND, _OF = "$", "of"


class _Scalar(NamedTuple):
    name: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _write_time(value: datetime.datetime) -> list[str]:
    zone = value.tzinfo
    return [value.isoformat(), *([zone.key] if isinstance(zone, zoneinfo.ZoneInfo) and zone.key else [])]


def _read_time(of: list[str]) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(of[0])
    return value.astimezone(zoneinfo.ZoneInfo(of[1])) if len(of) > 1 else value


def _write_timestamp(value: Any) -> list[str]:
    return [value.isoformat(), value.unit, *([str(value.tz)] if value.tz is not None else [])]


def _read_timestamp(of: list[str]) -> Any:
    import pandas as pd

    value = pd.Timestamp(of[0]).as_unit(of[1])
    return value.tz_convert(of[2]) if len(of) > 2 else value


_SCALARS = {
    "datetime.datetime": _Scalar("datetime", _write_time, _read_time),
    "datetime.date": _Scalar("date", lambda value: value.isoformat(), datetime.date.fromisoformat),
    "datetime.time": _Scalar("time", lambda value: value.isoformat(), datetime.time.fromisoformat),
    "datetime.timedelta": _Scalar(
        "timedelta", lambda value: [value.days, value.seconds, value.microseconds], lambda of: datetime.timedelta(*of)
    ),
    "decimal.Decimal": _Scalar("decimal", str, decimal.Decimal),
    "fractions.Fraction": _Scalar("fraction", str, fractions.Fraction),
    "uuid.UUID": _Scalar("uuid", str, uuid.UUID),
    "builtins.complex": _Scalar("complex", repr, complex),
    "builtins.range": _Scalar("range", lambda value: [value.start, value.stop, value.step], lambda of: range(*of)),
    "pandas.Timestamp": _Scalar("timestamp", _write_timestamp, _read_timestamp),
}
"""Of types by their names, since pandas is not imported for this."""
_READ = {scalar.name: scalar.read for scalar in _SCALARS.values()}


def _objects(shape: list[int], items: list[Any]) -> Any:
    import numpy as np

    made = np.empty(len(items), object)
    for at, item in enumerate(items):  # all at once, lists of one length would be taken for a dimension
        made[at] = item
    return made.reshape(shape)


_SEQUENCES: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def is_nested(value: object) -> bool:
    """Whether a value is of a type that holds others, or one that JSON has no word for.

    Examples
    --------
    >>> is_nested((1, 2)), is_nested(datetime.date(2026, 1, 1)), is_nested(object())
    (True, True, False)
    """
    return (
        isinstance(value, list | tuple | dict | set | frozenset)
        or is_record(value)
        or _name(value) in _SCALARS
        or _holds_objects(value)
    )


def _holds_objects(value: object) -> bool:
    """Whether a value is an array of Python's objects, as NumPy has of text."""
    return _name(value) == "numpy.ndarray" and str(getattr(value, "dtype", "")) == "object"


def _name(value: object) -> str:
    kind = type(value)
    module = "pandas" if kind.__module__.startswith("pandas.") else kind.__module__  # it says where they are made
    return f"{module}.{kind.__qualname__}"


class _Folding:
    """One value being taken apart: its leaves are put aside, in the order in which they are met."""

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        self.encode = encode
        self.files: dict[str, bytes] = {}
        self.records = False

    def fold(self, value: Any, place: str) -> Any:
        if is_plain(value):
            self.records |= _holds_record(value)
            return written(value)
        if scalar := _SCALARS.get(_name(value)):
            return {_KIND: scalar.name, _OF: scalar.write(value)}
        if is_record(value):
            self.records = True
            return {name: self.fold(item, f"{place}.{name}") for name, item in fields_of(value).items()}
        if isinstance(value, list):
            return [self.fold(item, f"{place}[{number}]") for number, item in enumerate(value)]
        if isinstance(value, tuple):
            self.records |= hasattr(value, "_fields")
            return {_KIND: "tuple", _OF: self.fold(list(value), place)}
        if isinstance(value, set | frozenset):
            kind = "set" if isinstance(value, set) else "frozenset"
            return {_KIND: kind, _OF: self.fold(sorted(value, key=repr), place)}
        if _holds_objects(value):
            return {_KIND: "objects", _OF: [list(value.shape), self.fold(value.ravel().tolist(), place)]}
        if isinstance(value, dict):
            items = [(key, self.fold(item, f"{place}[{key!r}]")) for key, item in value.items()]
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return dict(items)
            return {_KIND: "dict", _OF: [[self.fold(key, place), item] for key, item in items]}
        try:
            leaf = self.encode(value)
        except StoreError as error:
            raise StoreError(f"{error} (at {place} of what is returned)" if place else str(error)) from None
        name = f"{len(self.files)}.{leaf.format}"
        self.files[name] = leaf.data
        return {_KIND: "file", _OF: name}


def _holds_record(value: Any) -> bool:
    """Whether a plain value holds what an annotation alone can tell from a dict, or an enumeration's from its value."""
    if isinstance(value, list | dict):
        return any(map(_holds_record, value.values() if isinstance(value, dict) else value))
    return is_record(value) or isinstance(value, enum.Enum)


def fold(value: Any, encode: Callable[[Any], Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Take a value apart: what it is as JSON-able data, and its leaves as bytes by their file's name.

    Parameters
    ----------
    value : object
        Any of which :func:`is_nested` is true.
    encode : callable
        A leaf to bytes, with the name of their format.

    Raises
    ------
    StoreError
        For a leaf that no format accepts, with its place.
    """
    folding = _Folding(encode)
    tree = folding.fold(value, "")
    return {"value": tree, "records": folding.records}, folding.files


def unfold(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], decode: Callable[[str, bytes], Any], annotation: Any = None
) -> Any:
    """Put a value together again.

    Parameters
    ----------
    manifest, files
        What :func:`fold` gave.
    decode : callable
        A format's name and bytes to the leaf.
    annotation : type, optional
        What records in it are of; without it they are dicts.

    Examples
    --------
    >>> unfold(*fold({1: (2, {3})}, encode=None), decode=None)
    {1: (2, {3})}
    """

    def read(node: Any) -> Any:
        if isinstance(node, list):
            return [read(item) for item in node]
        if not isinstance(node, dict):
            return node
        if _KIND not in node:
            return {key: read(item) for key, item in node.items()}
        kind, of = node[_KIND], node[_OF]
        if kind == "file":
            return decode(of.partition(".")[2], files[of])
        if kind == "dict":
            return {read(key): read(item) for key, item in of}
        if kind == "objects":
            return _objects(of[0], read(of[1]))
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](read(of))
        return _READ[kind](of)

    value = read(manifest["value"])
    return converted(value, annotation) if manifest["records"] else value
