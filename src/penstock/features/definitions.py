"""Features as an author declares them: once, for training and for serving."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from penstock.errors import DataError, InputError
from penstock.features.columns import Categories, Select, Text
from penstock.features.relations import Asof, Join, Window, window
from penstock.types.columns import column_of, columns_of, need
from penstock.types.table import spread, twice


@dataclass(frozen=True)
class Derive:
    """Columns computed from other columns of the same row."""

    expressions: tuple[tuple[str, pl.Expr], ...]


@dataclass(frozen=True)
class Calendar:
    """Parts of a date: year, month, day, weekday, hour, weekend."""

    column: str
    cyclic: bool = False
    holidays: tuple[dt.date, ...] = ()


Feature = Derive | Calendar | Window | Asof | Join | Text | Categories | Select


def derive(**expressions: pl.Expr) -> Derive:
    """Make columns from other columns of the same row.

    Parameters
    ----------
    **expressions : Polars expression
        Name of the new column to how it is computed. Expressions that look at other rows (``mean``, ``shift``,
        ``over``) are refused by the run: at serving a row stands alone. Selectors, such as ``pl.all()``, name the
        columns of the prepared table at training, and never the target.

    Raises
    ------
    InputError
        When an expression is not one, or calls a Python function.

    Examples
    --------
    >>> derive(per_month=pl.col("total") / pl.col("months")).expressions[0][0]
    'per_month'
    """
    for name, made in expressions.items():
        if not isinstance(made, pl.Expr):
            raise InputError(
                f"ps.features.derive({name}=...): give a Polars expression, such as pl.col('a') / pl.col('b')"
            )
        written = made.meta.serialize(format="binary")
        if b"PLPYFN" in written or b"AnonymousFunction" in written:
            raise InputError(
                f"ps.features.derive({name}=...): the expression calls a Python function, which a stored model cannot "
                "hold. Write it with Polars' own operations, or use ps.prepare.map(function)."
            )
    return Derive(tuple(expressions.items()))


def calendar(column: str, *, cyclic: bool = False, holidays: str | None = None) -> Calendar:
    """Make the parts of a date column features: year, month, day, weekday (1 to 7), hour, weekend.

    Parameters
    ----------
    column : str
        A column of dates or times.
    cyclic : bool
        Also sine and cosine of month, weekday and hour, so that December is near January for linear learners.
    holidays : str, optional
        A country, and a part of it, by their codes (ISO 3166), such as ``"US"`` or ``"DE-BY"``: whether the day is a
        public holiday there, in 1970 to 2060.

    Raises
    ------
    InputError
        When the country is not known, or the package ``holidays`` is not installed.

    Examples
    --------
    >>> calendar("pickup").column
    'pickup'
    """
    return Calendar(column_of("ps.features.calendar", column), cyclic, _holidays(holidays) if holidays else ())


def _holidays(place: str) -> tuple[dt.date, ...]:
    try:
        import holidays
    except ModuleNotFoundError:
        raise InputError(
            "ps.features.calendar(holidays=...) needs the package holidays. Install it with: pip install 'penstock[holidays]'"
        ) from None
    country, _, part = place.upper().partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=range(1970, 2061))
    except NotImplementedError as error:
        raise InputError(f"ps.features.calendar(holidays={place!r}): {error}") from None
    return tuple(sorted(found))


def cross(*columns: str | Sequence[str]) -> Derive:
    """Make one category of the values of several columns together, named ``a_x_b``; missing where one is.

    Examples
    --------
    >>> cross("origin", "carrier").expressions[0][0]
    'origin_x_carrier'
    """
    names = columns_of("ps.features.cross", *columns)
    if len(names) < 2:
        raise InputError("ps.features.cross: name two columns or more")
    made = pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator=" × ")
    return Derive((("_x_".join(names), made),))


def forward_fill(column: str, by: str | Sequence[str] | None = None, *, over: str | None = None) -> list[Feature]:
    """Fill missing cells with the last value that was known of the entity before the row, as ``COLUMN_filled``.

    Parameters
    ----------
    column : str
        Of the base table, which needs ``time=`` at its ingest.
    by : str or list, optional
        What makes an entity; all rows when left out.
    over : str, optional
        An older value than this counts as none.

    Returns
    -------
    list of Feature
        To be unpacked into ``features=[...]``: a window, and what joins it with the column.

    Examples
    --------
    >>> [type(item).__name__ for item in forward_fill("level", by="sensor")]
    ['Window', 'Derive']
    """
    known = {f"{column}_known": pl.col(column).drop_nulls().last()}
    filled = {f"{column}_filled": pl.coalesce(pl.col(column), pl.col(f"{column}_known"))}
    return [window(by=by, over=over, **known), derive(**filled)]  # type: ignore[arg-type]


def expressions_of(item: Derive | Calendar) -> list[tuple[str, pl.Expr]]:
    """Return a feature of the row's own columns as named expressions, in order; later ones may use earlier ones."""
    if isinstance(item, Derive):
        return [(name, made.alias(name)) for name, made in item.expressions]
    moment = pl.col(item.column).dt
    parts = {
        "year": moment.year(),
        "month": moment.month(),
        "day": moment.day(),
        "weekday": moment.weekday(),
        "hour": moment.hour(),
        "weekend": moment.weekday() >= 6,
    }
    if item.cyclic:
        for name, length in (("month", 12), ("weekday", 7), ("hour", 24)):
            turn = parts[name].cast(pl.Float64) * (2 * math.pi / length)
            parts |= {f"{name}_sin": turn.sin(), f"{name}_cos": turn.cos()}
    if item.holidays:
        parts["holiday"] = moment.date().is_in(list(item.holidays))
    return [(f"{item.column}_{part}", made.alias(f"{item.column}_{part}")) for part, made in parts.items()]


