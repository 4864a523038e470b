"""Two tables compared: has the second drifted from the first? Columns are read a few at a time, whatever their number."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from penstock.errors import DataError, InputError
from penstock.evaluate.division import TELLING, Shift, shift_between
from penstock.features.encoding import fit_encoding
from penstock.ingest.options import TextForm
from penstock.ingest.read import in_found, read_table
from penstock.monitor.compare import ColumnDrift, compare_profiles, profiled_as
from penstock.monitor.options import Drift
from penstock.monitor.profile import ColumnProfile, Profile, column_profile
from penstock.monitor.report import drift_report
from penstock.types.cores import cores
from penstock.types.foreign import frame_from
from penstock.types.nested import fields, flat
from penstock.types.showing import shown_page

_BLOCK_BYTES = 256 * 1024 * 1024
_TOLD_APART = 5_000
_WIDEST = 300
"""Of more columns, those that moved most are looked at together."""

Source = str | Path | pl.DataFrame | Any


@dataclass(frozen=True)
class Comparison:
    """What a comparison of two tables came to.

    Attributes
    ----------
    status : {"calm", "drift", "not enough data"}
        Columns that drifted, or rows that are told apart, are drift.
    columns : list of ColumnDrift
        Those that drifted first.
    rows : tuple of int
        Of the reference, and of the current table.
    missing, new : list of str
        Columns that only one of the tables has.
    shift : Shift or None
        How well trees tell the two tables apart.
    """

    status: str
    columns: list[ColumnDrift]
    rows: tuple[int, int]
    missing: list[str]
    new: list[str]
    shift: Shift | None
    profiles: tuple[Profile, Profile] = field(repr=False, default=(Profile([]), Profile([])))

    @property
    def reasons(self) -> list[str]:
        """What the status rests on, in words."""
        found = [f"{item.name}: {item.text}, effect {item.effect:.2f}" for item in self.columns if item.drifted][:20]
        if self.shift is not None and self.shift.score >= TELLING:
            by = ", ".join(f"{name} {share:.0%}" for name, share in self.shift.columns)
            found.append(
                f"trees tell the two tables apart with ROC AUC {self.shift.score:.3f} (0.5: they are alike), by {by}"
            )
        found += [f"column {name} is gone" for name in self.missing[:10]]
        return found + [f"column {name} is new" for name in self.new[:10]]

    def as_json(self) -> dict[str, Any]:
        """Return what ``penstock compare --json`` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        del found["profiles"]
        return {**found, "reasons": self.reasons}

    def report(self, title: str = "Drift") -> str:
        """Return the HTML report."""
        lead = f"{self.rows[1]:,} rows compared with {self.rows[0]:,}; {len(self.columns):,} columns."
        return drift_report(title, lead, self.status, self.reasons, self.columns, *self.profiles)

    def save(self, path: str | Path) -> None:
        """Write the HTML report, or JSON where the name ends in ``.json``."""
        path = Path(path)
        path.write_text(
            json.dumps(self.as_json(), indent=2) if path.suffix == ".json" else self.report(), encoding="utf-8"
        )

    def _repr_html_(self) -> str:
        return shown_page(self.report(), f"{self.status}: {self.rows[1]:,} rows against {self.rows[0]:,}")


