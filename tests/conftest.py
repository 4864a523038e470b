"""Builders that the tests share: a store in a fresh folder, and modules made from text."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import textwrap
from pathlib import Path

import pytest

from penstock.store import Store, open_store

_numbers = itertools.count()


@pytest.fixture
def store(tmp_path) -> Store:
    made = open_store(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def module(tmp_path):
    """Return a function that writes text to a file and imports it as a module of its own."""
    names = []

    def load(text: str, name: str = "steps", folder: Path | None = None):
        folder = folder or tmp_path / f"m{next(_numbers)}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(name, path)
        made = importlib.util.module_from_spec(spec)
        sys.modules[name] = made
        names.append(name)
        spec.loader.exec_module(made)
        return made

    yield load
    for name in names:
        sys.modules.pop(name, None)
