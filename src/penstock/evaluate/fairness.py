"""Whether a model treats groups alike: how often each is said yes to, and how often wrongly, by Fairlearn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError, InputError
from penstock.types.columns import need

Array = npt.NDArray[Any]
_LEAST_ROWS = 30


@dataclass(frozen=True)
class Group:
    """One group's share of yes, and its share of hits among those that are yes and among those that are not."""

    value: str
    rows: int
    selected: float
    true_positive: float
    false_positive: float


@dataclass(frozen=True)
class Fairness:
    """How alike the groups of a column are treated.

    Attributes
    ----------
    column : str
        What tells the groups apart; it need not be one that the model uses.
    parity : float
        Largest difference between groups in the share of yes (demographic parity).
    odds : float
        Largest difference in the shares of true and of false positives (equalized odds; Hardt, Price and Srebro 2016).
    limit : float
        What `odds` may be at most.
    groups : list of Group
        In the order of their names.
    """

    column: str
    parity: float
    odds: float
    limit: float
    groups: list[Group] = field(default_factory=list)


def check_fairness(limits: Mapping[str, float], columns: Sequence[str]) -> None:
    """Demand what comparing groups needs: their columns, and Fairlearn.

    Raises
    ------
    DataError, InputError
        For a column that is not there, or where Fairlearn is not installed.

    Examples
    --------
    >>> check_fairness({"sex": 0.1}, ["sex", "age"])
    """
    if limits and find_spec("fairlearn") is None:
        raise InputError("ps.evaluate.gate(fairness=...) needs Fairlearn: pip install 'penstock[fairness]'")
    need("ps.evaluate.gate(fairness=...)", limits, columns)


def fairness_of(
    task: str, table: pl.DataFrame, limits: Mapping[str, float], target: Array, said: Array
) -> list[Fairness]:
    """Compare the groups of each column; groups of fewer than 30 rows, and rows without one, are left out.

    Parameters
    ----------
    table : DataFrame
        Test rows.
    limits : mapping of str to float
        Columns, and what the difference may be.
    target, said : array, shape (n_rows,)
        Whether each row is yes, and whether the model says so.

    Raises
    ------
    DataError
        For a column that is not there, or has fewer than two groups that are large enough.
    InputError
        For a target that is not yes or no, or where Fairlearn is not installed.
    """
    if not limits:
        return []
    if task != "binary":
        raise InputError("ps.evaluate.gate(fairness=...) asks for a target of two classes")
    check_fairness(limits, table.columns)
    from fairlearn import metrics as fair

    found = []
    for column, limit in limits.items():
        values = table[column].cast(pl.String)
        large = (
            values.drop_nulls()
            .value_counts(name="penstock count")
            .filter(pl.col("penstock count") >= _LEAST_ROWS)[column]
        )
        rows = values.is_in(large.implode()).fill_null(value=False).to_numpy()
        if len(large) < 2:
            raise DataError(
                f'ps.evaluate.gate(fairness=...): "{column}" has {len(large)} groups of {_LEAST_ROWS} test rows or more; '
                "two are needed"
            )
        truth, answer, group = (
            target[rows].astype(int),
            said[rows].astype(int),
            values.filter(pl.Series(rows)).to_numpy(),
        )
        measures = {
            "count": fair.count, "selected": fair.selection_rate,
            "true_positive": fair.true_positive_rate, "false_positive": fair.false_positive_rate,
        }  # fmt: skip
        frame = fair.MetricFrame(metrics=measures, y_true=truth, y_pred=answer, sensitive_features=group)
        groups = [
            Group(str(name), int(row["count"]), *(float(row[key]) for key in ("selected", "true_positive", "false_positive")))
            for name, row in frame.by_group.sort_index().iterrows()
        ]  # fmt: skip
        gaps = frame.difference()
        odds = float(np.nanmax([gaps["true_positive"], gaps["false_positive"]]))
        found.append(Fairness(column, float(gaps["selected"]), odds, limit, groups))
    return found
