"""What the log of predictions says of the versions that answered: how often, how fast, how well."""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.deploy.registry import Registry
from penstock.deploy.rollout import rollout_of
from penstock.errors import PenstockError
from penstock.monitor.log import Record, log_folder
from penstock.monitor.window import labelled, take
from penstock.outcome import load
from penstock.store.store import Store
from penstock.types.labels import label_name
from penstock.types.writing import figure

_DAY = 86_400.0
_SMALL = 1e-6
WORSE = 1.05
"""A champion is worse than the version before when its mean loss is higher by this factor; less is not worth a change."""


def traffic_of(store: Store, name: str, seconds: float = _DAY) -> list[dict[str, Any]]:
    """Return, of each version that answered lately, what it did; the latest version first.

    Returns
    -------
    list of dict
        ``version``, ``as`` (champion, canary, shadow or before), ``rows``, ``p50`` and ``p99`` in seconds, ``answers``
        in words, ``labels``, and ``metric`` with its ``value``: the accuracy, or the mean absolute error.
    """
    since = time.time() - seconds
    taken = take(log_folder(store.folder, name), None, since, shadows=True)
    champion, tried = Registry(store, name).champion(), rollout_of(store, name)
    by_version: dict[tuple[int, bool], list[Record]] = collections.defaultdict(list)
    for record in taken.records:
        by_version[record.version, record.shadow].append(record)
    times = taken.rows / len(taken.records) if taken.records else 1.0  # of very many, some stand for all
    found = []
    for (version, shadow), records in sorted(by_version.items(), reverse=True):
        took = [record.took for record in records if record.took]
        word = "shadow" if shadow else "canary" if version == tried.canary else "before"
        if champion is not None and version == champion.version and not shadow:
            word = "champion"
        pairs = [(record, taken.labels[record.id]) for record in records if record.id in taken.labels]
        metric, value = _metric(pairs)
        found.append({
            "version": version, "as": word, "rows": round(times * len(records)), "p50": _at(took, 50), "p99": _at(took, 99),
            "answers": _in_words(records), "labels": round(times * len(pairs)), "metric": metric, "value": value,
        })  # fmt: skip
    return found


def losses_since(store: Store, name: str, since: float) -> dict[int, list[tuple[float, float]]]:
    """Return, of each version, when it answered and the loss where the truth is known by now, but for shadows; by time."""
    found: dict[int, list[tuple[float, float]]] = collections.defaultdict(list)
    for record, label in labelled(log_folder(store.folder, name), since):
        found[record.version].append((record.at, loss_of(record, label)))
    # By time alone: rows of one request have one time, and sorting them by loss would make a drift of it.
    return {version: sorted(losses, key=itemgetter(0)) for version, losses in found.items()}


def loss_of(record: Any, label: Any) -> float:
    """Return minus the logarithm of the truth's probability, or the absolute error of a number.

    Examples
    --------
    >>> loss_of(Record("a", 0.0, 1, prediction=3.0), 5)
    2.0
    """
    if record.probabilities is None:
        return abs(float(record.prediction) - float(label))
    return -math.log(max(record.probabilities.get(label_name(label), 0.0), _SMALL))


def worse_than(
    store: Store, name: str, version: int, pairs: Sequence[tuple[Record, Any]]
) -> tuple[float, float, float]:
    """Ask another version for the same rows, and compare the losses by a paired t-test.

    The chance alone would not do: of enough labels any two versions surely differ. So the caller asks for `WORSE` too.

    Returns
    -------
    tuple of float
        The chance of losses as much higher than the other's if both were equally good, 1 where it cannot answer these rows;
        the mean loss of the answers given, and of the other's.
    """
    from scipy.stats import ttest_rel

    try:
        answers = load(name, version, store).answer([record.row or {} for record, _ in pairs])
    except PenstockError:
        return 1.0, math.nan, math.nan  # such as one that looks at columns that are not asked with any more
    mine = np.array([loss_of(record, label) for record, label in pairs])
    others = np.array([loss_of(answer, label) for answer, (_, label) in zip(answers, pairs, strict=True)])
    apart = np.ptp(mine - others) > 0
    chance = float(ttest_rel(mine, others, alternative="greater").pvalue) if apart else 1.0
    return chance, float(mine.mean()), float(others.mean())


def losses_of(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the losses that :func:`loss_of` would of codes and shares, or of numbers.

    Examples
    --------
    >>> losses_of(np.array([1.0, 0.0]), np.array([[0.5, 0.5], [0.75, 0.25]])).round(2).tolist()
    [0.69, 0.29]
    """
    if predicted.ndim == 1:
        return np.asarray(np.abs(predicted - truth))
    likely = predicted[np.arange(len(truth)), truth.astype(np.int64)]
    return np.asarray(-np.log(np.maximum(likely, _SMALL)))


def _metric(pairs: Sequence[tuple[Record, Any]]) -> tuple[str, float | None]:
    if not pairs:
        return "", None
    if pairs[0][0].probabilities is None:
        return "mean absolute error", float(np.mean([loss_of(record, label) for record, label in pairs]))
    right = [label_name(record.prediction) == label_name(label) for record, label in pairs]
    return "accuracy", float(np.mean(right))


def _at(seconds: Sequence[float], percent: int) -> float:
    return float(np.percentile(seconds, percent)) if seconds else 0.0


def _in_words(records: Sequence[Record]) -> str:
    if records[0].probabilities is None:
        numbers = [float(record.prediction) for record in records]
        return f"mean {figure(float(np.mean(numbers)))}, from {figure(min(numbers))} to {figure(max(numbers))}"
    counted = collections.Counter(label_name(record.prediction) for record in records).most_common(3)
    return ", ".join(f"{label} {count / len(records):.1%}" for label, count in counted)
