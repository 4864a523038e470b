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
    """The truth about earlier answers, or about one."""

    labels: list[Label] | UnsetType = UNSET
    id: str | UnsetType = UNSET
    label: Any = UNSET


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
_feedback: msgspec.json.Decoder[Feedback | list[Label]] = msgspec.json.Decoder(Feedback | list[Label])
read_events = msgspec.json.Decoder(Events).decode


def read_feedback(body: bytes) -> list[Label]:
    """Read labels: as ``{"labels": [...]}``, a list by itself, or one.

    Raises
    ------
    msgspec.DecodeError
        For anything else.

    Examples
    --------
    >>> read_feedback(b'{"id": "7-1", "label": "gone"}')
    [Label(id='7-1', label='gone')]
    """
    found = _feedback.decode(body)
    if isinstance(found, list):
        return found
    if not isinstance(found.labels, UnsetType):
        return found.labels
    if isinstance(found.id, UnsetType) or found.label is UNSET:
        raise msgspec.ValidationError("Object missing required field `labels`")
    return [Label(found.id, found.label)]


def why_of(explained: Any) -> Why:
    """Return an explanation as it is sent."""
    reasons = [Reason(item.column, item.value, item.effect) for item in explained.reasons]
    return Why(explained.base, reasons, UNSET if explained.of is None else explained.of)
