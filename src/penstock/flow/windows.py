"""What is usual for windows of time, learnt from training and test rows when a model is judged."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy.typing as npt
import polars as pl

from penstock.evaluate.measure import Evaluation
from penstock.model import Model
from penstock.monitor.profile import ANSWERS, Profile, profile_of
from penstock.monitor.usual import MOST_IN_GROUPS, Usual, usual_in_groups, usual_of
from penstock.train.split import seconds_in

Array = npt.NDArray[Any]
_COMPARED, _WINDOWED = 20_000, 200_000


def compared_rows(train: pl.DataFrame) -> pl.DataFrame:
    """Return the training rows, or of many some that lie evenly, with which others are compared as wholes."""
    return _evenly(train, _COMPARED)


def usual_windows(model: Model, train: pl.DataFrame, some: Array, later: pl.DataFrame, predicted: Array) -> list[Any]:
    """Say how far windows of time, of columns and of answers, lie from all training rows.

    Parameters
    ----------
    train : DataFrame
        Training rows.
    some : array
        :func:`compared_rows` of them, encoded.
    later : DataFrame
        Test rows that came after them; none where they are divided otherwise.
    predicted : array
        What the model says of `later`.

    Returns
    -------
    list
        :class:`~penstock.monitor.usual.Usual` as plain values; empty where rows have no times.
    """
    time = _time_of(model, train)
    if time is None:
        return []
    found: dict[float, Usual] = {}
    answered = model.labels.answers(model.predictor.predict(some)).alias(ANSWERS).to_frame()
    asked = model.labels.answers(predicted).alias(ANSWERS).to_frame()
    shown = _evenly(train, _WINDOWED)
    for profile, then, now, at in (
        (model.manifest.profile, shown, later, shown[time]),
        (profile_of(answered, [ANSWERS]), answered, asked, compared_rows(train)[time]),
    ):
        for item in usual_of(profile, then, now, (seconds_in(at), seconds_in(later[time]))):
            known = found.get(item.seconds, item)
            windows, effects = max(known.windows, item.windows), {**known.effects, **item.effects}
            found[item.seconds] = Usual(item.seconds, windows, effects)
    return [msgspec.to_builtins(found[length]) for length in sorted(found)]


def usual_windows_in_groups(
    model: Model, train: pl.DataFrame, later: pl.DataFrame, evaluation: Evaluation
) -> list[Any]:
    """Say the same of the rows of each group that was judged, of the columns that matter most to the answers."""
    time = _time_of(model, train)
    if time is None:
        return []
    shown = _evenly(train, _WINDOWED)
    weights = {item.column: -item.mean for item in evaluation.importance}
    columns = sorted(model.manifest.profile.columns, key=lambda column: weights.get(column.name, 0.0))
    groups = [(item.column, item.value) for item in evaluation.slices]
    at = seconds_in(shown[time]), seconds_in(later[time])
    found = usual_in_groups(Profile(columns[:MOST_IN_GROUPS]), shown, later, at, groups)
    return [msgspec.to_builtins(item) for item in found]


def _time_of(model: Model, train: pl.DataFrame) -> str | None:
    time = model.manifest.time
    return time if time is not None and (train[time].dtype.is_temporal() or train[time].dtype.is_numeric()) else None


def _evenly(table: pl.DataFrame, most: int) -> pl.DataFrame:
    return table[:: -(-table.height // most) or 1]
