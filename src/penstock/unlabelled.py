"""What can be told of answers before labels come: have they moved, are the rows unlike as wholes, are they reproduced?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import PenstockError
from penstock.evaluate.division import TELLING, score_error, shift_between
from penstock.model import Model
from penstock.monitor.compare import ColumnDrift, compare_profiles, profiled_as
from penstock.monitor.estimate import Foreseen, estimated, estimated_loss, learn_calibration
from penstock.monitor.log import Record
from penstock.monitor.options import Drift
from penstock.monitor.profile import ANSWERS, Profile, column_profile
from penstock.monitor.usual import Usual, UsualInGroup, usual_within
from penstock.observed import Observed, logged, predicted_of
from penstock.train.split import seconds_in
from penstock.types.convert import convert

Array = npt.NDArray[Any]
_APART_ROWS = 5_000
_SURELY = 2.6
"""Standard errors by which rows are further apart than usual, which is 99.5 % sure."""
_ANSWERED_AGAIN = 500
_CLOSE = 1e-6
"""Answers of the log and of the same rows again differ by no more than this, of a number by this share of it."""
_BORNE, _BEARING_ROWS = 12, 2_000


@dataclass(frozen=True)
class Together:
    """How well trees tell the rows that were asked from those at training, each row as a whole.

    Attributes
    ----------
    score : float
        Area under the ROC curve, out of fold: 0.5 where they are alike.
    p_value : float
        The chance of such a score if they were (Mann and Whitney 1947).
    apart : bool
        Whether the score is large and surely not chance.
    columns : list of (str, float)
        By which columns the trees tell them, with shares of the gain.
    usual : float
        The same score of the test rows at training; 0.5 where it was not asked for, as the rows are alike.
    without : int
        Columns that were left out, for they move from window to window: they would tell any window from all training rows.
    """

    score: float
    p_value: float
    apart: bool
    columns: list[tuple[str, float]]
    usual: float = 0.5
    without: int = 0


@dataclass(frozen=True)
class Skew:
    """Whether the log's answers are those that the way of training gives for the same rows.

    Attributes
    ----------
    rows : int
        How many were answered again, with all events known by now.
    unlike : int
        Those that the service had answered otherwise.
    largest : float
        Difference of a probability, or of a number as a share of its size.
    columns : list of str
        Where rows are unlike, all features that look at other rows or tables: by events that came late they may say
        something else by now.
    """

    rows: int
    unlike: int
    largest: float
    columns: list[str]


def usual_for(model: Model, judged: Mapping[str, Any] | None, seen: Observed) -> Mapping[str, float]:
    """Return how far, by column, windows as long as this one lie from all training rows though nothing is wrong.

    Its length is that of the rows' own times where they carry them, else of the time in which they were asked.
    """
    known = [] if judged is None or "usual" not in judged else convert(judged["usual"], list[Usual])
    return usual_within(known, _length_of(model, seen))


def usual_in_groups_for(
    model: Model, judged: Mapping[str, Any] | None, seen: Observed
) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """Return the same by group, a column and a value of it: of its rows alone."""
    known = [] if judged is None else convert(judged.get("usual_in_groups", []), list[UsualInGroup])
    length = _length_of(model, seen)
    return {(item.by, item.group): usual_within(item.usual, length) for item in known}


def _length_of(model: Model, seen: Observed) -> float | None:
    times = _times_of(model, seen)
    return float(np.ptp(times)) if len(times) else None


def behind_of(model: Model, judged: Mapping[str, Any] | None, seen: Observed) -> float | None:
    """Return by how many seconds the newest row that was learnt from is older than the newest one looked at.

    None where that is not known, or where it is not older.
    """
    newest = np.asarray([] if judged is None else judged["outcomes"].get("newest", []))
    times = _times_of(model, seen)
    behind = float(times.max() - newest[0]) if len(newest) and len(times) else 0.0
    return behind if behind > 0 else None


def _times_of(model: Model, seen: Observed) -> Array:
    """Return when rows were: by their own times where they carry them, else when they were asked; known ones alone."""
    time, times = model.manifest.time, seen.times
    if time is not None and time in seen.carried.columns and seen.carried[time].null_count() < seen.carried.height:
        times = seconds_in(seen.carried[time])
    return np.empty(0) if times is None else times[~np.isnan(times)]


def moved_since(model: Model, table: pl.DataFrame, how: Drift, usual: Mapping[str, float] = {}) -> list[ColumnDrift]:
    """Compare what was asked, prepared, with the training rows; columns that drifted come first."""
    present = set(table.columns)
    before = [column for column in model.manifest.profile.columns if column.name in present]
    now = [profiled_as(column, table[column.name]) for column in before]
    return compare_profiles(Profile(before), Profile(now), how, usual)


def answers_since(
    model: Model, predicted: Array, outcomes: Mapping[str, Any] | None, how: Drift, usual: Mapping[str, float] = {}
) -> ColumnDrift | None:
    """Compare what was answered with the answers to the test rows and to rows learnt from; the nearer of both counts.

    Test rows are the newest ones, where rows are divided by time: what is like either was known at training.
    """
    if outcomes is None or "learnt" not in outcomes:
        return None
    learnt = np.asarray(outcomes["learnt"], dtype=np.float64)
    now, found = model.labels.answers(predicted).alias(ANSWERS), []
    for before in (outcomes["predicted"], model.predictor.predict(learnt)):
        then = column_profile(model.labels.answers(np.asarray(before)).alias(ANSWERS))
        found += compare_profiles(Profile([then]), Profile([profiled_as(then, now)]), how, usual)
    return min(found, key=lambda item: (item.drifted, item.effect))


def told_apart(
    model: Model,
    table: pl.DataFrame,
    columns: Sequence[str],
    outcomes: Mapping[str, Any] | None,
    how: Drift,
    moving: Mapping[str, float] = {},
) -> Together | None:
    """Let trees tell what was asked from test rows and from rows learnt from: changes that no column shows alone.

    What is like either was known at training. Where time passes, rows with a past of their own are always told apart: they
    count as apart when they are further from those of training than test rows were. None with fewer than a hundred rows on a
    side, or where the run kept none.

    Parameters
    ----------
    table : DataFrame
        Prepared rows.
    columns : sequence of str
        Those that requests carried.
    moving : mapping of str to float
        Columns that move from window to window, which would tell any window from all training rows, and how far.
    """
    if outcomes is None or "learnt" not in outcomes:
        return None
    encoding = model.manifest.encoding
    carried = {column.name for column in model.manifest.profile.columns} & set(columns)
    watched = carried - {name for name, effect in moving.items() if effect >= how.effect}
    kept = [(name, range(block.start, block.stop)) for name, block in encoding.blocks() if name in watched]
    if not kept:
        return None
    at = [place for _, places in kept for place in places]
    ends = np.cumsum([len(places) for _, places in kept]).tolist()
    blocks = [(name, slice(end - len(places), end)) for (name, places), end in zip(kept, ends, strict=True)]
    # As exact as what was kept, or trees tell how numbers are rounded.
    now = encoding.matrix(table[:: max(1, table.height // _APART_ROWS)]).astype(np.float32)[:, at]
    learnt, tested = (np.asarray(outcomes[name])[:, at] for name in ("learnt", "rows"))
    found: list[Together] = []
    for then in (learnt, tested):
        shift = shift_between(then, now, blocks, 0)
        if shift is None:
            continue
        apart = shift.score >= TELLING and shift.p_value <= how.significance
        found.append(Together(shift.score, shift.p_value, apart, shift.columns, without=len(carried - watched)))
        if not apart:
            return found[-1]
    usual = shift_between(learnt, tested, blocks, 0)
    if not found or usual is None:
        return found[-1] if found else None
    nearer = min(found, key=lambda item: item.score)
    # As much of what is left to a perfect score as TELLING is of all: so near to it too, rows can be further apart.
    further = nearer.score >= usual.score + (1 - usual.score) * (TELLING - 0.5) / 0.5
    error = np.hypot(
        score_error(len(learnt), len(tested), usual.score), score_error(len(tested), len(now), nearer.score)
    )
    return replace(nearer, apart=bool(further and nearer.score - usual.score >= _SURELY * error), usual=usual.score)


def expecting(
    model: Model, metric: str, judged: Mapping[str, Any] | None
) -> Callable[[Array, pl.DataFrame | None], float | None]:
    """Return what says, of answers and their prepared rows, what the metric is expected to be without labels.

    It says None where nothing can tell. Rows are looked at for numbers, whose expected errors follow from them.

    Parameters
    ----------
    judged : mapping, optional
        What the run judged the model by: its ``outcomes`` on the test rows, and the ``losses`` that
        :func:`~penstock.monitor.estimate.learn_losses` learnt there.
    """
    if model.task != "regression":
        calibration = None
        if judged is not None:
            target, shares = (np.asarray(judged["outcomes"][name]) for name in ("target", "predicted"))
            calibration = learn_calibration(target, shares)
        return lambda predicted, _: estimated(metric, predicted, model.labels.threshold, calibration)
    kept = {} if judged is None or "losses" not in judged else judged["losses"]
    # Runs of before kept the trees alone, and not how far they are to be believed.
    losses = {name: convert(item, Foreseen) for name, item in kept.items() if isinstance(item, Mapping)}
    matrix = model.manifest.encoding.matrix
    return lambda _, table: None if table is None else estimated_loss(metric, losses, matrix(table))


def skew_of(model: Model, records: Sequence[Record]) -> Skew | None:
    """Answer rows of the log again as training does, with a table, and compare; None without rows."""
    some = records[:: max(1, len(records) // _ANSWERED_AGAIN)][:_ANSWERED_AGAIN]
    if not some:
        return None
    said = predicted_of(model, some)
    again = model.predict_table(logged(model, some))
    if len(again) != len(said):
        return None  # a preparation that leaves out rows does so of a table only
    scale = np.maximum(np.abs(again), 1.0) if again.ndim == 1 else 1.0
    apart = np.abs(said - again) / scale
    worst = apart if apart.ndim == 1 else apart.max(1)
    unlike = int((worst > _CLOSE).sum())
    names = sorted({name for item in model.knows.looking for name in item.names}) if unlike else []
    return Skew(len(some), unlike, float(worst.max()), names)


def bearing_of(model: Model, table: pl.DataFrame, drifted: Sequence[str]) -> dict[str, float]:
    """Ask what would be answered if a column had not moved: its values drawn from training rows, all others as they are."""
    try:
        background = model.background
    except PenstockError:
        return {}
    encoding = model.manifest.encoding
    blocks, random = dict(encoding.blocks()), np.random.default_rng(0)
    matrix = encoding.matrix(table[:: max(1, table.height // _BEARING_ROWS)])
    answers, found = np.asarray(model.predictor.predict(matrix)), {}
    for name in [item for item in drifted if item in blocks][:_BORNE]:
        moved = matrix.copy()
        moved[:, blocks[name]] = background[random.integers(0, len(background), len(matrix))][:, blocks[name]]
        found[name] = float(np.abs(np.asarray(model.predictor.predict(moved)) - answers).mean())
    return found


def together_in_words(item: Together) -> str:
    """Say how unlike the rows are.

    Examples
    --------
    >>> together_in_words(Together(0.912, 1e-30, True, [("speed", 0.7)]))
    'trees tell the rows from those at training: ROC AUC 0.912 (0.5: they are alike), by speed 70%'
    >>> together_in_words(Together(0.51, 0.3, False, []))
    'rows as wholes are as at training (ROC AUC 0.510 of telling them apart)'
    >>> together_in_words(Together(0.93, 0.0, False, [("temperature", 0.8)], usual=0.9))
    'rows as wholes are no further from training than its test rows were (ROC AUC 0.930, then 0.900)'
    """
    wholes = (
        "rows as wholes" if not item.without else f"rows as wholes, without {item.without:,} columns that always move,"
    )
    if item.apart:
        by = ", ".join(f"{name} {share:.0%}" for name, share in item.columns)
        then = f", then {item.usual:.3f}" if item.usual >= TELLING else ""
        return (
            f"trees tell the rows from those at training: ROC AUC {item.score:.3f}{then} (0.5: they are alike), by {by}"
        )
    if item.score < TELLING:
        # Out of fold, rows that are alike come out below as well as above.
        return f"{wholes} are as at training (ROC AUC {max(item.score, 0.5):.3f} of telling them apart)"
    return (
        f"{wholes} are no further from training than its test rows were "
        f"(ROC AUC {item.score:.3f}, then {item.usual:.3f})"
    )


def skew_in_words(item: Skew) -> str:
    """Say whether the service answers as training would.

    Examples
    --------
    >>> skew_in_words(Skew(500, 0, 2.2e-16, []))
    'the service answers as training would: 500 rows again, largest difference 2.2e-16'
    >>> skew_in_words(Skew(500, 12, 0.3, ["mean_spent"]))
    'training/serving skew: 12 of 500 rows are answered otherwise with what is known by now (by up to 0.3); late events may change mean_spent'
    """
    if not item.unlike:
        return f"the service answers as training would: {item.rows:,} rows again, largest difference {item.largest:.2g}"
    where = f"; late events may change {', '.join(item.columns[:5])}" if item.columns else ""
    return (
        f"training/serving skew: {item.unlike:,} of {item.rows:,} rows are answered otherwise with what is known by now "
        f"(by up to {item.largest:.2g}){where}"
    )
