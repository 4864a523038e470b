"""The gate: what a challenger must show before it may answer, and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from penstock.errors import InputError
from penstock.types.metrics import METRICS


@dataclass(frozen=True)
class Gate:
    """Conditions; made by :func:`gate`."""

    bounds: tuple[tuple[str, float], ...] = ()
    metric: str | None = None
    beat_baseline: bool = True
    baseline: Literal["auto", "prior", "last value"] = "auto"
    min_gain: float = 0.0
    slices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate said.

    Attributes
    ----------
    passed : bool
        Whether the challenger may answer.
    reasons : list of str
        One line a condition, with both figures.
    champion : dict
        Metrics of the champion on the same rows; empty when there is none.
    """

    passed: bool
    reasons: list[str]
    champion: dict[str, float] = field(default_factory=dict)
    against: str | None = None


def gate(
    *,
    metric: str | None = None,
    beat_baseline: bool = True,
    baseline: Literal["auto", "prior", "last value"] = "auto",
    min_gain: float = 0.0,
    slices: Sequence[str] | None = None,
    **bounds: float,
) -> Gate:
    """State what a challenger must show on the test rows.

    Parameters
    ----------
    metric : str, optional
        What decides between challenger and champion, and against the baseline; ROC AUC, log loss or RMSE
        by default.
    beat_baseline : bool
        Whether it must be better than the baseline.
    baseline : {"auto", "prior", "last value"}
        Class frequencies or the mean; or, for rows in time order, the value of the row before.
    min_gain : float
        By how much it must be better than the champion; 0 lets an equal one pass.
    slices : sequence of str, optional
        Columns whose groups are reported; chosen when left out.
    **bounds : float
        A metric's name to its bound: a least value, or a greatest for losses and errors.

    Raises
    ------
    InputError
        For a metric that is not known.

    Examples
    --------
    >>> gate(roc_auc=0.83).bounds
    (('roc_auc', 0.83),)
    """
    for name in [*bounds, *([metric] if metric else [])]:
        if name not in METRICS:
            raise InputError(f"ps.evaluate.gate: {name!r} is not a metric; known are {', '.join(METRICS)}")
    if baseline not in ("auto", "prior", "last value"):
        raise InputError(f'ps.evaluate.gate: baseline={baseline!r}; give "auto", "prior" or "last value"')
    return Gate(
        tuple(bounds.items()),
        metric,
        beat_baseline,
        baseline,
        min_gain,
        None if slices is None else tuple(slices),
    )


def judge(
    how: Gate,
    metric: str,
    found: dict[str, dict[str, float]],
    baseline: dict[str, float],
    champion: dict[str, float] | None,
    against: str | None = None,
) -> Verdict:
    """Compare a challenger's metrics with bounds, baseline and champion.

    Parameters
    ----------
    metric : str
        What decides.
    found : dict
        Metric to ``{"value", "low", "high"}``.
    baseline, champion : dict
        Metric to value, on the same rows.
    against : str, optional
        What the champion is called.

    Examples
    --------
    >>> judge(Gate((("rmse", 3.0),)), "rmse", {"rmse": {"value": 2.0}}, {"rmse": 5.0}, None).passed
    True
    """
    checks: list[tuple[bool, str]] = []
    for name, bound in how.bounds:
        if name not in found:
            raise InputError(
                f"ps.evaluate.gate({name}={bound}): not a metric of this target; those are {', '.join(found)}"
            )
        value = found[name]["value"]
        higher = METRICS[name].higher
        good = value >= bound if higher else value <= bound
        checks.append((good, f"{name} {value:.4g} {'reaches' if good else 'misses'} the bound {bound:g}"))
    value, better = found[metric]["value"], METRICS[metric]
    if how.beat_baseline:
        gain = better.gain(value, baseline[metric])
        checks.append((gain > 0, f"{metric} {value:.4g} {_than(gain)} the baseline's {baseline[metric]:.4g}"))
    if champion is not None:
        gain = better.gain(value, champion[metric])
        enough = gain >= how.min_gain
        wanted = f" (wanted: better by {how.min_gain:g})" if how.min_gain and not enough else ""
        checks.append(
            (
                enough,
                f"{metric} {value:.4g} {_than(gain)} the champion's {champion[metric]:.4g} on the same rows{wanted}",
            )
        )
    else:
        checks.append((True, "no champion to compare with"))
    return Verdict(all(good for good, _ in checks), [text for _, text in checks], champion or {}, against)


def _than(gain: float) -> str:
    return "is better than" if gain > 0 else "equals" if gain == 0 else "is worse than"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return what commands print of a verdict."""
    return {"passed": verdict.passed, "reasons": verdict.reasons}
