"""Which rows are kept from training, to judge by: chosen by the content of the row, so that they stay chosen.

A row falls on the same side whatever other rows are in the table, so a model trained on last month's
table is never judged on rows that it has learnt from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError
from penstock.train.chance import chance_of, chances
from penstock.types.columns import need
from penstock.types.dates import TIME_NAMES
from penstock.types.labels import text_of
from penstock.types.reading import shown
from penstock.types.split import Split

Flags = npt.NDArray[np.bool_]
_FEW = 200
"""A class with fewer rows than this is divided exactly instead of by chance."""
_MOST_STRANGE = 0.2
"""Of the test rows, at most this share may be of classes that no training row has."""
_OTHER_MOMENTS = re.compile(r"(?i)(birth|dob|born|update|modif|changed)")
"""Columns that are called so do not say when a row happened: it did later than a birth and before the last change."""


@dataclass(frozen=True)
class Division:
    """How the rows were divided, for the report.

    Attributes
    ----------
    kind : str
        The kind of split that was used.
    column : str or None
        By which column.
    train, test : int
        Rows.
    text : str
        In words.
    gap : float
        Seconds between what is learnt and what is judged.
    left_out : int
        Rows within the gap, older than the window that is learnt from, or of classes that no training row has.
    """

    kind: str
    column: str | None
    train: int
    test: int
    text: str
    gap: float = 0.0
    left_out: int = 0

    def with_gap(self, written: float | str, seconds: float, left_out: int) -> Division:
        """Return the same with rows left out."""
        text = f"{self.text}; {left_out:,} rows of the {written} before are neither learnt nor judged"
        return replace(self, train=self.train - left_out, text=text, gap=seconds, left_out=left_out)

    def without(self, strange: pl.Series) -> Division:
        """Return the same without test rows whose classes no training row has.

        Raises
        ------
        DataError
            When they are so many that the others do not tell how good a model is.
        """
        if not strange.len():
            return self
        classes = strange.unique().sort().to_list()
        named = ", ".join(shown(item) if isinstance(item, str) else str(item) for item in classes[:5]) + (
            ", ..." if len(classes) > 5 else ""
        )
        if strange.len() > _MOST_STRANGE * self.test:
            raise DataError(
                f'target "{strange.name}": {strange.len():,} of {self.test:,} test rows are of classes that no training row '
                f"has ({named}); leave such rows out with ps.prepare.filter, or use ps.split.stratified"
            )
        text = f"{self.text}; not judged are {strange.len():,} rows of classes that no training row has ({named})"
        return replace(self, test=self.test - strange.len(), text=text, left_out=self.left_out + strange.len())


def looks_at(schema: Mapping[str, pl.DataType], how: Split, target: str, time: str | None) -> list[str]:
    """Return the columns that :func:`divide` looks at as a whole.

    Raises
    ------
    DataError
        When a column that is named is not there.
    """
    need("split", [name for name in (how.column, time) if name is not None], schema)
    sought = how.kind in ("auto", "time") and how.column is None and time is None
    times = [name for name, kind in schema.items() if sought and isinstance(kind, pl.Datetime)]
    by_class = how.kind == "stratified" or (how.kind == "auto" and time is None)
    found = dict.fromkeys((how.column, time, *times, target if by_class else None))
    return [name for name in found if name is not None] or [target]


def divide(
    table: pl.DataFrame,
    how: Split,
    target: str,
    task: str,
    time: str | None,
    rows: Callable[[], Iterable[pl.DataFrame]] | None = None,
) -> tuple[Flags, Division]:
    """Choose the test rows of a table.

    Parameters
    ----------
    table : DataFrame
        Prepared rows.
    rows : callable, optional
        Gives the same rows part by part, where `table` has only the columns of :func:`looks_at`.
    how : Split
        As declared; ``"auto"`` takes time where rows carry one, else classes, else chance.
    target, task : str
        What is predicted.
    time : str or None
        The column that ingest declared.

    Returns
    -------
    array of bool, shape (n_rows,)
        True for test rows.
    Division
        What was done.

    Raises
    ------
    DataError
        When a column is not there or one side would be empty.
    """
    kind, column = how.kind, how.column
    why = ""
    if kind == "auto":
        column = time or time_column(table, target)
        kind = "time" if column else "random" if task == "regression" else "stratified"
        why = "" if time or not column else f" (it carries times; other rules: ps.split.*, test={how.test})"
    if kind == "time":
        column = column or time or time_column(table, target)
        if column is None:
            raise DataError('ps.split.time(): no column says when rows happened; name it: ps.split.time("column")')
    if column is not None:
        need("split", [column], table.columns)
    if kind == "time":
        flags, text = _by_time(table, str(column), how.test)
    elif kind == "group":
        flags = _by_group(table[str(column)], float(how.test))
        text = f"by chance, all rows of one {column} on one side"
    else:
        chance, apart = chances(rows or (lambda: [table]), target)
        if kind == "stratified":
            flags = _by_class(table, chance, target, float(how.test))
            text = f"by chance within each class of {target}"
        else:
            flags, text = chance < float(how.test), "by chance"
        if apart:
            text += ", each of equal rows by itself, as equal inputs often have different answers"
    n_test = int(flags.sum())
    if n_test == 0 or n_test == table.height:
        raise DataError(
            f"split {text}: {table.height - n_test} training and {n_test} test rows; both sides need rows. "
            "Give more rows, or another share with ps.split."
        )
    return flags, Division(kind, column, table.height - n_test, n_test, f"{text}{why}")


def strange_classes(column: pl.Series, learnt: Flags, test: Flags) -> Flags:
    """Return which test rows have a class that no training row has.

    Examples
    --------
    >>> strange_classes(pl.Series(["a", "b", "c"]), np.array([True, True, False]), np.array([False, False, True]))
    array([False, False,  True])
    """
    text = text_of(column)
    known = text.is_in(text.filter(pl.Series(learnt)).unique().implode()).fill_null(value=False)
    return np.asarray(test & ~known.to_numpy())


def seconds_in(moments: pl.Series) -> npt.NDArray[np.float64]:
    """Return moments in seconds; numbers stay as they are.

    Examples
    --------
    >>> from datetime import date
    >>> seconds_in(pl.Series([date(1970, 1, 2)]))
    array([86400.])
    """
    if moments.dtype.is_temporal():
        return moments.cast(pl.Datetime("us")).to_physical().cast(pl.Float64).to_numpy() / 1e6
    return moments.cast(pl.Float64).to_numpy()


def within_gap(moments: pl.Series, test: Flags, gap: float) -> Flags:
    """Return which rows lie in the time before the first test row.

    Raises
    ------
    DataError
        When no row is left to learn from.
    """
    at = seconds_in(moments)
    found = ~test & (at > at[test].min() - gap)
    if (test | found).all():
        raise DataError(
            f"split by time: no row is older than the gap of {gap:g} s before the test rows; make it shorter"
        )
    return np.asarray(found)


def time_column(table: pl.DataFrame, target: str) -> str | None:
    """Return the column that says when rows happened: a date that is named so, or by which the rows are sorted.

    Examples
    --------
    >>> import datetime as dt
    >>> days = [dt.datetime(2024, 1, day) for day in (1, 2, 3)]
    >>> time_column(pl.DataFrame({"level": [1, 2, 3], "seen": days}), "level")
    'seen'
    >>> time_column(pl.DataFrame({"level": [1, 2, 3], "seen": [*days[1:], days[0]]}), "level") is None
    True
    >>> time_column(pl.DataFrame({"updated_at": days, "level": [1, 2, 3], "created_at": days}), "level")
    'created_at'
    """
    sorted_by = None
    for name, kind in table.schema.items():
        if not isinstance(kind, pl.Datetime) or name == target or _OTHER_MOMENTS.search(name):
            continue
        values = table[name]
        if values.null_count() == 0 and values.min() != values.max():
            if TIME_NAMES.search(name):
                return name
            if sorted_by is None and (values.is_sorted() or values.is_sorted(descending=True)):
                sorted_by = name
    return sorted_by


def _by_time(table: pl.DataFrame, column: str, test: float | str) -> tuple[Flags, str]:
    moments = table[column]
    if moments.null_count():
        raise DataError(
            f'split by time: column "{column}" has {moments.null_count()} empty cells; leave those rows out with '
            f'ps.prepare.filter(pl.col("{column}").is_not_null())'
        )
    if not (moments.dtype.is_temporal() or moments.dtype.is_numeric()):
        raise DataError(
            f'split by time: column "{column}" holds {moments.dtype}, not times; say their form with '
            f'ps.prepare.cast("{column}", "date", format="%d/%m/%Y"), or as it is'
        )
    if table.height and moments.min() == moments.max():
        raise DataError(
            f'split by time: every "{column}" is {moments[0]}, so no row is later than another; '
            "divide in another way: ps.split.stratified() or ps.split.random()"
        )
    if isinstance(test, str):
        from datetime import timedelta

        from penstock.types.durations import seconds_of

        if not moments.dtype.is_temporal():
            raise DataError(f'split by time: test="{test}" needs a column of dates; "{column}" holds {moments.dtype}')
        limit: Any = moments.max() - timedelta(seconds=seconds_of(test))  # type: ignore[operator]
        flags = (moments > limit).to_numpy()
    else:
        limit = moments.sort()[min(table.height - 1, round(table.height * (1 - test)))]
        flags = (moments >= limit).to_numpy()
    return flags, f"by time: judged on the rows from {limit} on, by {column}"


def _by_group(groups: pl.Series, share: float) -> Flags:
    """Choose groups by chance; where they are so few, or so unlike in size, that chance is far off, those that come nearer to the share.

    Examples
    --------
    >>> sites = pl.Series("site", ["a"] * 60 + ["b"] * 20 + ["c"] * 20)
    >>> _by_group(sites, 0.2).sum()
    np.int64(20)
    """
    chance = chance_of(groups.to_frame())
    flags = chance < share
    if share / 2 <= flags.mean() <= 2 * share and not flags.all():
        return flags
    each, where, sizes = np.unique(chance, return_inverse=True, return_counts=True)
    chosen, total = np.zeros(len(each), dtype=np.bool_), 0
    for at, size in enumerate(sizes):
        if abs(total + size - share * len(groups)) < abs(total - share * len(groups)):
            chosen[at], total = True, total + size
    if not total and len(each) > 1:
        chosen[np.argmin(sizes)] = True
    return chosen[where]


def _by_class(table: pl.DataFrame, chance: npt.NDArray[np.float64], target: str, share: float) -> Flags:
    flags = chance < share
    labels = table[target].cast(pl.String).fill_null("").alias("label")
    counted = labels.value_counts(name="rows")
    for label in counted.filter(pl.col("rows") < _FEW)["label"]:
        rows = np.flatnonzero((labels == label).to_numpy())
        order = rows[np.argsort(chance[rows], kind="stable")]
        flags[rows] = False
        flags[order[: max(1, round(len(rows) * share))] if len(rows) > 1 else []] = True
    return flags
