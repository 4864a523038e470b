"""A regularised linear model: logistic regression or ridge, fitted by scikit-learn, kept as plain numbers."""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from penstock.train.learners import Fitted, Matrix, Sample, Watch
from penstock.train.learners.design import Design
from penstock.train.learners.lasso import fit_lasso
from penstock.types.convert import convert
from penstock.types.metrics import METRICS

_WORK, _STEPS = 6.25e8, (50, 1000)
"""Steps of the solver are so many products of a cell and a weight, within these bounds: of many rows and classes each takes
long, and the later ones change little."""
_LONG, _FEWER = 2e8, 20
"""Where a step is more work than this not even the least steps are taken of each strength that is tried, only these, and the
first is one from the middle: time may end after any of them."""
_SPARSE = 0.15
"""Below this share of cells that differ from zero only these are kept; each takes the solver up to eight times as long."""

STRENGTHS = (0.0003, 0.003, 0.03, 0.3, 3.0, 30.0, 300.0, 3000.0)
"""Inverse strengths of the penalty that are tried in turn where none is given: of many columns the strongest may be best, of few the weakest."""
_PATIENCE = 2


def fit_linear(
    sample: Sample, parameters: Mapping[str, Any], seed: int, watch: Watch | None = None, threads: int = 1
) -> Fitted:
    """Fit and write the model.

    Parameters
    ----------
    parameters : mapping
        ``{"C": float}``, the inverse strength of the penalty. Without it the penalty is weakened from one of :data:`STRENGTHS` to the next
        while that helps the watched rows; ``rounds`` says how many were passed until the best. With ``lasso: True`` most weights
        are zero, see :mod:`~penstock.train.learners.lasso`: it finds its penalty without the watched rows.
    """
    task, design = sample.task, Design.fit(sample.matrix, sample.categories)
    apply = design.sparse if task != "regression" and design.density() < _SPARSE else design.apply
    made = apply(sample.matrix)
    if parameters.get("lasso"):
        best, rounds, tried = fit_lasso(sample, made, seed, _loss, _end(watch)), 0, 1
    elif "C" in parameters or watch is None:
        best, rounds, tried = next(_fits(sample, made, [float(parameters.get("C", 1.0))], seed)), 0, 1
    else:
        order = _order(_work(sample, made))
        fits = _fits(sample, made, [STRENGTHS[at] for at in order], seed)
        best, place, tried = _best(fits, task, apply(watch.matrix), watch)
        rounds = order[place - 1] + 1
    buffer = io.BytesIO()
    np.save(buffer, best, allow_pickle=False)
    written = {"kind": "linear", "task": task, "design": msgspec.to_builtins(design)}
    # Each penalty begins where the one before it ended: one alone takes longer.
    return Fitted(written, {"weights.npy": buffer.getvalue()}, rounds, min(1.0, 2 / tried))


def strength(rounds: Sequence[int]) -> float:
    """Return the strength in the middle of those that the folds found best.

    Examples
    --------
    >>> strength([3, 3]), strength([1, 2])
    (0.03, 0.00095)
    """
    return float(f"{np.exp(np.mean([np.log(STRENGTHS[each - 1]) for each in rounds])):.2g}")


def _work(sample: Sample, design: Any) -> int:
    """Return the products of a cell and a weight in one step of the solver."""
    return int(math.prod(design.shape)) * (sample.classes if sample.task == "multiclass" else 1)


def _order(work: int) -> list[int]:
    """Return the places of :data:`STRENGTHS` in the order in which they are tried.

    Examples
    --------
    >>> _order(1000)
    [0, 1, 2, 3, 4, 5, 6, 7]
    >>> _order(10**9)
    [2, 3, 1, 4, 0, 5, 6, 7]
    """
    places = range(len(STRENGTHS))
    return sorted(places, key=lambda place: (abs(place - 2), -place)) if work > _LONG else list(places)


def _fits(sample: Sample, design: Any, strengths: Sequence[float], seed: int) -> Iterator[Matrix]:
    """Yield the weights of each strength, the intercept first: shape (n_scores, 1 + n_design_columns)."""
    target, task = sample.target, sample.task
    if task == "regression":
        from sklearn.linear_model import Ridge

        centre, spread = float(target.mean()), float(target.std()) or 1.0
        for each in strengths:
            model = Ridge(alpha=1.0 / each, random_state=seed)
            fitted = model.fit(design, (target - centre) / spread, sample_weight=sample.weights)
            yield np.atleast_2d(np.r_[fitted.intercept_ * spread + centre, fitted.coef_ * spread])
        return
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    work = _work(sample, design)
    steps = _FEWER if work > _LONG and len(strengths) > 1 else int(np.clip(_WORK / work, *_STEPS))
    model = LogisticRegression(max_iter=steps, random_state=seed, warm_start=True)
    for each in strengths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
            fitted = model.set_params(C=each).fit(design, target, sample_weight=sample.weights)
        yield np.column_stack([fitted.intercept_, fitted.coef_])


