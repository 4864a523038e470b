"""What Prometheus reads: plain numbers, counted without a lock on the event loop, and summed over all processes when asked.

A process of several writes its numbers to a file that the others read; those of one that has ended still count.
"""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)
ROWS = (1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1_000.0, 10_000.0)


class Histogram(msgspec.Struct):
    """Counts of what is at most each bound, and their sum."""

    counts: list[int]
    total: float = 0.0

    def add(self, bounds: tuple[float, ...], value: float) -> None:
        """Count a value."""
        self.counts[bisect.bisect_left(bounds, value)] += 1
        self.total += value


def _seconds() -> Histogram:
    return Histogram([0] * (len(SECONDS) + 1))


def _rows() -> Histogram:
    return Histogram([0] * (len(ROWS) + 1))


class Numbers(msgspec.Struct):
    """All numbers of one process; what counts up, and what stands as it is."""

    requests: dict[str, int] = {}
    rows: dict[str, int] = {}
    shadowed: dict[str, int] = {}
    refused: dict[str, int] = {}
    seconds: dict[str, Histogram] = {}
    batches: dict[str, Histogram] = {}
    log_seconds: Histogram = msgspec.field(default_factory=_seconds)
    log_failures: int = 0
    not_shadowed: int = 0
    log_waiting: int = 0


class Metrics:
    """The figures of a service.

    Parameters
    ----------
    folder : Path, optional
        Where the processes of one service write theirs.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.answered(3, "/predict", 200, rows=2, seconds=0.001)
    >>> b'penstock_predictions_total{version="3"} 2.0' in metrics.text()
    True
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.numbers, self._folder = Numbers(), folder
        self.version, self.made = 0, 0.0
        self._kept: dict[tuple[int, str, int], str] = {}

    def answered(self, version: int, path: str, status: int, rows: int, seconds: float) -> None:
        """Count a request."""
        numbers, key = self.numbers, (version, path, status)
        name = self._kept.get(key)
        if name is None:
            name = self._kept[key] = f"{version} {status} {path}"
            numbers.requests.setdefault(name, 0)
            numbers.rows.setdefault(str(version), 0)
            numbers.seconds.setdefault(str(version), _seconds())
            numbers.batches.setdefault(str(version), _rows())
        numbers.requests[name] += 1
        if rows:
            by = str(version)
            numbers.rows[by] += rows
            numbers.seconds[by].add(SECONDS, seconds)
            numbers.batches[by].add(ROWS, rows)

    def refused(self, code: str) -> None:
        """Count a request that was not looked at: by key, rate, size or time."""
        self.numbers.refused[code] = self.numbers.refused.get(code, 0) + 1

    def shadowed(self, version: int, rows: int) -> None:
        """Count rows that a shadow answered."""
        name = str(version)
        self.numbers.shadowed[name] = self.numbers.shadowed.get(name, 0) + rows

    def synced(self, seconds: float) -> None:
        """Count a wait for the disk."""
        self.numbers.log_seconds.add(SECONDS, seconds)

    def write(self) -> None:
        """Let the other processes of the service know."""
        if self._folder is not None:
            path = self._folder / f"{os.getpid()}.json"
            temporary = path.with_suffix(".part")
            temporary.write_bytes(msgspec.json.encode(self.numbers))
            temporary.replace(path)

    def text(self) -> bytes:
        """Return what Prometheus reads, of all processes."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collector(self))
        return generate_latest(registry)  # type: ignore[no-any-return]

    def all(self) -> list[Numbers]:
        """Return the numbers of each process."""
        if self._folder is None:
            return [self.numbers]
        self.write()
        return [msgspec.json.decode(path.read_bytes(), type=Numbers) for path in self._folder.glob("*.json")]


class _Collector:
    """Gives the numbers to ``prometheus_client``, which writes them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        metrics, found = self._metrics, self._metrics.all()
        requests = CounterMetricFamily(
            "penstock_requests", "Requests by version, status and path.", labels=["version", "status", "path"]
        )
        for name, count in _summed([item.requests for item in found]).items():
            requests.add_metric(name.split(" ", 2), count)
        yield requests
        for name, told, label, parts in (
            ("penstock_predictions", "Rows answered.", "version", [item.rows for item in found]),
            ("penstock_shadow_predictions", "Rows that a shadow answered.", "version", [item.shadowed for item in found]),
            ("penstock_refused", "Requests refused by key, rate, size or time.", "code", [item.refused for item in found]),
        ):  # fmt: skip
            counter = CounterMetricFamily(name, told, labels=[label])
            for value, count in _summed(parts).items():
                counter.add_metric([value], count)
            yield counter
        yield from _histograms("penstock_request_seconds", "Time of a request.", SECONDS, [i.seconds for i in found])
        yield from _histograms("penstock_batch_rows", "Rows of a request.", ROWS, [item.batches for item in found])
        synced = [{"": item.log_seconds} for item in found]
        yield from _histograms("penstock_log_seconds", "Time until the disk held what was logged.", SECONDS, synced, ())
        failures, skipped = sum(item.log_failures for item in found), sum(item.not_shadowed for item in found)
        yield CounterMetricFamily("penstock_log_failures", "Requests refused: the log cannot be written.", failures)
        yield CounterMetricFamily("penstock_shadow_skipped", "Rows left out: the shadow was behind.", skipped)
        waiting = sum(item.log_waiting for item in found)
        yield GaugeMetricFamily("penstock_log_waiting_bytes", "Bytes that wait for the disk.", waiting)
        yield GaugeMetricFamily("penstock_model_version", "Version of the champion.", metrics.version)
        age = max(0.0, time.time() - metrics.made) if metrics.made else 0.0
        yield GaugeMetricFamily("penstock_model_age_seconds", "How old the champion is.", age)


def _summed(parts: list[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for name, count in dict(part).items():  # requests go on being counted meanwhile
            found[name] = found.get(name, 0) + count
    return found


def _histograms(
    name: str,
    told: str,
    bounds: tuple[float, ...],
    parts: list[dict[str, Histogram]],
    labels: tuple[str, ...] = ("version",),
) -> Iterator[Any]:
    from prometheus_client.core import HistogramMetricFamily

    made = HistogramMetricFamily(name, told, labels=labels)
    for value in sorted({key for part in parts for key in list(part)}):
        held = [part[value] for part in parts if value in part]
        counts = [sum(column) for column in zip(*(item.counts for item in held), strict=True)]
        edges = [*map(str, bounds), "+Inf"]
        buckets = [(edge, float(sum(counts[: at + 1]))) for at, edge in enumerate(edges)]
        made.add_metric([value] if labels else [], buckets, sum(item.total for item in held))
    yield made
