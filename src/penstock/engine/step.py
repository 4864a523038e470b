"""A step: one pure function with its parameters and options; and a source: what comes from outside."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from penstock.errors import GraphError
from penstock.types.durations import bytes_of, seconds_of

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_EMPTY = inspect.Parameter.empty


class Partitions(dict[str, T], Generic[T]):
    """Named parts of one artifact, each stored and cached by itself.

    A step that returns one can be mapped over with ``each=``; a step that takes the result of a mapped
    step receives one.

    Examples
    --------
    >>> Partitions({"january": 31, "february": 28})
    Partitions({'january': 31, 'february': 28})
    """

    def __repr__(self) -> str:
        return f"Partitions({super().__repr__()})"


@dataclass(frozen=True)
class Ref:
    """Where a value lies: the digest of its bytes, and how they are read.

    Attributes
    ----------
    digest : str
        SHA-256 of the bytes (for files from outside: of the file).
    format : str
        A format of the store, ``"partitions"``, or ``"path"`` for a file from outside.
    size : int
        Bytes.
    value : bytes or None
        The bytes themselves when they lie in the catalog.
    partitions : tuple of (str, Ref)
        The parts, for ``"partitions"``.
    path : str or None
        For ``"path"``.
    """

    digest: str
    format: str
    size: int = 0
    value: bytes | None = None
    partitions: tuple[tuple[str, Ref], ...] = ()
    path: str | None = None


class LazyPartitions(Mapping[str, T], Generic[T]):
    """The parts of an artifact, each read from the store when it is asked for, and not kept.

    A step that annotates an argument with it takes an artifact larger than memory, one part at a time.

    Parameters
    ----------
    refs : mapping of str to Ref
        Name of each part to where it lies.
    read : callable
        Gives a part's value; of a table only some columns, where a list of them is given.
    shape : callable
        Gives schema and rows of a table without reading its cells.

    Examples
    --------
    >>> parts = LazyPartitions({"a": Ref("1", "json"), "b": Ref("2", "json")}, lambda ref, _: ref.digest)
    >>> dict(parts)
    {'a': '1', 'b': '2'}
    """

    def __init__(
        self,
        refs: Mapping[str, Ref],
        read: Callable[[Ref, Sequence[str] | None], T],
        shape: Callable[[Ref], tuple[Any, int]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.refs = dict(refs)
        self._read, self._shape, self._columns = read, shape, columns

    def __getitem__(self, name: str) -> T:
        """Read a part."""
        return self._read(self.refs[name], self._columns)

    def __iter__(self) -> Iterator[str]:
        """Name the parts, in order."""
        return iter(self.refs)

    def __len__(self) -> int:
        """Count the parts."""
        return len(self.refs)

    def select(self, columns: Sequence[str]) -> LazyPartitions[T]:
        """Return the same parts, of which only some columns are read."""
        return LazyPartitions(self.refs, self._read, self._shape, list(columns))

    def shape(self, name: str) -> tuple[Any, int]:
        """Return schema and rows of a table."""
        assert self._shape is not None
        return self._shape(self.refs[name])

    def ending(self, word: str) -> LazyPartitions[T]:
        """Return the parts named ``NAME/word``, by their ``NAME``: what each call of a mapped step gave by that word."""
        tail = f"/{word}"
        chosen = {name.removesuffix(tail): ref for name, ref in self.refs.items() if name.endswith(tail)}
        return LazyPartitions(chosen, self._read, self._shape, self._columns)


@dataclass(frozen=True)
class Source:
    """A value that comes from outside the graph, known by the digest of its content.

    Parameters
    ----------
    name : str
        What arguments of steps call it.
    resolve : callable
        Given the store and the refs of `needs`, returns a :class:`Ref`.
    needs : tuple of str
        Steps whose results `resolve` asks for.
    returns : type
        What a step receives.
    """

    name: str
    resolve: Callable[[Any, Mapping[str, Ref]], Ref]
    needs: tuple[str, ...] = ()
    returns: Any = Any
    location: str = ""
    stage: str | None = None


@dataclass(frozen=True)
class Step:
    """One node of a graph; made by :func:`step`, or by a pipeline.

    Attributes
    ----------
    name : str
        Its name, and what the arguments of later steps call its result.
    function : callable
        What it does.
    inputs : mapping
        Argument to the name of the step or source whose result it takes.
    parameters : mapping
        Argument to value.
    location : str
        ``file:line`` of the function.
    along : tuple of str
        Arguments that, in a mapped step, take the part of the same name instead of the whole.
    packages : tuple of str
        Distributions whose versions count although the code is known by `version` alone.
    """

    name: str
    function: Callable[..., Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    returns: Any = None
    location: str = ""
    stage: str | None = None
    retries: int = 0
    backoff: float = 1.0
    timeout: float | None = None
    cpus: float = 1
    memory: int = 0
    cache: bool | None = None
    version: str | None = None
    packages: tuple[str, ...] = ()
    each: str | None = None
    along: tuple[str, ...] = ()
    shows: Mapping[str, str] = field(default_factory=dict)


class StepFunction(Generic[T]):
    """A function marked as a step: it can still be called as the plain function that it is."""

    def __init__(self, function: Callable[..., T], options: Mapping[str, Any]) -> None:
        if inspect.iscoroutinefunction(function):
            raise GraphError(
                f"step {function.__name__}: is an async function; a step is called like any other: use asyncio.run(...) in it"
            )
        functools.update_wrapper(self, function)
        self.function = function
        self.options = dict(options)

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Call the function itself, outside any run."""
        return self.function(*args, **kwargs)

    @property
    def __penstock_step__(self) -> StepFunction[T]:
        return self


