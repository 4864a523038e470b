"""The schema of raw tables: inferred once, kept as a small file for people, and held against every later snapshot.

Each check is one Polars expression that counts. (Pandera was tried: 5 ms a column where this takes 0.03 ms, and its
checks have no tolerance as a share of rows, which tells ordinary growth from a broken source.)
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import polars as pl

from penstock.errors import DataError, InputError
from penstock.prepare.tables import normalised, raw_type
from penstock.types.durations import seconds_of

TOLERANCE = 0.05
"""Share of rows up to which a broken rule is growth, not damage."""
_VALUES = 30
_COLUMNS = 300
_EXAMPLES = 3
_WIDER = {("integer", "number"), ("number", "integer")}

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


@dataclass(frozen=True)
class Finding:
    """A rule that a snapshot breaks.

    Attributes
    ----------
    table, column : str
        Where; the column is empty for a rule of the table.
    rule : str
        Which.
    level : {"error", "warn"}
        Whether it stops the run.
    count : int
        Rows that break it.
    text : str
        In words, with up to three of them.
    """

    table: str
    column: str
    rule: str
    level: Level
    count: int
    text: str

    def __str__(self) -> str:
        place = f'{self.table}, column "{self.column}"' if self.column else self.table
        return f"{place}: {self.text}"


def infer_rules(
    tables: Mapping[str, pl.DataFrame], times: Mapping[str, str | None], keys: Sequence[tuple[str, str, str, str]] = ()
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
    """
    found: Rules = {}
    refers = {
        (table, column): f"{other}.{key}"
        for table, column, other, key in keys
        if column in tables[table].columns and key in tables[other].columns
        and not _strangers(tables[table][column], tables[other][key]).any()
    }  # fmt: skip
    for name, table in tables.items():
        columns = {}
        for column, kind in list(table.schema.items())[:_COLUMNS]:
            columns[column] = _rules_of(table[column], kind, refers.get((name, column), ""))
        found[name] = TableRules(min_rows=table.height // 2, time=times.get(name) or "", columns=columns)
    return found


def _strangers(values: pl.Series, known: pl.Series) -> pl.Series:
    """Which values do not stand in another column; a missing one is no stranger."""
    there = known.cast(pl.String).drop_nulls().unique()
    return (~values.cast(pl.String).is_in(there.implode())).fill_null(value=False)


def _rules_of(values: pl.Series, kind: pl.DataType, refers_to: str) -> ColumnRules:
    word = raw_type(kind)
    filled = values.drop_nulls()
    made = ColumnRules(type=word, nullable=filled.len() < values.len() or not values.len(), refers_to=refers_to)
    if not filled.len():
        return ColumnRules(nullable=True, refers_to=refers_to)
    different = filled.n_unique()
    if different == values.len() and values.len() >= 20 and word in ("text", "integer"):
        made.unique = True
    elif word == "text" and different <= _VALUES and different < filled.len():
        made.values = sorted(filled.cast(pl.String).unique().to_list())
    if word in ("integer", "number") and not made.unique:
        finite = filled.filter(filled.is_finite()) if kind.is_float() else filled
        if finite.len():
            low, high = finite.cast(pl.Float64).min(), finite.cast(pl.Float64).max()
            made.min, made.max = (
                (int(low), int(high)) if kind.is_integer() else (float(low), float(high))  # type: ignore[arg-type]
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
        return msgspec.convert(tomllib.loads(text), Rules)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: is not TOML: {error}. Correct it, or delete it to have it inferred anew.") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: {error}. Correct it, or delete it to have it inferred anew.") from None


def check_rules(tables: Mapping[str, pl.DataFrame], rules: Rules) -> list[Finding]:
    """Hold tables against rules.

    Parameters
    ----------
    tables : mapping
        Raw tables by name. Rules of a table that is not there are passed over.
    """
    found: list[Finding] = []
    for name, expected in rules.items():
        if name not in tables:
            continue
        table = tables[name]
        if table.height < expected.min_rows:
            found.append(
                Finding(
                    name,
                    "",
                    "min_rows",
                    "error",
                    table.height,
                    f"{table.height} rows, expected {expected.min_rows} or more",
                )
            )
        found += _fresh(name, table, expected)
        for column, rule in expected.columns.items():
            if column not in table.columns:
                there = ", ".join(item for item in table.columns if item not in expected.columns) or "none"
                found.append(Finding(name, column, "type", rule.level, table.height, f"is gone (new columns: {there})"))
                continue
            word = raw_type(table.schema[column])
            empty = table[column].null_count() == table.height
            if rule.type and word != rule.type and (rule.type, word) not in _WIDER and not empty:
                found.append(
                    Finding(name, column, "type", rule.level, table.height,
                            f"holds {word}, expected {rule.type}{_examples(table[column].drop_nulls()[:_EXAMPLES])}")
                )  # fmt: skip
                continue
            found += _column(name, table, column, rule, tables)
    return sorted(found, key=lambda item: (item.level != "error", -item.count))


def _fresh(name: str, table: pl.DataFrame, expected: TableRules) -> list[Finding]:
    if not expected.fresh or expected.time not in table.columns or not table[expected.time].dtype.is_temporal():
        return []
    newest: Any = normalised(table.select(expected.time))[expected.time].max()
    oldest = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(seconds=seconds_of(expected.fresh))
    if newest is None or newest >= oldest:
        return []
    return [Finding(name, expected.time, "fresh", "error", table.height,
                    f"the newest row is of {newest}, expected one of the last {expected.fresh}")]  # fmt: skip


def _column(
    name: str, table: pl.DataFrame, column: str, rule: ColumnRules, tables: Mapping[str, pl.DataFrame]
) -> list[Finding]:
    # Taken by itself and renamed: a column may be called "*", which would mean all of them.
    cells = table[column].alias("penstock cell").to_frame()
    cell = pl.col("penstock cell")
    broken: list[tuple[str, pl.Expr, str]] = []
    if not rule.nullable:
        broken.append(("nullable", cell.is_null(), "are missing, where none was"))
    if rule.unique:
        broken.append(
            ("unique", cell.is_duplicated() & cell.is_not_null(), "come more than once, where each was unique")
        )
    if table.schema[column].is_numeric():
        if rule.min is not None:
            broken.append(("min", cell < rule.min, f"are below {rule.min}"))
        if rule.max is not None:
            broken.append(("max", cell > rule.max, f"are above {rule.max}"))
    if rule.values is not None:
        broken.append(("values", ~cell.cast(pl.String).is_in(rule.values), "are none of the known values"))
    if rule.refers_to:
        other, _, key = rule.refers_to.partition(".")
        if other in tables and key in tables[other].columns:
            strangers = pl.lit(_strangers(table[column], tables[other][key]))
            broken.append(("refers_to", strangers, f"are not in {rule.refers_to}"))
    if not broken:
        return []
    counts = cells.select(made.fill_null(value=False).sum().alias(what) for what, made, _ in broken).row(0)
    found = []
    for (what, made, text), count in zip(broken, counts, strict=True):
        if not count:
            continue
        # A range grows as the world does: that is told, and never stops a run.
        grave = count > rule.tolerance * table.height and what not in ("min", "max")
        level: Level = "error" if grave and rule.level == "error" else "warn"
        some = cells.with_row_index("penstock row").filter(made.fill_null(value=False)).head(_EXAMPLES)
        shown = ", ".join(f"{value!r} in row {row + 1}" for row, value in some.rows())
        found.append(
            Finding(name, column, what, level, count, f"{count} of {table.height} values {text} (first: {shown})")
        )
    return found


def _examples(values: pl.Series) -> str:
    return f" (first: {', '.join(repr(item) for item in values.to_list())})" if values.len() else ""


def stop_for(findings: Sequence[Finding], file: str) -> None:
    """Stop a run whose data break a rule gravely.

    Raises
    ------
    DataError
        Naming every such rule, and what to do.
    """
    grave = [item for item in findings if item.level == "error"]
    if grave:
        told = "\n  ".join(str(item) for item in grave[:10])
        more = f"\n  and {len(grave) - 10} more" if len(grave) > 10 else ""
        raise DataError(
            f"the data are not what {file} expects; nothing was trained:\n  {told}{more}\n"
            "Mend the source; or, if the change is meant, change the file (or delete it to have it inferred anew)."
        )
