"""Everything that a function reaches, as tokens that change when it changes.

Code of the user's own is followed through functions, classes, closures, modules, partials and decorators;
values are written out in full; third-party objects count by their package's version. What cannot be
written soundly raises a :class:`~penstock.errors.FingerprintError`.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import importlib
import inspect
import pathlib
import re
import sys
import types
import typing
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

from penstock.engine.code import DYNAMIC_NAMES, CodeFacts, Import, canonical, facts_of
from penstock.engine.outside import reads_in, talks
from penstock.engine.packages import is_followed, is_users, owner_of, owner_of_file, version_of
from penstock.errors import FingerprintError

_MISSING = object()
_SHORT = 80
_SCALARS = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), range)
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
_SLOT_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
_CLASS_NOISE = frozenset(
    {
        "__module__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__qualname__",
        "__dataclass_fields__",
        "__firstlineno__",
    }
    | {
        "__dataclass_params__",
        "_abc_impl",
        "__abstractmethods__",
        "__static_attributes__",
        "__annotations_cache__",
    }
    | {"__signature__", "__match_args__", "__annotate_func__", "__subclasshook__", "__class_getitem__"}
)


def short_digest(text: str) -> str:
    """Return 32 hexadecimal digits of SHA-256 of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Reach:
    """Collects what one function depends on, besides its inputs.

    Attributes
    ----------
    parts : dict
        ``code:NAME``, ``constant:NAME`` and ``package:NAME`` with what they are now.
    texts : dict
        Digest of code to its facts and file, to tell later what changed.
    reads, talks : list of str
        Calls that read files or the environment, and modules for talking to databases and other machines.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.parts: dict[str, str] = {}
        self.texts: dict[str, tuple[CodeFacts, str]] = {}
        self.reads: list[str] = []
        self.talks: list[str] = []
        self._seen: dict[int, tuple[Any, str]] = {}

    def function(self, function: Callable[..., Any], *, root: bool = False) -> str:
        """Follow a Python function; returns its token."""
        code = getattr(function, "__code__", None)
        if code is None:
            return self.token(function, "function")
        known = self._seen.get(id(function))
        if known is not None:
            return known[1]
        facts = facts_of(code)
        label = self._label(getattr(function, "__qualname__", code.co_name).replace("<locals>.", ""))
        name = f"code:{label}"
        self._seen[id(function)] = (function, name)
        self.parts[name] = facts.digest
        self.texts[facts.digest] = (facts, code.co_filename)
        if facts.writes:
            raise self._refusal(f"{label}() assigns the global {facts.writes[0]!r}", "Return it instead")
        self._closure(function, label)
        if not root:
            defaults = (function.__defaults__, function.__kwdefaults__)
            if any(defaults):
                self.constant(f"{label}() defaults", defaults)
        space = function.__globals__
        for chain in facts.reached:
            self._global(chain, space, label)
        for item in facts.imports:
            self._import(item, space)
        self.reads += [f"{call} in {label}()" for call in facts.reads if not is_followed(call, space)]
        return name

    def constant(self, name: str, value: Any) -> None:
        """Record a value under a name that people can read."""
        written = self.token(value, name)
        if written in self.parts:  # code of the user's own, which has a part to itself
            return
        self.parts[f"constant:{name}"] = written if len(written) <= _SHORT else "#" + short_digest(written)

    def package(self, module_name: str) -> str:
        """Record the version of the package that a module belongs to; returns its token."""
        if talks(module_name):
            self.talks.append(module_name)
        if owner_of(module_name) == "package":
            name, version = version_of(module_name)
            self.parts[f"package:{name}"] = version
            return f"package:{name}"
        return "standard"

    def token(self, value: Any, name: str) -> str:
        """Write `value` as text that is equal exactly when the value is.

        Raises
        ------
        FingerprintError
            When no sound way is known.
        """
        kind = type(value)
        if kind in _SCALARS:
            return f"{kind.__name__} {value!r}"
        known = self._seen.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.FunctionType):
            return self._function_or_package(value, name)
        if isinstance(value, types.GenericAlias | types.UnionType | typing.TypeVar) or (
            kind.__module__ == "typing" and not isinstance(value, typing.IO)
        ):
            return self._annotation(value)
        self._seen[id(value)] = (value, f"same as {len(self._seen)}")
        written = self._object(value, kind, name)
        self._seen[id(value)] = (value, written if len(written) < 200 else "#" + short_digest(written))
        return written

    def _object(self, value: Any, kind: type, name: str) -> str:
        if isinstance(value, enum.Enum):
            return f"{self.token(kind, name)}.{value.name}={self.token(value.value, name)}"
        if isinstance(value, types.MethodType):
            return f"method {self.token(value.__func__, name)} of {self.token(value.__self__, name)}"
        if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType | types.MethodDescriptorType):
            owner = getattr(value, "__self__", None)
            of = "" if owner is None or isinstance(owner, types.ModuleType) else self.token(owner, name)
            self.package(getattr(value, "__module__", None) or "builtins")
            return f"builtin {getattr(value, '__qualname__', name)} {of}"
        if kind in (list, tuple):
            return f"{kind.__name__}[" + ",".join(self.token(item, name) for item in value) + "]"
        if kind in (dict, types.MappingProxyType):
            return "dict{" + ",".join(f"{self.token(k, name)}:{self.token(v, name)}" for k, v in value.items()) + "}"
        if kind in (set, frozenset):
            return f"{kind.__name__}{{" + ",".join(sorted(self.token(item, name) for item in value)) + "}"
        if isinstance(value, _BY_REPR) and kind.__module__ in {
            "datetime", "decimal", "fractions", "uuid", "pathlib", "pathlib._local", "builtins", "zoneinfo",
        }:  # fmt: skip
            return f"{kind.__name__} {value!r}"
        if isinstance(value, re.Pattern):
            return f"pattern {value.pattern!r} {value.flags}"
        if isinstance(value, functools.partial):
            return f"partial({self.token(value.func, name)},{self.token(value.args, name)},{self.token(value.keywords, name)})"
        if isinstance(value, property):
            return f"property({self.token((value.fget, value.fset, value.fdel), name)})"
        if isinstance(value, staticmethod | classmethod):
            return f"{kind.__name__}({self.token(value.__func__, name)})"
        if isinstance(value, functools.cached_property):
            return f"cached_property({self.token(value.func, name)})"
        penstock_step = getattr(value, "__penstock_step__", None)
        if penstock_step is not None:
            return self.function(penstock_step.function)
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None and kind.__module__ == "functools":
            return f"{kind.__name__}({self.token(wrapped, name)})"
        if isinstance(value, functools.singledispatchmethod):
            return f"singledispatchmethod({self.token(value.func, name)},{self.token(dict(value.dispatcher.registry), name)})"
        if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tobytes"):
            return self._array(value, name)
        if kind.__module__.partition(".")[0] == "polars":
            return self._polars(value, kind, name)
        return self._by_state(value, kind, name)

    def _array(self, array: Any, name: str) -> str:
        self.package("numpy")
        if array.dtype.hasobject:
            return f"array {array.shape} {self.token(array.tolist(), name)}"
        return f"array {array.dtype.str} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"

    def _polars(self, value: Any, kind: type, name: str) -> str:
        self.package("polars")
        if kind.__name__ == "Expr":
            written = bytes(value.meta.serialize(format="binary"))
            if b"PLPYFN" in written or b"AnonymousFunction" in written:
                raise self._refusal(
                    f"{name} is a Polars expression that calls a Python function, whose code cannot be seen",
                    "Write it with Polars' own operations, or as a plain function",
                )
            return f"expression {hashlib.sha256(written).hexdigest()}"
        if kind.__name__ in {"DataFrame", "Series"}:
            frame = value.to_frame() if kind.__name__ == "Series" else value
            from penstock.store.formats import encode

            return f"{kind.__name__} {frame.schema} {hashlib.sha256(encode(frame).data).hexdigest()}"
        if kind.__name__ in {"LazyFrame", "GroupBy"}:
            raise self._refusal(f"{name} is a Polars {kind.__name__}, whose data are not read yet", "Collect it first")
        return f"polars {kind.__name__} {value!r}"

    def _by_state(self, value: Any, kind: type, name: str) -> str:
        """An instance: its class, and its state as ``copy`` and ``pickle`` would see it."""
        whose = self.token(kind, name)
        if dataclasses.is_dataclass(value):
            state = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
            return f"{whose}{self.token(state, name)}"
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise self._refusal(
                f"{name} is a {kind.__module__}.{kind.__qualname__}, which cannot be hashed soundly ({error})",
                "Make it inside the function, or pass plain values",
            ) from error
        if isinstance(reduced, str):
            return f"{whose}.{reduced}"
        parts: list[Any] = [*reduced, None, None, None]
        made_by, arguments, state, items, pairs = parts[:5]
        if made_by in (object.__new__, object.__reduce_ex__):
            made_by = None
        rest = [self.token(part, name) for part in (arguments, state) if part is not None]
        rest += [self.token(list(part), name) for part in (items, pairs) if part is not None]
        return f"{whose}({self.token(made_by, name)},{','.join(rest)})"

    def _annotation(self, value: Any) -> str:
        origin = typing.get_origin(value)
        arguments = typing.get_args(value)
        if origin is None:
            return f"type {value!r}"
        written = [self.token(item, "type") for item in (origin, *arguments) if item is not Ellipsis]
        return "generic[" + ",".join(written) + "]"

    def _class(self, kind: type) -> str:
        module = kind.__module__
        if owner_of(module) != "user":
            self.package(module)
            return f"type {module}.{kind.__qualname__}"
        known = self._seen.get(id(kind))
        if known is not None:
            return known[1]
        label = self._label(kind.__qualname__.replace("<locals>.", ""))
        name = f"class:{label}"
        self._seen[id(kind)] = (kind, name)
        written = [self.token(base, label) for base in kind.__bases__]
        if issubclass(kind, enum.Enum):
            written.append(self.token([(item.name, item.value) for item in kind], label))
        for attribute, item in sorted(vars(kind).items()):
            if attribute in _CLASS_NOISE or isinstance(item, _SLOT_DESCRIPTORS):
                continue
            if issubclass(kind, enum.Enum) and not isinstance(item, types.FunctionType | property | classmethod):
                continue
            if dataclasses.is_dataclass(kind) and isinstance(item, types.FunctionType) and _is_generated(item):
                continue
            written.append(f"{attribute}={self.token(item, f'{label}.{attribute}')}")
        if dataclasses.is_dataclass(kind):
            for f in dataclasses.fields(kind):
                default = f.default_factory if f.default is dataclasses.MISSING else f.default
                default = "required" if default is dataclasses.MISSING else self.token(default, f"{label}.{f.name}")
                written.append(f"{f.name}:{f.init}{f.repr}{f.compare}{f.kw_only}={default}")
            parameters = kind.__dataclass_params__  # type: ignore[attr-defined]
            written.append(repr(parameters))
        self.parts[name] = short_digest(";".join(written))
        return name

    def _function_or_package(self, function: types.FunctionType, name: str) -> str:
        filename = function.__code__.co_filename
        if owner_of_file(filename) == "user" and not (
            filename.startswith("<") and owner_of(function.__module__ or "__main__") != "user"
        ):
            return self.function(function)
        module = function.__globals__.get("__name__", function.__module__) or "builtins"
        self.package(module)
        # A decorator of a library closes over the user's function: that one is followed.
        for cell_name, cell in _cells(function):
            if is_users(cell):
                self.constant(f"{name}.{cell_name}", cell)
                self.token(cell, f"{name}.{cell_name}")
        wrapped = getattr(function, "__wrapped__", None)
        inner = "" if wrapped is None else self.token(wrapped, name)
        if hasattr(function, "dispatch") and hasattr(function, "registry"):  # functools.singledispatch
            inner += self.token(dict(function.registry), name)
        settings = [self.token(cell, name) for _, cell in _cells(function) if isinstance(cell, _SCALARS)]
        return f"library function {module}.{function.__qualname__}({inner},{','.join(settings)})"

    def _closure(self, function: Callable[..., Any], label: str) -> None:
        for name, value in _cells(function):
            self.constant(f"{label}.{name}", value)

    def _global(self, chain: tuple[str, ...], space: dict[str, Any], label: str) -> None:
        name = chain[0]
        value = space.get(name, _MISSING)
        if value is _MISSING:
            if name in DYNAMIC_NAMES:
                raise self._refusal(
                    f"{label}() calls {name}(), which reaches code that cannot be seen", "Call it by name"
                )
            if not hasattr(builtins, name):
                self.parts[f"constant:{name}"] = "not defined"
            return
        path = name
        for attribute in chain[1:]:
            if not isinstance(value, types.ModuleType):
                break
            if value.__name__ == "importlib" and attribute == "import_module":
                raise self._refusal(f"{label}() imports modules by name, which cannot be followed", "Import it above")
            if owner_of(value.__name__) != "user":
                self.package(value.__name__)
                return
            value = getattr(value, attribute, _MISSING)
            path = f"{path}.{attribute}"
            if value is _MISSING:
                self.parts[f"constant:{path}"] = "not defined"
                return
        self._reached_value(path, value)

    def _reached_value(self, path: str, value: Any) -> None:
        if isinstance(value, types.ModuleType):
            self._module(value)
        else:
            self.constant(path, value)

    def _import(self, item: Import, space: dict[str, Any]) -> None:
        package = space.get("__package__") or (space.get("__name__", "").rpartition(".")[0]) or None
        written = "." * item.level + item.module
        absolute = importlib.util.resolve_name(written, package) if item.level else item.module
        if owner_of(absolute) != "user":
            if owner_of(absolute) == "package":
                self.package(absolute)
            return
        try:
            module = importlib.import_module(absolute)
        except ImportError:
            self.parts[f"constant:import {written}"] = "not found"
            return
        if owner_of(module.__name__) != "user" or not item.names or "*" in item.names:
            self._module(module)
            return
        for name in item.names:
            value = getattr(module, name, _MISSING)
            if value is _MISSING:
                try:
                    value = importlib.import_module(f"{absolute}.{name}")
                except ImportError:
                    self.parts[f"constant:{absolute}.{name}"] = "not defined"
                    continue
            self._reached_value(f"{absolute}.{name}", value)

    def _module(self, module: types.ModuleType) -> str:
        """A module used as a value: any of its names may be taken, so all of its file counts."""
        if owner_of(module.__name__) != "user":
            return self.package(module.__name__)
        name = f"module:{module.__name__}"
        if name in self.parts:
            return name
        try:
            import ast

            tree = ast.parse(inspect.getsource(module))
            self.parts[name] = short_digest(canonical(tree))
            self.reads += [f"{call} in {module.__name__}" for call in reads_in(tree)]
        except (OSError, TypeError, SyntaxError) as error:
            raise self._refusal(
                f"the source of module {module.__name__} cannot be read", "Import names from it"
            ) from error
        for value in list(vars(module).values()):
            if isinstance(value, types.ModuleType):
                self._module(value)
                continue
            home = sys.modules.get(getattr(value, "__module__", None) or "")
            if isinstance(value, type | types.FunctionType) and home is not None and home is not module:
                self._module(home)
        return name

    def _label(self, wanted: str) -> str:
        label, count = wanted, 1
        while f"code:{label}" in self.parts or f"class:{label}" in self.parts:
            count += 1
            label = f"{wanted}#{count}"
        return label

    def _refusal(self, what: str, advice: str) -> FingerprintError:
        return FingerprintError(
            f"{self.place}: {what}, so a change of it might be missed. {advice}; "
            'or state the code\'s version yourself with @ps.step(version="1").'
        )


def _cells(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # a name that is assigned later, such as a recursive inner function
            continue
    return found


def _is_generated(function: types.FunctionType) -> bool:
    return function.__code__.co_filename == "<string>"
