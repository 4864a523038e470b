"""What requests and answers of the web API look like as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Predict(msgspec.Struct):
    """Rows to answer: as objects, or column by column."""

    rows: list[Any] | UnsetType = UNSET
    columns: dict[str, list[Any]] | UnsetType = UNSET
    explain: bool = False


class Label(msgspec.Struct):
    """The truth about one answer."""

    id: str
    label: Any


class Feedback(msgspec.Struct):
    """The truth about earlier answers."""

    labels: list[Label]


class Events(msgspec.Struct):
    """What has happened since."""

    table: str
    rows: list[Any]


class Named(msgspec.Struct):
    """Which model answered."""

    name: str
    version: int


class Reason(msgspec.Struct):
    """What one column adds."""

    column: str
    value: Any
    effect: float


class Why(msgspec.Struct):
    """Why an answer is what it is."""

    base: float
    reasons: list[Reason]
    of: str | UnsetType = UNSET


class Prediction(msgspec.Struct):
    """One answer."""

    id: str
    prediction: Any
    probabilities: dict[str, float] | UnsetType = UNSET
    interval: tuple[float, float] | UnsetType = UNSET
    quantiles: dict[str, float] | UnsetType = UNSET
    explanation: Why | UnsetType = UNSET


class Predictions(msgspec.Struct):
    """All answers."""

    model: Named
    predictions: list[Prediction]


read_predict = msgspec.json.Decoder(Predict).decode
read_feedback = msgspec.json.Decoder(Feedback).decode
read_events = msgspec.json.Decoder(Events).decode


def why_of(explained: Any) -> Why:
    """Return an explanation as it is sent."""
    reasons = [Reason(item.column, item.value, item.effect) for item in explained.reasons]
    return Why(explained.base, reasons, UNSET if explained.of is None else explained.of)
