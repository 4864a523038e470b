"""From a pipeline to its graph: which step of :mod:`penstock.flow` takes what, and where the outside comes in."""

from __future__ import annotations

import functools
import hashlib
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.engine.graph import Graph
from penstock.engine.packages import installed_packages
from penstock.engine.step import LazyPartitions, Partitions, Ref, Source, Step
from penstock.features.columns import Categories, Select, Text
from penstock.features.relations import Join
from penstock.ingest.databases import Database
from penstock.ingest.given import Given
from penstock.ingest.http import Http
from penstock.ingest.options import Files
from penstock.prepare.mapped import referenced
from penstock.prepare.repairs import Clip, Fill
from penstock.train.options import Search
from penstock.types.cores import cores
from penstock.version import __version__

if TYPE_CHECKING:
    from penstock.pipeline import Ingest, Pipeline
    from penstock.store.store import Store


def compile_graph(pipeline: Pipeline) -> Graph:
    """Turn a pipeline into steps and sources."""
    target, gate, split, base = pipeline.target, pipeline.evaluate, pipeline.split, pipeline.base_table
    features, seed = list(pipeline.features), pipeline.seed
    times = {name: item.time for name, item in pipeline.tables.items()}
    others = [name for name in pipeline.tables if name != base]
    group = split.column if split.kind == "group" else None
    steps: list[Step] = []
    division = "divided"

    def add(
        stage: str,
        function: str,
        inputs: Sequence[str] | Mapping[str, str],
        parameters: dict[str, Any],
        name: str | None = None,
        **options: Any,
    ) -> None:
        arguments = dict(inputs) if isinstance(inputs, Mapping) else {item: item for item in inputs}
        arguments |= {argument: division for argument, made in arguments.items() if made == "divided"}
        mapped = (options.get("each"), *options.get("along", ()))
        # Tables come part by part: no step needs to hold one whole.
        lazy = {
            argument: LazyPartitions
            for argument, made in arguments.items()
            if made.startswith(_IN_PARTS) and argument not in mapped
        }
        steps.append(
            Step(
                name=name or function.partition(".")[2], function=functools.partial(call, function), inputs=arguments,
                parameters=parameters, annotations=lazy, stage=stage, version=stage_version(stage), packages=stage_packages(stage),
                location=f"{stage} of {pipeline.name}", **options,
            )
        )  # fmt: skip

    for table, ingest in pipeline.tables.items():
        # The base table's steps have the plain names; those of another are told apart by its name.
        suffix = "" if table == base else f"_{table}"
        outside = f"files{suffix}" if isinstance(ingest, Files) else f"source{suffix}"
        if isinstance(ingest, Files):
            add("ingest", "tables.read", {"file": outside}, {"form": ingest.form}, f"read{suffix}", each="file")
        elif isinstance(ingest, Database) and ingest.cursor is not None:
            add("ingest", "tables.read_part", {"part": outside}, {"database": ingest}, f"read{suffix}", each="part")
        elif isinstance(ingest, Given):
            add("ingest", "tables.read_given", {"rows": outside}, {}, f"read{suffix}")
        elif isinstance(ingest, Database):
            add("ingest", "tables.read_whole", {"asked": outside}, {"database": ingest}, f"read{suffix}")
        else:
            add(
                "ingest",
                "tables.read_pages",
                {"asked": outside, "known": f"known{suffix}"},
                {"http": ingest},
                f"read{suffix}",
            )
        raw = {"snapshot": f"snapshot{suffix}"}
        add("ingest", "tables.snapshot", {"parts": f"read{suffix}"}, {}, f"snapshot{suffix}", returns=_frame_type())
        add("ingest", "tables.profiled", raw, {}, f"profiled{suffix}")
        plain = [referenced(item) for item in pipeline.operations(table) if not isinstance(item, Fill | Clip)]
        time = times[table] or (split.column if table == base and split.kind == "time" else None)
        asked = {"operations": plain, "target": None, "time": time, "amounts": False}
        if table == base:
            asked |= {"target": target.column, "amounts": target.task == "regression"}
        add("prepare", "tables.inferred", raw, asked, f"inferred{suffix}")
        each = {**raw, "inferred": f"inferred{suffix}"}
        how: dict[str, Any] = {"each": "snapshot", "along": ("inferred",)}
        add("prepare", "tables.prepared", each, {"operations": plain}, f"prepared{suffix}", **how)
    time = times[base]
    snapshots = {f"snapshot_{name}": f"snapshot_{name}" for name in others}
    expected = {"base": base, "file": pipeline.schema_file.name}
    add("prepare", "tables.checked", {"schema": "schema", "snapshot": "snapshot", **snapshots}, expected)
    add("train", "tables.divided", ["prepared", "checked"], {"split": split, "target": target, "time": time})
    repairs = [item for item in pipeline.operations(base) if isinstance(item, Fill | Clip)]
    ready = {"prepared": "prepared"}
    if repairs:
        add("prepare", "tables.repaired", ["prepared", "divided"], {"repairs": repairs, "target": target.column})
        ready = {"prepared": "repaired"}
    looked = {f"prepared_{name}": f"prepared_{name}" for name in others}
    facts = {"inferred": "inferred", **{f"inferred_{name}": f"inferred_{name}" for name in others}}
    past = {"features": features, "base": base, "times": times}
    made = {**past, "target": target.column}
    add("features", "tables.featured", {**ready, **looked}, made, returns=_frame_type())
    trained: dict[str, Any] = {"target": target, "pipeline": pipeline.name, "seed": seed, **past}
    trained["forms"] = {table: item.form for table, item in pipeline.tables.items() if isinstance(item, Files)}
    tried = []
    chosen = []
    ingest = pipeline.tables[base]
    cursor = ingest.cursor if isinstance(ingest, Http) and ingest.since and ingest.cursor != time else None
    if cursor or any(isinstance(item, Select) for item in features):
        learning = {"target": target, "features": features, "seed": seed, "cursor": cursor}
        add("train", "models.selected", ["featured", "divided"], learning)
        chosen = ["selected"]
    by_time = split.kind == "time" or (split.kind == "auto" and time is not None)
    if isinstance(pipeline.train, Search) and by_time and pipeline.train.window != "all":
        looking = {"target": target, "features": features, "seed": seed, "window": pipeline.train.window}
        add("train", "models.windowed", ["featured", "divided", *chosen], looking)
        division = "windowed"
    if isinstance(pipeline.train, Search):
        search = {**vars(pipeline.train), "metric": pipeline.train.metric or gate.metric}
        named = search["metric"] if isinstance(search["metric"], str) else gate.metric
        parameters = {
            "target": target, "seed": seed, "group": group, **search,
            "features": [item for item in features if isinstance(item, Text | Categories)],
        }  # fmt: skip
        del parameters["window"]
        asked_of = ["judgeable"] if gate.slices or gate.fairness else []
        if asked_of:
            add("evaluate", "verdicts.judgeable", ["featured"], {"gate": gate})
        add(
            "train",
            "models.trials",
            ["featured", "divided", *chosen, *asked_of],
            parameters,
            cpus=2 if cores() > 1 else 1,
        )
        trained |= {"metric": named, "weights": search["weights"], "monotone": search["monotone"]}
        tried = ["trials"]
        curved = {name: parameters[name] for name in ("target", "features", "seed")} | {
            "metric": gate.metric or named,
            "weights": search["weights"],
        }
        add("evaluate", "verdicts.curve", ["featured", "divided", "trials", *chosen], curved)
    else:
        from penstock.train.learners.estimator import noted

        trained |= {"given": noted(replace(pipeline.train, refit=False)), "metric": gate.metric}
    known = {name: name for name in ("featured", "divided", *tried)}
    learnt = {**ready, **facts, **known, **looked, **{name: name for name in chosen}}
    add("train", "models.trained", learnt, trained)
    answers, again = "trained", {}
    if pipeline.train.refit:
        add("train", "tables.undivided", ["divided", "trained"], {})
        add("train", "models.trained", {**learnt, "divided": "undivided"}, trained, "refitted")
        answers, again = "refitted", {"refit": True}
    add(
        "evaluate",
        "verdicts.evaluated",
        ["trained", "featured", "divided", *(["refitted"] if again else [])],
        {"target": target, "gate": gate, "seed": seed},
    )
    add(
        "evaluate",
        "verdicts.gated",
        [
            "evaluated",
            "snapshot",
            "featured",
            "divided",
            "trained",
            "champion",
            *(f"snapshot_{name}" for name in others),
        ],
        {"gate": gate, "target": target, "base": base, "seed": seed},
    )
    served = {"trained": answers, "snapshot": "snapshot", "featured": "featured", "divided": "divided"}
    add("deploy", "served.compared", served, {})
    told = ("trained", "evaluated", "gated", "checked", *(["curve"] if tried else []))
    everything = {**ready, **facts, **known, **{name: name for name in told}, **looked}
    add("evaluate", "reports.report", everything, again)
    add("evaluate", "reports.card", everything, again)
    place = f"pipeline {pipeline.name}"
    sources = [
        *(
            item
            for name, table in pipeline.tables.items()
            for item in _outside(table, "" if name == base else f"_{name}", place, pipeline.name)
        ),
        Source(
            "schema", functools.partial(schema_ref, pipeline), needs=("snapshot", *snapshots), location=place, stage="prepare"
        ),
        Source(
            "champion",
            functools.partial(_champion, pipeline.name),
            needs=("trained",),
            location=place,
            stage="evaluate",
        ),
    ]  # fmt: skip
    return Graph.build(pipeline.name, steps, sources)


