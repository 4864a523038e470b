"""Which rows a JSON value holds, however it was written: in files, in answers of an API, in requests."""

from __future__ import annotations

from typing import Any


def rows_in(found: Any) -> list[Any] | dict[str, list[Any]] | None:
    """Return the rows, or the columns, that a JSON value holds; None where it is unclear which they are.

    Parameters
    ----------
    found : object
        A list of objects; a list of lists, the first of which names columns; columns of equal length, as lists or, as
        ``pandas.DataFrame.to_json`` writes them, under the numbers of their rows; what it writes with ``orient="split"``
        or ``"index"``; or an object with one list in it.

    Examples
    --------
    >>> rows_in({"count": 1, "items": [{"size": 3}]})
    [{'size': 3}]
    >>> rows_in([["size", "rooms"], [3, 1], [5, 2]])
    [{'size': 3, 'rooms': 1}, {'size': 5, 'rooms': 2}]
    >>> rows_in({"size": {"0": 3, "1": 5}, "rooms": {"0": 1, "1": 2}})
    {'size': [3, 5], 'rooms': [1, 2]}
    >>> rows_in({"columns": ["size"], "index": [0, 1], "data": [[3], [5]]})
    [{'size': 3}, {'size': 5}]
    """
    if isinstance(found, list):
        named = found and isinstance(found[0], list) and _named(found[0], found[1:])
        return named or (found if all(isinstance(row, dict) for row in found) else None)
    if not isinstance(found, dict):
        return None
    names, data = found.get("columns"), found.get("data")
    if isinstance(names, list) and isinstance(data, list) and (named := _named(names, data)):
        return named
    if _are_columns(found):
        return found
    if _are_numbered(found):
        inner = list(next(iter(found.values())))
        if all(name.isdecimal() for name in inner):
            return {name: list(cells.values()) for name, cells in found.items()}
        if all(name.isdecimal() for name in found):
            return list(found.values())
    lists = [value for value in found.values() if isinstance(value, list)]
    return rows_in(lists[0]) if len(lists) == 1 else None


def _named(names: list[Any], rows: list[Any]) -> list[dict[str, Any]] | None:
    """Rows without names under those given, when each has as many cells."""
    if not rows or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _are_columns(found: dict[str, Any]) -> bool:
    """Whether an object holds a table by its columns: several lists of plain values, all of one length."""
    return (
        len(found) > 1
        and all(isinstance(value, list) for value in found.values())
        and len({len(value) for value in found.values()}) == 1
        and not any(isinstance(cell, dict | list) for value in found.values() for cell in value[:1])
    )


def _are_numbered(found: dict[str, Any]) -> bool:
    """Whether an object holds objects of plain values that all have the same names."""
    inner = list(found.values())
    return (
        bool(inner)
        and all(isinstance(cells, dict) and cells for cells in inner)
        and all(cells.keys() == inner[0].keys() for cells in inner)
        and not any(isinstance(cell, dict | list) for cells in inner for cell in cells.values())
    )
