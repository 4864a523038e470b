"""The fingerprint of a step: the digest of all that it depends on, and each component by name."""

from __future__ import annotations

import functools
import hashlib
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from penstock.engine.packages import version_of
from penstock.engine.reach import Reach
from penstock.engine.step import Step

_encoder = msgspec.json.Encoder(order="sorted")
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Fingerprint:
    """What a step depends on besides its inputs.

    Attributes
    ----------
    parts : dict
        Component to value: ``code:clean``, ``parameter:size``, ``constant:LIMIT``, ``package:polars``.
    texts : dict
        Digest of code to the file, first line and text, to tell later what changed.
    each_time : str
        Why the result is never taken from the cache; empty when it is.
    """

    parts: Mapping[str, str]
    texts: Mapping[str, tuple[str, int, str]] = field(default_factory=dict)
    each_time: str = ""

    def key(self, inputs: Mapping[str, str], partition: str | None = None) -> str:
        """Return the cache key for given digests of the inputs' content.

        Examples
        --------
        >>> one = Fingerprint({"code:f": "abc"})
        >>> one.key({"x": "1"}) == one.key({"x": "1"}), one.key({"x": "1"}) == one.key({"x": "2"})
        (True, False)
        """
        written = _encoder.encode([self.parts, inputs, partition])
        return hashlib.sha256(written).hexdigest()[:40]


def fingerprint(step: Step, types_of_inputs: Mapping[str, Any] | None = None) -> Fingerprint:
    """Work out what `step` depends on.

    Parameters
    ----------
    step : Step
        The step; nothing of it is run.
    types_of_inputs : mapping, optional
        What the steps before declare that they return: a dataclass of the user's own counts with its methods.

    Raises
    ------
    FingerprintError
        When something cannot be hashed soundly.
    """
    reach = Reach(f"step {step.name} ({step.location})")
    if step.version is None:
        reach.function(step.function, root=True)
        for annotation in [step.returns, *step.annotations.values(), *(types_of_inputs or {}).values()]:
            if annotation is not None and annotation is not Any and not isinstance(annotation, str):
                reach.token(annotation, "annotation")
    for name, value in step.parameters.items():
        written = reach.token(value, name)
        shown = _shown(value)
        reach.parts[f"parameter:{name}"] = shown if shown is not None else _digest(written)
    if step.version is not None:
        # Its code is not looked at, so two functions of one version with the same inputs are told apart by their names.
        reach.parts["version"] = step.version
        reach.parts["function"] = _name_of(step.function)
    for package in step.packages:
        reach.parts[f"package:{package}"] = version_of(package)[1]
    if step.each is not None:
        reach.parts["each"] = step.each
    parts = {**_renamed(reach.parts, step), "package:python": _PYTHON}
    texts = {digest: (file, facts.first_line, facts.text) for digest, (facts, file) in reach.texts.items()}
    return Fingerprint(parts, texts, _each_time(step, reach, types_of_inputs or {}))


def _each_time(step: Step, reach: Reach, types_of_inputs: Mapping[str, Any]) -> str:
    if step.cache is not None:
        return "" if step.cache else "cache=False"
    given = any(kind is Path or Path in typing.get_args(kind) for kind in types_of_inputs.values())
    outside = dict.fromkeys(reach.outside(reach.talks if given else [*reach.reads, *reach.talks]))
    if not outside:
        return ""
    # In a pipeline the function is the author's and the step is not.
    advice = "" if step.stage else ": give it files by ps.source(), or say cache=True"
    return f"reads from outside each time ({', '.join(outside)}){advice}"


def _name_of(function: Any) -> str:
    if isinstance(function, functools.partial):
        return " ".join([_name_of(function.func), *(item for item in function.args if isinstance(item, str))])
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _shown(value: Any) -> str | None:
    """A value as people read it in a cause, when it is short and its text says all."""
    if isinstance(value, str) and len(value) <= 60:
        return value if not value.startswith("#") else None
    if value is None or type(value) in (bool, int, float):
        return f"{value!r}"
    return None


def _digest(written: str) -> str:
    return "#" + hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _renamed(parts: Mapping[str, str], step: Step) -> dict[str, str]:
    """Where the author set `shows`, a component is known by a name that people would use."""
    return {step.shows.get(name, name): value for name, value in parts.items()}