_PACKAGES: dict[str, tuple[str, ...]] = {
    "train": ("numpy", "scikit-learn", "lightgbm", "catboost", "xgboost", "xgboost-cpu", "optuna", "skops"),
    "evaluate": ("numpy", "scikit-learn", "lightgbm", "matplotlib", "skops"),
    "deploy": ("numpy", "lightgbm", "skops"),
}


_IN_PARTS = ("known", "read", "snapshot", "inferred", "prepared", "repaired", "featured")


@functools.cache
def stage_packages(stage: str) -> tuple[str, ...]:
    """Name the libraries whose versions count for a stage."""
    there = installed_packages()
    return ("polars", *(name for name in _PACKAGES.get(stage, ()) if name in there))


def call(function: str, /, **arguments: Any) -> Any:
    """Call a function of :mod:`penstock.flow`, imported when its step runs: a run in which all is cached needs none."""
    module, _, name = function.partition(".")
    return getattr(importlib.import_module(f"penstock.flow.{module}"), name)(**arguments)


def _frame_type() -> Any:
    import polars as pl

    return pl.DataFrame


@functools.cache
def stage_version(stage: str) -> str:
    """Name this version of a stage's code: what it was installed as, and what its files hold."""
    home = Path(__file__).parent
    shared = [
        home / "flow",
        home / "model.py",
        home / "manifest.py",
        home / "knowledge.py",
        home / "rowcode.py",
        home / "inputs.py",
        home / "rows.py",
        home / "types",
    ]
    hasher = hashlib.sha256()
    for place in [*shared, *(home / name for name in _STAGES[stage])]:
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")) + sorted(place.rglob("*.html")):
            hasher.update(path.read_bytes())
    return f"penstock {__version__} {stage} {hasher.hexdigest()[:8]}"