def apply_features(frame: pl.DataFrame, expressions: Sequence[tuple[str, pl.Expr]]) -> pl.DataFrame:
    """Add the features to a prepared table; results that are not finite numbers become null.

    Raises
    ------
    DataError
        When a feature needs a column that is not there, or does not fit its type.

    Examples
    --------
    >>> made = expressions_of(derive(half=pl.col("x") / 2))
    >>> apply_features(pl.DataFrame({"x": [3]}), made)["half"].to_list()
    [1.5]
    """
    if frame.height == 1 and expressions:
        return apply_features(twice(frame), expressions)[:1]
    for layer in _layers(expressions):
        for name, made in layer:
            need(f'feature "{name}"', made.meta.root_names(), frame.columns)
        try:
            added = frame.with_columns(made for _, made in layer)
        except pl.exceptions.PolarsError:
            added = frame
            for name, made in layer:
                added = _one(added, name, made)
        schema = added.schema
        frame = added.with_columns(_plain(name, schema[name]) for name, _ in layer)
    return frame


def _layers(expressions: Sequence[tuple[str, pl.Expr]]) -> Iterator[list[tuple[str, pl.Expr]]]:
    """Yield expressions that need nothing of one another, which Polars computes at once."""
    layer: list[tuple[str, pl.Expr]] = []
    names: set[str] = set()
    for name, made in expressions:
        if name in names or not names.isdisjoint(made.meta.root_names()):
            yield layer
            layer, names = [], set()
        layer.append((name, made))
        names.add(name)
    if layer:
        yield layer


def _one(frame: pl.DataFrame, name: str, made: pl.Expr) -> pl.DataFrame:
    try:
        return frame.with_columns(made)
    except pl.exceptions.PolarsError as error:
        kinds = ", ".join(f"{needed}: {frame.schema[needed]}" for needed in made.meta.root_names())
        raise DataError(
            f'feature "{name}" cannot be computed from {kinds}: {str(error).splitlines()[0]}. '
            "Read the column as another type with ps.prepare.cast(...)."
        ) from None


def _plain(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind.is_float():
        number = column.cast(pl.Float64)
        return pl.when(number.is_finite()).then(number).alias(name)
    if kind == pl.Date:
        return column.cast(pl.Datetime("us"))
    if kind == pl.Duration:
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    return column


def check_alone(frame: pl.DataFrame, made: Sequence[tuple[str, pl.Expr]], rows: int = 16) -> None:
    """Demand that features of a row are the same when the row stands alone, as it does at serving.

    Compares `rows` rows spread over the table with the table as a whole.

    Raises
    ------
    DataError
        Naming the feature that looks at other rows.
    """
    whole = apply_features(frame, made)
    for index in spread(frame.height, rows):
        alone = apply_features(frame[[index]], made)
        for name, _ in made:
            one, all_ = alone[name][0] if alone.height else None, whole[name][index]
            if alone.height != 1 or one != all_:
                raise DataError(
                    f'feature "{name}" looks at other rows: in the whole table row {index + 1} has {all_!r}, alone it has '
                    f"{one!r}. At serving a row stands alone, so use only the row's own columns."
                )


class Written(msgspec.Struct, frozen=True, tag="expression"):
    """A feature as a stored model holds it: its name, the columns that it needs, its expression as JSON."""

    name: str
    needs: tuple[str, ...]
    expression: str

    @property
    def names(self) -> list[str]:
        """The column that it makes."""
        return [self.name]

    @classmethod
    def of(cls, name: str, made: pl.Expr) -> Written:
        """Write a named expression."""
        return cls(name, tuple(sorted(set(made.meta.root_names()))), made.meta.serialize(format="json"))

    def read(self) -> tuple[str, pl.Expr]:
        """Read the expression back; never a Python function.

        Raises
        ------
        InputError
            When this version of Polars cannot read it.
        """
        if "AnonymousFunction" in self.expression or "PLPYFN" in self.expression:
            raise InputError(f'feature "{self.name}" holds a Python function and is not loaded')
        try:
            found: Any = pl.Expr.deserialize(io.StringIO(self.expression), format="json")
        except Exception as error:
            raise InputError(
                f'feature "{self.name}" was written by another version of Polars and cannot be read: {error}. Train again.'
            ) from None
        return self.name, found
