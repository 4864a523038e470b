"""What a column of text really holds: numbers, dates, yes/no, or text. Looks at every value, guesses nothing."""

from __future__ import annotations

import polars as pl

from penstock.prepare.operations import Note
from penstock.types.parse import DATE_FORMATS, FALSE, SPACES, TRUE, Kind, Parse

_NEARLY = 0.9
_UNCLEAR = {"%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"}
"""Whether the day or the month stands first is known from a whole column only."""


def infer(frame: pl.DataFrame, leave: set[str]) -> tuple[list[Parse], list[Note]]:
    """Say how the text columns of a table are to be read.

    A column is read as numbers, dates or yes/no only when every cell that is not blank can be.

    Parameters
    ----------
    frame : DataFrame
        The table.
    leave : set of str
        Columns to leave as they are: the target, and those that the author has cast.

    Examples
    --------
    >>> parses, notes = infer(pl.DataFrame({"paid": ["1.5", " "], "city": ["Rome", "Oslo"]}), set())
    >>> parses[0].to, notes[0].text
    ('number', 'numbers as text, read as numbers; 1 blank cells as missing')
    """
    parses, notes = [], []
    for name, kind in frame.schema.items():
        if kind != pl.String or name in leave:
            continue
        counted = frame[name].value_counts(name="penstock count").rename({name: "cell"}).drop_nulls("cell")
        parse, note = _column(name, counted)
        if parse:
            parses.append(parse)
        if note:
            notes.append(note)
    return parses, notes


def _column(name: str, counted: pl.DataFrame) -> tuple[Parse | None, Note | None]:
    stripped = counted["cell"].str.strip_chars(SPACES)
    empty = stripped.str.len_bytes() == 0
    blank = counted.select(Parse("cell", "number").blank()).to_series()
    values = counted.filter(~blank)
    if values.height == 0:
        return None, None
    words = set(values["cell"].str.strip_chars(SPACES).str.to_lowercase())
    n_blank = int(counted.filter(blank)["penstock count"].sum())
    tail = f"; {n_blank} blank cells as missing" if n_blank else ""
    if words <= set(TRUE) | set(FALSE) and words & {"yes", "no", "true", "false"}:
        return Parse(name, "boolean"), Note("prepare", name, n_blank, f"yes/no as text, read as true/false{tail}")
    numbers = values.select(Parse("cell", "number").expression()).to_series()
    share = float(values.filter(numbers.is_not_null())["penstock count"].sum()) / float(values["penstock count"].sum())
    if share == 1:
        return Parse(name, "number"), Note("prepare", name, n_blank, f"numbers as text, read as numbers{tail}")
    form = date_format(values["cell"])
    if form is not None:
        return Parse(name, "date", form), Note("prepare", name, n_blank, f"dates as text ({form}), read as dates{tail}")
    ambiguous = _fits(values["cell"], "%d/%m/%Y") and _fits(values["cell"], "%m/%d/%Y")
    kind: Kind = "text"
    n_empty = int(counted.filter(empty)["penstock count"].sum())
    untrimmed = bool((stripped != counted["cell"]).any())
    parse = Parse(name, kind) if n_empty or untrimmed else None
    if ambiguous:
        return parse, Note(
            "prepare",
            name,
            0,
            'dates with the day or the month first: kept as text; say which with cast(..., format="%d/%m/%Y")',
        )
    if share >= _NEARLY:
        bad = values.filter(numbers.is_null())
        return parse, Note(
            "prepare", name, int(bad["penstock count"].sum()),
            f"nearly all numbers, but kept as text for cells such as {bad['cell'][0]!r}; "
            f'read them as missing with cast("{name}", pl.Float64, invalid="null")',
        )  # fmt: skip
    if n_empty:
        return parse, Note("prepare", name, n_empty, "blank cells read as missing")
    return parse, None


def date_format(cells: pl.Series) -> str | None:
    """Return the one form in which every cell that is not blank is a date, or None.

    Examples
    --------
    >>> date_format(pl.Series(["31/12/2024", "01/02/2024"]))
    '%d/%m/%Y'
    >>> date_format(pl.Series(["01/02/2024"])) is None  # the day or the month first?
    True
    """
    found = [form for form in DATE_FORMATS if _fits(cells, form)]
    if {"%d/%m/%Y", "%m/%d/%Y"} <= set(found) or {"%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"} <= set(found):
        return None
    return found[0] if found else _mixed(cells)


def _mixed(cells: pl.Series) -> str | None:
    """Return several forms that together read every cell, when none of them could be taken for another."""
    clear = [form for form in DATE_FORMATS if form not in _UNCLEAR]
    frame = cells.alias("cell").to_frame()
    rest = frame.filter(~Parse("cell", "date", "").blank() & pl.col("cell").is_not_null()).unique()
    if not rest.height or rest.head(100).select(_read(clear)).to_series().null_count() == min(rest.height, 100):
        return None
    used = []
    for form in clear:
        left = rest.filter(rest.select(_read([form])).to_series().is_null())
        if left.height < rest.height:
            used.append(form)
            rest = left
        if not rest.height:
            return "|".join(used)
    return None


def _read(forms: list[str]) -> pl.Expr:
    return Parse("cell", "date", "|".join(forms)).expression()


def _fits(cells: pl.Series, form: str) -> bool:
    frame = cells.alias("cell").to_frame()
    parse = Parse("cell", "date", form)
    values = frame.filter(~parse.blank() & pl.col("cell").is_not_null())
    if values.height == 0:
        return False
    if values.head(1).select(parse.expression()).to_series().null_count():
        return False
    return values.select(parse.expression()).to_series().null_count() == 0
