"""What several commands share: options, finding pipelines and stores, printing."""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import click

from penstock.errors import InputError, PenstockError
from penstock.store.location import find_location
from penstock.store.store import Store, open_store
from penstock.types.writing import figure

F = TypeVar("F", bound=Callable[..., Any])

_NUMBERS = 20
"""So many are printed after a run."""


def store_option(function: F) -> F:
    """Add ``--store``."""
    return click.option(
        "--store",
        metavar="WHERE",
        help="A folder, or as docs say. [default: PENSTOCK_STORE, penstock.toml, .penstock/]",
    )(function)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print facts for programs.")(function)


def echo_json(value: Any) -> None:
    """Print a value as JSON, and nothing else; NaN and infinities as null."""
    click.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def load_module(path: Path) -> ModuleType:
    """Import a pipeline file.

    Raises
    ------
    InputError
        When it is not there, has a syntax error, or fails, with the file and line.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a Python file that holds a pipeline")
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file. Make one with: penstock init DATA --target COLUMN -o {path.name}"
        )
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem
    if name in sys.stdlib_module_names or name == "penstock":
        name = f"{name}_pipeline"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = f"{Path(error.filename or path).name}, line {error.lineno}"
        raise InputError(f"{where}: {error.msg}: {(error.text or '').strip()}") from None
    except PenstockError as error:
        raise type(error)(f"{_place(error, path)}: {error}") from None
    except Exception as error:
        raise InputError(f"{_place(error, path)}: {type(error).__name__}: {error}") from None
    return module


def _place(error: BaseException, path: Path) -> str:
    """File and line of the user's own code that an error came from."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
    return f"{path.name}, line {own[-1].lineno}" if own else path.name


def load_pipeline(text: str) -> Any:
    """Return the Pipeline, or the Graph of a module of steps, that ``path.py`` or ``path.py:name`` names.

    Raises
    ------
    InputError
        When there is none, or several and no name.
    """
    from penstock.engine.graph import Graph
    from penstock.engine.step import StepFunction
    from penstock.pipeline import Pipeline

    where, _, name = text.partition(".py:")
    path = Path(f"{where}.py" if name else text)
    module = load_module(path)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Pipeline)}
    if name:
        value = getattr(module, name, None)
        if isinstance(value, Pipeline | Graph):
            return value
        raise InputError(f"{path.name}: {name} is not a pipeline; pipelines there: {', '.join(found) or 'none'}")
    different = {id(value): key for key, value in found.items()}
    if len(different) == 1:
        return next(iter(found.values()))
    if len(different) > 1:
        raise InputError(
            f"{path.name}: holds several pipelines; name one: "
            + " or ".join(f"{path}:{key}" for key in different.values())
        )
    if any(isinstance(value, StepFunction) for value in vars(module).values()):
        return Graph.of(module, path.stem)
    raise InputError(
        f"{path.name}: holds no pipeline and no steps; write pipeline = ps.Pipeline(...), or make one with penstock init"
    )


def folder_of(text: str) -> Path:
    """Return the folder of a pipeline file, where its store lies unless told otherwise."""
    return Path(text.partition(".py:")[0]).resolve().parent


events_option = click.option(
    "--events", metavar="TABLE=FILES", multiple=True, help="Rows of a table that features look at, come since training."
)


def events_named(given: Sequence[str]) -> dict[str, str]:
    """Read ``--events TABLE=FILES``, as often as it is given.

    Raises
    ------
    InputError
        When one is not of that form.
    """
    found = {}
    for item in given:
        table, equals, files = item.partition("=")
        if not (table and equals and files):
            raise InputError(f"--events {item}: write TABLE=FILES, such as weather=march.parquet")
        found[table.strip()] = files.strip()
    return found


def named_model(name: str, store: str | None) -> tuple[str, Store]:
    """Return a pipeline's name and its store, from its name or its file."""
    if name.endswith(".py") or ".py:" in name:
        made = load_pipeline(name)
        return made.name, open_store(store, folder_of(name))
    return name, existing_store(store)


def existing_store(store: str | None) -> Store:
    """Open a store that must be there already.

    Raises
    ------
    InputError
        When it is not: a mistyped folder should not become an empty store.
    """
    place = find_location(store)
    folder = Path(place.blobs).expanduser().resolve()
    if not place.shared and not (folder / "catalog.db").exists():
        raise InputError(f"there is no store in {folder}. Give its folder with --store, or make one with: penstock run")
    return open_store(store)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under headers, in columns as wide as their widest cell."""
    texts = [[str(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[index]) for row in texts) for index in range(len(headers))]
    for number, row in enumerate(texts):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def tell_numbers(metrics: Mapping[str, float]) -> None:
    """Print what the steps of a graph returned as numbers."""
    for name, value in list(metrics.items())[:_NUMBERS]:
        click.echo(f"{name} {figure(value)}")
    if len(metrics) > _NUMBERS:
        click.echo(f"and {len(metrics) - _NUMBERS} more numbers; --json gives all")
