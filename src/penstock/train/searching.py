"""One search while it runs: what is begun, what is known, how long things take, and when it ends."""

from __future__ import annotations

import concurrent.futures
import hashlib
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.engine.recall import keep, recalled
from penstock.engine.telling import tell
from penstock.train.ensemble import best_threshold, fitted_sharpness, mixed
from penstock.train.learners import Sample
from penstock.train.learners.blend import sharpened
from penstock.train.learners.linear import strength
from penstock.train.options import Search
from penstock.train.portfolio import Draws, Parameters, named
from penstock.train.refitting import BOOSTED, COPIES, OVERHEAD, growth, holding, lasting, lengthened, refitting
from penstock.train.searched import Failure, Option, Searched, SearchError, Trial
from penstock.train.spread import fitted_spread
from penstock.train.tried import Tried
from penstock.train.workers import Done, Fit, Workers
from penstock.types.metrics import Metric
from penstock.version import __version__

Array = npt.NDArray[Any]
_BATCH = 6
"""Draws are made by so many at once, so that they do not depend on which fit ends first."""
_ENOUGH = 12
"""After the portfolio, so many trials without any gain end the search."""
_GAIN = 0.1
"""In standard errors of the best trial's score: what is less is luck."""
_SHARE = 0.6
"""No trial may take more than this share of the time that is left."""
_REFITTED = 4
"""So many trials mostly answer together in the end."""
_MORE_ROWS = 2.0
"""Fewer trials together are better where they learn from so many times the rows: of few rows each doubling is worth more than a second trial."""


@dataclass
class _Begun:
    number: int
    learner: str
    parameters: Parameters
    key: str
    asked: Any = None
    parts: dict[int, Done] = field(default_factory=dict)


