"""Asking a model by hand: what a form says becomes a row, as a request would carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.answers import Explanation
from penstock.errors import PenstockError
from penstock.inputs import InputColumn
from penstock.model import Model

FIELD = "c."
"""Before a column's name in a form, so that no column is taken for another field."""


@dataclass(frozen=True)
class Tried:
    """What a form asked, and what came of it.

    Attributes
    ----------
    row : dict of str to object
        As asked; a typical one where nothing was.
    found : Explanation or None
        The answer with its reasons; None before a question, and when it could not be answered.
    wrong : str
        Why it could not.
    """

    row: Mapping[str, Any]
    found: Explanation | None = None
    wrong: str = ""


def answered(model: Model, form: Mapping[str, str]) -> Tried:
    """Answer a form, and say why; the answer is not logged.

    Parameters
    ----------
    form : mapping of str to str
        Text by column, each name after :data:`FIELD`; an empty text is not known.
    """
    columns = [column for column in model.inputs if column.required]
    if not any(FIELD + column.name in form for column in columns):
        return Tried(model.typical_row())
    row = {column.name: _value(column, form.get(FIELD + column.name, "")) for column in columns}
    try:
        return Tried(row, model.explain([row])[0])
    except PenstockError as error:
        return Tried(row, wrong=str(error))


def _value(column: InputColumn, text: str) -> Any:
    text = text.strip()
    if not text:
        return None
    if "boolean" in (column.type, column.reads) and text in ("true", "false"):
        return text == "true"
    if column.type in ("integer", "number") or column.reads == "number":
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text