_STAGES: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "prepare": ("prepare",),
    "features": ("features",),
    "train": ("train", "features", "monitor/profile.py"),
    "evaluate": ("evaluate", "train/learners", "features"),
    "deploy": ("train/learners", "features", "batch.py"),
}


def _outside(ingest: Ingest, suffix: str, place: str, pipeline: str) -> list[Source]:
    """Return what a table is read from, as sources of the graph."""
    if isinstance(ingest, Files):
        resolve: Callable[..., Ref] = functools.partial(_files, ingest)
        return [Source(f"files{suffix}", resolve, returns=Partitions[Path], location=place, stage="ingest")]
    if isinstance(ingest, Database):
        return [Source(f"source{suffix}", functools.partial(_database, ingest), location=place, stage="ingest")]
    if isinstance(ingest, Given):
        return [Source(f"source{suffix}", functools.partial(_given, ingest), location=place, stage="ingest")]
    known = functools.partial(_known_pages, ingest, pipeline, f"read{suffix}")
    return [
        Source(f"source{suffix}", functools.partial(_http, ingest), location=place, stage="ingest"),
        Source(f"known{suffix}", known, location=place, stage="ingest"),
    ]


def _database(ingest: Database, _store: Store, _known: Mapping[str, Ref]) -> Ref:
    from penstock.engine.files import partitions_ref
    from penstock.ingest.databases import parts_of

    refs = [(name, _json_ref(part)) for name, part in parts_of(ingest)]
    return refs[0][1] if ingest.cursor is None else partitions_ref(refs)


