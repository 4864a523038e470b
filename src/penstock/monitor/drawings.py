"""Small pictures of a drift report, as SVG text that takes its colours from the page."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from penstock.monitor.profile import ColumnProfile
from penstock.types.writing import figure

_WIDE, _HIGH, _BINS, _NAMES = 320, 120, 24, 8


def then_and_now(reference: ColumnProfile, current: ColumnProfile) -> str:
    """Draw how a column was distributed, and how it is."""
    if reference.kind == "number":
        return _numbers(reference, current)
    return _categories(reference, current)


def _numbers(reference: ColumnProfile, current: ColumnProfile) -> str:
    old, new = np.array(reference.quantiles), np.array(current.quantiles)
    both = np.concatenate([old, new])
    if not len(both):
        return _svg("no values", "")
    # Most of both sides; what lies beyond counts into the outermost bins.
    low, high = (float(value) for value in np.quantile(both, [0.005, 0.995]))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    shares = [np.histogram(np.clip(side, low, high), edges)[0] / max(len(side), 1) for side in (old, new)]
    most = max(float(share.max()) for share in shares) or 1.0
    wide = _WIDE / _BINS
    bars = [
        f'<rect class="then" x="{at * wide:.1f}" y="{_HIGH - _HIGH * share / most:.1f}" width="{wide - 1:.1f}" height="{_HIGH * share / most:.1f}"/>'
        for at, share in enumerate(shares[0])
        if share
    ]
    steps = []
    for at, share in enumerate(shares[1]):
        y = _HIGH - (_HIGH - 2) * share / most
        steps += [f"{at * wide:.1f},{y:.1f}", f"{(at + 1) * wide:.1f},{y:.1f}"]
    line = f'<polyline class="now" points="{" ".join(steps)}"/>'
    ends = f'<text x="0" y="{_HIGH + 13}">{figure(low)}</text><text x="{_WIDE}" y="{_HIGH + 13}" text-anchor="end">{figure(high)}</text>'
    told = (
        f"{reference.name}: median {figure(np.median(old))} then, {figure(np.median(new))} now"
        if len(old) and len(new)
        else reference.name
    )
    return _svg(told, "".join(bars) + line + ends, _HIGH + 18)


def _categories(reference: ColumnProfile, current: ColumnProfile) -> str:
    known, now = dict(reference.counts), dict(current.counts)
    before, after = max(reference.total, 1), max(current.total, 1)
    names = sorted(known, key=lambda name: -abs(known[name] / before - now.get(name, 0) / after))[:_NAMES]
    names.sort(key=lambda name: -known[name])
    rows = [(name, known[name] / before, now.get(name, 0) / after) for name in names]
    others = 1 - sum(known.values()) / before, 1 - sum(now.get(name, 0) for name in known) / after
    if max(others) > 0.001:
        rows.append(("other values", *others))
    most, parts, step = max((max(old, new) for _, old, new in rows), default=1.0) or 1.0, [], 24
    for at, (name, old, new) in enumerate(rows):
        y, scale = at * step, (_WIDE - 190) / most
        label = html.escape(name if len(name) <= 18 else f"{name[:17]}…")
        parts.append(
            f'<text x="104" y="{y + 14}" text-anchor="end">{label}</text>'
            f'<rect class="then" x="110" y="{y + 3}" width="{max(old, 0) * scale:.1f}" height="7"/>'
            f'<rect class="is" x="110" y="{y + 11}" width="{max(new, 0) * scale:.1f}" height="7"/>'
            f'<text x="{_WIDE}" y="{y + 14}" text-anchor="end">{old:.0%} → {new:.0%}</text>'
        )
    return _svg(f"{reference.name}: shares of its values then and now", "".join(parts), max(step, len(rows) * step))


def timeline(
    values: Sequence[float | None],
    names: Sequence[str],
    limit: tuple[float, str] | None = None,
    marks: Sequence[tuple[int, str]] = (),
    told: str = "",
    alarms: Sequence[bool] = (),
) -> str:
    """Draw a value window by window, a limit as a line with its words, marks such as deployments, and which windows gave alarm.

    Examples
    --------
    >>> timeline([0.1, None, 0.3], ["a", "b", "c"], limit=(0.2, "from here")).count("<circle")
    2
    """
    known = [value for value in values if value is not None] + ([limit[0]] if limit else [])
    wide, high = 960, 150
    drawn_to = wide - (_WORDS if limit else 0)  # the limit's words stand beside the drawing, not on it
    low, most = min([0.0, *known]), max([*known, 1e-9])
    if known and min(known) > 0.4:
        low = min(known) - 0.05 * (most - min(known) + 0.01)
    span = (most - low) or 1.0
    step = drawn_to / max(len(values), 1)
    place = [
        (at * step + step / 2, None if value is None else high - (high - 12) * (value - low) / span)
        for at, value in enumerate(values)
    ]
    parts = []
    if limit is not None:
        y = high - (high - 12) * (limit[0] - low) / span
        parts.append(
            f'<line class="limit" x1="0" x2="{drawn_to}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{drawn_to + 6}" y="{y + 4:.1f}">{html.escape(limit[1])}</text>'
        )
    for at, text in marks:
        x = at * step + step / 2
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{high}"><title>{html.escape(text)}</title></line>'
                     f'<text x="{x + 3:.1f}" y="10">{html.escape(text[:28])}</text>')  # fmt: skip
    drawn = [(x, y) for x, y in place if y is not None]
    if len(drawn) > 1:
        parts.append(f'<polyline class="now" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)}"/>')
    for number, ((x, up), value, name) in enumerate(zip(place, values, names, strict=True)):
        if up is not None:
            over = " over" if number < len(alarms) and alarms[number] else ""
            parts.append(
                f'<circle class="dot{over}" cx="{x:.1f}" cy="{up:.1f}" r="3.5"><title>{html.escape(name)}: {figure(value)}</title></circle>'
            )
    if names:
        parts.append(
            f'<text x="0" y="{high + 14}">{html.escape(names[0])}</text><text x="{drawn_to}" y="{high + 14}" text-anchor="end">{html.escape(names[-1])}</text>'
        )
    parts.append(f'<text x="0" y="10">{most:.3g}</text>')
    return _svg(told, "".join(parts), high + 20, wide)


_WORDS = 120
"""So wide are the words of a limit."""


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values in one line of a terminal.

    Examples
    --------
    >>> sparkline([0.0, 0.5, None, 1.0])
    '▁▅ █'
    """
    known = [value for value in values if value is not None]
    low, span = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    return "".join(" " if value is None else "▁▂▃▄▅▆▇█"[round(7 * (value - low) / span)] for value in values)


def _svg(told: str, inside: str, high: int = _HIGH, wide: int = _WIDE) -> str:
    return f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="{html.escape(told)}">{inside}</svg>'
