"""What a look at a champion came to: the verdict, its facts, and both in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import msgspec

from penstock.monitor.compare import ColumnDrift
from penstock.monitor.concept import Concept
from penstock.observed import LEAST_LABELS
from penstock.performance import (
    Calibration,
    Group,
    Performance,
    calibration_in_words,
    group_in_words,
    performance_in_words,
)
from penstock.sliced import Within, within_in_words
from penstock.types.showing import shown_table
from penstock.types.writing import figure
from penstock.unlabelled import Skew, Together, together_in_words

_TOLD = 5
"""Of columns that moved within groups so many are told in words."""


@dataclass(frozen=True)
class Window:
    """Which predictions were looked at.

    Attributes
    ----------
    first, last : str or None
        When they were given, in UTC.
    rows : int
        How many there are.
    looked_at : int
        How many of them were looked at: of very many, some.
    """

    first: str | None
    last: str | None
    rows: int
    looked_at: int = 0

    @property
    def text(self) -> str:
        """How many rows, and of very many how many of them were looked at."""
        some = f", of which {self.looked_at:,} were looked at" if 0 < self.looked_at < self.rows else ""
        return f"{self.rows:,} row{'' if self.rows == 1 else 's'}{some}"

    @property
    def in_words(self) -> str:
        """How many rows, and from when to when."""
        return f"{self.text}, {self.first} to {self.last}" if self.first else self.text


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
    estimate : float or None
        What the deciding metric is expected to be without labels: by the probabilities, or by the errors that trees expect.
    bearing : dict of str to float
        By how much the move of each column that drifted moves an answer, on average.
    concept : Concept or None
        Whether losses have grown since training; None while labels are few, or when the run's outcomes are gone.
    groups : list of Group
        How the groups fare that the training's report names, the worst first; those with few labels are left out.
    calibration : Calibration or None
        Whether probabilities still hold; of classes.
    answers : ColumnDrift or None
        What was answered, compared with the answers to test rows and to rows learnt from.
    together : Together or None
        Whether rows as wholes are unlike those at training, which no column may show alone.
    skew : Skew or None
        Whether the log's answers are those that the way of training gives for the same rows.
    within : list of Within
        Columns that moved within a group of rows, though not in all together; the most first.
    strange : int
        Rows of a batch whose truth is a class that training did not know.
    behind : float or None
        By how many seconds the newest row that was learnt from is older than the newest one looked at.
    ahead : list of str
        Of which tables too little is known for rows looked at, so that features say less than at training.
    """

    model: str
    version: int
    window: Window
    status: str
    columns: list[ColumnDrift]
    performance: Performance | None
    estimate: float | None = None
    bearing: dict[str, float] = field(default_factory=dict)
    concept: Concept | None = None
    groups: list[Group] = field(default_factory=list)
    calibration: Calibration | None = None
    answers: ColumnDrift | None = None
    together: Together | None = None
    skew: Skew | None = None
    within: list[Within] = field(default_factory=list)
    strange: int = 0
    behind: float | None = None
    ahead: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether what was asked or answered is unlike what was learnt from."""
        answers = self.answers is not None and self.answers.drifted
        apart = self.together is not None and self.together.apart
        return answers or apart or bool(self.within) or any(column.drifted for column in self.columns)

    def moves_in_words(self) -> list[str]:
        """Say what moved, but for single columns."""
        found = []
        if self.answers is not None and self.answers.drifted:
            found.append(f"answers: {self.answers.in_words}")
        if self.together is not None and self.together.apart:
            found.append(together_in_words(self.together))
        found += [within_in_words(item) for item in self.within[:_TOLD]]
        if len(self.within) > _TOLD:
            found.append(f"and {len(self.within) - _TOLD:,} more columns of groups")
        return found

    @property
    def worse(self) -> bool:
        """Whether labels show that answers are worse than at training: all, those of a group, or their probabilities."""
        decayed = self.performance is not None and self.performance.decayed
        off = self.calibration is not None and self.calibration.off
        drifted = self.concept is not None and self.concept.drifted
        return decayed or drifted or off or self.strange >= LEAST_LABELS or any(group.worse for group in self.groups)

    def labels_in_words(self) -> list[str]:
        """Say what labels show to be worse than at training."""
        found = []
        if self.performance is not None and self.performance.decayed:
            seen = self.performance
            found.append(
                f"{seen.metric} is {figure(seen.value)} ({figure(seen.low)} to {figure(seen.high)}), at training {figure(seen.reference)}"
            )
        if self.concept is not None and self.concept.drifted:
            found.append(concept_in_words(self.concept))
        found += [group_in_words(item) for item in self.groups if item.worse]
        if self.calibration is not None and self.calibration.off:
            found.append(calibration_in_words(self.calibration))
        if self.strange >= LEAST_LABELS:
            found.append(f"{self.strange:,} rows are of a class that training did not know")
        return found

    def _repr_html_(self) -> str:
        lines = [self.window.in_words]
        if self.performance is not None:
            lines.append(performance_in_words(self.performance))
        if self.behind is not None:
            lines.append(behind_in_words(self.behind))
        lines += self.ahead
        rows = [
            [c.name, "yes" if c.drifted else "no", f"{c.effect:.3f}", f"{c.p_value:.2g}", c.text] for c in self.columns
        ]
        headers = ["column", "drifted", "effect", "p-value", "what"]
        return shown_table(f"{self.model} v{self.version}: {self.status}", lines, headers, rows)

    def as_json(self) -> dict[str, Any]:
        """Return what ``penstock monitor --json`` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        found["window"] = {
            "from": self.window.first, "to": self.window.last, "rows": self.window.rows, "looked_at": self.window.looked_at,
        }  # fmt: skip
        return found


