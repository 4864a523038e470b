"""Whose code a module is: the user's own, or a package's with a version."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import site
import sys
import sysconfig
from functools import lru_cache, partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from penstock.version import __version__


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths["purelib"], paths["platlib"], *site.getsitepackages()]
    return tuple(folder.rstrip("/") + "/" for folder in folders)


@lru_cache(maxsize=1)
def _standard_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(folder.rstrip("/") + "/" for folder in (paths["stdlib"], paths["platstdlib"]))


@lru_cache(maxsize=4096)
def owner_of(module_name: str) -> str:
    """Say whose a module is: ``"user"``, ``"standard"`` or ``"package"``.

    Examples
    --------
    >>> owner_of("json"), owner_of("polars")
    ('standard', 'package')
    """
    top = module_name.partition(".")[0]
    if top == "penstock":
        return "package"
    if top == "__main__":
        return "user"
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return "standard"
    # Packages make modules without files (torch._C.cpp) or without a real one (torch.ops): whose their parent is.
    name = module_name
    while name:
        file = _file_of(sys.modules.get(name))
        if file is not None and file.startswith(("/", "<")):
            return owner_of_file(file)
        name = name.rpartition(".")[0]
    return owner_of_file(_file_unloaded(top))


@lru_cache(maxsize=4096)
def owner_of_file(filename: str | None) -> str:
    """Say whose a source file is, as :func:`owner_of` does for a module."""
    if not filename:
        return "user"
    if filename.startswith("<frozen "):
        return "standard"
    if filename.startswith(_library_folders()) or "/site-packages/" in filename or "/dist-packages/" in filename:
        return "package"
    if filename.startswith(_standard_folders()):
        return "standard"
    if "/penstock/" in filename and filename.startswith(_own_folder()):
        return "package"
    return "user"


@lru_cache(maxsize=1)
def _own_folder() -> str:
    return __file__.rpartition("/engine/")[0] + "/"


def _file_of(module: ModuleType | None) -> str | None:
    found = getattr(module, "__file__", None)
    if found is None:
        paths = list(getattr(module, "__path__", []))
        return str(paths[0]) + "/" if paths else None
    return str(found)


def _file_unloaded(top: str) -> str | None:
    """Where a module would be loaded from; it is not, for that may take seconds."""
    try:
        spec = importlib.util.find_spec(top) if top not in sys.modules else None
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or [])
    return spec.origin or (f"{folders[0]}/" if folders else None)


@lru_cache(maxsize=1024)
def version_of(module_name: str) -> tuple[str, str]:
    """Return the package that a module belongs to, and its version.

    Examples
    --------
    >>> version_of("click.core")[0]
    'click'
    """
    top = module_name.partition(".")[0]
    if top == "penstock":
        return top, __version__
    try:
        return top, importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        own = getattr(importlib.import_module(top), "__version__", None)
    except ImportError:
        own = None
    if isinstance(own, str):
        return top, own
    for distribution in importlib.metadata.packages_distributions().get(top, []):
        return top, importlib.metadata.version(distribution)
    return top, "unknown"


@lru_cache(maxsize=1)
def installed_packages() -> dict[str, str]:
    """Return every installed distribution and its version, by name in lower case with hyphens.

    Read from the names of the folders that the packaging standard prescribes (``name-version.dist-info``):
    opening each one's metadata costs more than the rest of a run in which all is cached.
    """
    found: dict[str, str] = {}
    for place in sys.path:
        for folder in sorted(Path(place or ".").glob("*.dist-info")):
            name, _, version = folder.name.removesuffix(".dist-info").partition("-")
            found.setdefault(name.replace("_", "-").lower(), version)
    return found


def is_users(value: Any) -> bool:
    """Whether a function, a class or an object is of the user's own making."""
    if isinstance(value, FunctionType):
        return owner_of_file(value.__code__.co_filename) == "user"
    if isinstance(value, MethodType):
        return is_users(value.__func__)
    if isinstance(value, partial):
        return is_users(value.func)
    module = value.__module__ if isinstance(value, type) else type(value).__module__
    return owner_of(module) == "user"


def is_followed(call: str, space: dict[str, Any]) -> bool:
    """Whether a call, as written, is one of the user's own functions, whose code is looked at itself."""
    root, _, rest = call.removesuffix("()").partition(".")
    if root in ("self", "cls"):
        return rest.isidentifier()
    value = space.get(root)
    if isinstance(value, ModuleType):
        return owner_of(value.__name__) == "user" and rest.isidentifier()
    return value is not None and is_users(value)
