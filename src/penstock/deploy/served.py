"""What a service asks of what it serves: of a model, its answers, the feed of events and the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import polars as pl


class Answer(Protocol):
    """One prediction."""

    @property
    def prediction(self) -> Any:
        """The likeliest class, or a number."""
        ...

    @property
    def probabilities(self) -> dict[str, float] | None:
        """Class to probability; None for a regression."""
        ...

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of a number, between which the truth is expected."""
        ...

    @property
    def quantiles(self) -> dict[str, float] | None:
        """Of a number, what shares of truths are expected to lie below."""
        ...


class Served(Protocol):
    """A model that answers."""

    name: str
    version: int
    made: float

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Answer]:
        """Answer raw rows, or raise :class:`RowsError`."""
        ...

    def answer(self, rows: Sequence[Mapping[str, Any]] | pl.DataFrame) -> Sequence[Answer]:
        """Answer raw rows or a raw table, or raise :class:`RowsError` or a DataError."""
        ...

    def explain(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Answer raw rows and say why, or raise :class:`RowsError`."""
        ...

    def check_label(self, label: Any) -> str | None:
        """Say what is wrong with a label, or None."""
        ...


class Hearer(NamedTuple):
    """A model that is told of events, and what tells it: at once, or where it answers."""

    model: Any
    run: Callable[[Callable[[], None]], None]


class Feed(Protocol):
    """Keeps models up with events."""

    def catch_up(self, model: Any) -> None:
        """Tell a model what is known that it was not told yet."""
        ...

    def follow(self, hearers: Sequence[Hearer]) -> None:
        """Tell models that answer what other services were told."""
        ...

    def take(self, hearers: Sequence[Hearer], table: str, rows: list[Any]) -> None:
        """Check, keep and count events, or raise :class:`RowsError`."""
        ...


class Keeper(Protocol):
    """Keeps answers and labels. What it returns is waited for, unless it is None; it raises OSError."""

    process: str

    @property
    def behind(self) -> bool:
        """Whether the disk does not keep up."""
        ...

    def answers(
        self, version: int, ids: list[str], rows: Sequence[Any], answers: Sequence[Answer], took: float
    ) -> Future[None] | None:
        """Keep a request's answers."""
        ...

    def hide(self, redact: Mapping[str, str]) -> None:
        """Keep these columns out from now on."""
        ...

    def labels(self, pairs: list[tuple[str, Any]]) -> Future[None] | None:
        """Keep what turned out to be true."""
        ...
