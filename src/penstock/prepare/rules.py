"""The schema of raw tables: inferred once, and kept as a small file for people to read, change and commit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import polars as pl

from penstock.errors import InputError
from penstock.prepare.tables import raw_type
from penstock.prepare.uniqueness import classes_of, hashes_of, repeated
from penstock.types.columns import refuse_names
from penstock.types.convert import convert
from penstock.types.table import Table

TOLERANCE = 0.05
"""Share of rows up to which a broken rule is growth, not damage."""
_VALUES = 30
_COLUMNS = 300
_UNIQUE_ROWS = 50_000_000
"""In larger tables it is not asked whether a column's values are unique."""

Level = Literal["error", "warn"]


class ColumnRules(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What is expected of one column; a rule that is not there is not checked.

    Attributes
    ----------
    type : str
        ``integer``, ``number``, ``boolean``, ``text`` or ``date``.
    nullable : bool
        Whether cells may be missing.
    unique : bool
        Whether no value may come twice.
    min, max : number
        Smallest and greatest value; beyond them is told, and never stops a run.
    values : list of str
        The categories.
    refers_to : str
        ``table.column``, which must hold every value.
    tolerance : float
        Share of rows that may break a rule before it is an error.
    level : {"error", "warn"}
        ``warn`` never stops a run.
    """

    type: str = ""
    nullable: bool = True
    unique: bool = False
    min: float | int | None = None
    max: float | int | None = None
    values: list[str] | None = None
    refers_to: str = ""
    tolerance: float = TOLERANCE
    level: Level = "error"


_USUAL = [(key, getattr(ColumnRules(), key)) for key in ColumnRules.__struct_fields__]


class TableRules(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What is expected of one table: rows, freshness, columns."""

    min_rows: int = 0
    time: str = ""
    fresh: str = ""
    columns: dict[str, ColumnRules] = {}


Rules = dict[str, TableRules]


def infer_rules(
    tables: Mapping[str, Table], times: Mapping[str, str | None], keys: Sequence[tuple[str, str, str, str]] = ()
) -> Rules:
    """Say what first snapshots look like.

    Parameters
    ----------
    tables : mapping
        Raw tables by name; of wide ones the first 300 columns.
    times : mapping
        Table to the column that says when its rows happened.
    keys : sequence of (str, str, str, str)
        Table and column, and the table and column where its values stand.

    Raises
    ------
    DataError
        When a column has a name that means something else.
    """
    found: Rules = {}
    refers = {
        (table, column): f"{other}.{key}"
        for table, column, other, key in keys
        if column in tables[table].columns and key in tables[other].columns
        and not _has_strangers(tables[table], column, known_values(tables[other], key))
    }  # fmt: skip
    for name, table in tables.items():
        columns = list(table.schema)[:_COLUMNS]
        refuse_names(columns)
        seen = {column: _Seen(column) for column in columns}
        for _, frame in table.frames(columns):
            for column in columns:
                seen[column].look(frame[column], table.height)
        rules = {
            column: seen[column].rules(table.schema[column], table, refers.get((name, column), ""))
            for column in columns
        }
        found[name] = TableRules(min_rows=table.height // 2, time=times.get(name) or "", columns=rules)
    return found


def present(values: pl.Series) -> pl.Series:
    """Return values with null where a number is NaN or infinite: `prepare` takes these for missing, and so do the rules.

    Examples
    --------
    >>> present(pl.Series([1.5, float("nan"), float("-inf")])).to_list()
    [1.5, None, None]
    """
    return (
        values.zip_with(values.is_finite(), pl.Series([None], dtype=values.dtype))
        if values.dtype.is_float()
        else values
    )


def known_values(table: Table, column: str) -> pl.Series:
    """Return the different values of a column, as texts."""
    parts = [frame[column].cast(pl.String).drop_nulls().unique() for _, frame in table.frames([column])]
    return pl.concat(parts).unique()


def strangers(values: pl.Series, known: pl.Series) -> pl.Series:
    """Which values do not stand among known ones; a missing one is no stranger."""
    return (~values.cast(pl.String).is_in(known.implode())).fill_null(value=False)


def _has_strangers(table: Table, column: str, known: pl.Series) -> bool:
    return any(strangers(frame[column], known).any() for _, frame in table.frames([column]))


class _Seen:
    """What was seen of one column, part by part; hashes of one class of its values, if these may all be different."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing = 0
        self.texts: set[str] | None = set()
        self.low: Any = None
        self.high: Any = None
        self.hashes: list[pl.Series] | None = []

    def look(self, values: pl.Series, rows: int) -> None:
        filled = present(values).drop_nulls()
        self.missing += values.len() - filled.len()
        if not filled.len():
            return
        text = raw_type(values.dtype) == "text"
        if text and self.texts is not None:
            self.texts |= set(filled.cast(pl.String).unique().head(_VALUES + 1).to_list())
            if len(self.texts) > _VALUES:
                self.texts = None
        if self.hashes is not None:
            if (
                not (text or values.dtype.is_integer())
                or self.missing
                or rows > _UNIQUE_ROWS
                or filled.is_duplicated().any()
            ):
                self.hashes = None
            else:
                hashes = hashes_of(filled)
                self.hashes.append(hashes.filter(hashes % classes_of(rows) == 0))
        if values.dtype.is_numeric():
            numbers = filled.cast(pl.Float64)
            low, high = numbers.min(), numbers.max()
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)

    def rules(self, kind: pl.DataType, table: Table, refers_to: str) -> ColumnRules:
        rows = table.height
        if self.missing == rows:
            return ColumnRules(nullable=True, refers_to=refers_to)
        word = raw_type(kind)
        made = ColumnRules(type=word, nullable=self.missing > 0 or not rows, refers_to=refers_to)
        if rows >= 20 and self.hashes is not None and not self.missing:
            made.unique = not pl.concat(self.hashes).is_duplicated().any() and (
                classes_of(rows) == 1 or not repeated(table, self.name).len()
            )
        if word == "text" and not made.unique and self.texts is not None and len(self.texts) < rows - self.missing:
            made.values = sorted(self.texts)
        if word in ("integer", "number") and not made.unique and self.low is not None:
            made.min, made.max = (
                (int(self.low), int(self.high)) if kind.is_integer() else (float(self.low), float(self.high))
            )
        return made


def write_rules(rules: Rules) -> str:
    """Write rules as TOML, made to be read and changed.

    Examples
    --------
    >>> print(write_rules({"rows": TableRules(min_rows=5, columns={"a b": ColumnRules(type="text", values=["x"])})}))
    # What is expected of the raw tables, inferred from the first run. Review it, change it, commit it.
    # A line that is deleted is not checked. Rows beyond a column's tolerance (a share, 0.05 by default) stop the run;
    # fewer are reported. level = "warn" never stops it. Also: unique, min, max, values, refers_to = "table.column".
    <BLANKLINE>
    [rows]
    min_rows = 5
    [rows.columns]
    "a b" = {type = "text", values = ["x"]}
    """
    lines = [
        "# What is expected of the raw tables, inferred from the first run. Review it, change it, commit it.",
        "# A line that is deleted is not checked. Rows beyond a column's tolerance (a share, 0.05 by default) stop the run;",
        '# fewer are reported. level = "warn" never stops it. Also: unique, min, max, values, refers_to = "table.column".',
    ]
    for name, table in rules.items():
        lines += ["", f"[{name}]"]
        if table.min_rows:
            lines.append(f"min_rows = {table.min_rows}")
        if table.time:
            lines.append(f"time = {_toml(table.time)}")
            lines.append(
                f"fresh = {_toml(table.fresh)}" if table.fresh else '# fresh = "2d"  # the newest row is at most so old'
            )
        lines.append(f"[{name}.columns]")
        for column, rule in table.columns.items():
            parts = [
                f"{key} = {_toml(value)}"
                for key, usual in _USUAL
                if (value := getattr(rule, key)) != usual or (value is not None and usual is None)
            ]
            lines.append(f"{_key(column)} = {{{', '.join(parts)}}}")
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else _toml(name)


def _toml(value: Any) -> str:
    import json

    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for the code point 127.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return repr(value)


def read_rules(text: str, file: str) -> Rules:
    """Read rules from TOML.

    Raises
    ------
    InputError
        When the file is not TOML or holds a rule that is not known.
    """
    try:
        return convert(tomllib.loads(text), Rules)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: is not TOML: {error}. Correct it, or delete it to have it inferred anew.") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: {error}. Correct it, or delete it to have it inferred anew.") from None
