"""Pictures of the pages, as SVG text without scripts: the graph of a run, when its steps ran, a metric over runs."""

from __future__ import annotations

import html
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

_WIDE, _HIGH, _ACROSS, _DOWN = 168, 36, 212, 52
_MARKS = {"ran": "●", "cached": "○", "failed": "✗", "skipped": "–"}


def layers(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Give each step the layer after the last of those that feed it.

    Parameters
    ----------
    names : sequence of str
        In an order in which every step comes after those that feed it.

    Examples
    --------
    >>> layers(["raw", "clean", "events", "features"], [("raw", "clean"), ("clean", "features"), ("events", "features")])
    {'raw': 0, 'clean': 1, 'events': 0, 'features': 2}
    """
    found: dict[str, int] = {}
    feeds: dict[str, list[str]] = {}
    for one, other in edges:
        feeds.setdefault(other, []).append(one)
    for name in names:
        found[name] = max((found[one] + 1 for one in feeds.get(name, []) if one in found), default=0)
    return found


def graph(steps: Sequence[Mapping[str, Any]], edges: Sequence[tuple[str, str]], run: str) -> str:
    """Draw the steps of a run from left to right, each a link to its page."""
    layer = layers([step["name"] for step in steps], edges)
    rows: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for step in steps:
        at = layer[step["name"]]
        places[step["name"]] = (at * _ACROSS + 4, rows.get(at, 0) * _DOWN + 4)
        rows[at] = rows.get(at, 0) + 1
    wide, high = (max(layer.values(), default=0) + 1) * _ACROSS, max(rows.values(), default=1) * _DOWN
    drawn = []
    for one, other in edges:
        (x, y), (to, down) = places[one], places[other]
        x, y, down = x + _WIDE, y + _HIGH // 2, down + _HIGH // 2
        bend = (to - x) // 2
        drawn.append(f'<path d="M{x} {y} C{x + bend} {y} {to - bend} {down} {to} {down}"/>')
    for step in steps:
        x, y = places[step["name"]]
        told = f"{step['name']}: {step['status']}" + (
            f", {'; '.join(step['causes'])}" if step["causes"] and step["status"] != "cached" else ""
        )
        shown = step["name"] if len(step["name"]) < 20 else step["name"][:18] + "…"
        link = f"/runs/{run}/steps/{urllib.parse.quote(step['name'], safe='')}"
        drawn.append(
            f'<a href="{link}" class="{html.escape(step["status"])}"><title>{html.escape(told)}</title>'
            f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="6"/>'
            f'<text x="{x + 10}" y="{y + 23}">{_MARKS.get(step["status"], "?")} {html.escape(shown)}</text></a>'
        )
    return (
        f'<svg class="graph" role="group" aria-label="Graph of the steps" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}">{"".join(drawn)}</svg>'
    )


def bar(began: float, took: float, first: float, whole: float, told: str) -> str:
    """Draw when one step ran, within the run's time.

    Parameters
    ----------
    began, first : float
        When the step began, and the run; seconds since 1970.
    took, whole : float
        How long the step took, and the run; seconds.
    """
    whole = max(whole, 1e-9)
    left = min(max(100 * (began - first) / whole, 0.0), 99.5)
    wide = min(max(100 * took / whole, 0.5), 100 - left)
    return (
        f'<svg class="bar" role="img" aria-label="{html.escape(told)}" width="100%" height="12" '
        f'viewBox="0 0 100 12" preserveAspectRatio="none"><rect x="{left:.2f}" y="1" width="{wide:.2f}" height="10"/></svg>'
    )


def sparkline(values: Sequence[float], told: str) -> str:
    """Draw values as a line, the last one marked.

    Examples
    --------
    >>> sparkline([1.0], "accuracy")
    ''
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    points = [
        (2 + 116 * at / (len(values) - 1), 22 - 18 * (value - low) / span if high > low else 12.0)
        for at, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="spark" role="img" aria-label="{html.escape(told)}" width="120" height="26" viewBox="0 0 120 26">'
        f'<polyline points="{line}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    )
