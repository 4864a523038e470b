"""A function of the author's own that prepares tables: where a stored model finds it again, and that it is the same.

A model holds no code, so that who can write to a store cannot make a service run anything: the service's machine has
the file, and the function with all that it reaches in the author's modules must be what the model was trained with.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import polars as pl

from penstock.engine.packages import owner_of
from penstock.engine.reach import Reach, short_digest
from penstock.errors import FingerprintError, InputError
from penstock.prepare.operations import Map, Operation

Prepares = Callable[[pl.DataFrame], pl.DataFrame]


_folders: list[str] = []
"""Where the code of models that were loaded here lay when they were trained."""


class MapReference(msgspec.Struct, frozen=True, tag="map"):
    """By what a function of the author's own is found again at serving, and known to be the same: never a pickle.

    Attributes
    ----------
    name : str
        The function in its file.
    digest : str
        Of its source.
    reached : str
        Digest of all that it reaches in modules of the author's own; empty in models made before this was kept.
    places : tuple of str
        Its file and those of the author's own that this imports, as an import finds them: ``cleaning/steps.py``.
    file : str
        Where the file lay, in models made before `places` was kept.
    """

    name: str
    digest: str
    reached: str = ""
    places: tuple[str, ...] = ()
    file: str = ""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> MapReference:
        """Note by what a function is found.

        Raises
        ------
        InputError
            When it cannot be found by its name in a file.
        FingerprintError
            When what it reaches cannot be hashed soundly.
        """
        file_of(function)
        source, name = inspect.getsource(function).encode(), function.__qualname__
        places = tuple(place for place, _ in _files(sys.modules[function.__module__]))
        return cls(name, hashlib.sha256(source).hexdigest(), _reached(function, name), places)

    def load(self) -> Prepares:
        """Import the function again, once a process, and check that it is the same.

        Raises
        ------
        InputError
            When the file is not there, or the function has changed since the model was trained.
        """
        return _loaded(self)[0]

    def sources(self) -> list[tuple[str, Path]]:
        """Return the files that an import of it needs: as the import finds them, and where they lie on this machine.

        Raises
        ------
        InputError
            As :meth:`load` does.
        """
        folders = [_loaded(self)[1], *_searched()]
        found = [(place, [folder / place for folder in folders]) for place in self.places]
        return [(place, next(path for path in paths if path.is_file())) for place, paths in found]

    @property
    def place(self) -> str:
        """The file as an import finds it."""
        return self.places[0] if self.places else Path(self.file).name

    def __str__(self) -> str:
        return f"ps.prepare.map({self.name}) of {self.place}"


def referenced(operation: Operation) -> Operation:
    """Note by what a function that maps is found, while it is at home: on a worker it has travelled."""
    if isinstance(operation, Map):
        return replace(operation, reference=MapReference.of(operation.function))
    return operation


def folder_of(function: Callable[..., Any]) -> str:
    """Return the folder from which the file of a function is imported."""
    ((place, file), *_) = _files(sys.modules[function.__module__])
    return str(Path(file).parents[len(Path(place).parts) - 1])


def look_in(folders: Iterable[str]) -> None:
    """Look for functions in these folders too."""
    _folders.extend(folder for folder in folders if folder not in _folders)


def file_of(function: Callable[..., Any]) -> str:
    """Return the file in which a service would find a function by its name.

    Raises
    ------
    InputError
        When it cannot be found so.
    """
    name = getattr(function, "__qualname__", "")
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = None
    if file is None or not name.isidentifier() or not Path(file).is_file():
        raise InputError(
            f"ps.prepare.map({name or function!r}): the function must be defined by name in a file, so that the "
            "service finds it too; a lambda, a nested function and one of a notebook's cell cannot be. In a notebook, write "
            "it to a file with %%writefile steps.py, and import it"
        )
    return str(Path(file).resolve())


def _searched() -> list[Path]:
    return [Path.cwd(), *map(Path, _folders), *(Path(entry) for entry in sys.path if entry)]


@functools.lru_cache(maxsize=64)
def _loaded(reference: MapReference) -> tuple[Prepares, Path]:
    """The function, and the folder that its file is imported from: the first that holds the same."""
    folders = [*([Path(reference.file).parent] if reference.file else []), *_searched()]
    problems = []
    for root in dict.fromkeys(folder.resolve() for folder in folders):
        if (root / reference.place).is_file():
            try:
                return _loaded_from(root, reference), root
            except InputError as problem:
                problems.append(problem)
    if problems:
        raise problems[0]
    raise InputError(
        f"{reference}: the model needs it to prepare rows, and there is no {reference.place} in {Path.cwd()}, "
        f"where the model was trained ({', '.join(_folders) or 'not known'}), or on PYTHONPATH"
    )


def _loaded_from(root: Path, reference: MapReference) -> Prepares:
    file = root / reference.place
    names = {prefix for place in reference.places for prefix in _prefixes(_module_name(place))}
    with _fresh(root, names - sys.stdlib_module_names):
        try:
            module = _imported(root, reference.place)
        except Exception as error:
            raise InputError(f"{reference}: importing {file} failed: {type(error).__name__}: {error}") from error
        function = getattr(module, reference.name, None)
        if function is None or hashlib.sha256(inspect.getsource(function).encode()).hexdigest() != reference.digest:
            raise InputError(
                f"{reference}: has changed since the model was trained, in {file}. Train again, or put it back."
            )
        try:
            same = not reference.reached or _reached(function, reference.name) == reference.reached
        except FingerprintError:
            same = False
        if not same:
            raise InputError(
                f"{reference}: something that it uses in modules of your own has changed since the model was trained, "
                f"in {root}. Train again, or put it back."
            )
    return function  # type: ignore[no-any-return]


@contextlib.contextmanager
def _fresh(root: Path, names: set[str]) -> Iterator[None]:
    """Import the author's modules anew, from `root`: a service may have older ones of a model before."""
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        if str(root) not in sys.path:
            sys.path.append(str(root))  # for imports within functions
        sys.modules.update(kept)


