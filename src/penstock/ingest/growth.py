"""Tables of APIs that can be asked for new rows: what was known is kept, what comes again takes its place."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import polars as pl

from penstock.errors import DataError
from penstock.ingest.download import download
from penstock.ingest.http import Http
from penstock.ingest.read import common_schema, with_schema
from penstock.types.durations import seconds_of
from penstock.types.nested import flat
from penstock.types.table import ROW

STATE = "penstock state"
"""Name of the part that says how far a table has been read."""


class Known(Protocol):
    """What earlier runs have read, part by part."""

    def __iter__(self) -> Iterator[str]: ...
    def get(self, name: str, /) -> Any:
        """Return a part, or None."""
        ...

    def __getitem__(self, name: str, /) -> Any: ...
    def select(self, columns: list[str]) -> Known:
        """Return the same parts with only some columns."""
        ...


def read_new(source: Http, place: str, known: Known, refs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Read what is new of an API, and yield all that is known then.

    Parameters
    ----------
    known : mapping
        What earlier runs have read, and their :data:`STATE`. Nothing of it counts when the source was another.
    refs : mapping
        Of the same parts: what stands for a part that has not changed.

    Yields
    ------
    str
        Name of a part.
    DataFrame, Ref or dict
        Its rows; where they lie already; or, of :data:`STATE`, how far the table has been read.

    Raises
    ------
    DataError
        When the cursor's column is missing or holds neither times nor numbers.
    """
    who = f"ps.ingest.http({source.url!r})"
    mark = hashlib.sha256(repr(replace(source, lateness=0, retries=0, timeout=0, rate=None)).encode()).hexdigest()
    state = known.get(STATE)
    if state is None or state["source"] != mark or state["greatest"] is None:
        greatest: str | int | float | None = None
        for name, frame in download(source, place):
            rows = flat(frame)
            greatest = _later(greatest, rows, source, who)
            yield name, rows
        yield STATE, {"source": mark, "greatest": greatest}
        return
    start = before(state["greatest"], source.lateness, who)
    print(f"rows from {start} on were asked for")  # noqa: T201 - the step's log
    new = [(f"from {start}, {name}", flat(frame)) for name, frame in download(source, place, start)]
    greatest = state["greatest"]
    for _, rows in new:
        greatest = _later(greatest, rows, source, who)
    unique = str(source.unique)
    parts = [name for name in known if name != STATE]
    keys = {name: known.select([unique])[name][unique].cast(pl.String) for name in parts}
    touched = {name: _among(keys[name], new, unique) for name in parts}
    new = _changed(new, [known[name].filter(some) for name, some in touched.items() if some.any()])
    taken = set()
    for name in parts:
        again = _among(keys[name], new, unique)
        if again.all():
            continue
        taken.add(name)
        yield name, known[name].filter(~again) if again.any() else refs[name]
    for name, rows in new:
        yield _free(name, taken), rows
    yield STATE, {"source": mark, "greatest": greatest}


def _among(keys: pl.Series, rows: list[tuple[str, pl.DataFrame]], unique: str) -> pl.Series:
    """Which keys stand among some rows."""
    there = [part[unique].cast(pl.String) for _, part in rows if part.height]
    return keys.is_in(pl.concat(there).implode()) if there else pl.repeat(False, keys.len(), eager=True)


def _changed(new: list[tuple[str, pl.DataFrame]], known: list[pl.DataFrame]) -> list[tuple[str, pl.DataFrame]]:
    """Leave out rows that are known cell for cell: they stay where they are."""
    same = [frame for frame in known if frame.height]
    found = []
    for name, rows in new:
        for frame in same:
            # A short answer has columns of nothing but nulls, and may lack some.
            common = common_schema({"new": rows.schema, "known": frame.schema})
            numbered, theirs = with_schema(rows, common).with_row_index(ROW), with_schema(frame, common)
            rows = rows[numbered.join(theirs, on=list(common), how="anti", nulls_equal=True)[ROW].sort()]
        if rows.height:
            found.append((name, rows))
    return found


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no part has: rows of one moment may come by and by, and are asked for in the same words."""
    names = itertools.chain([name], (f"{name}, {count}" for count in itertools.count(2)))
    return next(free for free in names if free not in taken)


def before(greatest: str | int | float, lateness: float | str, who: str) -> str:
    """Return what is so much less than the latest row's cursor, written as it is.

    Examples
    --------
    >>> before("2024-03-01T00:00:00Z", "1d", ""), before(1700000120, 20, "")
    ('2024-02-29T00:00:00Z', '1700000100')
    """
    seconds = seconds_of(lateness)
    if not isinstance(greatest, str):
        earlier = greatest - seconds if seconds else greatest
        return str(int(earlier)) if float(earlier).is_integer() else str(earlier)
    made = _moment(greatest, who) - dt.timedelta(seconds=seconds)
    if len(greatest) == 10:
        return made.date().isoformat()
    if dt.datetime.fromisoformat(greatest).tzinfo is None:
        made = made.replace(tzinfo=None)
    text = made.isoformat(sep="T" if "T" in greatest else " ")
    return text.replace("+00:00", "Z") if greatest.endswith("Z") else text


def _later(greatest: Any, rows: pl.DataFrame, source: Http, who: str) -> Any:
    """Return the greater of a cursor and those of some rows."""
    name = str(source.cursor)
    if not rows.height:
        return greatest
    if name not in rows.columns:
        raise DataError(f'{who}: cursor="{name}" is not a column; there are {", ".join(rows.columns)}')
    values = rows[name].drop_nulls()
    if not values.len():
        return greatest
    if values.dtype.is_temporal():
        values = values.dt.to_string("iso:strict")
    if values.dtype == pl.String:
        texts = values.to_list()
        latest: Any = max(texts, key=lambda text: _moment(text, who))
        return latest if greatest is None or _moment(latest, who) > _moment(greatest, who) else greatest
    if not values.dtype.is_numeric():
        raise DataError(f'{who}: cursor="{name}" holds {values.dtype}; times or numbers are expected')
    latest = values.max()
    return latest if greatest is None or latest > greatest else greatest


def _moment(text: str, who: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"{who}: the cursor {text!r} is not a time as ISO 8601 writes it") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
