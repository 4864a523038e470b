"""All of a model that is not the learner's own files."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.features.encoding import Encoding
from penstock.features.stored import Stored
from penstock.ingest.options import TextForm
from penstock.inputs import InputColumn, TableOf
from penstock.monitor.profile import Profile
from penstock.prepare.tables import Change
from penstock.train.spread import Spread
from penstock.types.labels import Labels

FORMAT = 2
"""Of the manifest; a model of another format is refused."""


BACKGROUND_FILE = "background.npy"
"""Encoded training rows that explanations compare with."""


class Manifest(msgspec.Struct, frozen=True):
    """All of a model that is not the learner's own files."""

    format: int
    penstock: str
    pipeline: str
    labels: Labels
    changes: list[Change]
    base: str
    tables: list[TableOf]
    features: list[Stored]
    dtypes: dict[str, str]
    encoding: Encoding
    inputs: list[InputColumn]
    learner: dict[str, Any]
    profile: Profile
    metric: str
    spread: Spread | None = None
    level: str | None = None
    quantiles: list[float] = []
    time: str | None = None
    forms: dict[str, TextForm] = {}