def _best(fits: Iterator[Matrix], task: str, watched: Any, watch: Watch) -> tuple[Matrix, int, int]:
    """Return the weights that answer the watched rows best, their place, and how many were tried; ends when two in a row were no better."""
    end = _end(watch)
    best, place, least = np.empty(0), 0, np.inf
    for at, weights in enumerate(fits, 1):
        loss = _loss(weights, watched, watch.target, task)
        if loss < least or not place:
            best, place, least = weights, at, loss
        if at - place >= _PATIENCE or time.monotonic() > end:
            break
    return best, place, at


def _end(watch: Watch | None) -> float:
    return np.inf if watch is None or watch.seconds is None else time.monotonic() + watch.seconds


def _loss(weights: Matrix, design: Any, target: Matrix, task: str) -> float:
    answers = _answers(design @ weights[:, 1:].T + weights[:, 0], task)
    return METRICS["rmse" if task == "regression" else "log_loss"].value(target, answers)


def _answers(scores: Matrix, task: str) -> Matrix:
    """Return numbers, or probabilities of shape (n_rows, n_classes)."""
    if task == "regression":
        return np.asarray(scores[:, 0])
    if task == "binary":
        yes = 1.0 / (1.0 + np.exp(-np.clip(scores[:, 0], -700, 700)))
        return np.column_stack([1.0 - yes, yes])
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(scores / scores.sum(1, keepdims=True))


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
        if self.task == "multiclass":
            return _answers(self._scores(matrix), self.task)
        return _answers(self._sums(matrix)[:, None], self.task)

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

    @cached_property
    def _blocks(self) -> tuple[Any, ...]:
        """Weights of many classes, a row each design column: of numbers with their scales, of codes, and of gaps."""
        design, weights = self.design, self.weights[:, 1:].T
        starts = np.cumsum([0, *design.widths()])
        numbers = np.array([at for at, count in enumerate(design.categories) if not count], dtype=np.int64)
        codes = np.array([at for at, count in enumerate(design.categories) if count], dtype=np.int64)
        scales = np.array([design.fill, design.mean, design.scale]).T[numbers].T
        gaps = np.array(design.gaps, dtype=np.int64)
        return numbers, scales, weights[starts[numbers]], codes, starts[codes], gaps, weights[starts[-1] :], weights

    def _scores(self, matrix: Matrix) -> Matrix:
        """Return the scores of many classes, without the design matrix."""
        numbers, _, own, codes, starts, gaps, of_gaps, weights = self._blocks
        scores = self.weights[:, 0] + self.design.scaled(matrix, numbers) @ own
        for at, start in zip(codes, starts, strict=True):
            known = np.flatnonzero(~np.isnan(matrix[:, at]))
            scores[known] += weights[start + matrix[known, at].astype(np.int64)]
        if len(gaps):
            scores += np.isnan(matrix[:, gaps]) @ of_gaps
        return np.asarray(scores)

    def _shares(self, row: Matrix) -> list[float]:
        """Return the probabilities of many classes for one row; as of a matrix of one, in a tenth of the time."""
        numbers, (fill, mean, scale), own, codes, starts, gaps, of_gaps, weights = self._blocks
        missing, values = np.isnan(row), row[numbers]
        filled = np.where(missing[numbers], fill, values)
        scores = self.weights[:, 0] + np.clip((filled - mean) / scale, -10.0, 10.0) @ own
        if len(codes):
            known = ~missing[codes]
            scores += weights[starts[known] + row[codes][known].astype(np.int64)].sum(0)
        if len(gaps):
            scores += of_gaps[missing[gaps]].sum(0)
        shares = np.exp(scores - scores.max())
        return (shares / shares.sum()).tolist()  # type: ignore[no-any-return]

    def predict_row(self, row: list[float]) -> Any:
        """See :class:`~penstock.train.learners.Predictor`."""
        if self.task == "multiclass":
            return self._shares(np.array(row))
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
