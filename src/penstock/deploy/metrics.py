"""What Prometheus reads: counters and histograms by version of the model; of several processes, their sum."""

from __future__ import annotations

import time
from typing import Any

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5)
_ROWS = (1, 2, 5, 10, 50, 100, 1_000, 10_000)


class Metrics:
    """The figures of one process.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.answered(3, "/predict", 200, rows=2, seconds=0.001)
    >>> b'penstock_predictions_total{version="3"} 2.0' in metrics.text()
    True
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        made: dict[str, Any] = {"registry": CollectorRegistry()}
        self.registry = made["registry"]
        by = ["version"]
        requests = Counter(
            "penstock_requests", "Requests by path, status and version.", ["path", "status", *by], **made
        )
        rows = Counter("penstock_predictions", "Rows answered.", by, **made)
        seconds = Histogram("penstock_request_seconds", "Time of a request.", by, buckets=_SECONDS, **made)
        batch = Histogram("penstock_batch_rows", "Rows of a request.", by, buckets=_ROWS, **made)
        self._requests, self._of = requests, (rows, seconds, batch)
        self._kept: dict[Any, Any] = {}
        self.log_waiting = Gauge(
            "penstock_log_waiting_bytes", "Bytes that wait for the disk.", multiprocess_mode="livesum", **made
        )
        self.log_seconds = Histogram("penstock_log_seconds", "Time of one write of the log.", buckets=_SECONDS, **made)
        self.log_failed = Counter(
            "penstock_log_failures", "Requests refused because the log could not be written.", **made
        )
        self.in_flight = Gauge(
            "penstock_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum", **made
        )
        self.shadowed = Counter("penstock_shadow_predictions", "Rows that a shadow answered.", by, **made)
        self.not_shadowed = Counter("penstock_shadow_skipped", "Rows left out because the shadow was behind.", **made)
        self.refused = Counter("penstock_refused", "Requests refused by key, rate or size.", ["code"], **made)
        self._version = Gauge("penstock_model_version", "Version of the champion.", multiprocess_mode="livemax", **made)
        self._made = Gauge("penstock_model_made_seconds", "When the champion was made: seconds since 1970.", multiprocess_mode="livemax", **made)  # fmt: skip
        self._age = Gauge("penstock_model_age_seconds", "How old the champion is.", multiprocess_mode="livemax", **made)

    def champion(self, version: int, made: float) -> None:
        """Tell which version answers, and when it was made."""
        self._version.set(version)
        self._made.set(made)
        self._age.set(max(0.0, time.time() - made) if made else 0.0)

    def answered(self, version: int, path: str, status: int, rows: int, seconds: float) -> None:
        """Count a request."""
        key = version, path, status
        kept = self._kept.get(key)
        if kept is None:
            label = str(version)
            kept = self._requests.labels(path, str(status), label), *(item.labels(label) for item in self._of)
            self._kept[key] = kept
        kept[0].inc()
        if rows:
            kept[1].inc(rows)
            kept[2].observe(seconds)
            kept[3].observe(rows)

    def text(self) -> bytes:
        """Return what Prometheus reads."""
        import os

        from prometheus_client import CollectorRegistry, generate_latest

        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)  # type: ignore[no-any-return]
        from prometheus_client.multiprocess import MultiProcessCollector

        joined = CollectorRegistry()
        MultiProcessCollector(joined)
        return generate_latest(joined)  # type: ignore[no-any-return]
