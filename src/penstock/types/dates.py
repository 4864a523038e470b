"""The forms in which people and programs write dates, and reading one cell as Polars reads a column."""

from __future__ import annotations

import datetime as dt
import functools
import math
import re

_DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%d %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y", "%d-%B-%y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S%.f", " %I:%M:%S %p", " %I:%M %p", " %I:%M%p")
_ISO = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f")
_ZONED = tuple(
    f"%Y-%m-%d{between}%H:%M{rest}{zone}"
    for between in "T "
    for rest in (":%S", ":%S%.f", "")
    for zone in ("%#z", " %#z", " UTC")
)
_OTHERS = (
    "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S%#z", "%Y%m%dT%H%M%S%.f%#z", "%Y%m%d %H:%M:%S", "%d/%B/%Y:%H:%M:%S %#z", "%a %B %d %H:%M:%S %#z %Y", "%a %B %d %H:%M:%S %Y",
    "%a, %d %B %Y %H:%M:%S GMT", "%a, %d %B %Y %H:%M:%S %#z",
    "%A, %B %d, %Y", "%A, %d %B %Y", "%Y-%m", "%Y/%m", "%m/%Y", "%B %Y", "%B-%y", "%B-%Y", "%Y-%B", "%Y %B",
    "%Y-Q%q", "%YQ%q", "%Y Q%q", "%Yq%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y",
    "%G-W%V", "%GW%V", "%G W%V", "W%V %G", "W%V-%G", "%G-W%V-%u", "%GW%V%u",
)  # fmt: skip
DATE_FORMATS = (*(day + clock for day in _DAYS for clock in _CLOCKS), *_ISO, *_ZONED, *_OTHERS)
"""In the notation of ``strftime`` as Polars extends it; ``%B`` reads names of months, short ones too, ``%q`` quarters, and a week without
its day is its Monday."""
YEAR_FIRST = "|".join(
    (
        "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z",
        *(f"%Y{sign}%m{sign}%d{clock}" for sign in "/." for clock in ("", " %H:%M:%S%.f", " %H:%M", "T%H:%M:%S%.f", "T%H:%M")),
    )
)  # fmt: skip
"""Forms, separated by ``|``, of ISO 8601 and its like: in these a date may always come, whatever form it had at training."""
_MOMENTS = r"(?<!candi)(?<!man)(?<!up)(?<!vali)date|time|stamp|day|when|created|updated|modified|pickup|moment|start|period|epoch|unix|(?:^|_)ts"
TIME_NAMES = re.compile(rf"(?i){_MOMENTS}|_at$|year|quarter|month|week")
"""What columns of dates that say when a row happened are called."""
COUNTED_NAMES = re.compile(rf"(?i)(?:{_MOMENTS}|_at|(?-i:[a-z]At))(?:_?(?:ms|s|us|ns|utc|sec|seconds|millis|key|id))?$")
"""What they are called where they hold numbers: such a word at the end, for a ``day_sum`` is an amount."""
LEAST_YEAR = 100
"""Earlier years are two digits that a form with four has read."""
LAST_OF_TWO_DIGITS = 2049
"""Years of two digits are of 1950 to 2049, as Windows and SQL Server have it: data tell of the past more than of what is far ahead."""
EPOCH, _MICROSECOND = dt.datetime(1970, 1, 1), dt.timedelta(microseconds=1)
EPOCHS = {"s since 1970": 1e6, "ms since 1970": 1e3, "us since 1970": 1.0, "ns since 1970": 1e-3}
"""Forms of dates that are numbers, of UTC, and how many microseconds one of their units has."""
EPOCH_SHAPE = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
MOST_MICROSECONDS = 62_000_000_000_000_000
"""How far from 1970 such a date may be: the years 6 to 3934."""
_SHAPES = {
    "%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})", "%m": r"(?P<m>\d{1,2}+)", "%d": r"(?P<d>\d{1,2}+)",
    "%B": r"(?P<B>[A-Za-z]{3,9})", "%b": r"(?P<B>[A-Za-z]{3})", "%a": "(?P<a>[A-Za-z]{3})", "%A": "(?P<a>[A-Za-z]{3,9})", "%H": r"(?P<H>\d{1,2}+)",
    "%I": r"(?P<I>\d{1,2}+)", "%M": r"(?P<M>\d{1,2}+)", "%S": r"(?P<S>\d{1,2}+)", "%p": "(?P<p>[AaPp])[Mm]",
    "%.f": r"(?:\.(?P<f>\d{1,9}))?", "%#z": r"(?P<z>[zZ]|[+-]\d{2}(?::?\d{2})?)", "%:z": r"(?P<z>[+-]\d{2}:?\d{2})",
    "%z": r"(?P<z>[+-]\d{2}:?\d{2})", "%q": "(?P<q>[1-4])",
    "%G": r"(?P<G>\d{4})", "%V": r"(?P<V>\d{1,2}+)", "%u": "(?P<u>[1-7])",
}  # fmt: skip
"""Digits are taken as Polars takes them: two where there are two, and never given back."""
_year_first = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[T ](\d{1,2})(:.+))?", re.ASCII)
_epoch = re.compile(EPOCH_SHAPE)
_token = re.compile(r"%(?:[#:]z|\.f|[A-Za-z])")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = {name[:size]: at for at, name in enumerate(_MONTHS, 1) for size in (3, len(name))}


