"""The command line. Each command is loaded when it is called, so that ``penstock --help`` is instant."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from penstock.errors import DataWarning, PenstockError
from penstock.version import __version__

COMMANDS = {
    "init": "setup",
    "discover": "setup",
    "plan": "running",
    "run": "running",
    "reproduce": "running",
    "runs": "past",
    "show": "past",
    "note": "past",
    "tag": "past",
    "diff": "past",
    "models": "models",
    "features": "models",
    "promote": "models",
    "rollback": "models",
    "serve": "serving",
    "keys": "models",
    "predict": "serving",
    "trace": "serving",
    "export": "exporting",
    "copy": "copying",
    "mirror": "copying",
    "monitor": "monitoring",
    "compare": "monitoring",
    "watch": "upkeep",
    "decisions": "upkeep",
    "approve": "upkeep",
    "reject": "upkeep",
    "ui": "ui",
    "gc": "setup",
    "roles": "setup",
    "audit": "past",
    "doctor": "setup",
    "completion": "setup",
}


class Commands(click.Group):
    """Finds commands by name in their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"penstock.cli.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Suggest the nearest command for one that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from penstock.types.columns import nearest

            hint = nearest(args[0], COMMANDS).replace('"', "") or f" There are: {', '.join(COMMANDS)}."
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="penstock")
def cli() -> None:
    """The whole machine-learning pipeline: from raw data to a watched service.

    \b
    Begin with:  penstock init data.csv --target COLUMN -o pipeline.py
    Then:        penstock run pipeline.py
    """


_WARNED: set[str] = set()
"""Columns of which it was told; a large file is read in many parts."""


def _warn(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *others: Any, **more: Any
) -> None:
    """Tell of data in words, once for each column, and of anything else as Python does."""
    if not issubclass(category, DataWarning):
        click.echo(warnings.formatwarning(message, category, filename, lineno), err=True, nl=False)
    elif (column := str(message).partition(":")[0]) not in _WARNED:
        _WARNED.add(column)
        click.echo(f"warning: {message}", err=True)


def main() -> None:
    """Run the command line and leave with its exit code."""
    code = obey(sys.argv[1:])
    # Threads of steps that were cancelled may still work; nobody waits for them.
    os._exit(code)


def obey(words: Sequence[str]) -> int:
    """Do what a command line says; errors are told in words. Return 0, or 1 (failed), 2 (the user's input) or 3 (no)."""
    warnings.showwarning = _warn
    try:
        code = cli.main(list(words), prog_name="penstock", standalone_mode=False)
    except PenstockError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 1
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = code or 1
    return code if isinstance(code, int) else 0
