"""The words that stages share: targets, parsing of raw cells, and problems of rows."""

from penstock.types.parse import Parse
from penstock.types.rows import RowProblem, RowsError
from penstock.types.target import Target, binary, multiclass, regression

__all__ = ["Parse", "RowProblem", "RowsError", "Target", "binary", "multiclass", "regression"]
