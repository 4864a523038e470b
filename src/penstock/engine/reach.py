"""Everything that a function reaches, as tokens that change when it changes.

Code of the user's own is followed through functions, classes, closures, modules, partials and decorators;
values are written out in full; third-party objects count by their package's version. What cannot be
written soundly raises a :class:`~penstock.errors.FingerprintError`.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import hashlib
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from penstock.engine.code import DYNAMIC_NAMES, CodeFacts, Import, canonical, facts_of
from penstock.engine.outside import reads_in, talks
from penstock.engine.packages import is_followed, is_users, owner_of, owner_of_file, version_of
from penstock.engine.written import written_annotation, written_object
from penstock.errors import FingerprintError

_MISSING = object()
_SHORT = 80
_SCALARS = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), range)
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
    reads, talks : list of (str, str)
        Calls that read files or the environment, and modules for talking to databases and other machines, each with the
        method in which it stands.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.parts: dict[str, str] = {}
        self.texts: dict[str, tuple[CodeFacts, str]] = {}
        self.reads: list[tuple[str, str]] = []
        self.talks: list[tuple[str, str]] = []
        self._method = ""
        self._named: set[str] = set()
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
            raise self.refusal(f"{label}() assigns the global {facts.writes[0]!r}", "Return it instead")
        self._closure(function, label)
        if not root:
            defaults = (function.__defaults__, function.__kwdefaults__)
            if any(defaults):
                self.constant(f"{label}() defaults", defaults)
        space = function.__globals__
        above, self._method = self._method, _method_name(function)
        self._named |= facts.names
        for chain in facts.reached:
            self._global(chain, space, label)
        for item in facts.imports:
            self._import(item, space)
        self.reads += [(f"{call} in {label}()", self._method) for call in facts.reads if not is_followed(call, space)]
        self._method = above
        return name

    def outside(self, found: list[tuple[str, str]]) -> list[str]:
        """Return those of `reads` or `talks` that do not stand in a method which no code that was followed names."""
        return [what for what, method in found if not method or method in self._named]

    def constant(self, name: str, value: Any) -> None:
        """Record a value under a name that people can read."""
        written = self.token(value, name)
        if written in self.parts:  # code of the user's own, which has a part to itself
            return
        self.parts[f"constant:{name}"] = written if len(written) <= _SHORT else "#" + short_digest(written)

    def package(self, module_name: str) -> str:
        """Record the version of the package that a module belongs to; returns its token."""
        if talks(module_name):
            self.talks.append((module_name, self._method))
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
            return written_annotation(self, value)
        self._seen[id(value)] = (value, f"same as {len(self._seen)}")
        written = written_object(self, value, kind, name)
        self._seen[id(value)] = (value, written if len(written) < 200 else "#" + short_digest(written))
        return written

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
                raise self.refusal(
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
                raise self.refusal(f"{label}() imports modules by name, which cannot be followed", "Import it above")
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
            self.reads += [(f"{call} in {module.__name__}", "") for call in reads_in(tree)]
        except (OSError, TypeError, SyntaxError) as error:
            raise self.refusal(
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

    def refusal(self, what: str, advice: str) -> FingerprintError:
        """Return the error that says what cannot be hashed soundly, and what to do."""
        return FingerprintError(
            f"{self.place}: {what}, so a change of it might be missed. {advice}; "
            'or state the code\'s version yourself with @ps.step(version="1").'
        )


def _method_name(function: Callable[..., Any]) -> str:
    """The name by which a method is called; empty for a function, and for what Python itself calls."""
    before, _, name = getattr(function, "__qualname__", "").rpartition(".")
    return "" if not before or before.endswith("<locals>") or name.startswith("__") else name


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
