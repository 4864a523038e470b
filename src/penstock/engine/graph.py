"""A static graph of steps and sources, checked when it is made: it can be drawn and planned without running."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.engine.step import LazyPartitions, Partitions, Source, Step, StepFunction, as_step
from penstock.errors import GraphError, InputError
from penstock.store.tables import table_library
from penstock.types.columns import nearest
from penstock.types.reading import shown

if TYPE_CHECKING:
    from penstock.engine.plan import Plan
    from penstock.engine.results import RunResult
    from penstock.store.store import Store


@dataclass(frozen=True)
class Graph:
    """Steps and sources by name, in an order in which they can run.

    Make one with :meth:`of` from a module, or with :meth:`build` from steps.

    Attributes
    ----------
    name : str
        Under which runs of it are remembered.
    steps : mapping of str to Step
        In topological order.
    sources : mapping of str to Source
        What comes from outside.
    """

    name: str
    steps: Mapping[str, Step]
    sources: Mapping[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.steps, Mapping):
            raise GraphError(
                f"ps.Graph({self.name!r}, ...) takes steps that are in order; make a graph of functions with "
                f"ps.Graph.build({self.name!r}, [one, two]), or of all steps of a module with ps.Graph.of()"
            )

    @classmethod
    def of(cls, module: types.ModuleType | None = None, name: str | None = None) -> Graph:
        """Collect the steps and sources of a module; of the calling one, or the notebook's cells, when left out.

        Raises
        ------
        GraphError
            For a cycle, a missing or doubled name, or types that do not fit, with names and ``file:line``.

        Examples
        --------
        >>> module = types.ModuleType("numbers_")
        >>> exec("import penstock as ps\\n@ps.step\\ndef one() -> int:\\n    return 1\\n"
        ...      "@ps.step\\ndef two(one: int) -> int:\\n    return one + 1", module.__dict__)
        >>> list(Graph.of(module).steps)
        ['one', 'two']
        """
        module = sys.modules[sys._getframe(1).f_globals["__name__"]] if module is None else module
        made: list[StepFunction[Any]] = []
        sources: list[Source] = []
        seen: set[int] = set()
        for variable, value in list(vars(module).items()):
            if id(value) in seen:
                continue
            if isinstance(value, StepFunction):
                seen.add(id(value))
                made.append(value)
            elif isinstance(value, Source):
                seen.add(id(value))
                sources.append(value if value.name else _named(value, variable))
        return cls.build(name or module.__name__.rpartition(".")[2].strip("_"), made, sources)

    def plan(self, store: Store | str | Path | None = None) -> Plan:
        """Say of every step whether its result is known, and if not, why.

        Parameters
        ----------
        store : Store or path, optional
            ``PENSTOCK_STORE``, else ``.penstock/`` in the working folder, when left out.
        """
        from penstock.engine.plan import make_plan
        from penstock.store.store import opened

        return make_plan(self, opened(store))

    def run(self, store: Store | str | Path | None = None, **options: Any) -> RunResult:
        """Run what is stale; of what comes back, ``["step"]`` is the result of a step.

        Parameters
        ----------
        store : Store or path, optional
            As for :meth:`plan`.
        **options
            Of :func:`penstock.engine.run.run_graph`: ``executor``, ``workers``, ``force``, ``observe``.

        Returns
        -------
        RunResult
            Also when a step failed; ask its ``status``, or ``raise_for_status()``.

        Examples
        --------
        >>> import tempfile
        >>> module = types.ModuleType("numbers_")
        >>> exec("import penstock as ps\\n@ps.step\\ndef one() -> int:\\n    return 1", module.__dict__)
        >>> Graph.of(module).run(tempfile.mkdtemp())["one"]
        1
        """
        from penstock.engine.run import run_graph
        from penstock.store.store import opened

        return run_graph(self, opened(store), **options)

    @classmethod
    def build(cls, name: str, steps: Iterable[Step | StepFunction[Any]], sources: Iterable[Source] = ()) -> Graph:
        """Check the nodes, steps or functions marked with ``@ps.step``, and put them in order.

        Raises
        ------
        GraphError
            As :meth:`of` does, and for what is no step.

        Examples
        --------
        >>> from penstock.engine.step import step
        >>> one, two = step(lambda: 1, name="one"), step(lambda one: one + 1, name="two")
        >>> list(Graph.build("numbers", [two, one]).steps)
        ['one', 'two']
        """
        nodes: dict[str, Step | Source] = {}
        given: list[Step | Source] = [*(sources := list(sources)), *_as_steps(name, list(steps), sources)]
        for node in given:
            if node.name in nodes:
                raise GraphError(
                    f"two steps are named {node.name!r}: {nodes[node.name].location} and {node.location}. "
                    "Rename one, or give it another name with @ps.step(name=...)."
                )
            nodes[node.name] = node
        for node in nodes.values():
            for needed in needs_of(node):
                if needed not in nodes:
                    raise GraphError(f"{node.location}: step {node.name} needs {needed!r}, but no step has that name")
        ordered = _in_order(nodes)
        graph = cls(
            name,
            {item.name: item for item in ordered if isinstance(item, Step)},
            {item.name: item for item in ordered if isinstance(item, Source)},
        )
        for step in graph.steps.values():
            _check_types(graph, step)
        return graph

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names of steps and sources, each after all that it needs."""
        return tuple(item.name for item in _in_order({**self.sources, **self.steps}))

    def until(self, names: Iterable[str]) -> Graph:
        """Return the part of the graph that some steps, or all steps of a stage, need: themselves included.

        Raises
        ------
        InputError
            When no step and no stage has such a name.

        Examples
        --------
        >>> import penstock as ps
        >>> pipeline = ps.Pipeline("churn", ingest=ps.ingest.files("telco.csv"), target=ps.binary("Churn"))
        >>> list(pipeline.graph().until(["prepared"]).steps)
        ['read', 'snapshot', 'inferred', 'prepared']
        """
        stages = dict.fromkeys(step.stage for step in self.steps.values() if step.stage)
        needed: set[str] = set()
        for name in names:
            found = [step.name for step in self.steps.values() if name in (step.name, step.stage)]
            if not found:
                groups = f"; stages: {', '.join(stages)}" if stages else ""
                raise InputError(f"no step is named {name!r}; steps: {', '.join(self.steps)}{groups}")
            needed.update(found)
        for name in reversed(self.order):
            if name in needed:
                needed.update(needs_of(self.node(name)))
        return Graph(
            self.name,
            {name: step for name, step in self.steps.items() if name in needed},
            {name: source for name, source in self.sources.items() if name in needed},
        )

    def with_parameters(self, values: Mapping[str, Any]) -> Graph:
        """Return the graph with other values of its steps' parameters.

        Parameters
        ----------
        values : mapping of str to object
            ``"step.parameter"`` to its value, or ``"parameter"`` to that of every step that has one of the name.

        Raises
        ------
        InputError
            When no step has such a parameter, or its default is of another kind.

        Examples
        --------
        >>> module = types.ModuleType("numbers_")
        >>> exec("import penstock as ps\\n@ps.step\\ndef one(size: int = 1) -> int:\\n    return size", module.__dict__)
        >>> Graph.of(module).with_parameters({"one.size": 7}).steps["one"].parameters
        {'size': 7}
        """
        steps = dict(self.steps)
        for place, value in values.items():
            owner, _, name = place.rpartition(".")
            having = [step for step in steps.values() if name in step.parameters and owner in ("", step.name)]
            if not having:
                known = [f"{step.name}.{item}" for step in steps.values() for item in step.parameters]
                hint = nearest(place, known) or f" There are: {', '.join(known) or 'none'}."
                raise InputError(f"no step has a parameter {place!r}.{hint}")
            for step in having:
                given = tuple(value) if isinstance(value, list) and isinstance(step.parameters[name], tuple) else value
                if not _alike(given, step.parameters[name]):
                    raise InputError(
                        f"{step.location}: step {step.name} takes {name}={step.parameters[name]!r}; {value!r} is of another kind"
                    )
                steps[step.name] = replace(step, parameters={**step.parameters, name: given})
        return replace(self, steps=steps)

    def node(self, name: str) -> Step | Source:
        """Return a step or source by name."""
        return self.steps[name] if name in self.steps else self.sources[name]

    def result_type(self, name: str) -> Any:
        """Return what a node gives to the steps after it, as annotated; None when unknown."""
        node = self.node(name)
        declared = node.returns
        if isinstance(node, Step) and node.each is not None:
            return Partitions if declared is None else types.GenericAlias(Partitions, (declared,))
        return declared