def compare(
    reference: Source, current: Source, *, effect: float = 0.1, significance: float = 0.01, least: int = 100,
    columns: Sequence[str] | None = None,
) -> Comparison:  # fmt: skip
    """Compare two tables column by column, and as wholes.

    A column has drifted when its difference is both large and surely not chance; see :func:`penstock.monitor.drift`. Of
    Parquet files a few columns are in memory at a time.

    Parameters
    ----------
    reference, current : str, Path or DataFrame
        A file of any kind that Penstock reads, a pattern of Parquet files, or a table of Polars, pandas or Arrow.
    effect, significance : float
        Least difference, from 0 to 1; greatest chance of a false alarm over all columns together.
    least : int
        Rows that both must hold.
    columns : sequence of str, optional
        Which; all that both have when left out.

    Raises
    ------
    InputError, DataError
        When a file is not there or cannot be read, or the tables share no column.

    Examples
    --------
    >>> one = pl.DataFrame({"city": ["Oslo", "Rome"] * 200, "size": range(400)})
    >>> two = pl.DataFrame({"city": ["Oslo", "Oslo", "Oslo", "Rome"] * 100, "size": range(400)})
    >>> found = compare(one, two)
    >>> found.status, [item.name for item in found.columns if item.drifted]
    ('drift', ['city'])
    """
    if not 0 < effect < 1 or not 0 < significance < 1:
        raise InputError("penstock.compare: effect and significance lie between 0 and 1")
    how = Drift(None, None, effect, significance, least)
    old, new = _Table(reference), _Table(current)
    shared = [name for name in old.names if name in set(new.names)]
    if columns is not None:
        absent = [name for name in columns if name not in shared]
        if absent:
            raise InputError(f'penstock.compare: column "{absent[0]}" is not in both tables')
        shared = list(columns)
    if not shared:
        raise DataError(f"the tables share no column: {', '.join(old.names[:10])} and {', '.join(new.names[:10])}")
    rows = old.rows, new.rows
    gone = [] if columns is not None else [name for name in old.names if name not in set(new.names)]
    come = [] if columns is not None else [name for name in new.names if name not in set(old.names)]
    if min(rows) < least:
        return Comparison("not enough data", [], rows, gone, come, None)
    before: list[ColumnProfile] = []
    after: list[ColumnProfile] = []
    some: tuple[list[pl.DataFrame], list[pl.DataFrame]] = ([], [])
    with ThreadPoolExecutor(cores()) as pool:
        for block in _blocks(shared, max(rows)):
            then, now = old.read(block), new.read(block)
            some[0].append(_thinned(then))
            some[1].append(_thinned(now))
            for profile in pool.map(_profiles, [then[name] for name in block], [now[name] for name in block]):
                if profile is not None:
                    before.append(profile[0])
                    after.append(profile[1])
    profiles = Profile(before), Profile(after)
    found = compare_profiles(*profiles, how)
    one, two = (pl.concat(parts, how="horizontal") for parts in some)
    shift = _told_apart(one, two, [item.name for item in found][:_WIDEST])
    apart = shift is not None and shift.score >= TELLING
    drifted = apart or any(item.drifted for item in found)
    return Comparison("drift" if drifted else "calm", found, rows, gone, come, shift, profiles)


def _profiles(then: pl.Series, now: pl.Series) -> tuple[ColumnProfile, ColumnProfile] | None:
    values = _numbers(then)
    if values.dtype.is_temporal() or _each_its_own(values):
        return None  # time passes, and a name that no two rows share says nothing of how rows are
    made = column_profile(values)
    return made, profiled_as(made, now)


def _numbers(values: pl.Series) -> pl.Series:
    """Read a text as numbers where nearly all of it is."""
    if values.dtype != pl.String:
        return values
    read = values.cast(pl.Float64, strict=False)
    filled = values.len() - values.null_count()
    return read if filled and values.len() - read.null_count() >= 0.95 * filled else values


def _each_its_own(values: pl.Series) -> bool:
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return False
    filled = values.drop_nulls()
    return filled.len() > 0 and filled.n_unique() >= 0.9 * filled.len()


def _blocks(names: Sequence[str], rows: int) -> Iterator[list[str]]:
    each = max(1, min(64, _BLOCK_BYTES // (16 * max(rows, 1))))
    for start in range(0, len(names), each):
        yield list(names[start : start + each])


def _thinned(frame: pl.DataFrame) -> pl.DataFrame:
    """Take evenly spaced rows."""
    return frame.gather_every(max(1, frame.height // _TOLD_APART)).head(_TOLD_APART)


def _told_apart(one: pl.DataFrame, two: pl.DataFrame, names: Sequence[str]) -> Shift | None:
    one, two = one[list(names)], two[list(names)]
    try:
        both = pl.concat([one, two], how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        return None  # a column is of another kind by now, which its own comparison tells
    encoding = fit_encoding(both, [name for name in names if not both[name].dtype.is_temporal()])
    if not encoding.encoders:
        return None
    matrix = encoding.matrix(both)
    return shift_between(matrix[: one.height], matrix[one.height :], encoding.blocks(), 0)


class _Table:
    """A table that gives some of its columns."""

    def __init__(self, source: Source) -> None:
        if isinstance(source, pl.LazyFrame):
            self._lazy = source
        elif not isinstance(source, str | Path):
            self._lazy = frame_from(source).lazy()
        elif str(source).endswith((".parquet", ".pq")):
            if not glob.glob(str(source)):  # noqa: PTH207 - a pattern may be absolute
                raise InputError(f"{source}: there is no such file")
            self._lazy = pl.scan_parquet(source)
        else:
            if not Path(source).is_file():
                raise InputError(f"{source}: there is no such file")
            self._lazy = in_found(lambda encoding: read_table(source, TextForm(encoding=encoding)))[0].lazy()
        try:
            self._lazy = self._lazy.select(fields(self._lazy.collect_schema()))
            self.names = self._lazy.collect_schema().names()
            self.rows = int(self._lazy.select(pl.len()).collect().item())
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{source}: {str(error).splitlines()[0]}") from None

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        """Return columns."""
        return flat(self._lazy.select(names).collect())
