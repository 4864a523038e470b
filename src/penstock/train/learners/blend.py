"""Several learners as one: the weighted mean of their answers, and the calibration of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock.train.learners import Fitted, Matrix, read_predictor

_SMALL = 1e-15


def blend(members: Sequence[Fitted], weights: Sequence[float], task: str, sharpness: float | None = None) -> Fitted:
    """Join fitted learners; one alone, uncalibrated, stays as it is.

    Parameters
    ----------
    sharpness : float, optional
        See :func:`sharpened`.
    """
    if len(members) == 1 and sharpness is None:
        return members[0]
    written = {
        "kind": "blend", "task": task, "sharpness": sharpness,
        "members": [{"weight": weight, "learner": item.written} for item, weight in zip(members, weights, strict=True)],
    }  # fmt: skip
    files = {f"{number}/{name}": data for number, item in enumerate(members) for name, data in item.files.items()}
    return Fitted(written, files)


def sharpened(shares: Matrix, sharpness: float) -> Matrix:
    """Raise probabilities to a power and make them sum to one: temperature scaling (Guo et al. 2017, arXiv:1706.04599).

    Examples
    --------
    >>> sharpened(np.array([[0.2, 0.8]]), 2.0).round(3)
    array([[0.059, 0.941]])
    """
    raised = np.maximum(shares, _SMALL) ** sharpness
    return np.asarray(raised / raised.sum(1, keepdims=True))


class BlendPredictor:
    """Answers with the mean of its members."""

    def __init__(self, files: Mapping[str, bytes], written: Mapping[str, Any]) -> None:
        self.task, self.sharpness = written["task"], written["sharpness"]
        self.members = []
        for number, item in enumerate(written["members"]):
            prefix = f"{number}/"
            own = {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}
            self.members.append((float(item["weight"]), read_predictor(item["learner"], own)))

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        first, *rest = self.members
        total = first[0] * first[1].predict(matrix)
        for weight, member in rest:
            total += weight * member.predict(matrix)
        return total if self.sharpness is None else sharpened(total, self.sharpness)

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        if self.task == "regression":
            return sum(weight * member.predict_row(row) for weight, member in self.members)
        answers = [(weight, member.predict_row(row)) for weight, member in self.members]
        shares = [sum(weight * shares[at] for weight, shares in answers) for at in range(len(answers[0][1]))]
        if self.sharpness is None:
            return shares
        raised = [max(share, _SMALL) ** self.sharpness for share in shares]
        total = sum(raised)
        return [share / total for share in raised]
