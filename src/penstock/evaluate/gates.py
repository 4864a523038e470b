"""The gate: what a challenger must show before it may answer, and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from penstock.errors import InputError
from penstock.evaluate.fairness import Fairness
from penstock.evaluate.paired import Gain
from penstock.types.columns import columns_of
from penstock.types.durations import bytes_of, seconds_of
from penstock.types.metrics import METRICS
from penstock.types.writing import figure


@dataclass(frozen=True)
class Gate:
    """Conditions; made by :func:`gate`."""

    bounds: tuple[tuple[str, float], ...] = ()
    metric: str | None = None
    beat_baseline: bool = True
    baseline: Literal["auto", "prior", "last value"] = "auto"
    min_gain: float = 0.0
    slices: tuple[str, ...] | None = None
    confidence: float | None = None
    max_slice_loss: float | None = None
    fairness: tuple[tuple[str, float], ...] = ()
    max_latency: float | str | None = None
    max_size: int | str | None = None


Check = tuple[bool, str]
"""Whether a condition holds, and both figures in words."""


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
    confidence: float | None = None,
    max_slice_loss: float | None = None,
    fairness: Mapping[str, float] | None = None,
    max_latency: float | str | None = None,
    max_size: int | str | None = None,
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
        Class frequencies or the mean; or, for rows in time order, the value of the row before. ``"auto"`` takes the
        better of the two where rows are divided by time.
    min_gain : float
        By how much it must be better than the champion; 0 lets an equal one pass.
    slices : sequence of str, optional
        Columns whose groups are reported; chosen when left out.
    confidence : float, optional
        How sure it must be that the gain over the champion is more than `min_gain`, and that over the baseline more
        than 0, such as 0.95: by the paired bootstrap, on the same rows. Without it the gain itself decides, luck included.
    max_slice_loss : float, optional
        By how much the challenger may be worse than the champion within any group of `slices`, in units of the
        metric; a group counts where its 95 % interval lies wholly below 0.
    fairness : mapping of str to float, optional
        Columns, and by how much their groups may differ in the shares of true and of false positives (equalized
        odds); for targets of two classes, by Fairlearn.
    max_latency : float or str, optional
        Most seconds, or such as ``"200us"``, in which the learner answers one encoded row on this machine.
    max_size : int or str, optional
        Most bytes of the learner, or such as ``"5MB"``.
    **bounds : float
        A metric's name to its bound: a least value, or a greatest for losses and errors.

    Raises
    ------
    InputError
        For a metric that is not known, or a number out of range.

    Examples
    --------
    >>> gate(roc_auc=0.83).bounds
    (('roc_auc', 0.83),)
    """
    for name in [*bounds, *([metric] if metric else [])]:
        if name not in METRICS:
            raise InputError(f"ps.evaluate.gate: {name!r} is not a metric; known are {', '.join(METRICS)}")
    for name, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise InputError(f"ps.evaluate.gate({name}={bound!r}): a bound is a number, such as 0.8")
    if isinstance(min_gain, bool) or not isinstance(min_gain, int | float):
        raise InputError(f"ps.evaluate.gate(min_gain={min_gain!r}): give a number, such as 0.01")
    if baseline not in ("auto", "prior", "last value"):
        raise InputError(f'ps.evaluate.gate: baseline={baseline!r}; give "auto", "prior" or "last value"')
    if confidence is not None and not 0.5 <= confidence < 1:
        raise InputError(f"ps.evaluate.gate: confidence={confidence!r} must be at least 0.5 and below 1, such as 0.95")
    for name, number in {"max_slice_loss": max_slice_loss, **{f"fairness: {key}": at for key, at in (fairness or {}).items()}}.items():  # fmt: skip
        if number is not None and not number >= 0:
            raise InputError(f"ps.evaluate.gate: {name}={number!r} must not be negative")
    if max_latency is not None:
        seconds_of(max_latency)
    if max_size is not None:
        bytes_of(max_size)
    groups = None if slices is None else columns_of("ps.evaluate.gate(slices=...)", slices)
    return Gate(
        tuple(bounds.items()), metric, beat_baseline, baseline, min_gain, groups,
        confidence, max_slice_loss, tuple((fairness or {}).items()), max_latency, max_size,
    )  # fmt: skip


