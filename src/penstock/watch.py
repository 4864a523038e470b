"""Looking at what a champion was asked and answered: drift of columns, decay of its metric, alerts."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl
import sqlalchemy as sa

from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.evaluate.measure import intervals
from penstock.model import Model
from penstock.monitor.compare import ColumnDrift, compare_columns
from penstock.monitor.log import Logged, Record, log_folder, read_log
from penstock.monitor.options import Drift
from penstock.outcome import load
from penstock.store.schema import alerts
from penstock.store.store import Store

_LEAST_LABELS = 30


@dataclass(frozen=True)
class Window:
    """Which predictions were looked at: from the first to the last, in UTC; how many rows."""

    first: str | None
    last: str | None
    rows: int


@dataclass(frozen=True)
class Performance:
    """The deciding metric on rows whose truth is known by now.

    Attributes
    ----------
    metric : str
        Its name.
    value, low, high : float
        With a 95 % interval.
    reference : float
        On the test rows of training.
    reference_low, reference_high : float
        Its interval there.
    decayed : bool
        Whether both intervals lie apart, on the worse side.
    labels : int
        Rows whose truth is known.
    """

    metric: str
    value: float
    low: float
    high: float
    reference: float
    reference_low: float
    reference_high: float
    decayed: bool
    labels: int


@dataclass(frozen=True)
class Monitoring:
    """What a look at the log came to.

    Attributes
    ----------
    model : str
        The pipeline.
    version : int
        The champion.
    window : Window
        What was looked at.
    status : {"calm", "drift", "not enough data"}
        The verdict.
    columns : list of ColumnDrift
        Those that drifted first.
    performance : Performance or None
        None while labels are few.
    """

    model: str
    version: int
    window: Window
    status: str
    columns: list[ColumnDrift]
    performance: Performance | None

    def as_json(self) -> dict[str, Any]:
        """Return what ``penstock monitor --json`` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        found["window"] = {"from": self.window.first, "to": self.window.last, "rows": self.window.rows}
        return found


def monitor(name: str, store: Store, how: Drift | None = None) -> Monitoring:
    """Compare the champion's latest predictions with the rows that it has learnt from.

    Parameters
    ----------
    name : str
        The pipeline.
    how : Drift, optional
        From :func:`penstock.monitor.drift`.

    Raises
    ------
    InputError
        When the pipeline has no champion.
    """
    how = how or Drift()
    version = Registry(store, name).version(CHAMPION)
    model = load(name, version.version, store)
    since = None if how.seconds is None else time.time() - how.seconds
    logged = read_log(log_folder(store.folder, name), since)
    records = [record for record in logged.records if record.version == version.version and record.row is not None]
    if since is not None:
        records = [record for record in records if record.at >= since]
    if how.rows is not None:
        records = records[-how.rows :]
    window = Window(_moment(records[0].at), _moment(records[-1].at), len(records)) if records else Window(None, None, 0)
    performance = _performance(model, version, records, logged)
    if len(records) < how.least:
        columns: list[ColumnDrift] = []
        status = "drift" if performance is not None and performance.decayed else "not enough data"
    else:
        table = model.prepare(model.frame_of([record.row or {} for record in records]))
        columns = compare_columns(model.manifest.profile, _carried(model, records, table), how)
        drifted = any(column.drifted for column in columns) or (performance is not None and performance.decayed)
        status = "drift" if drifted else "calm"
    found = Monitoring(name, version.version, window, status, columns, performance)
    if status == "drift":
        _alert(store, found)
    return found


def _carried(model: Model, records: list[Record], table: pl.DataFrame) -> pl.DataFrame:
    """Leave out the columns that the model does not look at and no request carried."""
    optional = {column.name for column in model.inputs if not column.required}
    absent = [name for name in optional if not any(name in (record.row or {}) for record in records)]
    return table.drop(absent, strict=False)


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _performance(model: Model, version: ModelVersion, records: list[Record], logged: Logged) -> Performance | None:
    known = [record for record in records if record.id in logged.labels]
    if len(known) < _LEAST_LABELS:
        return None
    labels = pl.Series(model.labels.column, [_text(logged.labels[record.id]) for record in known], pl.String)
    codes = model.labels.codes(labels)
    if model.task == "regression":
        predicted = np.array([float(record.prediction) for record in known])
    else:
        predicted = np.array(
            [[(record.probabilities or {}).get(item, 0.0) for item in model.labels.names] for record in known]
        )
    usable = ~np.isnan(codes)
    metric = str(version.evaluation["metric"])
    now = intervals(model.task, codes[usable], predicted[usable], 0, [metric], model.labels.threshold)[metric]
    before = version.evaluation["metrics"][metric]
    if now.value != now.value:
        return None
    from penstock.types.metrics import METRICS

    decayed = now.high < before["low"] if METRICS[metric].higher else now.low > before["high"]
    return Performance(
        metric,
        now.value,
        now.low,
        now.high,
        before["value"],
        before["low"],
        before["high"],
        bool(decayed),
        int(usable.sum()),
    )


def _text(label: Any) -> str:
    from penstock.types.labels import label_name

    return label_name(label)


def _alert(store: Store, found: Monitoring) -> None:
    """Keep an alert, unless the latest one of this version says the same."""
    names = [column.name for column in found.columns if column.drifted]
    decayed = found.performance is not None and found.performance.decayed
    text = json.dumps({"version": found.version, "columns": names, "decayed": decayed}, ensure_ascii=False)
    with store.catalog.begin() as connection:
        question = (
            sa.select(alerts.c.verdict).where(alerts.c.pipeline == found.model).order_by(alerts.c.id.desc()).limit(1)
        )
        if connection.execute(question).scalar() != text:
            row = {
                "pipeline": found.model,
                "version": found.version,
                "at": time.time(),
                "status": found.status,
                "verdict": text,
            }
            connection.execute(alerts.insert(), row)
