"""Values as text that is equal exactly when they are: constants, arrays, frames, expressions, instances."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import pathlib
import re
import types
import typing
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.engine.reach import Reach

_BY_REPR = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    decimal.Decimal,
    fractions.Fraction,
    uuid.UUID,
    pathlib.PurePath,
    slice,
    zoneinfo.ZoneInfo,
)


def written_object(reach: Reach, value: Any, kind: type, name: str) -> str:
    """Write a value that is no scalar, module, class or function; `reach` follows what it is made of.

    Raises
    ------
    FingerprintError
        When no sound way is known.
    """
    if isinstance(value, enum.Enum):
        return f"{reach.token(kind, name)}.{value.name}={reach.token(value.value, name)}"
    if isinstance(value, types.MethodType):
        return f"method {reach.token(value.__func__, name)} of {reach.token(value.__self__, name)}"
    if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType | types.MethodDescriptorType):
        owner = getattr(value, "__self__", None)
        of = "" if owner is None or isinstance(owner, types.ModuleType) else reach.token(owner, name)
        reach.package(getattr(value, "__module__", None) or "builtins")
        return f"builtin {getattr(value, '__qualname__', name)} {of}"
    if kind in (list, tuple):
        return f"{kind.__name__}[" + ",".join(reach.token(item, name) for item in value) + "]"
    if kind in (dict, types.MappingProxyType):
        return "dict{" + ",".join(f"{reach.token(k, name)}:{reach.token(v, name)}" for k, v in value.items()) + "}"
    if kind in (set, frozenset):
        return f"{kind.__name__}{{" + ",".join(sorted(reach.token(item, name) for item in value)) + "}"
    if isinstance(value, _BY_REPR) and kind.__module__ in {
        "datetime", "decimal", "fractions", "uuid", "pathlib", "pathlib._local", "builtins", "zoneinfo",
    }:  # fmt: skip
        return f"{kind.__name__} {value!r}"
    if isinstance(value, re.Pattern):
        return f"pattern {value.pattern!r} {value.flags}"
    if isinstance(value, functools.partial):
        return f"partial({reach.token(value.func, name)},{reach.token(value.args, name)},{reach.token(value.keywords, name)})"
    if isinstance(value, property):
        return f"property({reach.token((value.fget, value.fset, value.fdel), name)})"
    if isinstance(value, staticmethod | classmethod):
        return f"{kind.__name__}({reach.token(value.__func__, name)})"
    if isinstance(value, functools.cached_property):
        return f"cached_property({reach.token(value.func, name)})"
    penstock_step = getattr(value, "__penstock_step__", None)
    if penstock_step is not None:
        return reach.function(penstock_step.function)
    wrapped = getattr(value, "__wrapped__", None)
    if wrapped is not None and kind.__module__ == "functools":
        return f"{kind.__name__}({reach.token(wrapped, name)})"
    if isinstance(value, functools.singledispatchmethod):
        return f"singledispatchmethod({reach.token(value.func, name)},{reach.token(dict(value.dispatcher.registry), name)})"
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tobytes"):
        return _array(reach, value, name)
    if kind.__module__.partition(".")[0] == "polars":
        return _polars(reach, value, kind, name)
    return _by_state(reach, value, kind, name)


def _array(reach: Reach, array: Any, name: str) -> str:
    reach.package("numpy")
    if array.dtype.hasobject:
        return f"array {array.shape} {reach.token(array.tolist(), name)}"
    return f"array {array.dtype.str} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _polars(reach: Reach, value: Any, kind: type, name: str) -> str:
    reach.package("polars")
    if kind.__name__ == "Expr":
        written = bytes(value.meta.serialize(format="binary"))
        if b"PLPYFN" in written or b"AnonymousFunction" in written:
            raise reach.refusal(
                f"{name} is a Polars expression that calls a Python function, whose code cannot be seen",
                "Write it with Polars' own operations, or as a plain function",
            )
        return f"expression {hashlib.sha256(written).hexdigest()}"
    if kind.__name__ in {"DataFrame", "Series"}:
        frame = value.to_frame() if kind.__name__ == "Series" else value
        from penstock.store.formats import encode

        return f"{kind.__name__} {frame.schema} {hashlib.sha256(encode(frame).data).hexdigest()}"
    if kind.__name__ in {"LazyFrame", "GroupBy"}:
        raise reach.refusal(f"{name} is a Polars {kind.__name__}, whose data are not read yet", "Collect it first")
    return f"polars {kind.__name__} {value!r}"


def _by_state(reach: Reach, value: Any, kind: type, name: str) -> str:
    """An instance: its class, and its state as ``copy`` and ``pickle`` would see it."""
    whose = reach.token(kind, name)
    if dataclasses.is_dataclass(value):
        state = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
        return f"{whose}{reach.token(state, name)}"
    try:
        reduced = value.__reduce_ex__(4)
    except Exception as error:
        raise reach.refusal(
            f"{name} is a {kind.__module__}.{kind.__qualname__}, which cannot be hashed soundly ({error})",
            "Make it inside the function, or pass plain values",
        ) from error
    if isinstance(reduced, str):
        return f"{whose}.{reduced}"
    parts: list[Any] = [*reduced, None, None, None]
    made_by, arguments, state, items, pairs = parts[:5]
    if made_by in (object.__new__, object.__reduce_ex__):
        made_by = None
    rest = [reach.token(part, name) for part in (arguments, state) if part is not None]
    rest += [reach.token(list(part), name) for part in (items, pairs) if part is not None]
    return f"{whose}({reach.token(made_by, name)},{','.join(rest)})"


def written_annotation(reach: Reach, value: Any) -> str:
    """Write a type as annotations spell it, such as ``list[int]``."""
    origin = typing.get_origin(value)
    arguments = typing.get_args(value)
    if origin is None:
        return f"type {value!r}"
    written = [reach.token(item, "type") for item in (origin, *arguments) if item is not Ellipsis]
    return "generic[" + ",".join(written) + "]"
