"""``--set NAME.FIELD=VALUE``: a pipeline's options, or the parameters of a graph's steps, changed for one run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import click

from penstock.errors import InputError
from penstock.types.columns import nearest

_STAGES = ("train", "evaluate", "split", "deploy", "monitor")

set_option = click.option(
    "--set", "settings", metavar="NAME.FIELD=VALUE", multiple=True,
    help="Change an option for this run, such as train.budget=10m, split.test=0.3 or seed=7; of steps of your own, a parameter.",
)  # fmt: skip


def with_settings(made: Any, settings: Sequence[str]) -> Any:
    """Return a pipeline with options changed.

    Parameters
    ----------
    made : Pipeline or Graph
        What is changed.
    settings : sequence of str
        Each ``stage.field=value``, or ``seed=value``; of a graph ``step.parameter=value``, or ``parameter=value`` for
        every step that has it. Values are read as JSON where they are, as text else.

    Raises
    ------
    InputError
        For a stage or field that is not there, or a value that its stage refuses.
    """
    if not hasattr(made, "graph"):
        return _with_parameters(made, settings)
    for setting in settings:
        place, equals, text = setting.partition("=")
        stage, dot, name = place.strip().partition(".")
        if not equals or (stage != "seed" and (stage not in _STAGES or not dot)):
            raise InputError(
                f"--set {setting}: write stage.field=value, such as train.budget=10m; stages are {', '.join(_STAGES)}, and seed"
            )
        value = _value(text)
        if stage == "seed":
            if not isinstance(value, int) or isinstance(value, bool):
                raise InputError(f"--set {setting}: the seed is a whole number")
            made = dataclasses.replace(made, seed=value)
            continue
        made = dataclasses.replace(made, **{stage: _changed(getattr(made, stage), name, value, setting)})
    return made


def _with_parameters(graph: Any, settings: Sequence[str]) -> Any:
    for setting in settings:
        place, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise InputError(f"--set {setting}: write step.parameter=value")
        defaults = [
            value for step in graph.steps.values() for name, value in step.parameters.items()
            if place in (name, f"{step.name}.{name}")
        ]  # fmt: skip
        value = text if any(isinstance(item, str) for item in defaults) else _value(text)
        try:
            graph = graph.with_parameters({place: value})
        except InputError as error:
            raise InputError(f"--set {setting}: {error}") from None
    return graph


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _changed(stage: Any, name: str, value: Any, setting: str) -> Any:
    """Return a stage's options with one changed, checked as if its author had written them."""
    from penstock.train.options import Search, search

    fields = {item.name: getattr(stage, item.name) for item in dataclasses.fields(stage)}
    if name not in fields:
        hint = nearest(name, fields) or f" There are: {', '.join(fields)}."
        raise InputError(f"--set {setting}: there is no such option.{hint}")
    old = fields[name]
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(old, int | float) and not isinstance(value, int | float | str):
        raise InputError(f"--set {setting}: expected something like {old!r}")
    if isinstance(stage, Search):
        return search(**{**fields, name: value})
    return dataclasses.replace(stage, **{name: value})
