"""Predictions for files by the engine's executors: a step a part, on all cores or a Ray cluster, cached and resumed like any.

A part that was answered by this version before is not answered again; what a lost node had in hand is answered elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from penstock.batch import Output, answered, written_whole
from penstock.compiling import call, stage_packages, stage_version
from penstock.engine.execute import load
from penstock.engine.files import file_refs
from penstock.engine.graph import Graph
from penstock.engine.run import run_graph
from penstock.engine.step import LazyPartitions, Partitions, Ref, Source, Step
from penstock.errors import InputError
from penstock.model import Model
from penstock.store.formats import Bundle
from penstock.store.store import Store


def answering_graph(model: Model, source: str) -> Graph:
    """Return the steps from a file to the rows with their answers.

    Parameters
    ----------
    source : str
        A file of any kind that Penstock reads, or a pattern of such; packed ones too.

    Raises
    ------
    InputError
        When the model looks into tables of events: what services were told since is known here only.
    """
    if model.knows.looks_up:
        raise InputError(
            f"{model.name} v{model.version} looks up other tables, and what services were told since is known here "
            "alone: predict without --on"
        )
    named = {"name": model.name, "number": model.version, "plain": model.plain}

    def add(
        name: str, stage: str, function: Any, inputs: dict[str, str], parameters: dict[str, Any], **more: Any
    ) -> Step:
        return Step(
            name=name, function=function, inputs=inputs, parameters=parameters, stage=stage, version=stage_version(stage),
            packages=stage_packages(stage), location=f"predictions of {model.name}", **more,
        )  # fmt: skip

    read, snapshot = (functools.partial(call, f"tables.{name}") for name in ("read_in_either", "snapshot"))
    steps = [
        add("read", "ingest", read, {"file": "files"}, {"form": model.form()}, each="file"),
        add("snapshot", "ingest", snapshot, {"parts": "read"}, {}, annotations={"parts": LazyPartitions}),
        add("answered", "deploy", answered_part, {"raw": "snapshot", "model": "model"}, named, each="raw"),
    ]
    digest = Ref(model.digest, "bundle")
    sources = [
        Source("files", functools.partial(_files, source), returns=Partitions[Path], stage="deploy"),
        Source("model", lambda _store, _known: digest, stage="deploy"),
    ]
    return Graph.build(f"{model.name}-predictions", steps, sources)


def predict_on(
    graph: Graph, store: Store, target: Path, executor: str, observe: Callable[..., None] = lambda *_: None
) -> int:
    """Run the steps, and write the rows with their answers, in the order of the files and their rows.

    Parameters
    ----------
    graph : Graph
        Made by :func:`answering_graph`.
    target : Path
        ``.parquet``, ``.csv`` or ``.jsonl``; written whole or not at all.
    executor : str
        ``processes``, ``ray`` or ``ray://host:port``.
    observe : callable
        Told when a step starts and ends.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    DataError, InputError
        When a file does not fit the model, the target's kind is not known, or there is no such executor.
    """
    with written_whole(target) as out:
        done = run_graph(graph, store, executor=executor, observe=observe)
        done.raise_for_status()
        return _joined(load(store, done.refs["answered"], LazyPartitions), out)


def _joined(parts: Mapping[str, pl.DataFrame], out: Output) -> int:
    rows = 0
    for name in parts:
        frame = parts[name]
        out.write(frame)
        rows += frame.height
    return rows


def answered_part(raw: pl.DataFrame, model: Bundle, name: str, number: int, plain: bool) -> pl.DataFrame:
    """Answer one part of a table."""
    return answered(Model(model, name, number, plain=plain), raw)


def _files(source: str, store: Store, _known: Mapping[str, Ref]) -> Ref:
    return file_refs(store, [source], Path.cwd(), always_partitions=True)