def _imported(root: Path, place: str) -> ModuleType:
    name = _module_name(place)
    if "." in name:
        return importlib.import_module(name)
    name = f"{name}_" if name in sys.stdlib_module_names else name
    spec = importlib.util.spec_from_file_location(name, root / place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _module_name(place: str) -> str:
    return place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _reached(function: Callable[..., Any], name: str) -> str:
    reach = Reach(f"ps.prepare.map({name})")
    reach.function(function)
    own = {part: value for part, value in reach.parts.items() if not part.startswith("package:")}
    return short_digest(repr(sorted(own.items())))


def _files(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The files of a module and of the author's modules that it imports, and where they lay."""
    pending, seen = [module], {module.__name__}
    while pending:
        one = pending.pop(0)
        file = str(Path(str(one.__file__)).resolve())
        parts = one.__name__.replace(".", "/")
        endings = (f"{parts}.py", f"{parts}/__init__.py")
        yield next((ending for ending in endings if file.endswith(f"/{ending}")), Path(file).name), file
        for name in _imports(one):
            other = sys.modules.get(name)
            if name not in seen and other is not None and owner_of(name) == "user" and _is_python(other):
                seen.add(name)
                pending.append(other)


def _imports(module: ModuleType) -> Iterator[str]:
    """Names that a module may import, with the packages that they are in."""
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    found = [module.__name__]
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_bytes())):
        if isinstance(node, ast.Import):
            found += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            written = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(written, package) if node.level and package else node.module or ""
            found += [base, *(f"{base}.{item.name}" for item in node.names)]
    for name in found:
        yield from _prefixes(name)


def _prefixes(name: str) -> list[str]:
    """The packages that a module is in, and itself."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_python(module: ModuleType) -> bool:
    return str(getattr(module, "__file__", None) or "").endswith(".py")
