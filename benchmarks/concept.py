"""Concept drift on the field's streams with known drift points: false alarms, what is found and after how many labels.

A model of trees learns from 2,000 rows and is judged on 1,000 more, as by a run; then labels come for its answers: 6,000 rows of the same
concept, then 4,000 of another. Penstock's watch gets the losses of the answers; the detectors of river, at their defaults, get
whether each answer was wrong, as they are made for. An alarm in the first 6,000 is false, the first one after counts as found.
Run: python benchmarks/concept.py [--seeds 20]      (needs river and pandas)
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import lightgbm
import numpy as np
from river import drift
from river.datasets import synth

from penstock.monitor.concept import LossWatch
from penstock.traffic import losses_of

LEARNT, JUDGED, SAME, OTHER = 2_000, 1_000, 6_000, 4_000
EACH = 100
"""Penstock is asked after so many labels each."""


def sea(variant: int, noise: float) -> Callable[[int], Any]:
    """Return what makes a stream of SEA; concepts of one seed draw other rows."""
    return lambda seed: synth.SEA(variant=variant, noise=noise, seed=10 * seed + variant)


STREAMS: dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
    "SEA, 0 to 2": (sea(0, 0.0), sea(2, 0.0)),
    "SEA, 0 to 2, 10 % noise": (sea(0, 0.1), sea(2, 0.1)),
    "SEA, 0 to 3, 10 % noise": (sea(0, 0.1), sea(3, 0.1)),
    "Agrawal, 0 to 2": (lambda seed: synth.Agrawal(0, seed), lambda seed: synth.Agrawal(2, seed + 1)),
    "Agrawal, 4 to 3": (lambda seed: synth.Agrawal(4, seed), lambda seed: synth.Agrawal(3, seed + 1)),
    "LED, 3 of 7 moved": (
        lambda seed: synth.LEDDrift(seed, 0.1, True, 0),
        lambda seed: synth.LEDDrift(seed + 1, 0.1, True, 3),
    ),
}
RIVER: dict[str, Callable[[], Any]] = {
    "ADWIN": drift.ADWIN,
    "Page-Hinkley": drift.PageHinkley,
    "DDM": drift.binary.DDM,
    "HDDM-A": drift.binary.HDDMA,
}


def drawn(stream: Any, rows: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Take rows of a stream."""
    taken = list(itertools.islice(iter(stream), rows))
    return np.array([[float(value) for value in row.values()] for row, _ in taken]), np.array(
        [int(label) for _, label in taken]
    )


def ours(reference: np.ndarray[Any, Any], losses: np.ndarray[Any, Any]) -> list[int]:
    """Return the labels after which an alarm stands."""
    watch = LossWatch(reference, 0.01, 0.05)  # what a pipeline has at its defaults
    return [at + EACH for at in range(0, len(losses), EACH) if watch.tell(losses[at : at + EACH].tolist()).drifted]


def theirs(make: Callable[[], Any], wrong: Sequence[int]) -> list[int]:
    """Return the labels at which a detector calls."""
    detector, found = make(), []
    for at, item in enumerate(wrong):
        detector.update(item)
        if detector.drift_detected:
            found.append(at + 1)
    return found


def main() -> None:
    """Print, of each stream and system, false alarms, changes found, and the median delay in labels."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    for name, (before, after) in STREAMS.items():
        calls: dict[str, list[list[int]]] = {key: [] for key in ("Penstock", *RIVER)}
        for seed in range(seeds):
            rows, labels = drawn(before(seed), LEARNT + JUDGED + SAME)
            more, others = drawn(after(seed), OTHER)
            classes = int(max(labels.max(), others.max())) + 1
            options = {
                "objective": "multiclass",
                "num_class": classes,
                "verbose": -1,
                "num_threads": 1,
                "learning_rate": 0.05,
            }
            trees = lightgbm.train(options, lightgbm.Dataset(rows[:LEARNT], labels[:LEARNT]), 60)
            asked, truth = np.vstack([rows[LEARNT:], more]), np.concatenate([labels[LEARNT:], others])
            shares = np.asarray(trees.predict(asked, num_threads=1))
            losses = losses_of(truth, shares)
            wrong = (shares.argmax(1) != truth).astype(int).tolist()
            calls["Penstock"].append(ours(losses[:JUDGED], losses[JUDGED:]))
            for key, make in RIVER.items():
                calls[key].append(theirs(make, wrong[JUDGED:]))
        for key, found in calls.items():
            late = [min(at for at in item if at > SAME) - SAME for item in found if any(at > SAME for at in item)]
            told = {
                "stream": name, "system": key, "streams": seeds,
                "with a false alarm": sum(any(at <= SAME for at in item) for item in found), "found": len(late),
                "median delay": round(statistics.median(late)) if late else None,
            }  # fmt: skip
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