class Running:
    """The state of one search: what runs, what is known, how long things take."""

    def __init__(
        self, workers: Workers, metric: Metric, how: Search, seed: int, began: float, rows: int, whole: int
    ) -> None:
        self.workers, self.metric, self.how, self.seed = workers, metric, how, seed
        self.began, self.whole = began, whole
        self.tried = Tried(metric, how, rows)
        self.seconds: dict[int, float] = {}
        self.again: dict[int, float] = {}
        self.lengths: list[int] = []
        self.encoded: list[float] = []
        self.failures: list[Failure] = []
        self.notes: list[str] = []
        self.sizes: list[int] = []
        self.columns, self.classes = 1, 1
        self.fold_seconds: dict[str, float] = {}
        self.running: dict[concurrent.futures.Future[Done], tuple[_Begun, int]] = {}
        self.asked: list[tuple[Any, float | None]] = []
        # "5": of a trial that is recalled, so many costs are kept; those of before have one less.
        self.digest = hashlib.sha256(f"{__version__} 5 {seed}".encode())
        self.numbers = 0

    def put(self, number: int, sample: Sample, judge: Array, judge_target: Array) -> None:
        """Take in a fold."""
        self.workers.put(number, sample, judge, judge_target)
        self.tried.targets.append(judge_target)
        self.sizes.append(sample.matrix.nbytes)
        self.lengths.append(len(sample.matrix))
        self.columns, self.classes = max(1, sample.matrix.shape[1]), sample.classes
        for part in (sample.matrix, sample.target, judge, judge_target):
            self.digest.update(np.ascontiguousarray(part).data)
        self.digest.update(repr((sample.task, sample.classes, sample.categories, sample.monotone)).encode())
        if sample.weights is not None:
            self.digest.update(np.ascontiguousarray(sample.weights).data)

    @property
    def folds(self) -> int:
        """How many there are."""
        return len(self.tried.targets)

    def left(self) -> float:
        """Seconds of the budget that may still be used for trials: some are kept for the model itself."""
        return self.how.seconds - (time.monotonic() - self.began) - self._reserve()

    def _reserve(self) -> float:
        """Seconds that are kept for the model itself."""
        numbers = self.tried.best(_REFITTED)
        took = refitting(self._refits(numbers), self.workers.count) * growth(self.whole, self.tried.rows)
        return min(0.4 * self.how.seconds, self.how.fits * (took + OVERHEAD + self._encoding()))

    def _encoding(self) -> float:
        """What encoding all rows will take, about; the first fold may have waited for imports."""
        return min(self.encoded, default=0.0) * self.whole

    def _refits(self, numbers: Iterable[int]) -> list[float]:
        """What fitting each of these trials on all rows will take, about."""
        times = self.whole * self.folds / max(sum(self.lengths), 1)
        return [lengthened(self.tried.trials[number].learner, self.again[number], times) for number in sorted(numbers)]

    def _learnt(self, weights: Mapping[int, float]) -> tuple[int, float, str]:
        """Return from how many rows trials can learn together, with how many times the rounds, and what allows no more."""
        numbers = sorted(number for number, weight in weights.items() if weight) or self.tried.best(1)
        members, workers = [self.tried.trials[number] for number in numbers], self.workers
        budget = self.how.seconds
        left = (budget - (time.monotonic() - self.began)) / self.how.fits - self._encoding()
        memory = workers.bytes * workers.count
        held = holding(members, self.columns, self.classes, workers.count, memory, workers.disk)
        rows, times = lasting(
            members, self._refits(numbers), self.whole, self.tried.rows, workers.count, left,
            None if self.how.trials else budget / self.how.fits,
        )  # fmt: skip
        if held < rows:
            full = workers.disk is not None and held == workers.disk // (8 * self.columns)
            return held, min(times, growth(held, self.tried.rows)), "the disk" if full else "the memory"
        return rows, times, f"the budget of {budget:g} s"

    def _chosen(self, frontier: list[tuple[Option, dict[int, float]]]) -> tuple[Option, dict[int, float]]:
        """Return the trials that answer together: fewer than would be best, where these learn from many more rows."""
        best = self.tried.enough(frontier)
        rows = self._learnt(best[1])[0]
        most = max(frontier, key=lambda item: self._learnt(item[1])[0])
        return most if self._learnt(most[1])[0] >= _MORE_ROWS * rows else best

    def run(self, planned: list[tuple[str, Parameters]], learners: list[str], offered: Collection[str]) -> None:
        """Work through the portfolio, then through draws."""
        most = self.how.trials or 10**9
        proposals = self._proposals(planned, learners, offered)
        waiting: tuple[str, Parameters, Any] | None = None
        over = False
        while True:
            while not over and len(self.running) < self.workers.count:
                waiting = next(proposals, None) if self.numbers < most else None
                if waiting is None:
                    over = True
                    if self.numbers >= most:
                        self.notes.append(f"ended after {most} trials, as asked")
                    break
                over = not self._begin(*waiting)
            if not self.running:
                break
            for future in self.workers.wait(self.running):
                self._take(*self.running.pop(future), future.result())

    def _proposals(
        self, planned: list[tuple[str, Parameters]], learners: list[str], offered: Collection[str]
    ) -> Iterator[tuple[str, Parameters, Any]]:
        for learner, parameters in planned:
            if parameters.get("target") == "log" and self._begun_logarithms():
                self._wait()  # the list of trials does not depend on which fit ends first
                if self.tried.logarithms_lose():
                    continue
            yield learner, parameters, None
        if not set(learners) & set(BOOSTED):
            self.notes.append("ended with the last configuration of the list")
            return
        draws = Draws(learners, self.seed, self.metric.higher, offered)
        endless, best, since = draws.propose(), -math.inf, 0
        while True:
            self._wait()
            for asked, score in sorted(self.asked, key=lambda item: item[0][1].number):
                draws.tell(asked, score)
            self.asked.clear()
            found = self.tried.together()[1]
            score = -math.inf if found is None else self.tried.sign * found
            since = 0 if score > best + _GAIN * self.tried.noise() else since + _BATCH
            best = max(best, score)
            if since >= _ENOUGH:
                self.notes.append(f"ended because {since} trials in a row brought no gain")
                return
            for _ in range(_BATCH):
                yield next(endless)

    def _begun_logarithms(self) -> bool:
        running = [trial.parameters for trial, _ in self.running.values()]
        return any("target" in item for item in [*running, *(trial.parameters for trial in self.tried.trials.values())])

    def _wait(self) -> None:
        """Let all that runs come to its end."""
        while self.running:
            for future in self.workers.wait(self.running):
                self._take(*self.running.pop(future), future.result())

    def _begin(self, learner: str, parameters: Parameters, asked: Any) -> bool:
        """Begin all folds of a trial, if it fits into the time that is left; False ends the search."""
        first = not self.tried.trials and not self.running and not self.failures
        left, waves = self.left(), math.ceil(self.folds / self.workers.count)
        known = self.fold_seconds.get(learner)
        busy = sum(self.fold_seconds.get(item.learner, 0.0) for item, _ in self.running.values()) / self.workers.count
        if not first and (left <= 0.5 or (known or 0.0) * waves + busy > left):
            if known is None or left <= 0.5:
                self.notes.append(f"ended with the budget of {self.how.seconds:g} s")
                return False
            return True  # another learner may be fast enough
        need = max(self.sizes) * COPIES[learner]
        if need > self.workers.bytes:
            self.failures.append(
                Failure(learner, parameters, f"not begun: it needs about {need / 1e9:.1f} GB, a fit may take {self.workers.bytes / 1e9:.1f}")
            )  # fmt: skip
            return True
        text = repr((learner, sorted(parameters.items()), self.folds))
        trial = _Begun(self.numbers, learner, parameters, f"{self.digest.hexdigest()} {text}", asked)
        self.numbers += 1
        kept = recalled(trial.key)
        if kept is not None:
            for fold in range(self.folds):
                rounds, seconds, again, latency, size = kept["costs"][fold].tolist()
                done = Done(kept[f"predicted {fold}"], int(rounds), seconds, again, latency, int(size))
                self._take(trial, fold, done)
            return True
        soft = max(1.0, left * _SHARE / waves)
        hard = max(60.0, 3 * self.how.seconds) if first else soft * (1.5 if learner in BOOSTED else 1.0) + 5.0
        for fold in range(self.folds):
            fit = Fit(fold, learner, parameters, self.seed, None if first and self.how.trials else soft)
            self.running[self.workers.start(fit, hard)] = trial, fold
        return True

    def _take(self, trial: _Begun, fold: int, done: Done) -> None:
        """Take in what came of a fold; of the last one, the trial is judged."""
        trial.parts[fold] = done
        if len(trial.parts) < self.folds:
            return
        parts = [trial.parts[number] for number in range(self.folds)]
        error = next((item.error for item in parts if item.error), None)
        scores = [] if error else [round(self.metric.value(at, item.predicted), 10) for at, item in zip(self.tried.targets, parts, strict=True)]  # type: ignore[arg-type]  # fmt: skip
        if not error and not all(map(math.isfinite, scores)):
            why = f" ({self.metric.problems[0]})" if self.metric.problems else ""
            error = f"its {self.metric.name} is not a number{why}"
        if error:
            self.failures.append(Failure(trial.learner, trial.parameters, error))
            print(f"trial {trial.number + 1}: {trial.learner} failed: {error}", flush=True)  # noqa: T201
            self.asked += [(trial.asked, None)] if trial.asked else []
            return
        predicted = [np.asarray(item.predicted) for item in parts]
        rounds, seconds = [item.rounds for item in parts], [item.seconds for item in parts]
        keep(
            trial.key,
            f"trial of {trial.learner}",
            {
                "costs": np.array([[item.rounds, item.seconds, item.again, item.latency, item.size] for item in parts]),
                **{f"predicted {number}": item for number, item in enumerate(predicted)},
            },
        )
        self.fold_seconds[trial.learner] = sum(seconds) / len(seconds)
        self.tried.predicted[trial.number] = np.concatenate(predicted)
        parameters = dict(trial.parameters)
        if any(rounds) and trial.learner == "linear":
            parameters["C"] = strength(rounds)
        elif any(rounds):
            parameters["rounds"] = max(1, round(sum(rounds) / len(rounds)))
        score = round(float(np.mean(scores)), 10)
        size = int(np.mean([item.size for item in parts]))
        self.tried.trials[trial.number] = Trial(trial.learner, parameters, self.metric.name, score, scores, 0.0, size)
        self.seconds[trial.number] = sum(seconds)
        self.again[trial.number] = float(np.mean([item.again for item in parts]))
        self.tried.latency[trial.number] = float(np.mean([item.latency for item in parts]))
        self.asked += [(trial.asked, score)] if trial.asked else []
        print(  # noqa: T201
            f"trial {trial.number + 1}: {trial.learner} {self.metric.name} {score:.5f} ({sum(seconds):.1f} s) {named(parameters)}",
            flush=True,
        )
        self._tell()

    def _tell(self) -> None:
        """Show the leaderboard to whoever watches."""
        left = max(0.0, self.left())
        lines = [f"  {len(self.tried.trials)} trials, about {left:.0f} s left"]
        for place, number in enumerate(self.tried.best(5), 1):
            trial = self.tried.trials[number]
            lines.append(
                f"  {place}. {trial.learner:<12} {trial.metric} {trial.score:.5f}  {named(trial.parameters)[:60]}"
            )
        tell("\n".join(lines))

    def found(self, seed: int, notes: list[str]) -> Searched:
        """Return what came of it."""
        if not self.tried.trials:
            told = "; ".join(f"{item.learner}: {item.error}" for item in self.failures[:5])
            raise SearchError(f"no learner could be fitted ({told})")
        frontier = self.tried.frontier()
        option, weights = self._chosen(frontier)
        # Each row once: what is fitted on one half of the rows and judged on the other must not meet them again.
        truth = np.concatenate(self.tried.targets)[: self.tried.rows]
        answers = mixed([self.tried.predicted[at] for at in weights], list(weights.values()))[: self.tried.rows]
        sharpness, threshold, spread = None, None, None
        if answers.ndim == 1:
            spread = fitted_spread(truth, answers)
        else:
            sharpness = fitted_sharpness(answers, truth, seed)
            if self.metric.decides and answers.shape[1] == 2:
                calibrated = answers if sharpness is None else sharpened(answers, sharpness)
                threshold = best_threshold(calibrated, truth, self.metric)
        rows, times, what = self._learnt(weights)
        if len(self.tried.trials) == 1 and self.how.trials != 1:
            slowest = time.monotonic() - self.began
            notes.append(
                f"had time for one trial in {self.how.seconds:g} s; give it at least {max(2 * slowest, 10):.0f} s"
            )
        if rows < self.whole:
            told = f"lets the model learn from {rows:,} of {self.whole:,} rows, evenly spaced: as many as {what} allows"
            print(f"the search {told}", flush=True)  # noqa: T201
            notes.append(told)
        ordered = sorted(self.tried.trials)
        trials = [
            Trial(**{**vars(self.tried.trials[number]), "weight": round(weights.get(number, 0.0), 6)})
            for number in ordered
        ]
        return Searched(
            trials,
            sharpness,
            option.score,
            threshold,
            spread,
            self.metric.higher,
            self.failures,
            [item for item, _ in frontier],
            notes,
            rows if rows < self.whole else None,
            round(times, 6),
        )
