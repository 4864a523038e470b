"""What is wrong with rows that were sent to a model, field by field."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import InputError


@dataclass(frozen=True)
class RowProblem:
    """One field of one row that cannot be used.

    Attributes
    ----------
    row : int
        Position in the request, from 0.
    field : str
        The column.
    message : str
        What was found and what was expected.
    """

    row: int
    field: str
    message: str


class RowsError(InputError):
    """Rows that a model cannot take; says which fields of which rows."""

    def __init__(self, problems: list[RowProblem]) -> None:
        self.problems = problems
        first = problems[0]
        more = f" ({len(problems)} problems in all)" if len(problems) > 1 else ""
        super().__init__(f'row {first.row}, field "{first.field}": {first.message}{more}')
