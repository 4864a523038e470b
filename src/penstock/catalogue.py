"""What a model's features are: how each is defined, where it comes from, what it is worth, how often it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from penstock.deploy.registry import CHAMPION, Registry
from penstock.engine.execute import load as load_artifact
from penstock.engine.history import artifact_of, past_run
from penstock.evaluate.measure import Evaluation
from penstock.features.definitions import Written
from penstock.features.stored import Stored, StoredAsof, StoredJoin, StoredWindow
from penstock.outcome import load
from penstock.store.store import Store
from penstock.types.convert import convert
from penstock.types.durations import length_of


@dataclass(frozen=True)
class FeatureEntry:
    """One column that a model learns from.

    Attributes
    ----------
    name : str
        The column.
    kind : str
        ``column`` of the base table, ``expression``, ``window``, ``as of`` or ``join``.
    definition : str
        In words or as an expression.
    comes_from : tuple of str
        ``table.column`` of all that it is made from, through other features.
    learnt_as : str
        How it becomes numbers.
    importance : float or None
        By how much the metric worsens when it is shuffled; None when it was not measured.
    missing : float
        Share of the training rows without a value.
    newest : str or None
        The newest event that it knew at training.
    """

    name: str
    kind: str
    definition: str
    comes_from: tuple[str, ...]
    learnt_as: str
    importance: float | None
    missing: float | None
    newest: str | None


def feature_catalogue(store: Store, name: str, version: int | str = CHAMPION) -> list[FeatureEntry]:
    """Describe every column that a version of a model learns from, the most important first.

    Raises
    ------
    InputError
        When there is no such model.
    """
    found = Registry(store, name).version(version)
    model = load(name, found.version, store, events=False)
    manifest = model.manifest
    importance: dict[str, float] = {}
    ref = artifact_of(store, past_run(store, found.run), "evaluated")
    if ref is not None:
        evaluation = convert(load_artifact(store, ref)["evaluation"], Evaluation)
        importance = {item.column: item.mean for item in evaluation.importance}
    missing = {item.name: item.missing / max(item.rows, 1) for item in manifest.profile.columns}
    made = {column: item for item in manifest.features for column in item.names}
    pasts = dict(zip([id(item) for item in manifest.features], model.knows.past, strict=True))
    entries = []
    for column, kind in manifest.encoding.kinds().items():
        item = made.get(column)
        past = None if item is None else pasts[id(item)]
        entries.append(
            FeatureEntry(
                column, _kind(item), _definition(column, item), tuple(sorted(_sources(column, made, manifest.base))),
                kind, importance.get(column), missing.get(column), _newest(past),
            )
        )  # fmt: skip
    return sorted(entries, key=lambda entry: (-(entry.importance or 0.0), entry.name))


def _kind(item: Stored | None) -> str:
    kinds: dict[type[Any], str] = {
        Written: "expression", StoredWindow: "window", StoredAsof: "as of", StoredJoin: "join",
    }  # fmt: skip
    return "column" if item is None else kinds[type(item)]


def _definition(column: str, item: Stored | None) -> str:
    if item is None:
        return "as it is in the prepared table"
    if isinstance(item, Written):
        return _text(item)
    if isinstance(item, StoredWindow):
        span, made = next((span, made) for span in item.spans for made in span.aggregates if made.name == column)
        values = {value.name: _text(value) for value in item.values}
        of = values.get(made.value, "")
        reach = (
            f"the latest {span.rows}" if span.rows else "the whole past" if span.over is None else _length(span.over)
        )
        delay = f", known {_length(span.delay)} later" if span.delay else ""
        who = f" of the same {', '.join(theirs for _, theirs in item.by)}" if item.by else ""
        if made.function == "nth":
            return f"{of} of {item.table}{who}, {made.argument:g} back{delay}"
        argument = f" {made.argument:g}" if made.function in ("quantile", "nearest") else ""
        return f"{made.function}{argument}({of}) of {item.table}{who}, over {reach}{delay}"
    other = next(theirs for mine, theirs in item.columns if mine == column)
    if isinstance(item, StoredAsof):
        who = f" of the same {', '.join(theirs for _, theirs in item.by)}" if item.by else ""
        within = f", at most {_length(item.within)} old" if item.within is not None else ""
        return f"{other} of the latest row of {item.table}{who}{within}"
    keys = ", ".join(mine if mine == theirs else f"{mine} = {theirs}" for mine, theirs in item.on)
    return f"{other} of {item.table} with the same {keys}"


def _text(item: Written) -> str:
    return str(item.read()[1]).replace(f'.alias("{item.name}")', "")


def _length(units: int) -> str:
    return length_of(units / 1e6) if units and units % 1_000_000 == 0 else str(units)


def _sources(column: str, made: dict[str, Stored], base: str) -> set[str]:
    item = made.get(column)
    if item is None:
        return {f"{base}.{column}"}
    found: set[str] = set()
    for needed in item.needs:
        found |= _sources(needed, made, base) if needed != column else set()
    if isinstance(item, StoredWindow):
        value = next(one.value for span in item.spans for one in span.aggregates if one.name == column)
        found |= {f"{item.table}.{needed}" for one in item.values if one.name == value for needed in one.needs}
        found.add(f"{item.table}.{item.time}")
    elif isinstance(item, StoredAsof | StoredJoin):
        found.add(f"{item.table}.{next(theirs for mine, theirs in item.columns if mine == column)}")
    return found


def _newest(past: pl.DataFrame | None) -> str | None:
    if past is None or "penstock time" not in past.columns:
        return None
    newest = past["penstock time"].max()
    return None if newest is None else str(newest)
