"""What a column of text really holds: numbers, dates, yes/no, or text. Looks at every value, guesses nothing.

What was seen in the parts of a table is put together, so that no more than one part is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

import polars as pl

from penstock.prepare.epochs import Numbers, decide_numbers, is_named_so, look_at_numbers
from penstock.prepare.operations import Note
from penstock.types.cells import SPACES
from penstock.types.dates import DATE_FORMATS, other_order, shape
from penstock.types.numbers import CLOCKS, MAGNITUDES, OR_MORE, SIGNS, unit_among, units_of
from penstock.types.parse import FALSE, TRUE, Parse

_NEARLY = 0.9
_EXACT = 2.0**53
_WHOLE = rf"^[{SPACES}]*[+-]?[0-9]+[{SPACES}]*$"
_UNCLEAR = {form for form in DATE_FORMATS if other_order(form) != form and other_order(form) in DATE_FORMATS}
"""Whether the day or the month stands first is known from a whole column only."""
_CLEAR = [form for form in DATE_FORMATS if form not in _UNCLEAR]
_LIKELY = rf"^[{SIGNS}]*[{SPACES}]*[-+(\u2212]*[{SIGNS}]*[{SPACES}]*\.?[0-9]"
_EITHER = r"^(?:[^.,]*|[^.,0-9]*[0-9]{1,3}(?:[.][0-9]{3})+(?:,[0-9]*)?|[^.,]*,[0-9]*)$"
"""Numbers that are some as well if it is the comma that stands before the fraction."""
_LONGEST, _UNITS, _PARTED = 40, 6, 3


def infer(frame: pl.DataFrame, leave: set[str], time: str | None = None) -> tuple[list[Parse], list[Note]]:
    """Say how the text columns of a table are to be read, and which numbers are dates.

    A column is read as numbers, dates or yes/no only when every cell that is not blank can be.

    Parameters
    ----------
    frame : DataFrame
        The table.
    leave : set of str
        Columns to leave as they are: the target, and those that the author has cast.
    time : str, optional
        The column that says when each row happened.

    Examples
    --------
    >>> parses, notes = infer(pl.DataFrame({"paid": ["1.5", " "], "city": ["Rome", "Oslo"]}), set())
    >>> parses[0].to, notes[0].text
    ('number', 'numbers as text, read as numbers; 1 blank cells as missing')
    """
    return infer_parts([frame], leave, time)


def infer_parts(
    frames: Iterable[pl.DataFrame], leave: set[str], time: str | None = None, amounts: str | None = None
) -> tuple[list[Parse], list[Note]]:
    """Say how the columns of a table in parts are to be read; see :func:`infer`.

    The column `amounts` is one of numbers, the target of a regression: its text is read as numbers, or left as it is.
    """
    seen: dict[str, Look] = {}
    numbers: dict[str, Numbers] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            if name in leave and not (name == amounts and kind == pl.String):
                continue
            if kind == pl.String:
                found = look_at(frame[name])
                seen[name] = seen[name].with_more(found) if name in seen else found
            elif is_named_so(name, kind, time):
                counted = look_at_numbers(frame[name])
                numbers[name] = numbers[name].with_more(counted) if name in numbers else counted
    parses, notes = [], []
    for name, counted in numbers.items():
        if (dates := decide_numbers(name, counted, time)) is not None:
            parses.append(dates[0])
            notes.append(dates[1])
    for name, look in seen.items():
        parse, note = _decide(name, look)
        if name == amounts and (parse is None or parse.to != "number"):
            continue
        if parse:
            parses.append(parse)
        if note:
            notes.append(note)
    return parses, notes


@dataclass(frozen=True)
class Look:
    """What was seen in cells of text; looks at several parts make one.

    Attributes
    ----------
    values, blank, empty : int
        Cells that say something, that stand for a missing value, and that hold nothing but spaces.
    untrimmed : bool
        Whether some begin or end with spaces.
    yes_no, said : bool
        Whether all are words for yes or no, and some is more than a letter or a digit.
    numbers : int
        Cells that are numbers.
    odd : str, optional
        One that is not, the first by its letters.
    points, commas : list of str, optional
        What follows the numbers, where all are some with a point, or a comma, before the fraction; None where not.
    parted : int
        Cells with a comma or a point in them.
    long : str, optional
        A whole number of more digits than a float holds: as floats, different ones would be one.
    dates : DateLook
        Their forms as dates.
    """

    values: int
    blank: int
    empty: int
    untrimmed: bool
    yes_no: bool
    said: bool
    numbers: int
    odd: str | None
    points: list[str] | None
    commas: list[str] | None
    parted: int
    long: str | None
    dates: DateLook

    def with_more(self, other: Look) -> Look:
        """Put two looks together."""
        return Look(
            self.values + other.values,
            self.blank + other.blank,
            self.empty + other.empty,
            self.untrimmed or other.untrimmed,
            self.yes_no and other.yes_no,
            self.said or other.said,
            self.numbers + other.numbers,
            _first(self.odd, other.odd),
            _both(self.points, other.points),
            _both(self.commas, other.commas),
            self.parted + other.parted,
            _first(self.long, other.long),
            self.dates.with_more(other.dates),
        )


@dataclass(frozen=True)
class DateLook:
    """In which forms cells are dates.

    Attributes
    ----------
    any : bool
        Whether there is a cell that is not blank.
    forms : tuple of str
        Those in which every cell is one.
    mixed : tuple of str, optional
        Those that together read every cell; None when they do not. None of them could be taken for another.
    seasons : bool
        Whether all look like a year and a month, and may as well be two years that follow one another, such as 2010-11.
    """

    any: bool
    forms: tuple[str, ...]
    mixed: tuple[str, ...] | None
    seasons: bool = False

    def with_more(self, other: DateLook) -> DateLook:
        """Put two looks together."""
        if not (self.any and other.any):
            return self if self.any else other
        forms = tuple(form for form in self.forms if form in other.forms)
        seasons = self.seasons and other.seasons
        if self.mixed is None or other.mixed is None:
            return DateLook(True, forms, None, seasons)
        mixed = tuple(form for form in _CLEAR if form in self.mixed or form in other.mixed)
        return DateLook(True, forms, mixed, seasons)

    def form(self) -> str | None:
        """Return the one form of all cells, or several forms separated by ``|``, or None."""
        if self.ambiguous or self.seasons:
            return None
        if self.forms:
            return self.forms[0]
        return "|".join(self.mixed) if self.mixed else None

    @property
    def ambiguous(self) -> bool:
        """Whether the day or the month may stand first."""
        return any(form in _UNCLEAR and other_order(form) in self.forms for form in self.forms)


def look_at(cells: pl.Series) -> Look:
    """Look at a column of text, each different cell once."""
    counted = cells.value_counts(name="penstock count").rename({cells.name: "cell"}).drop_nulls("cell")
    stripped = counted["cell"].str.strip_chars(SPACES)
    empty = stripped.str.len_bytes() == 0
    blank = counted.select(Parse("cell", "number").blank()).to_series()
    values = counted.filter(~blank)
    texts = stripped.filter(~blank)
    # Most text is words: only what begins like a number is asked whether it is one.
    begins = texts.str.contains(_LIKELY)
    likely = values.filter(begins)
    read = Parse("cell", "number").expression() if likely.height else pl.lit(None, pl.Float64)
    numbers = likely.select(read).to_series()
    odd = pl.concat([texts.filter(~begins), texts.filter(begins).filter(numbers.is_null())])
    words = texts.str.to_lowercase()
    long = likely.filter(numbers.abs() >= _EXACT)["cell"]
    long = long.filter(long.str.contains(_WHOLE))
    return Look(
        values=int(values["penstock count"].sum()),
        blank=int(counted.filter(blank)["penstock count"].sum()),
        empty=int(counted.filter(empty)["penstock count"].sum()),
        untrimmed=bool((stripped != counted["cell"]).any()),
        yes_no=bool(words.is_in([*TRUE, *FALSE]).all()),
        said=bool(words.is_in(["yes", "no", "true", "false"]).any()),
        numbers=int(likely.filter(numbers.is_not_null())["penstock count"].sum()),
        odd=odd.min(),  # type: ignore[arg-type]
        points=[""][: texts.len()] if not odd.len() else _units(texts, odd, ".") if begins.all() else None,
        commas=_commas(texts, odd) if begins.all() else None,
        parted=int(values.filter(texts.str.contains("[.,]"))["penstock count"].sum()),
        long=long.min(),  # type: ignore[arg-type]
        dates=_dates(values["cell"]) if odd.len() else DateLook(values.height > 0, (), None),
    )


def _units(texts: pl.Series, doubtful: pl.Series, decimal: str) -> list[str] | None:
    """Return what follows numbers; a doubtful one is looked at first, for most columns of text are words."""
    found = units_of(doubtful.head(1), decimal) and units_of(texts, decimal)
    return found if found is None or len(found) <= _UNITS else None


def _commas(texts: pl.Series, odd: pl.Series) -> list[str] | None:
    """Return what follows numbers with a comma before the fraction; of those that may have a point too, whether they may have one."""
    if odd.len():
        return _units(texts, odd, ",")
    return [""][: texts.len()] if texts.str.contains(_EITHER).all() else None


def _both(one: list[str] | None, other: list[str] | None) -> list[str] | None:
    return None if one is None or other is None else sorted({*one, *other})


def _first(one: str | None, other: str | None) -> str | None:
    return min((text for text in (one, other) if text is not None), default=None)


def _written(name: str, look: Look) -> tuple[Parse, str] | None:
    """Return how numbers are read that have a comma before the fraction, or a unit behind, and what to say of it."""
    if look.values == 0:
        return None
    if look.commas == [""]:
        return Parse(name, "number", decimal=","), " with a comma before the fraction"
    for decimal, units in ((".", look.points), (",", look.commas)):
        unit = unit_among(units)
        if unit is not None:
            what = (
                " with K, M and B for thousands, millions and billions" if unit == MAGNITUDES
                else " with + behind what is so much or more" if unit == OR_MORE
                else f" of the form {unit}" if unit in CLOCKS
                else f" with the unit {unit}"
            )  # fmt: skip
            comma = ", a comma before the fraction" if decimal == "," else ""
            return Parse(name, "number", decimal=decimal, unit=unit), what + comma
    return None


def _decide(name: str, look: Look) -> tuple[Parse | None, Note | None]:
    if look.values == 0:
        return None, None
    tail = f"; {look.blank} blank cells as missing" if look.blank else ""
    kept = Parse(name, "text") if look.empty or look.untrimmed else None
    if look.yes_no and look.said:
        return Parse(name, "boolean"), Note("prepare", name, look.blank, f"yes/no as text, read as true/false{tail}")
    if look.numbers == look.values and look.long is not None:
        return kept, Note(
            "prepare", name, 0,
            f"numbers as text, kept as text for cells such as {look.long!r}: of so many digits, different ones would be one "
            f'number; if they are amounts, not names, read them with cast("{name}", pl.Float64)',
            unclear=True,
        )  # fmt: skip
    if look.numbers == look.values:
        return Parse(name, "number"), Note("prepare", name, look.blank, f"numbers as text, read as numbers{tail}")
    if look.commas == [""] and look.values > look.parted * _PARTED:
        return kept, Note(
            "prepare", name, look.parted,
            "numbers, a few with a comma: kept as text, for they may be several in one cell; if it stands before a fraction, "
            f'say cast("{name}", pl.Float64, decimal=",")',
            unclear=True,
        )  # fmt: skip
    if (found := _written(name, look)) is not None:
        return found[0], Note("prepare", name, look.blank, f"numbers as text{found[1]}, read as numbers{tail}")
    form = look.dates.form()
    if form is not None:
        text = f"dates as text ({form}), read as dates{tail}"
        return Parse(name, "date", form), Note("prepare", name, look.blank, text)
    if look.dates.ambiguous:
        return kept, Note(
            "prepare", name, 0,
            'dates with the day or the month first: kept as text; say which with cast(..., format="%d/%m/%Y")',
            unclear=True,
        )  # fmt: skip
    if look.numbers >= _NEARLY * look.values:
        return kept, Note(
            "prepare", name, look.values - look.numbers,
            f"nearly all numbers, but kept as text for cells such as {look.odd!r}; "
            f'read them as missing with cast("{name}", pl.Float64, invalid="null")',
            unclear=True,
        )  # fmt: skip
    if look.empty:
        return kept, Note("prepare", name, look.empty, "blank cells read as missing")
    return kept, None


def date_format(cells: pl.Series) -> str | None:
    """Return the one form in which every cell that is not blank is a date, or None.

    Examples
    --------
    >>> date_format(pl.Series(["31/12/2024", "01/02/2024"]))
    '%d/%m/%Y'
    >>> date_format(pl.Series(["01/02/2024"])) is None  # the day or the month first?
    True
    """
    return date_format_of_parts([cells])


def date_format_of_parts(parts: Iterable[pl.Series]) -> str | None:
    """Return the form of dates of a column in parts; see :func:`date_format`."""
    looks = (_dates(cells.cast(pl.String)) for cells in parts)
    return reduce(DateLook.with_more, looks, DateLook(False, (), None)).form()


def _dates(cells: pl.Series) -> DateLook:
    frame = cells.alias("cell").to_frame()
    rest = frame.filter(~Parse("cell", "date", "").blank() & pl.col("cell").is_not_null()).unique(maintain_order=True)
    if not rest.height:
        return DateLook(False, (), None)
    forms = tuple(form for form in _alike(rest) if _fits(rest, form))
    seasons = forms in (("%Y-%m",), ("%Y/%m",)) and all(map(_is_season, rest["cell"].to_list()))
    made = DateLook(True, forms, None, seasons)
    used: set[str] = set()
    while rest.height:
        before = rest.height
        # Whatever cell comes first, each is read by the first form that can: one without a fraction before one that may have it.
        alike = {form.replace("%.f", "") for form in _alike(rest)} | {*_alike(rest)}
        for form in (form for form in _CLEAR if form in alike):
            left = rest.filter(rest.select(Parse("cell", "date", form).expression()).to_series().is_null())
            used |= {form} if left.height < rest.height else set()
            rest = left
        if rest.height == before:
            return made
    return replace(made, mixed=tuple(form for form in _CLEAR if form in used))


def _alike(cells: pl.DataFrame) -> list[str]:
    """Return the forms that the first cell looks like, without asking Polars for each of all."""
    text = cells["cell"][0].strip(SPACES) if cells.height else ""
    if len(text) > _LONGEST or not any(map(str.isdigit, text)):
        return []
    return [form for form in DATE_FORMATS if _shape(form).fullmatch(text)]


def _shape(form: str) -> re.Pattern[str]:
    found = shape(form)
    assert found is not None
    return found


def _fits(values: pl.DataFrame, form: str) -> bool:
    return values.select(Parse("cell", "date", form).expression()).to_series().null_count() == 0


def _is_season(text: str) -> bool:
    """Whether a cell names two years that follow one another, such as 2010-11, and no month."""
    text = text.strip(SPACES)
    return text[2:4].isdecimal() and text[5:].isdecimal() and (int(text[2:4]) + 1) % 100 == int(text[5:])
