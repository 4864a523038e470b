"""A pipeline: one value that names what each stage does, and compiles to a graph."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.deploy.options import Api
from penstock.engine.graph import Graph
from penstock.engine.step import Partitions, Ref, Source, Step
from penstock.errors import InputError
from penstock.evaluate.gates import Gate, Verdict
from penstock.features.definitions import Calendar, Derive, Feature
from penstock.ingest.options import Files
from penstock.monitor.options import Drift
from penstock.prepare.operations import Cast, Drop, DropDuplicates, Filter, Map, Operation, Rename
from penstock.train.options import Estimator, Search, Train
from penstock.types.split import Split
from penstock.types.target import Target
from penstock.version import __version__

if TYPE_CHECKING:
    from penstock.engine.plan import Plan
    from penstock.outcome import PipelineRun
    from penstock.store.store import Store


@dataclass(frozen=True)
class Pipeline:
    """What each of the seven stages does.

    Every default is one that an expert would choose: a name, where the data are and what to predict make a
    complete pipeline.

    Parameters
    ----------
    name : str
        Under which runs and models are kept.
    ingest : Files
        From :func:`penstock.ingest.files`.
    target : Target
        From :func:`penstock.binary`, :func:`penstock.multiclass` or :func:`penstock.regression`.
    prepare : sequence
        From :mod:`penstock.prepare`, done in order; what is text is then read for what it is.
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
    ['read', 'snapshot', 'prepared', 'featured', 'divided', 'trials', 'trained', 'evaluated', 'gated', 'report']
    """

    name: str
    ingest: Files
    target: Target
    prepare: Sequence[Operation] = ()
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
        if isinstance(self.ingest, Mapping):
            if len(self.ingest) != 1:
                raise InputError(
                    f"pipeline {self.name}: several tables are not joined by this version; give ingest= one ps.ingest.files(...)"
                )
            object.__setattr__(self, "ingest", next(iter(self.ingest.values())))
        wanted: list[tuple[str, Any, tuple[type, ...], str]] = [
            ("ingest", self.ingest, (Files,), "ps.ingest.files(...)"),
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
        operations = (Cast, Drop, DropDuplicates, Filter, Map, Rename)
        wanted += [
            ("prepare", item, operations, "ps.prepare.cast(...) and the like, in a list") for item in self.prepare
        ]
        wanted += [
            ("features", item, (Derive, Calendar), "ps.features.derive(...) or calendar(...), in a list")
            for item in self.features
        ]
        for stage, value, kinds, example in wanted:
            if not isinstance(value, kinds):
                raise InputError(f"pipeline {self.name}: {stage}= takes {example}, not {value!r}")
        if not self.file:
            object.__setattr__(self, "file", _calling_file())

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

    target, gate, split, time = pipeline.target, pipeline.evaluate, pipeline.split, pipeline.ingest.time
    operations, features, seed = list(pipeline.prepare), list(pipeline.features), pipeline.seed
    group = split.column if split.kind == "group" else None
    steps: list[Step] = []

    def add(
        stage: str,
        function: Callable[..., Any],
        inputs: Sequence[str],
        parameters: dict[str, Any],
        **options: Any,
    ) -> None:
        name = function.__name__
        hints = _hints(function)
        arguments = {("file" if item == "files" else "parts" if item == "read" else item): item for item in inputs}
        steps.append(
            Step(
                name=name, function=function, inputs=arguments, parameters=parameters, stage=stage,
                annotations={key: hints[key] for key in arguments if key in hints}, returns=hints.get("return"),
                version=_version(stage), packages=("polars", *_PACKAGES.get(stage, ())), location=f"{stage} of {pipeline.name}",
                **options,
            )
        )  # fmt: skip

    add(
        "ingest",
        flow.read,
        ["files"],
        {"separator": pipeline.ingest.separator, "encoding": pipeline.ingest.encoding},
        each="file",
    )
    add("ingest", flow.snapshot, ["read"], {})
    add("prepare", flow.prepared, ["snapshot"], {"operations": operations, "target": target.column})
    add("features", flow.featured, ["prepared"], {"features": features})
    add("train", flow.divided, ["featured"], {"split": split, "target": target, "time": time})
    trained: dict[str, Any] = {
        "target": target,
        "features": features,
        "pipeline": pipeline.name,
        "seed": seed,
    }
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
    add("train", flow.trained, ["prepared", "featured", "divided", *tried], trained)
    add(
        "evaluate",
        flow.evaluated,
        ["trained", "featured", "divided"],
        {"target": target, "gate": gate, "seed": seed},
    )
    add(
        "evaluate",
        flow.gated,
        ["evaluated", "snapshot", "featured", "divided", "trained", "champion"],
        {"gate": gate, "target": target},
    )
    add(
        "evaluate",
        flow.report,
        ["prepared", "featured", "divided", "trained", "evaluated", "gated", *tried],
        {},
    )
    place = f"pipeline {pipeline.name}"
    sources = [
        Source(
            "files",
            functools.partial(_files, pipeline.ingest),
            returns=Partitions[Path],
            location=place,
            stage="ingest",
        ),
        Source(
            "champion",
            functools.partial(_champion, pipeline.name),
            needs=("trained",),
            location=place,
            stage="evaluate",
        ),
    ]
    return Graph.build(pipeline.name, steps, sources)


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
    shared = [home / "flow.py", home / "model.py", home / "types"]
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


def _files(ingest: Files, store: Store, _known: Mapping[str, Ref]) -> Ref:
    from penstock.engine.files import file_refs

    return file_refs(store, list(ingest.patterns), Path(ingest.folder), always_partitions=True)


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
