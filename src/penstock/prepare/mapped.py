"""Functions of the author's own that prepare tables, as stored models hold them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from penstock.engine.own_code import OwnCode
from penstock.errors import InputError
from penstock.prepare.operations import Map, Operation


class MapReference(OwnCode, frozen=True, tag="map"):
    """By what a function that is handed tables is found again at serving."""

    @classmethod
    def of(cls, code: Any) -> Self:
        """Note by what a function is found.

        Raises
        ------
        InputError
            When it cannot be found by its name in a file.
        FingerprintError
            When what it reaches cannot be hashed soundly.
        """
        file_of(code)
        return super().of(code)

    def __str__(self) -> str:
        return f"ps.prepare.map({self.name}) of {self.place}"


def referenced(operation: Operation) -> Operation:
    """Note by what a function that maps is found, while it is at home: on a worker it has travelled."""
    if isinstance(operation, Map):
        return replace(operation, reference=MapReference.of(operation.function))
    return operation


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
