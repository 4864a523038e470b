"""Repairs that learn: missing values filled, outliers held; fitted on training rows only, part of the model.

They are done after all that does not learn, and after the rows are divided.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import polars as pl

from penstock.errors import DataError, InputError
from penstock.prepare.operations import Note
from penstock.types.columns import columns_of, need
from penstock.types.dates import EPOCH, microseconds
from penstock.types.writing import figure

How = Literal["median", "mean", "mode"]


@dataclass(frozen=True)
class Fill:
    """Fill missing cells; made by :func:`fill`."""

    columns: tuple[str, ...]
    how: How | None
    value: Any
    indicator: bool


@dataclass(frozen=True)
class Clip:
    """Hold numbers between two quantiles; made by :func:`clip`."""

    columns: tuple[str, ...]
    low: float
    high: float


Repair = Fill | Clip


def fill(
    *columns: str | Sequence[str],
    how: Literal["median", "mean", "mode"] | None = None,
    value: Any = None,
    indicator: bool = False,
) -> Fill:
    """Fill missing cells with what the training rows have, or with a value.

    Trees and the linear learner take missing values as they are; fill where a missing cell means something
    definite, or where a learner of your own cannot take it.

    Parameters
    ----------
    *columns : str
        Which columns.
    how : {"median", "mean", "mode"}, optional
        Of the training rows: ``median`` and ``mean`` of numbers and times, ``mode`` (the most frequent value; the
        smallest of equals) of any.
    value : optional
        Instead of `how`: a constant.
    indicator : bool
        Also make a column ``NAME_missing`` that says which cells were filled.

    Raises
    ------
    InputError
        When neither or both of `how` and `value` are given.

    Examples
    --------
    >>> fill("age", how="median", indicator=True).how
    'median'
    """
    names = columns_of("ps.prepare.fill", *columns)
    if not names or (how is None) == (value is None):
        raise InputError('ps.prepare.fill: name columns, and give either how="median" (mean, mode) or value=...')
    if how not in (None, "median", "mean", "mode"):
        raise InputError(f'ps.prepare.fill(how={how!r}): give "median", "mean" or "mode"')
    if value is not None and not isinstance(value, str | int | float | bool | dt.date):
        raise InputError(f"ps.prepare.fill(value={value!r}): give a text, a number, true or false, or a date")
    return Fill(names, how, value, indicator)


def clip(*columns: str | Sequence[str], low: float = 0.01, high: float = 0.99) -> Clip:
    """Hold numbers between two quantiles of the training rows (winsorising).

    Parameters
    ----------
    *columns : str
        Which columns.
    low, high : float
        Quantiles, from 0 to 1.

    Raises
    ------
    InputError
        When the quantiles are not in order.

    Examples
    --------
    >>> clip("fare", high=0.995).high
    0.995
    """
    names = columns_of("ps.prepare.clip", *columns)
    if not names or not 0 <= low < high <= 1:
        raise InputError(f"ps.prepare.clip(low={low}, high={high}): name columns; quantiles go from 0 to 1, low first")
    return Clip(names, low, high)


class Filled(msgspec.Struct, frozen=True, tag="fill"):
    """A column whose missing cells are filled.

    Attributes
    ----------
    value : float, str or bool
        With what; a time as microseconds since 1970.
    time : bool
        Whether it is one.
    indicator : str
        The column that says which were, or nothing.
    """

    column: str
    value: int | float | str | bool
    time: bool = False
    indicator: str = ""

    @property
    def plain(self) -> Any:
        """The value as it stands in a cell."""
        return EPOCH + dt.timedelta(microseconds=int(self.value)) if self.time else self.value

    def expressions(self) -> list[pl.Expr]:
        """Return what is done to a table."""
        made = [pl.col(self.column).fill_null(pl.lit(self.plain)).alias(self.column)]
        if self.indicator:
            made.append(pl.col(self.column).is_null().alias(self.indicator))
        return made

    def row(self, values: dict[str, Any]) -> None:
        """Do it to one prepared row."""
        missing = values[self.column] is None
        if missing:
            values[self.column] = self.plain
        if self.indicator:
            values[self.indicator] = missing


class Clipped(msgspec.Struct, frozen=True, tag="clip"):
    """A column of numbers that is held between two bounds."""

    column: str
    low: float
    high: float

    def expressions(self) -> list[pl.Expr]:
        """Return what is done to a table."""
        return [pl.col(self.column).cast(pl.Float64).clip(self.low, self.high).alias(self.column)]

    def row(self, values: dict[str, Any]) -> None:
        """Do it to one prepared row."""
        value = values[self.column]
        if value is not None:
            values[self.column] = min(max(float(value), self.low), self.high)


def fit_repairs(
    table: pl.DataFrame,
    learnt: pl.DataFrame,
    repairs: Sequence[Repair],
    target: str | None,
    taken: Sequence[str] | None = None,
) -> tuple[pl.DataFrame, list[Filled | Clipped], list[Note]]:
    """Learn from the training rows what fills and where bounds lie, and do it to the whole table, in order.

    Parameters
    ----------
    table : DataFrame
        All prepared rows.
    learnt : DataFrame
        The training rows among them.
    target : str
        Not to be repaired.
    taken : sequence of str, optional
        Columns of the whole table, where `table` has only some of them.

    Raises
    ------
    DataError
        When a column is not there, is the target, or holds another type than the repair needs.
    """
    fitted: list[Filled | Clipped] = []
    notes: list[Note] = []
    known = list(table.columns if taken is None else taken)
    for repair in repairs:
        who = f"ps.prepare.{type(repair).__name__.lower()}"
        need(who, repair.columns, known)
        for name in repair.columns:
            if name == target:
                raise DataError(f'{who}: "{name}" is the target, which is never repaired; leave rows out with filter')
            made = _fill(learnt[name], repair, who) if isinstance(repair, Fill) else _clip(learnt[name], repair, who)
            if isinstance(made, Filled) and made.indicator in known:
                raise DataError(f'{who}: there is a column "{made.indicator}" already; rename it first')
            before = table[name]
            table, learnt = (item.with_columns(made.expressions()) for item in (table, learnt))
            notes.append(_note(made, before, table[name], repair))
            fitted.append(made)
            known += [made.indicator] if isinstance(made, Filled) and made.indicator else []
    return table, fitted, notes


def _fill(values: pl.Series, repair: Fill, who: str) -> Filled:
    indicator = f"{values.name}_missing" if repair.indicator else ""
    kind = values.dtype
    if repair.how is None:
        value = repair.value
        fits = (
            (isinstance(value, bool) and kind == pl.Boolean)
            or (isinstance(value, int | float) and not isinstance(value, bool) and kind.is_numeric())
            or (isinstance(value, str) and kind == pl.String)
            or (isinstance(value, dt.date) and kind.is_temporal())
        )
        if not fits:
            raise DataError(f'{who}: {value!r} does not fit column "{values.name}", which holds {kind}')
        return _filled(values, value, indicator)
    known = values.drop_nulls()
    if not known.len():
        raise DataError(f'{who}: column "{values.name}" is empty in the training rows; give value=..., or drop it')
    if repair.how == "mode":
        counted = known.value_counts(name="penstock count").sort(
            ["penstock count", values.name], descending=[True, False]
        )
        return _filled(values, counted[values.name][0], indicator)
    if not (kind.is_numeric() or kind.is_temporal()):
        raise DataError(
            f'{who}: column "{values.name}" holds {kind}, which has no {repair.how}; use how="mode" or value=...'
        )
    numbers = known.to_physical().cast(pl.Float64)
    found = numbers.median() if repair.how == "median" else numbers.mean()
    assert isinstance(found, float)
    return Filled(values.name, round(found) if kind.is_temporal() else found, kind.is_temporal(), indicator)


def _filled(values: pl.Series, value: Any, indicator: str) -> Filled:
    if isinstance(value, dt.date):
        moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
        return Filled(values.name, microseconds(moment), True, indicator)
    return Filled(values.name, float(value) if values.dtype.is_float() else value, False, indicator)


def _clip(values: pl.Series, repair: Clip, who: str) -> Clipped:
    if not values.dtype.is_numeric():
        raise DataError(
            f'{who}: column "{values.name}" holds {values.dtype}, not numbers; read it with ps.prepare.cast'
        )
    low = values.quantile(repair.low, interpolation="linear")
    high = values.quantile(repair.high, interpolation="linear")
    if low is None or high is None:
        raise DataError(f'{who}: column "{values.name}" is empty in the training rows; drop it')
    return Clipped(values.name, low, high)


def _note(made: Filled | Clipped, before: pl.Series, after: pl.Series, repair: Repair) -> Note:
    if isinstance(made, Filled):
        count = before.null_count()
        learnt = f", the {repair.how} of the training rows" if isinstance(repair, Fill) and repair.how else ""
        text = f"missing cells filled with {made.plain}{learnt}{_shift(before, after)}"
        return Note("prepare", made.column, count, text)
    changed = int((before.cast(pl.Float64) != after).fill_null(value=False).sum())
    return Note(
        "prepare", made.column, changed, f"held between {made.low:.6g} and {made.high:.6g}{_shift(before, after)}"
    )


def _shift(before: pl.Series, after: pl.Series) -> str:
    """Say what a repair did to the distribution of a column of numbers."""
    if not before.dtype.is_numeric() or not before.drop_nulls().len():
        return ""
    was, now = before.cast(pl.Float64), after.cast(pl.Float64)
    spread = [figure(float(item.std() or 0)) for item in (was, now)]  # type: ignore[arg-type]
    mean = [figure(float(item.mean() or 0)) for item in (was, now)]  # type: ignore[arg-type]
    return f" (mean {mean[0]} -> {mean[1]}, deviation {spread[0]} -> {spread[1]})"
