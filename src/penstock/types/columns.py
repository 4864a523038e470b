"""Names of columns: as an author writes them in a pipeline, and what is said of one that a table does not have."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from penstock.errors import DataError, InputError

_SHOWN = 30
ROW_NUMBERS = r"row[ _.]?(names?|id|number|nr)|unnamed:? ?0"
"""Columns of whole numbers that are called so, in any case, hold the number of the row in its file."""
OURS = "penstock "
"""What the names of columns that are added on the way begin with."""


def refuse_names(names: Iterable[str]) -> None:
    """Refuse names that Polars takes for a pattern, or that are those of columns added on the way.

    Raises
    ------
    DataError
        For the first of them.

    Examples
    --------
    >>> refuse_names(["a", "^b$"])
    Traceback (most recent call last):
    penstock.errors.DataError: column '^b$': means something else in an expression; give it another name in the source
    """
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")) or name.startswith(OURS):
            raise DataError(
                f"column {name!r}: means something else in an expression; give it another name in the source"
            )


def column_of(who: str, given: object) -> str:
    """Return the name of one column, as an author gave it to `who`.

    Raises
    ------
    InputError
        When it is not a text.

    Examples
    --------
    >>> column_of("ps.features.calendar", "pickup")
    'pickup'
    """
    if not isinstance(given, str):
        raise InputError(f"{who}: takes the name of one column, a text, not {given!r}")
    return given


def columns_of(who: str, *given: object) -> tuple[str, ...]:
    """Return names of columns, whether an author gave them to `who` one by one or in a list.

    Raises
    ------
    InputError
        When one is not a text.

    Examples
    --------
    >>> columns_of("ps.prepare.drop", "a", ["b", "c"])
    ('a', 'b', 'c')
    """
    found: list[str] = []
    for item in given:
        for name in item if isinstance(item, list | tuple) else [item]:
            if not isinstance(name, str):
                raise InputError(f"{who}: takes names of columns, texts, not {name!r}")
            found.append(name)
    return tuple(found)


def need(who: str, names: Iterable[str], there: Collection[str]) -> None:
    """Refuse names that a table does not have, with the nearest that it has.

    Raises
    ------
    DataError
        Naming the first.

    Examples
    --------
    >>> need("ps.prepare.drop", ["aeg"], ["age", "city"])
    Traceback (most recent call last):
    penstock.errors.DataError: ps.prepare.drop: there is no column "aeg". Did you mean "age"? There are: age, city
    """
    for name in names:
        if name not in there:
            shown = [item for item in there if not item.startswith(OURS)]
            more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
            raise DataError(
                f'{who}: there is no column "{name}".{nearest(name, shown)} There are: {", ".join(shown[:_SHOWN])}{more}'
                f"{headless(shown)}"
            )


def headless(there: Collection[str]) -> str:
    """Say what to do where names of columns look like the first row of a file that has no header; nothing where they do not.

    Examples
    --------
    >>> headless(["age", "city"]), headless(["5.1", "3.5", "setosa"])[:23]
    ('', '. These look like a row')
    """
    numbers = sum(name.removeprefix("-").replace(".", "", 1).isdecimal() for name in there)
    if numbers * 2 < len(there) or not numbers:
        return ""
    return ". These look like a row: where the file has no header, name its columns with columns= (penstock init: --columns)"


def nearest(name: str, there: Iterable[str]) -> str:
    """Return a question that names what is written most like `name`, or nothing.

    Examples
    --------
    >>> nearest("aeg", ["age", "city"])
    ' Did you mean "age"?'
    >>> nearest("AGE", ["age", "city"])
    ' Did you mean "age"?'
    >>> nearest("zip", ["age", "city"])
    ''
    """
    spelt = {item.lower(): item for item in there}
    found = difflib.get_close_matches(name.lower(), list(spelt), 1)
    return f' Did you mean "{spelt[found[0]]}"?' if found else ""