def judge(
    how: Gate,
    metric: str,
    found: dict[str, dict[str, float]],
    champion: dict[str, float] | None,
    gain: Gain | None = None,
    more: Sequence[Check] = (),
) -> Verdict:
    """Compare a challenger's metrics with bounds and the champion's.

    Parameters
    ----------
    metric : str
        What decides.
    found : dict
        Metric to ``{"value", "low", "high"}``.
    champion : dict, optional
        Metric to value, on the same rows.
    gain : Gain, optional
        Over the champion.
    more : sequence of (bool, str)
        Conditions that were looked at elsewhere: the baseline first.

    Examples
    --------
    >>> judge(Gate((("rmse", 3.0),)), "rmse", {"rmse": {"value": 2.0}}, None).passed
    True
    """
    checks: list[Check] = []
    for name, bound in how.bounds:
        if name not in found:
            raise InputError(
                f"ps.evaluate.gate({name}={bound}): not a metric of this target; those are {', '.join(found)}"
            )
        value = found[name]["value"]
        higher = METRICS[name].higher
        good = value >= bound if higher else value <= bound
        checks.append((good, f"{name} {figure(value)} {'reaches' if good else 'misses'} the bound {bound:g}"))
    checks += more
    if champion is None:
        checks.append((True, "no champion to compare with"))
    else:
        checks.append(_against(how, metric, found[metric]["value"], champion[metric], gain))
    return Verdict(all(good for good, _ in checks), [text for _, text in checks], champion or {})


def baseline_check(how: Gate, metric: str, value: float, baseline: float, gain: Gain) -> Check:
    """Hold a metric against that of the baseline on the same rows, luck told; with a confidence, luck must be ruled out."""
    above = METRICS[metric].gain(value, baseline)
    text = f"{metric} {figure(value)} {_than(above)} the baseline's {figure(baseline)}"
    if above > 0 and gain.low <= 0:
        text += f", which may be luck: the gain's 95 % interval is {figure(gain.low, signed=True)} to {figure(gain.high, signed=True)}"
    if how.confidence is None or above <= 0:
        return above > 0, text
    least = gain.sure(how.confidence)
    return (
        least > 0,
        f"{text}; at {100 * how.confidence:g} % confidence it is better by at least {figure(least, signed=True)}",
    )


def _against(how: Gate, metric: str, value: float, other: float, gain: Gain | None) -> Check:
    above = METRICS[metric].gain(value, other)
    text = f"{metric} {figure(value)} {_than(above)} the champion's {figure(other)} on the same rows"
    if gain is not None:
        text += f": a gain of {figure(gain.value, signed=True)} (95 % interval {figure(gain.low, signed=True)} to {figure(gain.high, signed=True)})"
    enough = above >= how.min_gain
    if how.min_gain and not enough:
        text += f"; wanted: better by {how.min_gain:g}"
    if how.confidence is not None and gain is not None:
        least = gain.sure(how.confidence)
        enough = enough and least > how.min_gain
        says = "surely" if least > how.min_gain else "not surely"
        text += f"; {says} more than {how.min_gain:g}: at {100 * how.confidence:g} % confidence it is at least {figure(least, signed=True)}"
    return enough, text


def slice_checks(how: Gate, metric: str, gains: Sequence[tuple[str, str, Gain]]) -> list[Check]:
    """Say of each group in which the challenger is surely worse than the champion whether it may be."""
    if how.max_slice_loss is None:
        return []
    worse = [item for item in gains if item[2].high < 0 and -item[2].value > how.max_slice_loss]
    if not worse:
        return [(True, f"no slice loses more than {how.max_slice_loss:g} of {metric} against the champion")]
    return [
        (False, f"{metric} of {column} = {value} is worse than the champion's by {figure(-gain.value)} (95 % interval {figure(-gain.high)} to {figure(-gain.low)}); at most {how.max_slice_loss:g} may be lost")
        for column, value, gain in worse
    ]  # fmt: skip


def fairness_checks(found: Sequence[Fairness]) -> list[Check]:
    """Say of each column whether its groups are treated alike enough."""
    checks = []
    for item in found:
        good = item.odds <= item.limit
        than = "at most" if good else "more than"
        checks.append(
            (
                good,
                f"groups of {item.column} differ by {item.odds:.3g} in true or false positives, {than} the {item.limit:g} allowed",
            )
        )
    return checks  # fmt: skip


def cost_checks(how: Gate, latency: float, size: int) -> list[Check]:
    """Say whether the learner is fast and small enough; a latency within its limit is not told: it is another each time."""
    checks = []
    if how.max_latency is not None:
        most = seconds_of(how.max_latency)
        good = latency <= most
        text = f"a row is answered within {how.max_latency}" if good else f"a row takes {1e6 * latency:.0f} us; at most {how.max_latency} are allowed"  # fmt: skip
        checks.append((good, text))
    if how.max_size is not None:
        good = size <= bytes_of(how.max_size)
        checks.append((good, f"the learner takes {size / 1e6:.3g} MB, {'at most' if good else 'more than'} the {how.max_size} allowed"))  # fmt: skip
    return checks


def _than(gain: float) -> str:
    return "is better than" if gain > 0 else "equals" if gain == 0 else "is worse than"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return what commands print of a verdict."""
    return {"passed": verdict.passed, "reasons": verdict.reasons}
