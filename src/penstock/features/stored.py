"""Features as a stored model holds them, and how they are computed: for a table, or for one row while serving."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from penstock.errors import DataError
from penstock.features.definitions import Written, apply_features, check_alone
from penstock.features.events import Events, Span, alike, moments
from penstock.features.past import aggregates_of
from penstock.features.recent import Recent, unknown, value_at
from penstock.types.dates import microseconds
from penstock.types.table import Table

Pairs = list[tuple[str, str]]
Addition = Callable[[pl.DataFrame], pl.DataFrame]
"""Adds the columns of a feature from other rows or tables to a table."""


class StoredWindow(msgspec.Struct, frozen=True, tag="window"):
    """Aggregates over an entity's past.

    Attributes
    ----------
    table : str
        Whose rows are the events.
    by : list of (str, str)
        Column of the row, and the event's that it equals.
    row_time, time : str
        When the row, and the event, happened.
    values : list of Written
        What aggregates look at, as expressions of an event's own columns.
    spans : list of Span
        The windows.
    """

    table: str
    by: Pairs
    row_time: str
    time: str
    values: list[Written]
    spans: list[Span]

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of the row."""
        return (*(row for row, _ in self.by), self.row_time)

    @property
    def names(self) -> list[str]:
        """Columns that it makes."""
        return [made.name for span in self.spans for made in span.aggregates]

    @property
    def looks_at(self) -> list[str]:
        """Columns of the table."""
        return [*(column for _, column in self.by), self.time, *(name for item in self.values for name in item.needs)]

    def sooner(self, column: str, than: float, step: int) -> list[str]:
        """Return its columns that are made of a column of events which happened less than so long before the row.

        Times lie `step` apart, so that the latest event strictly before a row is a step before it at least.
        """
        made_of = {item.name for item in self.values if column in item.needs}
        late = (span for span in self.spans if (span.delay // step + 1) * step < than)
        return [made.name for span in late for made in span.aggregates if made.value in made_of]

    def compact(self, table: pl.DataFrame) -> pl.DataFrame:
        """Reduce a prepared table, or a part of one, to what is looked at: keys, time and values."""
        made = apply_features(table, [item.read() for item in self.values]) if self.values else table
        return _with_keys(made, self.by, self.time, [item.name for item in self.values])

    def once(self, past: pl.DataFrame) -> pl.DataFrame:
        """Return what counts of the compact table: all of it."""
        return past

    def ready(self, past: pl.DataFrame) -> Addition:
        """Return what adds the aggregates to a table, given the compact events."""
        events = Events.of(past, *key_names(self.by))
        keys = [row for row, _ in self.by]

        def apply(rows: pl.DataFrame) -> pl.DataFrame:
            return rows.with_columns(list(aggregates_of(rows, keys, self.row_time, events, self.spans).values()))

        return apply

    def live(self, past: pl.DataFrame) -> Live:
        """Return what answers for one row, and takes in new events."""
        spans = self.spans

        def answer(recent: Recent, key: Any, at: int | None, values: dict[str, Any]) -> None:
            if key is None or at is None:
                unknown(spans, values)
            else:
                recent.aggregates(key, at, spans, values)

        return _live(self.by, self.row_time, past, answer)


class StoredAsof(msgspec.Struct, frozen=True, tag="asof"):
    """The latest row of another table at or before the row's time."""

    table: str
    by: Pairs
    row_time: str
    time: str
    columns: Pairs
    within: int | None

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of the row."""
        return (*(row for row, _ in self.by), self.row_time)

    @property
    def names(self) -> list[str]:
        """Columns that it makes."""
        return [name for name, _ in self.columns]

    @property
    def looks_at(self) -> list[str]:
        """Columns of the table."""
        return [*(column for _, column in self.by), self.time, *(column for _, column in self.columns)]

    def compact(self, table: pl.DataFrame) -> pl.DataFrame:
        """Reduce a prepared table, or a part of one, to what is looked at."""
        return _with_keys(table, self.by, self.time, [column for _, column in self.columns])

    def once(self, past: pl.DataFrame) -> pl.DataFrame:
        """Return what counts of the compact table: all of it."""
        return past

    def ready(self, past: pl.DataFrame) -> Addition:
        """Return what adds the columns to a table; of rows with equal times the last one counts."""
        events = Events.of(past, *key_names(self.by))
        return lambda rows: self._apply(rows, events)

    def _apply(self, rows: pl.DataFrame, events: Events) -> pl.DataFrame:
        missing = rows[self.row_time].is_null().to_numpy()
        times = moments(rows[self.row_time])
        entity = events.number(rows, [row for row, _ in self.by])
        known = (entity >= 0) & ~missing
        # At or before: one unit of time later, strictly before.
        low, high = events.bounds(entity.clip(-1), times + 1, Span(None, None, 0, []))
        at = high - 1
        found = known & (high > low)
        if self.within is not None and len(events.scaled):
            found &= events.times[at.clip(0)] >= times - self.within
        places = pl.Series(at).zip_with(pl.Series(found), pl.Series([None], dtype=pl.Int64))
        return rows.with_columns(events.columns[column].gather(places).alias(name) for name, column in self.columns)

    def live(self, past: pl.DataFrame) -> Live:
        """Return what answers for one row, and takes in new rows of the table."""
        within, columns = self.within, self.columns

        def answer(recent: Recent, key: Any, at: int | None, values: dict[str, Any]) -> None:
            found = None if key is None or at is None else recent.latest(key, at, within)
            for name, column in columns:
                values[name] = None if found is None else value_at(found[0], column, found[1])

        return _live(self.by, self.row_time, past, answer)


class StoredJoin(msgspec.Struct, frozen=True, tag="join"):
    """The row of another table with the same key."""

    table: str
    on: Pairs
    columns: Pairs
    duplicates: str

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of the row."""
        return tuple(row for row, _ in self.on)

    @property
    def names(self) -> list[str]:
        """Columns that it makes."""
        return [name for name, _ in self.columns]

    @property
    def looks_at(self) -> list[str]:
        """Columns of the table."""
        return [*(column for _, column in self.on), *(column for _, column in self.columns)]

    def compact(self, table: pl.DataFrame) -> pl.DataFrame:
        """Reduce a prepared table, or a part of one, to what is looked at."""
        return _with_keys(table, self.on, None, [column for _, column in self.columns])

    def once(self, past: pl.DataFrame) -> pl.DataFrame:
        """Return one row a key of the compact table.

        Raises
        ------
        DataError
            When keys stand more than once and the author has not said which counts.
        """
        keys = key_names(self.on)[0]
        made = past.drop_nulls(keys)
        if self.duplicates == "error":
            doubled = made.filter(pl.struct(keys).is_duplicated())
            if doubled.height:
                key = ", ".join(str(item) for item in doubled.select(keys).row(0))
                raise DataError(
                    f'ps.features.join("{self.table}"): {doubled.height} of {made.height} rows share a key (first: {key}), '
                    'so that the join would multiply rows. Say which counts with duplicates="first" or "last", or use '
                    "ps.features.asof when the table changes with time."
                )
        keep: Any = "first" if self.duplicates == "error" else self.duplicates
        return made.unique(keys, keep=keep, maintain_order=True)

    def ready(self, past: pl.DataFrame) -> Addition:
        """Return what adds the columns to a table."""
        renamed = past.rename({column: f"penstock value {name}" for name, column in self.columns})
        keys = key_names(self.on)[0]

        def apply(rows: pl.DataFrame) -> pl.DataFrame:
            wanted = rows.select(pl.col(row).alias(key) for (row, _), key in zip(self.on, keys, strict=True))
            left, right = alike(wanted, renamed, keys)
            joined = left.join(right, on=keys, how="left", maintain_order="left")
            return rows.with_columns(joined[f"penstock value {name}"].alias(name) for name, _ in self.columns)

        return apply

    def live(self, past: pl.DataFrame) -> Live:
        """Return what answers for one row."""
        keys = key_names(self.on)[0]
        listed = past.select(keys).rows()
        held = past.select(column for _, column in self.columns).rows()
        found = {(key[0] if len(key) == 1 else key): row for key, row in zip(listed, held, strict=True)}
        key_of, names = _key_reader(self.on), self.names
        nothing = (None,) * len(names)

        def row(values: dict[str, Any]) -> None:
            values.update(zip(names, found.get(key_of(values), nothing), strict=True))

        return Live(row, None)


Relation = StoredWindow | StoredAsof | StoredJoin
Stored = Written | StoredWindow | StoredAsof | StoredJoin


@dataclass(frozen=True)
class Live:
    """A relation while serving: writes its columns into one prepared row; takes in compact events, if it may."""

    row: Callable[[dict[str, Any]], None]
    add: Callable[[pl.DataFrame], None] | None


def _live(
    by: Pairs, row_time: str, past: pl.DataFrame, answer: Callable[[Recent, Any, int | None, dict[str, Any]], None]
) -> Live:
    """Keep the events of entities, and answer from those of a row's; its key or time is None where it is missing."""
    keys, time = key_names(by)
    recent = Recent(Events.of(past, keys, time))
    key_of = _key_reader(by)

    def row(values: dict[str, Any]) -> None:
        answer(recent, key_of(values), _moment(values[row_time]), values)

    return Live(row, lambda events: recent.add(events, keys, time))


def compute(
    frame: pl.DataFrame, features: Sequence[Stored], past: Sequence[pl.DataFrame | None], *, check: bool = False
) -> pl.DataFrame:
    """Add features to a prepared table, in order; later ones may use earlier ones.

    Parameters
    ----------
    past : sequence
        Of each relation its compact table; None for expressions.
    check : bool
        Also demand that expressions look at their own row only.
    """
    return add_features(frame, features, ready(features, past), check=check)


def ready(features: Sequence[Stored], past: Sequence[pl.DataFrame | None]) -> list[Addition | None]:
    """Return of each relation what adds its columns to a table, given its compact table; None for expressions."""
    return [
        None if isinstance(made, Written) or known is None else made.ready(known)
        for made, known in zip(features, past, strict=True)
    ]


def add_features(
    frame: pl.DataFrame,
    features: Sequence[Stored],
    relations: Sequence[Addition | None],
    *,
    check: bool = False,
) -> pl.DataFrame:
    """Add features to a prepared table, given of each relation what adds its columns; see :func:`compute`."""
    expressions: list[tuple[str, pl.Expr]] = []

    def flush() -> None:
        nonlocal frame
        if expressions and check:
            check_alone(frame, expressions)
        frame = apply_features(frame, expressions)
        expressions.clear()

    for made, relation in zip(features, relations, strict=True):
        if isinstance(made, Written):
            expressions.append(made.read())
            continue
        flush()
        assert relation is not None
        frame = relation(frame)
    flush()
    return frame


def compacts(features: Sequence[Stored], tables: Mapping[str, Table]) -> list[pl.DataFrame | None]:
    """Return of each relation what it looks at, from the prepared tables."""
    return [None if isinstance(made, Written) else compact_of(made, tables[made.table]) for made in features]


def compact_of(made: Relation, table: Table) -> pl.DataFrame:
    """Return what a relation looks at, read part by part."""
    columns = list(dict.fromkeys(made.looks_at)) or None
    return made.once(pl.concat([made.compact(frame) for _, frame in table.frames(columns)]))


def write_past(past: pl.DataFrame) -> bytes:
    """Write a compact table for the model."""
    buffer = io.BytesIO()
    past.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def read_past(data: bytes) -> pl.DataFrame:
    """Read a compact table of a model."""
    return pl.read_parquet(data)


def key_names(by: Sequence[tuple[str, str]]) -> tuple[list[str], str]:
    """Return what a compact table calls its keys and its time."""
    return [f"penstock key {number}" for number in range(len(by))], "penstock time"


def _with_keys(table: pl.DataFrame, by: Pairs, time: str | None, values: Sequence[str]) -> pl.DataFrame:
    names, moment_name = key_names(by)
    keys = [pl.col(column).alias(name) for name, (_, column) in zip(names, by, strict=True)]
    moment = [] if time is None else [pl.col(time).alias(moment_name)]
    return table.select(*keys, *moment, *(pl.col(name) for name in values))


def _key_reader(by: Sequence[tuple[str, str]]) -> Callable[[Mapping[str, Any]], Any]:
    columns = [row for row, _ in by]
    if not columns:
        return lambda _values: 0
    if len(columns) == 1:
        only = columns[0]
        return lambda values: values[only]

    def several(values: Mapping[str, Any]) -> Any:
        key = tuple(values[column] for column in columns)
        return None if None in key else key

    return several


def _moment(value: Any) -> int | None:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value)
    return microseconds(value)
