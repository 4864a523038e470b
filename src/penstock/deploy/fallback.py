"""Who answers where the champion fails: the version before, then a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ConstantAnswer(NamedTuple):
    """The same for every row."""

    prediction: Any
    probabilities: dict[str, float] | None = None
    interval: tuple[float, float] | None = None
    quantiles: dict[str, float] | None = None


class Constant:
    """What is answered when no model can: its version is -1, so that monitoring leaves its answers out.

    Parameters
    ----------
    name : str
        Of the pipeline.
    value : str or float
        The answer.
    """

    version = -1

    def __init__(self, name: str, value: str | float) -> None:
        self.name, self.made, self._answer = name, 0.0, ConstantAnswer(value)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[ConstantAnswer]:
        """Answer raw rows.

        Examples
        --------
        >>> Constant("churn", "No").predict_rows([{}, {}])[1].prediction
        'No'
        """
        return [self._answer] * len(rows)

    def answer(self, rows: Any) -> list[ConstantAnswer]:
        """Answer raw rows or a raw table."""
        return [self._answer] * len(rows)

    def explain(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Explain nothing: there is no why."""
        raise NotImplementedError

    def check_label(self, label: Any) -> str | None:
        """Take any label: it is of another version's answers."""
        return None