def in_words(found: Monitoring) -> str:
    """Say what an alarm is about.

    Examples
    --------
    >>> in_words(Monitoring("churn", 3, Window(None, None, 500), "drift", [], None))
    'v3, 500 rows: drift'
    """
    moved = [f"{column.name} ({column.in_words})" for column in found.columns if column.drifted]
    parts = []
    if moved:
        parts.append(f"{', '.join(moved[:5])}{' and more' if len(moved) > 5 else ''} moved")
    parts += found.moves_in_words() + found.labels_in_words()
    return f"v{found.version}, {found.window.text}: {'; '.join(parts) or found.status}"


def behind_in_words(behind: float) -> str:
    """Say how old the knowledge of a model is.

    Examples
    --------
    >>> behind_in_words(93 * 86_400.0), behind_in_words(5400.0)
    ('the newest row it has learnt from is 93 days older than the newest one here', 'the newest row it has learnt from is 1.5 hours older than the newest one here')
    """
    length = f"{behind / 86_400:.0f} days" if behind >= 2 * 86_400 else f"{behind / 3600:.3g} hours"
    return f"the newest row it has learnt from is {length} older than the newest one here"


def concept_in_words(concept: Concept) -> str:
    """Say since when the losses have grown.

    Examples
    --------
    >>> concept_in_words(Concept(900, 5400.0, 0.21, 500, True, "2026-01-05T10:00:00.000Z", 1.6))
    'losses have grown since 2026-01-05T10:00: 1.6 times as high, effect 0.21 over 400 answers, the odds 5,400 to 1'
    """
    answers = concept.labels - (concept.since or 0)
    odds = f"{concept.capital:,.0f}" if concept.capital < 1e6 else "more than a million"
    return (
        f"losses have grown since {(concept.at or '')[:16]}: {concept.times:.3g} times as high, "
        f"effect {concept.effect:.2f} over {answers:,} answers, the odds {odds} to 1"
    )


def moment(at: float) -> str:
    """Write a time in UTC."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