def _alike(value: Any, default: Any) -> bool:
    """Whether a value may take a default's place: a number that of a number; what was nothing may be anything."""
    if default is None or value is None:
        return True
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    return isinstance(value, type(default)) or all(isinstance(item, int | float) for item in (value, default))


def needs_of(node: Step | Source) -> tuple[str, ...]:
    """Return the names of the nodes that a node depends on."""
    return tuple(node.inputs.values()) if isinstance(node, Step) else node.needs


def _named(item: Source, name: str) -> Source:
    return replace(item, name=name)


def _as_steps(graph: str, made: Sequence[Step | StepFunction[Any]], sources: Sequence[Source]) -> Iterator[Step]:
    def name_of(item: Step | StepFunction[Any]) -> str:
        return item.name if isinstance(item, Step) else str(item.options.get("name") or item.function.__name__)

    for item in made:
        if not isinstance(item, Step | StepFunction):
            raise GraphError(
                f"ps.Graph.build({graph!r}, ...): {shown(item)} is no step; mark the function with @ps.step"
            )
    known = {item.name for item in sources} | {name_of(item) for item in made}
    for item in made:
        yield item if isinstance(item, Step) else as_step(item, known)


def _in_order(nodes: Mapping[str, Step | Source]) -> list[Step | Source]:
    """Depth first, without recursion, so that chains of many thousands are fine; O(nodes + edges)."""
    done: dict[str, Step | Source] = {}
    for start in nodes:
        if start in done:
            continue
        path: dict[str, None] = {start: None}
        stack = [(start, iter(needs_of(nodes[start])))]
        while stack:
            name, remaining = stack[-1]
            following = next((item for item in remaining if item not in done), None)
            if following is None:
                done[name] = nodes[name]
                path.pop(name, None)
                stack.pop()
            elif following in path:
                names = [*path, following]
                cycle = names[names.index(following) :]
                places = ", ".join(f"{item} at {nodes[item].location}" for item in dict.fromkeys(cycle))
                raise GraphError(f"steps need one another in a cycle: {' <- '.join(cycle)} ({places})")
            else:
                path[following] = None
                stack.append((following, iter(needs_of(nodes[following]))))
    return list(done.values())


