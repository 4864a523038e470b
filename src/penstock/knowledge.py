"""What a model knows of other rows and tables: from when it was made, and from events that it was told since."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from penstock.errors import DataError, InputError, StaleWarning
from penstock.features.ahead import known_times, told_ahead
from penstock.features.definitions import Written
from penstock.features.events import Ints
from penstock.features.stored import (
    Addition,
    Live,
    Stored,
    StoredAsof,
    StoredWindow,
    compacts,
    key_names,
    read_past,
    ready,
)
from penstock.inputs import TableOf, as_in_training, event_rows, typed
from penstock.manifest import Manifest
from penstock.prepare.changes import Once
from penstock.prepare.tables import Facts, apply_facts
from penstock.types.rows import RowProblem, RowsError
from penstock.types.table import InMemory, Table


class Knowledge:
    """What the features of a model look into, kept up with events.

    Parameters
    ----------
    manifest : Manifest
        Of the model.
    files : mapping of str to bytes
        Its files.
    name : str
        Of the model, for messages.
    """

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes], name: str) -> None:
        self._features, self._tables_of, self._files, self._name = manifest.features, manifest.tables, files, name
        # By feature, the events told since the model was made; how many times events were told; what was made of them.
        self._since: dict[int, list[pl.DataFrame]] = {}
        self._times_told = 0
        self._relations: tuple[int, list[Addition | None]] = (-1, [])

    @property
    def looks_up(self) -> bool:
        """Whether features look into other rows or tables, of which more may be known by now."""
        return bool(self.looking)

    @property
    def looking(self) -> list[Stored]:
        """The features that look into other rows or tables."""
        return [made for made in self._features if not isinstance(made, Written)]

    def hears(self, table: str) -> bool:
        """Whether events of a table change what features say."""
        return any(item.name == table for item in self.event_tables)

    @cached_property
    def event_tables(self) -> list[TableOf]:
        """The tables whose events change what features say: those that windows and as-of look into."""
        names = {made.table for made in self._features if isinstance(made, StoredWindow | StoredAsof)}
        return [item for item in self._tables_of if item.name in names]

    def read_events(self, table: str, rows: Sequence[Any]) -> pl.DataFrame:
        """Check and prepare events, without counting them yet.

        Parameters
        ----------
        table : str
            As in ``ingest=``.
        rows : sequence of mappings
            Raw rows of that table; columns that no feature looks at may be left out.

        Raises
        ------
        RowsError, InputError
            When a row does not fit, or no feature looks at events of that table.
        """
        known = self._event_table(table)
        frame = self._table(known, event_rows(known, rows))
        for made in self._features:
            if isinstance(made, StoredWindow | StoredAsof) and made.table == table:
                problems = [
                    RowProblem(row, name, "is empty: an event needs its entity and its time")
                    for name in (*(other for _, other in made.by), made.time)
                    for row in frame[name].is_null().arg_true()
                ]
                if problems:
                    raise RowsError(problems)
        return frame

    def take_events(self, table: str, events: pl.DataFrame, *, again: bool = False, told: bool = False) -> None:
        """Count events, as :meth:`read_events` prepared them, from now on.

        Parameters
        ----------
        again : bool
            They are from the log: one that the training data hold too, value for value, is not counted twice.
        told : bool
            Nor is one that was told before.
        """
        for number, (made, past, live) in enumerate(zip(self._features, self.past, self.live, strict=True)):
            if not isinstance(made, StoredWindow | StoredAsof) or made.table != table:
                continue
            assert live is not None and live.add is not None and past is not None
            new = made.compact(events)
            since = self._since.setdefault(number, [])
            for known in (*((past,) if again else ()), *(since if told else ())):
                new = _unseen(new, known, key_names(made.by)[1])
            live.add(new)
            _keep(since, new)
        self._times_told += 1

    def take_rows(self, table: str, raw: pl.DataFrame) -> None:
        """Count the rows of a raw table as events; one that is known already, value for value, counts once.

        Raises
        ------
        DataError, InputError
            When the rows lack what events must carry, or no feature looks at events of that table.
        """
        known = self._event_table(table)
        rows = as_in_training(raw, known.inputs, f"table {table} of model {self._name}")
        self.take_events(table, self._table(known, rows), again=True, told=True)

    def _event_table(self, table: str) -> TableOf:
        known = next((item for item in self.event_tables if item.name == table), None)
        if known is None:
            tables = ", ".join(item.name for item in self.event_tables) or "no table"
            raise InputError(
                f"model {self._name} takes no events of {table!r}; its features look at events of: {tables}"
            )
        return known

    @cached_property
    def past(self) -> list[pl.DataFrame | None]:
        """Of each feature from other rows or tables, what it knew when the model was made; None for the others."""
        files = self._files
        return [
            None if isinstance(made, Written) else read_past(files[f"past/{number}.parquet"])
            for number, made in enumerate(self._features)
        ]

    def ahead(self, rows: pl.DataFrame) -> list[str]:
        """Say in words for which tables prepared rows are further from what is known than any was in training."""
        known = {table: times for table, (times, _) in self._known.items()}
        looking: list[tuple[StoredWindow | StoredAsof, int]] = []
        told: dict[str, Sequence[pl.DataFrame]] = {}
        for number, made in enumerate(self._features):
            if isinstance(made, StoredWindow | StoredAsof) and made.table in known:
                looking.append((made, self._known[made.table][1]))
                told[made.table] = self._since.get(number, ())
        for table, since in told.items():
            if since:
                known[table] = np.union1d(known[table], known_times(since))
        return list(told_ahead(looking, known, rows))

    def warn_ahead(self, rows: pl.DataFrame) -> None:
        """Warn of what :meth:`ahead` says."""
        for text in self.ahead(rows):
            warnings.warn(StaleWarning(text), stacklevel=4)  # where the author asked

    @cached_property
    def _known(self) -> dict[str, tuple[Ints, int]]:
        """By table, when its rows were that were known when the model was made, and the longest time between two of them."""
        found: dict[str, tuple[Ints, int]] = {}
        for made, past in zip(self._features, self.past, strict=True):
            if isinstance(made, StoredWindow | StoredAsof) and past is not None and made.table not in found:
                times = known_times([past])
                if len(times) > 1:
                    found[made.table] = times, int(np.diff(times).max())
        return found

    def relations(self) -> list[Addition | None]:
        """Return what adds each feature's columns to a table, from what was known when the model was made and the events told since.

        None for a feature of the row's own columns. Kept until more is told, for events must be sorted first.
        """
        times_told = self._times_told
        if self._relations[0] != times_told:
            self._relations = (times_told, ready(self._features, [self._now(at) for at in range(len(self._features))]))
        return self._relations[1]

    def _now(self, number: int) -> pl.DataFrame | None:
        past, since = self.past[number], self._since.get(number)
        return past if past is None or not since else pl.concat([past, *since], how="vertical_relaxed")

    @cached_property
    def live(self) -> list[Live | None]:
        """What answers one row from the past, and is kept up with events."""
        return [
            None if isinstance(made, Written) or past is None else made.live(past)
            for made, past in zip(self._features, self.past, strict=True)
        ]

    def of(self, tables: Mapping[str, pl.DataFrame | Table]) -> list[pl.DataFrame | None]:
        """What features know where these raw tables are all that there is.

        Raises
        ------
        DataError
            When one that they look at is not there.
        """
        looked = {made.table for made in self._features if not isinstance(made, Written)}
        if missing := sorted(looked - set(tables)):
            raise DataError(f'features look at the table "{missing[0]}"; there are {", ".join(tables)}')
        return compacts(
            self._features,
            {item.name: self._tables(item, tables[item.name]) for item in self._tables_of if item.name in looked},
        )

    def _tables(self, table: TableOf, raw: pl.DataFrame | Table) -> Table:
        """Prepare a raw table: part by part, unless rows of several parts may be duplicates."""
        if isinstance(raw, pl.DataFrame):
            return Table.of(self._table(table, raw))
        if any(isinstance(change, Once) for change in table.changes):
            return Table.of(self._table(table, raw.whole()))
        parts = {name: self._table(table, frame)[list(table.dtypes)] for name, frame in raw.frames()}
        return Table(InMemory(parts))

    def _table(self, table: TableOf, raw: pl.DataFrame) -> pl.DataFrame:
        return typed(
            apply_facts(raw, Facts((), tuple(table.changes), (), 0, 0), choose=True),
            table.dtypes,
            f"{self._name}, {table.name}",
        )


def _keep(frames: list[pl.DataFrame], new: pl.DataFrame) -> None:
    """Add a frame to others; those of like size become one, so that there are few and a row is copied seldom (O'Neil et al. 1996).

    Examples
    --------
    >>> frames = []
    >>> for number in range(100):
    ...     _keep(frames, pl.DataFrame({"a": [number]}))
    >>> len(frames) < 8, pl.concat(frames)["a"].to_list() == [*range(100)]
    (True, True)
    """
    frames.append(new)
    while len(frames) > 1 and frames[-2].height <= 2 * frames[-1].height:
        frames[-2:] = [pl.concat(frames[-2:], how="vertical_relaxed", rechunk=True)]


def _unseen(events: pl.DataFrame, past: pl.DataFrame, time: str) -> pl.DataFrame:
    """Leave out events that are known."""
    same_time = past.filter(pl.col(time) >= events[time].min())  # all that may be the same; of a long past, few
    return events if same_time.is_empty() else events.join(same_time, on=events.columns, how="anti", nulls_equal=True)
