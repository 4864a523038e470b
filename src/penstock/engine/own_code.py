"""Functions and classes of the author's own that a stored model needs: found again by name, and known to be the same.

A model holds no code, so that who can write to a store cannot make a service run anything: the service's machine has
the file, and what is found there, with all that it reaches in the author's modules, must be what the model was trained with.
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
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Self

import msgspec

from penstock.engine.packages import owner_of
from penstock.engine.reach import Reach, short_digest
from penstock.errors import FingerprintError, InputError

_folders: list[str] = []
"""Where the code of models that were loaded here lay when they were trained."""


class OwnCode(msgspec.Struct, frozen=True):
    """By what a function or a class of the author's own is found again, and known to be the same: never a pickle.

    Attributes
    ----------
    name : str
        The function in its file.
    reached : str
        Digest of its code and all that it reaches in modules of the author's own.
    places : tuple of str
        Its file and those of the author's own that this imports, as an import finds them: ``cleaning/steps.py``.
    file, digest : str
        In models made before these two were kept: where the file lay, and the digest of the source as written.
    """

    name: str
    reached: str = ""
    places: tuple[str, ...] = ()
    file: str = ""
    digest: str = ""

    @classmethod
    def of(cls, code: Any) -> Self:
        """Note by what a function or a class is found.

        Raises
        ------
        FingerprintError
            When what it reaches cannot be hashed soundly.
        """
        places = tuple(place for place, _ in _files(sys.modules[code.__module__]))
        return cls(code.__qualname__, _reached(code, code.__qualname__), places)

    def load(self) -> Any:
        """Import it again, once a process, and check that it is the same.

        Raises
        ------
        InputError
            When the file is not there, or what it holds has changed since the model was trained.
        """
        return _loaded(self).code

    def sources(self) -> list[tuple[str, Path]]:
        """Return the files that an import of it needs: as the import finds them, and where they lie on this machine.

        Raises
        ------
        InputError
            As :meth:`load` does.
        """
        folders = [_loaded(self).root, *_searched()]
        found = [(place, [folder / place for folder in folders]) for place in self.places]
        return [(place, next(path for path in paths if path.is_file())) for place, paths in found]

    @property
    def place(self) -> str:
        """The file as an import finds it."""
        return self.places[0] if self.places else Path(self.file).name

    def __str__(self) -> str:
        return f"{self.name} of {self.place}"


class _Loaded(NamedTuple):
    code: Any
    root: Path
    modules: dict[str, ModuleType]


@contextlib.contextmanager
def at_hand(needed: Iterable[OwnCode]) -> Iterator[None]:
    """Let whoever imports the modules of what is needed find those that are the same as at training.

    Raises
    ------
    InputError
        As :meth:`OwnCode.load` does.
    """
    modules = {name: module for one in needed for name, module in _loaded(one).modules.items()}
    kept = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        sys.modules.update(kept)


def folder_of(code: Any) -> str:
    """Return the folder from which the file of a function or a class is imported."""
    ((place, file), *_) = _files(sys.modules[code.__module__])
    return str(Path(file).parents[len(Path(place).parts) - 1])


def look_in(folders: Iterable[str]) -> None:
    """Look for code in these folders too."""
    _folders.extend(folder for folder in folders if folder not in _folders)


def _searched() -> list[Path]:
    return [*map(Path, _folders), Path.cwd(), *(Path(entry) for entry in sys.path if entry)]


@functools.lru_cache(maxsize=64)
def _loaded(wanted: OwnCode) -> _Loaded:
    """Take it from the first folder that holds the same."""
    folders = [*([Path(wanted.file).parent] if wanted.file else []), *_searched()]
    problems = []
    for root in dict.fromkeys(folder.resolve() for folder in folders):
        if (root / wanted.place).is_file():
            try:
                return _loaded_from(root, wanted)
            except InputError as problem:
                problems.append(problem)
    if problems:
        raise problems[0]
    raise InputError(
        f"{wanted}: the model needs it, and there is no {wanted.place} where the model was trained "
        f"({', '.join(_folders) or 'not known'}), in {Path.cwd()}, or on PYTHONPATH"
    )


def _loaded_from(root: Path, wanted: OwnCode) -> _Loaded:
    file = root / wanted.place
    names = {prefix for place in wanted.places for prefix in _prefixes(_module_name(place))}
    names -= sys.stdlib_module_names
    with _fresh(root, names):
        try:
            module = _imported(root, wanted.place)
        except Exception as error:
            raise InputError(f"{wanted}: importing {file} failed: {type(error).__name__}: {error}") from error
        code = getattr(module, wanted.name, None)
        if code is None or not _is_same(code, wanted):
            raise InputError(
                f"{wanted}: it, or something that it uses in modules of your own, has changed since the model was trained, "
                f"in {root}. Train again, or put it back."
            )
        return _Loaded(code, root, {name: sys.modules[name] for name in names if name in sys.modules})


def _is_same(code: Any, wanted: OwnCode) -> bool:
    if not wanted.reached:
        return hashlib.sha256(inspect.getsource(code).encode()).hexdigest() == wanted.digest
    try:
        return _reached(code, wanted.name) == wanted.reached
    except FingerprintError:
        return False


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


def _reached(code: Any, name: str) -> str:
    reach = Reach(name)
    reach.token(code, name)
    own = {part: value for part, value in reach.parts.items() if not part.startswith("package:")}
    return short_digest(repr(sorted(own.items())))


def _files(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The files of a module and of the author's modules that it imports, and where they lay."""
    pending, seen = [module], {module.__name__}
    while pending:
        one = pending.pop(0)
        file = str(Path(str(one.__file__)).absolute())
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