def _check_types(graph: Graph, step: Step) -> None:
    for argument, needed in step.inputs.items():
        wanted = step.annotations.get(argument)
        given = graph.result_type(needed)
        if argument == step.each:
            if typing.get_origin(given) is Partitions:
                given = typing.get_args(given)[0]
            elif given in (Partitions, None, Any) or is_frame(given):
                continue  # a table may be stored in parts
            else:
                raise GraphError(
                    f"{step.location}: step {step.name} is mapped over {needed}, which gives {_name(given)} "
                    f"({graph.node(needed).location}), not partitions. Return ps.Partitions from it, or drop each=."
                )
        if not fits(given, wanted):
            raise GraphError(
                f"{step.location}: step {step.name} takes {argument}: {_name(wanted)}, but {needed} "
                f"({graph.node(needed).location}) gives {_name(given)}. Change one of the annotations."
            )


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value annotated as `given` may be passed where `wanted` is asked for.

    Unknown types fit everything: only what is surely wrong is refused.

    Examples
    --------
    >>> fits(bool, int), fits(int, str), fits(int, int | None), fits(list[int], list[str])
    (True, False, True, False)
    """
    if given is None or wanted is None or Any in (given, wanted) or isinstance(given, str) or isinstance(wanted, str):
        return True
    if isinstance(wanted, typing.TypeVar) or isinstance(given, typing.TypeVar):
        return True
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return any(fits(given, item) for item in typing.get_args(wanted))
    if typing.get_origin(given) in (typing.Union, types.UnionType):
        return any(fits(item, wanted) for item in typing.get_args(given))
    if typing.get_origin(wanted) is typing.Literal or typing.get_origin(given) is typing.Literal:
        return True
    if LazyPartitions in (wanted, typing.get_origin(wanted)):
        return True
    plain_given, plain_wanted = typing.get_origin(given) or given, typing.get_origin(wanted) or wanted
    if not isinstance(plain_given, type) or not isinstance(plain_wanted, type):
        return True
    if table_library(plain_given) and table_library(plain_wanted):
        return True  # a table is read as what is asked for
    if (plain_given, plain_wanted) in {(int, float), (int, complex), (float, complex)}:
        return True
    try:
        if not issubclass(plain_given, plain_wanted):
            return False
    except TypeError:
        return True
    one, two = typing.get_args(given), typing.get_args(wanted)
    if plain_given is plain_wanted and one and two and len(one) == len(two):
        return all(fits(a, b) for a, b in zip(one, two, strict=True))
    return True


def is_frame(kind: Any) -> bool:
    """Whether an annotation is a Polars frame (Polars itself is not imported for that)."""
    return getattr(kind, "__module__", "").startswith("polars") and kind.__name__ == "DataFrame"


def _name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
