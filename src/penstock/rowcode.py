"""One function for a whole row: the source of a plain Python function, written for a model and compiled once.

A call a column and a dict of the row's values would cost more than the trees. The function takes only what is as
expected and raises for all else, whatever the error: then the slower way is asked, which says what is wrong and where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.features.encoders import Boolean, Category, Number
from penstock.features.encoding import Encoder
from penstock.inputs import InputColumn
from penstock.types.numbers import read_number
from penstock.types.parse import FALSE, TRUE
from penstock.types.reading import text_or_none

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
    place = {cell.now: number for number, cell in enumerate(cells)}
    uses = Counter(encoder.column for encoder in encoders)
    direct = {
        encoder.column: source
        for number, encoder in enumerate(encoders)
        if encoder.column not in {*needed, *changed} and uses[encoder.column] == 1
        and (source := _at_once(number, cells[place[encoder.column]], encoder, names)) is not None
    }  # fmt: skip
    # Each cell is looked up below: a row of as many holds no others.
    lines = ["def read(row):", f"    if len(row) != {len(cells)} and not row.keys() <= KNOWN: raise KeyError"]
    for number, cell in enumerate(cells):
        if cell.now not in direct:
            lines += [f"    v = row[{cell.column.name!r}]", f"    p{number} = {_reading(number, cell, names)}"]
    if change is not None:
        names["CHANGE"] = change
        values = ", ".join(f"{name!r}: p{place[name]}" for name in needed if name in place)
        lines += [f"    values = {{{values}}}", "    CHANGE(values)"]
    plain: list[str] = []
    gathered = False
    for number, encoder in enumerate(encoders):
        source = f"values[{encoder.column!r}]" if encoder.column in changed else f"p{place[encoder.column]}"
        if encoder.column in direct:
            plain.append(direct[encoder.column])
        elif (simple := _encoding(number, encoder, source, names)) is not None:
            plain.append(simple)
        else:
            names[f"E{number}"] = encoder.row()
            lines += [f"    out {'+' * gathered}= [{', '.join(plain)}]", f"    E{number}({source}, out)"]
            plain, gathered = [], True
    lines.append(f"    return {'out + ' * gathered}[{', '.join(plain)}]")
    exec(compile("\n".join(lines), "<row of a model>", "exec"), names)  # noqa: S102 - names of columns are written by repr
    read: RowReader = names["read"]
    return read


def _reading(number: int, cell: Cell, names: dict[str, Any]) -> str:
    """Write how a cell is read: the usual types here, all others by its reader."""
    names[f"R{number}"] = cell.reader
    slow = f"R{number}(v)"
    if _numeric(cell):
        # Only where its text is not read in a way of its own: the reader of a JSON number gives the number.
        return _as_number(cell, "v", "float(v)" if cell.column.reads == "number" else "v", slow)
    if cell.column.reads == "boolean":
        names[f"W{number}"] = _words(cell.reader)
        return f"W{number}[v] if v in W{number} else {slow}"
    return f"v or None if v.__class__ is str else {slow}" if cell.reader is text_or_none else slow


def _at_once(number: int, cell: Cell, encoder: Encoder, names: dict[str, Any]) -> str | None:
    """Write how a cell becomes a number that nothing else looks at, in one expression; None where it takes more."""
    cell_of, slow = f"(v := row[{cell.column.name!r}])", f"Q{number}(v)"
    if isinstance(encoder, Number) and _numeric(cell):
        names[f"Q{number}"] = lambda value: _number(cell.reader(value))
        return _as_number(cell, cell_of, "float(v)", slow)
    if isinstance(encoder, Boolean) and cell.column.reads == "boolean":
        names[f"Q{number}"] = lambda value: _number(cell.reader(value))
        names[f"D{number}"] = {word: _number(value) for word, value in _words(cell.reader).items()}
        return f"D{number}[v] if {cell_of} in D{number} else {slow}"
    if isinstance(encoder, Category) and not encoder.counts and cell.reader is text_or_none:
        codes, unseen = _codes(encoder), float(len(encoder.levels))
        names[f"Q{number}"] = lambda value: codes.get(text_or_none(value), unseen)
        names[f"D{number}"] = codes | {"": codes.get(None, unseen)}
        return f"D{number}[v] if {cell_of} in D{number} else {unseen!r} if v.__class__ is str else {slow}"
    return None


def _numeric(cell: Cell) -> bool:
    return cell.column.reads == "number" or cell.column.type in ("integer", "number")


def _as_number(cell: Cell, source: str, whole: str, slow: str) -> str:
    """Write how a cell of a number is read; `source` is what gives it, and calls it ``v``."""
    # Digits and a point are a number however numbers are written: the rules of a table's text are slower.
    text = "float(v) if v.__class__ is str and v.isascii() and v.replace('.', '', 1).isdecimal() else "
    digits = text if cell.reader is read_number else ""
    return f"v if {source}.__class__ is float and v - v == 0.0 else {whole} if v.__class__ is int else {digits}{slow}"


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _codes(encoder: Category) -> dict[Any, float]:
    return {**{level: float(code) for code, level in enumerate(encoder.levels)}, None: float("nan")}


def _words(reader: Callable[[Any], Any]) -> dict[str, Any]:
    """Read each word for yes or no once, as it is written most."""
    words = {word for known in (TRUE, FALSE) for word in known}
    found = {}
    for word in {*words, *(word.title() for word in words), *map(str.upper, words)}:
        try:
            found[word] = reader(word)
        except (ValueError, TypeError):
            continue
    return found


def _encoding(number: int, encoder: Encoder, source: str, names: dict[str, Any]) -> str | None:
    """Write how a prepared value becomes a number: the usual encoders here; None where it takes their own function."""
    if isinstance(encoder, Number):
        return f"NAN if (p := {source}) is None else float(p)"
    if isinstance(encoder, Boolean):
        return f"NAN if (p := {source}) is None else 1.0 if p else 0.0"
    if isinstance(encoder, Category) and not encoder.counts:
        names[f"C{number}"] = _codes(encoder)
        return f"C{number}.get({source}, {float(len(encoder.levels))!r})"
    return None
