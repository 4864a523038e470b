"""A pipeline: one value that names what each stage does, and compiles to a graph."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from penstock.deploy.options import Api
from penstock.engine.graph import Graph
from penstock.engine.own_code import folder_of
from penstock.engine.step import Ref
from penstock.errors import InputError
from penstock.evaluate.gates import Gate
from penstock.features.definitions import Feature
from penstock.ingest.databases import Database
from penstock.ingest.given import Given
from penstock.ingest.http import Http
from penstock.ingest.options import Files
from penstock.monitor.options import Drift
from penstock.prepare.mapped import file_of
from penstock.prepare.operations import Map, Operation
from penstock.prepare.repairs import Clip, Fill, Repair
from penstock.train.options import Estimator, Search, Train
from penstock.types.metrics import metric_named
from penstock.types.showing import shown_table
from penstock.types.split import Split
from penstock.types.target import Target

if TYPE_CHECKING:
    from penstock.engine.plan import Plan
    from penstock.outcome import PipelineRun
    from penstock.store.store import Store


Ingest = Files | Database | Http | Given


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
    ['read', 'snapshot', 'inferred', 'prepared', 'featured', 'checked', 'divided', 'trials', 'trained', 'profiled', 'curve', 'undivided', 'refitted', 'evaluated', 'gated', 'compared', 'report', 'card']
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
                ("ingest", item, get_args(Ingest), "ps.ingest.files(...), database(...), http(...) or table(...)")
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
        self._check_lists()
        operations = (*get_args(Operation), *get_args(Repair))
        wanted += [
            ("prepare", item, operations, "ps.prepare.cast(...) and the like, in a list")
            for name in self.tables
            for item in self.operations(name)
        ]
        wanted += [
            ("features", item, get_args(Feature), "ps.features.derive(...), window(...) and the like, in a list")
            for item in self.features
        ]
        for stage, value, kinds, example in wanted:
            if not isinstance(value, kinds):
                raise InputError(f"pipeline {self.name}: {stage}= takes {example}, not {_told(stage, value)}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"pipeline {self.name}: seed= is from 0 to 4294967295, not {self.seed}")
        for name in self.tables:
            if name != self.base_table and any(isinstance(item, Fill | Clip) for item in self.operations(name)):
                raise InputError(
                    f"pipeline {self.name}: fill and clip learn from the training rows, which are rows of {self.base_table}; "
                    f"{name} has none"
                )
        for name in self.tables:
            for item in self.operations(name):
                if isinstance(item, Map):
                    file_of(item.function)
        self._check_metrics()
        if not self.file:
            object.__setattr__(self, "file", _calling_file())

    def _repr_html_(self) -> str:
        def kinds(items: Sequence[object]) -> str:
            return ", ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(item).__name__).lower() for item in items)

        rows = [["ingest", f"{name}: {kinds([source])}"] for name, source in self.tables.items()]
        rows += [["prepare", f"{name}: {kinds(done)}"] for name in self.tables if (done := self.operations(name))]
        rows += [["features", kinds(self.features)]] * bool(self.features)
        rows += [["split", self.split.kind], ["train", kinds([self.train])]]
        line = f"predicts {self.target.column}, {self.target.task}; .plan() says what a run would do"
        return shown_table(self.name, [line], ["stage", "what"], rows)

    def _check_lists(self) -> None:
        """Refuse what must be a list and is none."""
        lists: list[tuple[str, Any]] = [("features", self.features)]
        lists += [("prepare", self.operations(name)) for name in self.tables]
        for stage, value in lists:
            if not isinstance(value, list | tuple):
                raise InputError(f"pipeline {self.name}: {stage}= takes a list, such as [ps.{stage}...], not {value!r}")

    def _check_metrics(self) -> None:
        """Refuse what the target has not before anything is learnt."""
        task, gate = self.target.task, self.evaluate
        named = [(name, f"ps.evaluate.gate({name}={bound})") for name, bound in gate.bounds]
        if gate.metric is not None:
            named.append((gate.metric, "ps.evaluate.gate(metric=...)"))
        if isinstance(self.train, Search) and isinstance(self.train.metric, str):
            named.append((self.train.metric, "ps.train.search(metric=...)"))
        for name, who in named:
            metric_named(name, task, f"pipeline {self.name}: {who}")
        if gate.fairness and task != "binary":
            raise InputError(f"pipeline {self.name}: ps.evaluate.gate(fairness=...) asks for a target of two classes")

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

    def code_folders(self) -> list[str]:
        """Return where the functions and classes of the author's own lie: a service on this machine finds them there."""
        made: list[Any] = [
            item.function for name in self.tables for item in self.operations(name) if isinstance(item, Map)
        ]
        if isinstance(self.train, Estimator):
            from penstock.train.learners.estimator import own_classes

            made += own_classes(self.train.trusted)
        return sorted(set(map(folder_of, made)))

    @property
    def schema_file(self) -> Path:
        """What is expected of the raw tables: a file beside the pipeline's, written by its first run."""
        stem = Path(self.file).stem if self.file else self.name
        return self.folder / f"{stem}.schema.toml"

    def keep_schema(self, store: Store, snapshots: Mapping[str, Ref]) -> None:
        """Write the schema file after the first run, where there is a place for it."""
        import contextlib
        import json

        from penstock.compiling import schema_ref

        if self.folder.is_dir() and not self.schema_file.exists():
            text = json.loads(schema_ref(self, store, snapshots).value or b'""')
            with contextlib.suppress(OSError):  # a folder that cannot be written is no reason to lose a run
                self.schema_file.write_text(text, encoding="utf-8")

    @property
    def folder(self) -> Path:
        """The folder of the file that made this pipeline."""
        return Path(self.file).parent if self.file else Path.cwd()

    def graph(self) -> Graph:
        """Compile to a static graph: nothing is read or run."""
        from penstock.compiling import compile_graph

        return compile_graph(self)

    def plan(self, store: Store | str | Path | None = None) -> Plan:
        """Say of every step whether its result is known, and if not, why.

        Parameters
        ----------
        store : Store or path, optional
            ``PENSTOCK_STORE``, else ``.penstock/`` beside the pipeline file, when left out.
        """
        from penstock.engine.plan import make_plan
        from penstock.store.store import opened

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
        from penstock.store.store import opened

        return run_pipeline(self, opened(store, self.folder), **options)


def _told(stage: str, value: Any) -> str:
    """Write what was given where it cannot be taken."""
    if stage == "ingest" and hasattr(value, "columns"):
        return "rows themselves: give ps.ingest.table(rows)"
    if isinstance(value, list):
        return "a list within: unpack it with *, such as [*ps.features.forward_fill(...)]"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _calling_file() -> str:
    """The file whose code made the pipeline: relative paths and the default store lie beside it; of a notebook's cell, none."""
    own = str(Path(__file__).parent)
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if not name.startswith(own) and name != "<string>":  # what makes a dataclass
            break
        frame = frame.f_back
    file = Path(frame.f_code.co_filename)
    return str(file.resolve()) if file.is_file() and not str(file).startswith(own) else ""