@overload
def step(function: Callable[..., T], /) -> StepFunction[T]: ...
@overload
def step(
    *,
    retries: int = 0,
    backoff: float = 1.0,
    timeout: float | str | None = None,
    cpus: float = 1,
    memory: int | str = 0,
    cache: bool | None = None,
    version: str | None = None,
    each: str | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., T]], StepFunction[T]]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    retries: int = 0,
    backoff: float = 1.0,
    timeout: float | str | None = None,
    cpus: float = 1,
    memory: int | str = 0,
    cache: bool | None = None,
    version: str | None = None,
    each: str | None = None,
    name: str | None = None,
) -> Any:
    """Mark a function as a step of a graph.

    The function's name is the name of its result; its arguments name the steps whose results it takes, or
    are parameters with defaults.

    Parameters
    ----------
    retries : int
        How many times more a failing call is tried.
    backoff : float
        Seconds before the first retry; doubled each time.
    timeout : float or str, optional
        Longest time for one try, in seconds or such as ``"10m"``; the step then runs in a process of its
        own, which is ended.
    cpus : float
        Cores that it keeps busy; steps run at once only while their sum fits the machine.
    memory : int or str
        Bytes that it needs, or such as ``"4GB"``; likewise.
    cache : bool, optional
        ``False`` for a step that must run each time, ``True`` for one whose result is kept whatever it reads. When left
        out, a step whose code reads from outside by itself runs each time: of files that it is not given by
        :func:`source`, of a database, an API or the environment a change would be missed.
    version : str, optional
        The code's version, stated by you instead of worked out: then only a new version counts as a change
        of code.
    each : str, optional
        The argument over whose partitions the function is mapped; each partition is cached by itself.
    name : str, optional
        Another name than the function's.

    Examples
    --------
    >>> @step
    ... def doubled(number: int, times: int = 2) -> int:
    ...     return number * times
    >>> doubled(4)
    8
    """
    options = {
        "retries": retries,
        "backoff": backoff,
        "timeout": None if timeout is None else seconds_of(timeout),
        "cpus": cpus,
        "memory": bytes_of(memory),
        "cache": cache,
        "version": version,
        "each": each,
    }
    if retries < 0 or backoff < 0 or cpus < 0:
        raise GraphError("a step's retries, backoff and cpus must not be negative")
    if name is not None:
        options["name"] = name
    if function is not None:
        return StepFunction(function, options)
    return lambda function: StepFunction(function, options)


def source(pattern: str | Path, name: str | None = None) -> Source:
    """Name files from outside the graph; a step receives their path, and notices when they change.

    Parameters
    ----------
    pattern : str or Path
        A file, or a glob pattern, which gives :class:`Partitions` of paths. Relative to the file that says it.
    name : str, optional
        What steps call it; in a module, the name of the variable.

    Examples
    --------
    >>> source("reviews/*.txt", name="reviews").name
    'reviews'
    """
    from penstock.engine.files import file_refs

    caller = sys._getframe(1)
    file = Path(caller.f_code.co_filename)
    folder = file.parent if file.exists() else Path()
    many = any(sign in str(pattern) for sign in "*?[")
    returns: Any = Partitions[Path] if many else Path

    def resolve(store: Any, _needs: Mapping[str, Ref]) -> Ref:
        return file_refs(store, [str(pattern)], folder, always_partitions=many)

    return Source(name or "", resolve, returns=returns, location=f"{file}:{caller.f_lineno}")


def as_step(made: StepFunction[Any], known: typing.Container[str], **changes: Any) -> Step:
    """Turn a marked function into a :class:`Step`, given the names that arguments may refer to.

    Raises
    ------
    GraphError
        When an argument names no step and has no default.
    """
    function = made.function
    location = location_of(function)
    name = changes.get("name") or made.options.get("name") or function.__name__
    try:
        annotations = typing.get_type_hints(function)
    except Exception:
        annotations = dict(getattr(function, "__annotations__", {}))
    inputs: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    for argument in inspect.signature(function).parameters.values():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD, argument.POSITIONAL_ONLY):
            raise GraphError(
                f"{location}: step {name} takes {argument}; name each argument instead, so that it can be found"
            )
        if argument.name in known and argument.name != name:
            inputs[argument.name] = argument.name
        elif argument.default is not _EMPTY:
            parameters[argument.name] = argument.default
        elif argument.name == name:
            raise GraphError(f"{location}: step {name} asks for its own result")
        else:
            raise GraphError(
                f"{location}: step {name} needs {argument.name!r}, but no step has that name. "
                f"Define a step {argument.name}, or give the argument a default."
            )
    options = {key: value for key, value in made.options.items() if key != "name"}
    each = options.get("each")
    if each is not None and each not in inputs:
        raise GraphError(f"{location}: step {name} is mapped over {each!r}, which is not one of its inputs")
    built = Step(
        name=name,
        function=function,
        inputs=inputs,
        parameters=parameters,
        annotations={key: value for key, value in annotations.items() if key in inputs},
        returns=annotations.get("return"),
        location=location,
        **options,
    )
    return replace(built, **changes) if changes else built


def location_of(function: Callable[..., Any]) -> str:
    """Return ``file:line`` of a function, the file by its name alone.

    Examples
    --------
    >>> location_of(location_of).startswith("step.py:")
    True
    """
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else repr(function)