def _given(ingest: Given, store: Store, _known: Mapping[str, Ref]) -> Ref:
    from penstock.engine.execute import save

    return save(store, ingest.rows)


def _http(ingest: Http, store: Store, _known: Mapping[str, Ref]) -> Ref:
    """Nothing tells whether an API's rows have changed: they are asked for in each run."""
    from penstock.ingest.download import place_of

    return _json_ref({"place": place_of(ingest, store.folder), "at": time.time_ns()})


def _known_pages(ingest: Http, pipeline: str, step: str, store: Store, _known: Mapping[str, Ref]) -> Ref:
    """What earlier runs have read of an API that can be asked for new rows."""
    from penstock.engine.files import partitions_ref
    from penstock.engine.memory import latest_result

    found = None if ingest.since is None else latest_result(store, pipeline, step)
    return partitions_ref([]) if found is None else found


def _json_ref(value: Any) -> Ref:
    from penstock.store.formats import encode

    data = encode(value).data
    return Ref(hashlib.sha256(data).hexdigest(), "json", len(data), data)


def _files(ingest: Files, store: Store, _known: Mapping[str, Ref]) -> Ref:
    from penstock.engine.files import file_refs, partitions_ref

    found = file_refs(store, list(ingest.patterns), Path(ingest.folder), always_partitions=True)
    # Folders such as year=2024 are columns of the rows in them: they count as content.
    named = [(name, _with_folders(ref)) for name, ref in found.partitions]
    return (
        found
        if all(one is two[1] for (_, one), two in zip(found.partitions, named, strict=True))
        else partitions_ref(named)
    )


def _with_folders(ref: Ref) -> Ref:
    from penstock.ingest.read import folder_columns

    columns = folder_columns(Path(str(ref.path)))
    return replace(ref, digest=hashlib.sha256(f"{ref.digest} {columns}".encode()).hexdigest()) if columns else ref


def schema_ref(pipeline: Pipeline, store: Store, known: Mapping[str, Ref]) -> Ref:
    """The text of the schema file; while there is none, what the first run will write."""
    from penstock.engine.execute import load

    try:
        text = pipeline.schema_file.read_text(encoding="utf-8")
    except OSError:
        from penstock.prepare.rules import infer_rules, write_rules
        from penstock.types.table import Table

        base = pipeline.base_table
        tables = {
            name: Table(load(store, known["snapshot" if name == base else f"snapshot_{name}"], LazyPartitions))
            for name in pipeline.tables
        }
        times = {name: item.time for name, item in pipeline.tables.items()}
        keys = [
            (base, mine, item.table, theirs)
            for item in pipeline.features
            if isinstance(item, Join)
            for mine, theirs in item.on
        ]
        text = write_rules(infer_rules(tables, times, keys)) + "\n"
    made = _json_ref(text)
    if any(line.startswith("fresh =") for line in text.splitlines()):
        # What is fresh now may be stale in an hour, though the data are the same.
        hour = int(time.time()) // 3600
        return replace(made, digest=hashlib.sha256(f"{made.digest} {hour}".encode()).hexdigest())
    return made


def _champion(name: str, store: Store, known: Mapping[str, Ref]) -> Ref:
    """The model that a new one must beat: the champion, or, for the champion itself, the one that it beat."""
    from penstock.deploy.registry import Registry

    registry = Registry(store, name)
    champion = registry.champion()
    digest = None if champion is None else champion.judged
    if champion is not None and digest == known["trained"].digest:
        digest = champion.judged_against
    if digest is None:
        return Ref("none", "json", 4, b"null")
    return Ref(digest, "bundle")
