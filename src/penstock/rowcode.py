"""One function for a whole row: the source of a plain Python function, written for a model and compiled once.

A call a column and a dict of the row's values would cost more than the trees. The function takes only what is as
expected and raises for all else, whatever the error: then the slower way is asked, which says what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.features.encoders import Boolean, Category, Number
from penstock.features.encoding import Encoder
from penstock.inputs import InputColumn, text_or_none
from penstock.types.numbers import read_number
from penstock.types.parse import FALSE, TRUE

RowReader = Callable[[Mapping[str, Any]], list[float]]


class Cell(NamedTuple):
    """How one cell of a row is read.

    Attributes
    ----------
    column : InputColumn
        Its raw column.
    now : str
        Its prepared name.
    reader : callable
        Reads it, whatever it is.
    """

    column: InputColumn
    now: str
    reader: Callable[[Any], Any]


def compile_row(
    cells: Sequence[Cell],
    others: Collection[str],
    encoders: Sequence[Encoder],
    change: Callable[[dict[str, Any]], None] | None = None,
    needed: Collection[str] = (),
    changed: Collection[str] = (),
) -> RowReader:
    """Return a function from a raw row to the numbers that the learner sees.

    Parameters
    ----------
    cells : sequence of Cell
        What is looked at.
    others : collection of str
        Raw columns that a row may carry too.
    encoders : sequence
        Of the prepared columns and features, in order.
    change : callable, optional
        Repairs prepared values and adds features to them.
    needed, changed : collection of str
        What it looks at, and what it writes.
    """
    names: dict[str, Any] = {"NAN": float("nan"), "KNOWN": {*others, *(cell.column.name for cell in cells)}}
    place = {cell.now: f"p{number}" for number, cell in enumerate(cells)}
    lines = ["def read(row):", "    if not row.keys() <= KNOWN: raise KeyError"]
    for number, cell in enumerate(cells):
        lines += [f"    v = row[{cell.column.name!r}]", f"    p{number} = {_reading(number, cell, names)}"]
    if change is not None:
        names["CHANGE"] = change
        values = ", ".join(f"{name!r}: {place[name]}" for name in needed if name in place)
        lines += [f"    values = {{{values}}}", "    CHANGE(values)"]
    lines.append("    out = []")
    for number, encoder in enumerate(encoders):
        source = f"values[{encoder.column!r}]" if encoder.column in changed else place[encoder.column]
        lines += [f"    {line}" for line in _encoding(number, encoder, source, names)]
    lines.append("    return out")
    exec(compile("\n".join(lines), "<row of a model>", "exec"), names)  # noqa: S102 - names of columns are written by repr
    read: RowReader = names["read"]
    return read


def _reading(number: int, cell: Cell, names: dict[str, Any]) -> str:
    """Write how a cell is read: the usual types here, all others by its reader."""
    names[f"R{number}"] = cell.reader
    kind, reads = cell.column.type, cell.column.reads
    slow = f"R{number}(v)"
    if reads == "number" or kind in ("integer", "number"):
        # Only where its text is not read in a way of its own: the reader of a JSON number gives the number.
        whole = "float(v)" if reads == "number" else "v"
        # Digits and a point are a number however numbers are written: the rules of a table's text are slower.
        plain = "float(v) if v.__class__ is str and v.isascii() and v.replace('.', '', 1).isdecimal() else "
        text = plain if cell.reader is read_number else ""
        return f"v if v.__class__ is float and v - v == 0.0 else {whole} if v.__class__ is int else {text}{slow}"
    if reads == "boolean":
        words = {word for known in (TRUE, FALSE) for word in known}
        names[f"W{number}"] = _words(cell.reader, {*words, *(word.title() for word in words), *map(str.upper, words)})
        return f"W{number}[v] if v.__class__ is str and v in W{number} else {slow}"
    return f"v if v.__class__ is str else {slow}" if cell.reader is text_or_none else slow


def _words(reader: Callable[[Any], Any], words: Collection[str]) -> dict[str, Any]:
    """Read each word once."""
    found = {}
    for word in words:
        try:
            found[word] = reader(word)
        except (ValueError, TypeError):
            continue
    return found


def _encoding(number: int, encoder: Encoder, source: str, names: dict[str, Any]) -> list[str]:
    """Write how a prepared value becomes numbers: the usual encoders here, all others by their own function."""
    if isinstance(encoder, Number):
        return [f"p = {source}", "out.append(NAN if p is None else float(p))"]
    if isinstance(encoder, Boolean):
        return [f"p = {source}", "out.append(NAN if p is None else 1.0 if p else 0.0)"]
    if isinstance(encoder, Category) and not encoder.counts:
        codes: dict[Any, float] = {level: float(code) for code, level in enumerate(encoder.levels)}
        names[f"C{number}"] = {**codes, None: float("nan")}
        return [f"out.append(C{number}.get({source}, {float(len(encoder.levels))!r}))"]
    names[f"E{number}"] = encoder.row()
    return [f"E{number}({source}, out)"]
