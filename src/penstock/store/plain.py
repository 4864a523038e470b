"""What JSON can hold so that it comes back as it was; dataclasses and their like come back by their annotation."""

from __future__ import annotations

import dataclasses
import enum
import math
import typing
from typing import Any

import msgspec

from penstock.types.convert import convert

_PLAIN = (type(None), str, int, float, bool)
_ordered = msgspec.json.Encoder()  # a dict's keys stay in their order, which is that of a table's columns
_sorted = msgspec.json.Encoder(order="deterministic")


def is_record(value: object) -> bool:
    """Whether a value is of a class of named fields: a dataclass or a Struct.

    Examples
    --------
    >>> made = dataclasses.make_dataclass("Point", ["x", "y"])
    >>> is_record(made(1, 2)), is_record(made), is_record((1, 2))
    (True, False, False)
    """
    return isinstance(value, msgspec.Struct) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def fields_of(record: Any) -> dict[str, Any]:
    """Return a record's fields by name."""
    if isinstance(record, msgspec.Struct):
        return {name: getattr(record, name) for name in record.__struct_fields__}
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def is_plain(value: object, within: bool = False) -> bool:
    """Whether JSON holds a value so that it comes back; `within` a record its annotation tells more, tuples and dates.

    Examples
    --------
    >>> is_plain({"rows": [1, 2.5, None]}), is_plain((1, 2)), is_plain({1: "one"})
    (True, False, False)
    """
    if isinstance(value, _PLAIN):
        return True
    if isinstance(value, enum.Enum):
        return is_plain(value.value)
    if isinstance(value, msgspec.Struct):
        return True
    if is_record(value):
        return all(is_plain(item, within=True) for item in fields_of(value).values())
    if isinstance(value, list) or (within and isinstance(value, tuple)):
        return all(is_plain(item, within) for item in value)
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and not key.startswith("$") and is_plain(item, within) for key, item in value.items()
        )
    return _is_number(value) or (within and type(value).__module__ in {"datetime", "decimal", "uuid"})


def _is_number(value: object) -> bool:
    """Whether a value is a number of NumPy that is one of Python's as well."""
    return (
        type(value).__module__ == "numpy"
        and getattr(value, "shape", None) == ()
        and hasattr(value, "item")
        and isinstance(value.item(), _PLAIN)
    )


def written(value: Any) -> Any:
    """Return what is written in JSON for a plain value: floats that JSON has no word for are marked."""
    if isinstance(value, enum.Enum):
        return written(value.value)
    if isinstance(value, float):
        number = float(value)  # NumPy's is one of Python's too, but msgspec does not write it
        return number if math.isfinite(number) else {"$float": repr(number)}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.Raw(_sorted.encode(value))
    if is_record(value):
        return {name: written(item) for name, item in fields_of(value).items()}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    return written(value.item()) if _is_number(value) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and "$float" in value:
            return float(value["$float"])
        return {key: _read(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_read(item) for item in value]
    return value


def encode_plain(value: Any) -> bytes:
    """Write a plain value as JSON; the same value gives the same bytes."""
    if type(value) in (str, int, bool):
        return _ordered.encode(value)
    try:
        return _ordered.encode(written(value))
    except OverflowError:  # integers beyond 64 bits, which msgspec does not write
        import json

        return json.dumps(written(value), separators=(",", ":"), ensure_ascii=False).encode()


def decode_plain(data: bytes, annotation: Any = None) -> Any:
    """Read a plain value, as what its annotation says."""
    value = msgspec.json.decode(data) if b"$float" not in data else _read(msgspec.json.decode(data))
    return converted(value, annotation)


def converted(value: Any, annotation: Any) -> Any:
    """Return a value as the type that an annotation names; as it is where there is none."""
    if annotation in (None, Any, int, str, float, bool, dict, list):
        return value
    origin = typing.get_origin(annotation) or annotation
    return convert(value, annotation) if isinstance(origin, type) else value
