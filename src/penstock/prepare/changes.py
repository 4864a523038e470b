"""What was done to a table, as a stored model holds it, to do the same to later rows: never a pickle."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from penstock.errors import InputError


class Renamed(msgspec.Struct, frozen=True, tag="rename"):
    """A column that had another name in the snapshot."""

    old: str
    new: str


class Dropped(msgspec.Struct, frozen=True, tag="drop"):
    """A column that was left out."""

    column: str


class Kept(msgspec.Struct, frozen=True, tag="filter"):
    """Rows that were kept, as an expression in JSON: events of the past are chosen so, requests never are."""

    predicate: str
    needs: tuple[str, ...]

    @classmethod
    def of(cls, predicate: pl.Expr) -> Kept:
        """Write a predicate.

        Raises
        ------
        InputError
            When it calls a Python function, which a stored model cannot hold.
        """
        written = predicate.meta.serialize(format="json")
        if "PLPYFN" in written or "AnonymousFunction" in written:
            raise InputError(
                "ps.prepare.filter: the expression calls a Python function; write it with Polars' own operations"
            )
        return cls(written, tuple(sorted(set(predicate.meta.root_names()))))

    def read(self) -> pl.Expr:
        """Read the predicate back."""
        return pl.Expr.deserialize(io.StringIO(self.predicate), format="json")


class Once(msgspec.Struct, frozen=True, tag="once"):
    """Rows that agree in a key count once; of events that come together, and of tables."""

    columns: tuple[str, ...]
    latest: str | None


class MapReference(msgspec.Struct, frozen=True, tag="map"):
    """Where a function of the author's own lies, to find it again at serving: never a pickle."""

    file: str
    name: str
    digest: str

    @classmethod
    def of(cls, function: Callable[..., Any]) -> MapReference:
        """Note where a function lies.

        Raises
        ------
        InputError
            When it cannot be found by its name in a file.
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
        return cls(str(Path(file).resolve()), name, hashlib.sha256(inspect.getsource(function).encode()).hexdigest())

    def load(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """Import the function again, once a process, and check that it is the same.

        Raises
        ------
        InputError
            When the file is gone, or the function has changed since the model was trained.
        """
        return _loaded(self.file, self.name, self.digest)


@functools.lru_cache(maxsize=64)
def _loaded(file: str, name: str, digest: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    spec = importlib.util.spec_from_file_location(f"penstock_map_{digest[:8]}", file)
    where = f"ps.prepare.map({name}) of {file}"
    if spec is None or spec.loader is None or not Path(file).is_file():
        raise InputError(f"{where}: the file is not there; the model needs it to prepare rows")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if function is None or hashlib.sha256(inspect.getsource(function).encode()).hexdigest() != digest:
        raise InputError(f"{where}: has changed since the model was trained. Train again, or put it back.")
    return function  # type: ignore[no-any-return]
