"""A pipeline: one value that names what each stage does, and compiles to a graph."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.deploy.options import Api
from penstock.engine.graph import Graph
from penstock.engine.step import Partitions, Ref, Source, Step
from penstock.errors import InputError
from penstock.evaluate.gates import Gate, Verdict
from penstock.features.definitions import Calendar, Derive, Feature
from penstock.features.relations import Asof, Join, Window
from penstock.ingest.databases import Database
from penstock.ingest.http import Http
from penstock.ingest.options import Files
from penstock.monitor.options import Drift
from penstock.prepare.operations import Cast, Drop, DropDuplicates, Filter, Map, Normalise, Operation, Rename
from penstock.prepare.repairs import Clip, Fill, Repair
from penstock.train.options import Estimator, Search, Train
from penstock.types.split import Split
from penstock.types.target import Target
from penstock.version import __version__

if TYPE_CHECKING:
    from penstock.engine.plan import Plan
    from penstock.outcome import PipelineRun
    from penstock.store.store import Store


Ingest = Files | Database | Http


@dataclass(frozen=True)
class Pipeline:
    """What each of the seven stages does.

    Every default is one that an expert would choose: a name, where the data are and what to predict make a
    complete pipeline.

    Parameters
    ----------
    name : str
        Under which runs and models are kept.
    ingest : Files, Database or Http, or a mapping of str to these
        From :mod:`penstock.ingest`; several tables by name.
    target : Target
        From :func:`penstock.binary`, :func:`penstock.multiclass` or :func:`penstock.regression`.
    base : str, optional
        The table of which each row is predicted; the first when left out.
    prepare : sequence, or mapping of str to sequence
        From :mod:`penstock.prepare`, done in order; what is text is then read for what it is. A sequence is for the
        base table, a mapping for tables by name.
    features : sequence
        From :mod:`penstock.features`.
    split : Split, optional
        From :mod:`penstock.split`. By time where rows carry one, else within classes, else by chance.
    train : Search or Estimator
        From :mod:`penstock.train`.
    evaluate : Gate
        From :mod:`penstock.evaluate`.
    deploy : Api
        From :mod:`penstock.deploy`.
    monitor : Drift
        From :mod:`penstock.monitor`.
    seed : int
        From which all chance comes.

    Raises
    ------
    InputError
        When a stage is given something else than its module makes.

    Examples
    --------
    >>> import penstock as ps
    >>> pipeline = ps.Pipeline("churn", ingest=ps.ingest.files("telco.csv"), target=ps.binary("Churn"))
    >>> list(pipeline.graph().steps)
    ['read', 'snapshot', 'prepared', 'featured', 'checked', 'divided', 'trials', 'trained', 'evaluated', 'gated', 'report']
    """

    name: str
    ingest: Ingest | Mapping[str, Ingest]
    target: Target
    base: str | None = None
    prepare: Sequence[Operation | Repair] | Mapping[str, Sequence[Operation | Repair]] = ()
    features: Sequence[Feature] = ()
    split: Split = field(default_factory=lambda: Split("auto"))
    train: Train = field(default_factory=Search)
    evaluate: Gate = field(default_factory=Gate)
    deploy: Api = field(default_factory=Api)
    monitor: Drift = field(default_factory=Drift)
    seed: int = 0
    file: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if (
            not isinstance(self.name, str)
            or not self.name
            or len(self.name) > 100
            or set(self.name) & set('/\\\0\n:*?"<>|')
        ):
            raise InputError(f"a pipeline's name is a short text without slashes and the like, not {self.name!r}")
        self._check_tables()
        wanted: list[tuple[str, Any, tuple[type, ...], str]] = [
            *(
                ("ingest", item, (Files, Database, Http), "ps.ingest.files(...), database(...) or http(...)")
                for item in self.tables.values()
            ),
            (
                "target",
                self.target,
                (Target,),
                'ps.binary("column"), ps.multiclass(...) or ps.regression(...)',
            ),
            ("split", self.split, (Split,), "ps.split.random(), stratified(), group(...) or time(...)"),
            ("train", self.train, (Search, Estimator), "ps.train.search(...) or ps.train.estimator(...)"),
            ("evaluate", self.evaluate, (Gate,), "ps.evaluate.gate(...)"),
            ("deploy", self.deploy, (Api,), "ps.deploy.api(...)"),
            ("monitor", self.monitor, (Drift,), "ps.monitor.drift(...)"),
            ("seed", self.seed, (int,), "a whole number"),
        ]
        operations = (Cast, Clip, Drop, DropDuplicates, Fill, Filter, Map, Normalise, Rename)
        wanted += [
            ("prepare", item, operations, "ps.prepare.cast(...) and the like, in a list")
            for name in self.tables
            for item in self.operations(name)
        ]
        wanted += [
            ("features", item, _FEATURES, "ps.features.derive(...), window(...) and the like, in a list")
            for item in self.features
        ]
        for stage, value, kinds, example in wanted:
            if not isinstance(value, kinds):
                raise InputError(f"pipeline {self.name}: {stage}= takes {example}, not {value!r}")
        for name in self.tables:
            if name != self.base_table and any(isinstance(item, Fill | Clip) for item in self.operations(name)):
                raise InputError(
                    f"pipeline {self.name}: fill and clip learn from the training rows, which are rows of {self.base_table}; "
                    f"{name} has none"
                )
        if not self.file:
            object.__setattr__(self, "file", _calling_file())

    def _check_tables(self) -> None:
        """Refuse names of tables that cannot be names of steps, or that nothing knows."""
        if isinstance(self.ingest, Mapping):
            if not self.ingest:
                raise InputError(f"pipeline {self.name}: ingest= names no table")
            for name in self.ingest:
                if not isinstance(name, str) or not name.isidentifier():
                    raise InputError(
                        f"pipeline {self.name}: a table's name is a word of letters, digits and _, not {name!r}"
                    )
        if self.base is not None and isinstance(self.ingest, Mapping) and self.base not in self.ingest:
            raise InputError(
                f"pipeline {self.name}: base={self.base!r} is not a table of ingest=; those are {', '.join(self.ingest)}"
            )
        if isinstance(self.prepare, Mapping) and (
            unknown := [name for name in self.prepare if name not in self.tables]
        ):
            raise InputError(
                f"pipeline {self.name}: prepare= names the table {unknown[0]!r}, which ingest= has not; "
                f"those are {', '.join(self.tables)}"
            )

    @property
    def tables(self) -> Mapping[str, Ingest]:
        """Where the rows of each table come from; a single table that has no name goes by the pipeline's base, or ``rows``."""
        return self.ingest if isinstance(self.ingest, Mapping) else {self.base or "rows": self.ingest}

    @property
    def base_table(self) -> str:
        """The table of which each row is predicted."""
        return self.base or next(iter(self.tables))

    def operations(self, table: str) -> Sequence[Operation | Repair]:
        """Return what is done to prepare a table."""
        if isinstance(self.prepare, Mapping):
            return self.prepare.get(table, ())
        return self.prepare if table == self.base_table else ()

    @property
    def schema_file(self) -> Path:
        """What is expected of the raw tables: a file beside the pipeline's, written by its first run."""
        stem = Path(self.file).stem if self.file else self.name
        return self.folder / f"{stem}.schema.toml"

    def keep_schema(self, store: Store, snapshots: Mapping[str, Ref]) -> None:
        """Write the schema file after the first run, where there is a place for it."""
        import contextlib
        import json

        if self.file and self.folder.is_dir() and not self.schema_file.exists():
            text = json.loads(_schema(self, store, snapshots).value or b'""')
            with contextlib.suppress(OSError):  # a folder that cannot be written is no reason to lose a run
                self.schema_file.write_text(text, encoding="utf-8")

    @property
    def folder(self) -> Path:
        """The folder of the file that made this pipeline."""
        return Path(self.file).parent if self.file else Path.cwd()

    def graph(self) -> Graph:
        """Compile to a static graph: nothing is read or run."""
        return compile_graph(self)

    def plan(self, store: Store | str | Path | None = None) -> Plan:
        """Say of every step whether its result is known, and if not, why.

        Parameters
        ----------
        store : Store or path, optional
            ``PENSTOCK_STORE``, else ``.penstock/`` beside the pipeline file, when left out.
        """
        from penstock.engine.plan import make_plan

        return make_plan(self.graph(), opened(store, self.folder))

    def run(self, store: Store | str | Path | None = None, **options: Any) -> PipelineRun:
        """Run what is stale, judge the model, and keep it as a version.

        Parameters
        ----------
        store : Store or path, optional
            As for :meth:`plan`.
        **options
            Of :func:`penstock.engine.run.run_graph`: ``executor``, ``workers``, ``force``, ``observe``.

        Returns
        -------
        PipelineRun
            Also when the gate said no or a step failed; ask its ``status`` and ``gate``.
        """
        from penstock.outcome import run_pipeline

        return run_pipeline(self, opened(store, self.folder), **options)