def as_iso(text: str) -> str:
    """Write a date that begins with the year as ISO 8601 has it: with hyphens, and two digits each; others as they are.

    Examples
    --------
    >>> as_iso("2010/1/31 3:05"), as_iso("2010.12.31"), as_iso("31.12.2010")
    ('2010-01-31T03:05', '2010-12-31', '31.12.2010')
    """
    found = _year_first.fullmatch(text)
    if found is None:
        return text
    year, _, month, day, hour, rest = found.groups()
    return f"{year}-{month:0>2}-{day:0>2}" + ("" if hour is None else f"T{hour:0>2}{rest}")


def is_zoned(form: str) -> bool:
    """Whether cells of this form say how far from UTC they are."""
    return any(word in form for word in ("%#z", "%:z", "%z"))


def has_clock(form: str) -> bool:
    """Whether cells of this form say the hour."""
    return "%H" in form or "%I" in form


def other_order(form: str) -> str:
    """Return the form with day and month in each other's place.

    Examples
    --------
    >>> other_order("%d/%m/%Y")
    '%m/%d/%Y'
    """
    return form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")


@functools.cache
def shape(form: str) -> re.Pattern[str] | None:
    """Return what cells of a form look like, its parts by their letters; None where it has parts that are not known here."""
    found, at = "", 0
    for part in _token.finditer(form):
        if part[0] not in _SHAPES:
            return None
        found += re.escape(form[at : part.start()]) + _SHAPES[part[0]]
        at = part.end()
    return re.compile(found + re.escape(form[at:]), re.ASCII)


def read_moment(text: str, form: str) -> dt.datetime | None:
    """Read one cell as UTC without zone; None where it is not of the form.

    Examples
    --------
    >>> read_moment("1/31/2019 3:05:00 PM", "%m/%d/%Y %I:%M:%S %p")
    datetime.datetime(2019, 1, 31, 15, 5)
    >>> read_moment("1548947100500", "ms since 1970")
    datetime.datetime(2019, 1, 31, 15, 5, 0, 500000)
    """
    if form in EPOCHS:
        return _read_epoch(text, EPOCHS[form])
    pattern = shape(form)
    found = None if pattern is None else pattern.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    if "G" in parts:
        return _week(int(parts["G"]), int(parts["V"]), int(parts.get("u") or 1))
    if not parts.keys() & {"Y", "y"}:
        return None
    year = int(parts["Y"]) if "Y" in parts else 2000 + int(parts["y"])
    if "Y" not in parts and year > LAST_OF_TWO_DIGITS:
        year -= 100
    month = (
        _NUMBERS.get(parts["B"].lower(), 0) if "B" in parts
        else 3 * int(parts["q"]) - 2 if "q" in parts
        else int(parts["m"])
    )  # fmt: skip
    hour = int(parts.get("H") or 0)
    if "I" in parts:
        if not 1 <= int(parts["I"]) <= 12:
            return None
        hour = int(parts["I"]) % 12 + 12 * (parts["p"].lower() == "p")
    fraction = int((parts.get("f") or "0").ljust(6, "0")[:6])
    day, minute, second = (int(parts.get(name) or start) for name, start in (("d", 1), ("M", 0), ("S", 0)))
    try:
        moment = dt.datetime(year, month, day, hour, minute, second, fraction)
    except ValueError:
        return None
    named = (parts.get("a") or "").lower()
    if named and named not in (_WEEKDAYS[moment.weekday()], _WEEKDAYS[moment.weekday()][:3]):
        return None
    zone = parts.get("z") or "Z"
    if zone not in "zZ":
        away = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]) if len(zone) > 3 else 0)
        moment -= away if zone[0] == "+" else -away
    return moment if year >= LEAST_YEAR else None


def _week(year: int, week: int, day: int) -> dt.datetime | None:
    try:
        return dt.datetime.fromisocalendar(year, week, day) if year >= LEAST_YEAR else None
    except ValueError:
        return None


def microseconds(moment: dt.datetime) -> int:
    """Return how many there were since 1970, as Polars counts them.

    Examples
    --------
    >>> microseconds(dt.datetime(1970, 1, 2))
    86400000000
    """
    return (moment - EPOCH) // _MICROSECOND


def number_of(moment: dt.datetime, form: str) -> float:
    """Write a moment as the number that :func:`read_moment` reads, in the first of several forms.

    Examples
    --------
    >>> number_of(dt.datetime(2024, 1, 31), "ms since 1970"), number_of(dt.datetime(2024, 1, 31), "%Y%m%d|%Y")
    (1706659200000, 20240131)
    """
    first = form.partition("|")[0]
    if first in EPOCHS:
        return round(microseconds(moment) / EPOCHS[first])
    number = float(moment.strftime(first))
    return int(number) if number.is_integer() else number


def _read_epoch(text: str, unit: float) -> dt.datetime | None:
    if _epoch.fullmatch(text) is None:
        return None
    count = float(text) * unit
    return EPOCH + dt.timedelta(microseconds=math.floor(count + 0.5)) if abs(count) <= MOST_MICROSECONDS else None
