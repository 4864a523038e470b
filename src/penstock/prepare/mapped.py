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
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import polars as pl

from penstock.engine.packages import owner_of
from penstock.engine.reach import Reach, short_digest
from penstock.errors import FingerprintError, InputError

Prepares = Callable[[pl.DataFrame], pl.DataFrame]


class MapReference(msgspec.Struct, frozen=True, tag="map"):
    """Where a function of the author's own lies, to find it again at serving: never a pickle.

    Attributes
    ----------
    file, name : str
        The file at training, and the function in it.
    digest : str
        Of its source.
    reached : str
        Digest of all that it reaches in modules of the author's own; empty in models made before this was kept.
    files : tuple of (str, str)
        That file and those of the author's own that it imports: as an import finds them, and where they lay.
    """

    file: str
    name: str
    digest: str
    reached: str = ""
    files: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> MapReference:
        """Note where a function lies and what it is.

        Raises
        ------
        InputError
            When it cannot be found by its name in a file.
        FingerprintError
            When what it reaches cannot be hashed soundly.
        """
        file, name = file_of(function), function.__qualname__
        files = tuple(_files(sys.modules[function.__module__]))
        source = inspect.getsource(function).encode()
        return cls(file, name, hashlib.sha256(source).hexdigest(), _reached(function, name), files)

    def load(self) -> Prepares:
        """Import the function again, once a process, and check that it is the same.

        Raises
        ------
        InputError
            When the file is gone, or the function has changed since the model was trained.
        """
        return _loaded(self)

    def sources(self) -> list[tuple[str, Path]]:
        """Return the files that an import needs: as it finds them, and where they lie on this machine."""
        root = self.root()
        return [(place, root / place if (root / place).is_file() else Path(file)) for place, file in self.files]

    def root(self) -> Path:
        """Return the folder from which the file is imported: where it lay, else the working folder, or one on PYTHONPATH.

        Raises
        ------
        InputError
            When the file is in none of them.
        """
        folders = [Path.cwd(), *(Path(entry) for entry in sys.path if entry)]
        for file in [Path(self.file), *(folder / self.place for folder in folders)]:
            if file.is_file():
                return file.resolve().parents[len(Path(self.place).parts) - 1]
        raise InputError(
            f"{self}: the file is not there, and no {self.place} in {Path.cwd()} or on PYTHONPATH; "
            "the model needs it to prepare rows"
        )

    @property
    def place(self) -> str:
        """The file as an import finds it, such as ``cleaning/steps.py``."""
        return self.files[0][0] if self.files else Path(self.file).name

    def __str__(self) -> str:
        return f"ps.prepare.map({self.name}) of {self.file}"


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


@functools.lru_cache(maxsize=64)
def _loaded(reference: MapReference) -> Prepares:
    root = reference.root()
    names = {prefix for place, _ in reference.files for prefix in _prefixes(_module_name(place))}
    with _fresh(root, names):
        try:
            module = _imported(root, reference.place)
        except Exception as error:
            raise InputError(
                f"{reference}: importing {root / reference.place} failed: {type(error).__name__}: {error}"
            ) from error
        function = getattr(module, reference.name, None)
        if function is None or hashlib.sha256(inspect.getsource(function).encode()).hexdigest() != reference.digest:
            raise InputError(f"{reference}: has changed since the model was trained. Train again, or put it back.")
        try:
            same = not reference.reached or _reached(function, reference.name) == reference.reached
        except FingerprintError:
            same = False
        if not same:
            raise InputError(
                f"{reference}: something that it uses in modules of your own has changed since the model was trained. "
                "Train again, or put it back."
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
