"""A regularised linear model: logistic regression or ridge, fitted by scikit-learn, kept as plain numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Fitted, Matrix, Sample, Watch
from penstock.train.learners.design import Design
from penstock.types.convert import convert


def fit_linear(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model.

    Parameters
    ----------
    parameters : mapping
        ``{"C": float}``, the inverse strength of the penalty.
    """
    matrix, target, task, _, categories = sample[:5]
    design = Design.fit(matrix, categories)
    dense = design.apply(matrix)
    strength = float(parameters.get("C", 1.0))
    if task == "regression":
        from sklearn.linear_model import Ridge

        centre, spread = float(target.mean()), float(target.std()) or 1.0
        fitted = Ridge(alpha=1.0 / strength, random_state=seed).fit(
            dense, (target - centre) / spread, sample_weight=sample.weights
        )
        weights = np.atleast_2d(fitted.coef_) * spread
        intercept = np.atleast_1d(fitted.intercept_) * spread + centre
    else:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=strength, max_iter=1000, random_state=seed)
        fitted = model.fit(dense, target, sample_weight=sample.weights)
        weights, intercept = fitted.coef_, fitted.intercept_
    buffer = io.BytesIO()
    np.save(buffer, np.column_stack([intercept, weights]), allow_pickle=False)
    written = {"kind": "linear", "task": task, "design": msgspec.to_builtins(design)}
    return Fitted(written, {"weights.npy": buffer.getvalue()})


_Step = tuple[dict[float, float] | None, float, float, float, float, float]
"""What each code adds; or of a number its lowest, mean and highest value and what each unit adds; and what a gap adds."""


class LinearPredictor:
    """Answers with the weights alone; for one row no matrix is made."""

    def __init__(self, files: Mapping[str, bytes], written: Mapping[str, Any]) -> None:
        self.task = written["task"]
        self.design = convert(written["design"], Design)
        self.weights = np.load(io.BytesIO(files["weights.npy"]), allow_pickle=False)
        self._plan = self._row_plan()

    def predict(self, matrix: Matrix) -> Matrix:
        """See :class:`~penstock.train.learners.Predictor`."""
        if self.task == "regression":
            return self._sums(matrix)
        if self.task == "binary":
            yes = 1.0 / (1.0 + np.exp(-np.clip(self._sums(matrix), -700, 700)))
            return np.column_stack([1.0 - yes, yes])
        scores = self.design.apply(matrix) @ self.weights[:, 1:].T + self.weights[:, 0]
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(scores / scores.sum(1, keepdims=True))

    @cached_property
    def _arrays(self) -> tuple[float, tuple[Any, ...] | None, tuple[Any, ...] | None]:
        """The plan of a row as arrays over columns: of numbers, and of codes; None where there are none."""
        first, plan = self._plan
        numbers = [at for at, step in enumerate(plan) if step[0] is None]
        codes = [at for at, step in enumerate(plan) if step[0] is not None]
        plain = (numbers, *np.array([plan[at][1:] for at in numbers]).T) if numbers else None
        if not codes:
            return first, plain, None
        tables = [list((plan[at][0] or {}).values()) for at in codes]
        starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
        return first, plain, (codes, np.concatenate(tables), starts, np.array([plan[at][5] for at in codes]))

    def _sums(self, matrix: Matrix) -> Matrix:
        """Return the one score of each row, as the plan of a row says, without the design matrix."""
        first, plain, coded = self._arrays
        score = np.full(len(matrix), first)
        if plain is not None:
            at, low, mean, high, slope, gap = plain
            values = matrix[:, at]
            score += np.where(np.isnan(values), gap, (np.clip(values, low, high) - mean) * slope).sum(1)
        if coded is not None:
            at, weights, starts, gap = coded
            values = matrix[:, at]
            missing = np.isnan(values)
            known = weights[np.where(missing, 0.0, values).astype(np.int64) + starts]
            score += np.where(missing, gap, known).sum(1)
        return np.asarray(score)

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        if self.task == "multiclass":
            return self.predict(np.array([row]))[0].tolist()
        score, plan = self._plan
        for value, (lookup, low, mean, high, slope, gap) in zip(row, plan, strict=True):
            if lookup is not None:
                score += lookup.get(value, gap)
            elif low <= value <= high:
                score += (value - mean) * slope
            elif value == value:
                score += ((low if value < low else high) - mean) * slope
            else:
                score += gap
        if self.task == "regression":
            return score
        yes = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, score))))
        return [1.0 - yes, yes]

    def _row_plan(self) -> tuple[float, list[_Step]]:
        """Return where the sum begins, and of each matrix column what it adds."""
        weights = self.weights[0].tolist()
        at = 1
        plan: list[_Step] = []
        first_gap = 1 + sum(self.design.widths())
        gaps = {column: weights[first_gap + index] for index, column in enumerate(self.design.gaps)}
        for index, count in enumerate(self.design.categories):
            mean, scale, gap = self.design.mean[index], self.design.scale[index], gaps.get(index, 0.0)
            if count:
                lookup = {float(code): weight for code, weight in enumerate(weights[at : at + count])}
                plan.append((lookup, 0.0, 0.0, 0.0, 0.0, gap))
            else:
                filled = max(-10.0, min(10.0, (self.design.fill[index] - mean) / scale))
                ends = mean - 10.0 * scale, mean, mean + 10.0 * scale
                plan.append((None, *ends, weights[at] / scale, gap + weights[at] * filled))
            at += count or 1
        return weights[0], plan