def opened(store: Store | str | Path | None, folder: Path) -> Store:
    """Return a store, opening it when a place or nothing is given."""
    from penstock.store.store import Store, open_store

    return store if isinstance(store, Store) else open_store(store, folder)


def _calling_file() -> str:
    """The file whose code made the pipeline: relative paths and the default store lie beside it."""
    own = str(Path(__file__).parent)
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(own) and not name.startswith("<"):
            return str(Path(name).resolve())
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""


def compile_graph(pipeline: Pipeline) -> Graph:
    """Turn a pipeline into steps and sources."""
    from penstock import flow

    target, gate, split, base = pipeline.target, pipeline.evaluate, pipeline.split, pipeline.base_table
    features, seed = list(pipeline.features), pipeline.seed
    times = {name: item.time for name, item in pipeline.tables.items()}
    others = [name for name in pipeline.tables if name != base]
    group = split.column if split.kind == "group" else None
    steps: list[Step] = []

    def add(
        stage: str,
        function: Callable[..., Any],
        inputs: Sequence[str] | Mapping[str, str],
        parameters: dict[str, Any],
        name: str | None = None,
        **options: Any,
    ) -> None:
        hints = _hints(function)
        arguments = dict(inputs) if isinstance(inputs, Mapping) else {item: item for item in inputs}
        steps.append(
            Step(
                name=name or function.__name__, function=function, inputs=arguments, parameters=parameters, stage=stage,
                annotations={key: hints[key] for key in arguments if key in hints}, returns=hints.get("return"),
                version=_version(stage), packages=("polars", *_PACKAGES.get(stage, ())), location=f"{stage} of {pipeline.name}",
                **options,
            )
        )  # fmt: skip

    for table, ingest in pipeline.tables.items():
        # The base table's steps have the plain names; those of another are told apart by its name.
        suffix = "" if table == base else f"_{table}"
        outside = f"files{suffix}" if isinstance(ingest, Files) else f"source{suffix}"
        if isinstance(ingest, Files):
            options = {"separator": ingest.separator, "encoding": ingest.encoding}
            add("ingest", flow.read, {"file": outside}, options, f"read{suffix}", each="file")
        elif isinstance(ingest, Database) and ingest.cursor is not None:
            add("ingest", flow.read_part, {"part": outside}, {"database": ingest}, f"read{suffix}", each="part")
        elif isinstance(ingest, Database):
            add("ingest", flow.read_whole, {"asked": outside}, {"database": ingest}, f"read{suffix}")
        else:
            add("ingest", flow.read_pages, {"asked": outside}, {"http": ingest}, f"read{suffix}")
        add("ingest", flow.snapshot, {"parts": f"read{suffix}"}, {}, f"snapshot{suffix}")
        plain = [item for item in pipeline.operations(table) if not isinstance(item, Fill | Clip)]
        cleaning = {"operations": plain, "target": target.column if table == base else None}
        add("prepare", flow.prepared, {"snapshot": f"snapshot{suffix}"}, cleaning, f"prepared{suffix}")
    time = times[base]
    snapshots = {f"snapshot_{name}": f"snapshot_{name}" for name in others}
    expected = {"base": base, "file": pipeline.schema_file.name}
    add("prepare", flow.checked, {"schema": "schema", "snapshot": "snapshot", **snapshots}, expected)
    add("train", flow.divided, ["prepared", "checked"], {"split": split, "target": target, "time": time})
    repairs = [item for item in pipeline.operations(base) if isinstance(item, Fill | Clip)]
    ready = {"prepared": "prepared"}
    if repairs:
        add("prepare", flow.repaired, ["prepared", "divided"], {"repairs": repairs, "target": target.column})
        ready = {"prepared": "repaired"}
    looked = {f"prepared_{name}": f"prepared_{name}" for name in others}
    past = {"features": features, "base": base, "times": times}
    add("features", flow.featured, {**ready, **looked}, past)
    trained: dict[str, Any] = {"target": target, "pipeline": pipeline.name, "seed": seed, **past}
    tried = []
    if isinstance(pipeline.train, Search):
        search = pipeline.train
        parameters = {
            "target": target, "budget": search.budget, "learners": list(search.learners), "metric": search.metric or gate.metric,
            "most": search.trials, "folds": search.folds, "seed": seed, "group": group,
        }  # fmt: skip
        add("train", flow.trials, ["featured", "divided"], parameters, cpus=2 if _cores() > 1 else 1)
        trained["metric"] = search.metric or gate.metric
        tried = ["trials"]
    else:
        trained |= {"given": pipeline.train, "metric": gate.metric}
    known = {name: name for name in ("featured", "divided", *tried)}
    add("train", flow.trained, {**ready, **known, **looked}, trained)
    add(
        "evaluate",
        flow.evaluated,
        ["trained", "featured", "divided"],
        {"target": target, "gate": gate, "seed": seed},
    )
    add(
        "evaluate",
        flow.gated,
        [
            "evaluated",
            "snapshot",
            "featured",
            "divided",
            "trained",
            "champion",
            *(f"snapshot_{name}" for name in others),
        ],
        {"gate": gate, "target": target, "base": base},
    )
    add(
        "evaluate",
        flow.report,
        {**ready, **known, **{name: name for name in ("trained", "evaluated", "gated", "checked")}, **looked},
        {},
    )
    place = f"pipeline {pipeline.name}"
    sources = [
        *(
            _outside(item, "" if name == base else f"_{name}", place)
            for name, item in pipeline.tables.items()
        ),
        Source(
            "schema", functools.partial(_schema, pipeline), needs=("snapshot", *snapshots), location=place, stage="prepare"
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


_FEATURES = (Derive, Calendar, Window, Asof, Join)
_PACKAGES: dict[str, tuple[str, ...]] = {
    "train": ("numpy", "scikit-learn", "lightgbm", "skops"),
    "evaluate": ("numpy", "scikit-learn", "lightgbm", "matplotlib", "skops"),
}


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of a step that the graph can check: names of types only, so that nothing heavy is imported."""
    return dict.fromkeys(inspect.signature(function).parameters)


@functools.cache
def _version(stage: str) -> str:
    """Name this version of a stage's code: what it was installed as, and what its files hold."""
    home = Path(__file__).parent
    shared = [home / "flow.py", home / "model.py", home / "inputs.py", home / "rows.py", home / "types"]
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
}


def _outside(ingest: Ingest, suffix: str, place: str) -> Source:
    """Return what a table is read from, as a source of the graph."""
    if isinstance(ingest, Files):
        resolve: Callable[..., Ref] = functools.partial(_files, ingest)
        return Source(f"files{suffix}", resolve, returns=Partitions[Path], location=place, stage="ingest")
    resolve = functools.partial(_database, ingest) if isinstance(ingest, Database) else functools.partial(_http, ingest)
    return Source(f"source{suffix}", resolve, location=place, stage="ingest")


def _database(ingest: Database, _store: Store, _known: Mapping[str, Ref]) -> Ref:
    from penstock.engine.files import partitions_ref
    from penstock.ingest.databases import parts_of

    refs = [(name, _json_ref(part)) for name, part in parts_of(ingest)]
    return refs[0][1] if ingest.cursor is None else partitions_ref(refs)


def _http(ingest: Http, store: Store, _known: Mapping[str, Ref]) -> Ref:
    """Nothing tells whether an API's rows have changed: they are asked for in each run."""
    from penstock.ingest.http import place_of

    return _json_ref({"place": place_of(ingest, store.folder), "at": time.time_ns()})


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


def _schema(pipeline: Pipeline, store: Store, known: Mapping[str, Ref]) -> Ref:
    """The text of the schema file; while there is none, what the first run will write."""
    from penstock.engine.execute import load

    try:
        text = pipeline.schema_file.read_text(encoding="utf-8")
    except OSError:
        from penstock.prepare.validation import infer_rules, write_rules

        base = pipeline.base_table
        tables = {
            name: load(store, known["snapshot" if name == base else f"snapshot_{name}"]) for name in pipeline.tables
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
    digest = None if champion is None else champion.digest
    if champion is not None and digest == known["trained"].digest:
        digest = champion.judged_against
    if digest is None:
        return Ref("none", "json", 4, b"null")
    return Ref(digest, "bundle")


__all__ = ["Pipeline", "Verdict", "compile_graph"]
