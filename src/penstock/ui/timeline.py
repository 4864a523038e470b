"""What happened to a pipeline's model, drawn along the time: who was champion, when drift was seen, what was decided."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock.deploy.registry import CHAMPION, Deployment
from penstock.monitor.decisions import Decision

_WIDE, _LABELS, _LANE, _TICKS = 1190, 90, 34, 5
_NARROW = 60
"""A band narrower than this has no room for its name."""


@dataclass(frozen=True)
class Happening:
    """Something that happened at a moment, or lasted until `until`; times in seconds since 1970.

    Attributes
    ----------
    kind : str
        The class that colours it, such as ``"alarm"``.
    name : str
        What is written in it where there is room.
    told : str
        What is said of it to those who point at it, and to screen readers.
    """

    at: float
    kind: str
    name: str
    told: str
    until: float | None = None


def happenings(
    changes: Iterable[Deployment], alerts: Iterable[tuple[float, str]], decisions: Iterable[Decision], now: float
) -> dict[str, list[Happening]]:
    """Put what is known of a model in lanes, each in order of time.

    Parameters
    ----------
    changes : iterable of Deployment
        Of aliases.
    alerts : iterable of (float, str)
        When drift was seen, and of what.
    decisions : iterable of Decision
        An alarm lasts until the next calm, or until now.
    """
    champions = sorted((item for item in changes if item.alias == CHAMPION), key=lambda item: item.at)
    decided = sorted(decisions, key=lambda item: item.at)
    calm = [item.at for item in decided if item.what == "calm"]
    drift = [Happening(at, "drift", "", f"drift of {what}") for at, what in alerts]
    drift += [
        Happening(item.at, "alarm", "", item.why, next((at for at in calm if at > item.at), now))
        for item in decided
        if item.what == "alarm"
    ]
    return {
        "Champion": [
            Happening(item.at, "champion", f"v{item.version}", f"v{item.version} was champion: {item.why}", end)
            for item, end in zip(champions, [item.at for item in champions[1:]] + [now], strict=False)
            if item.version is not None
        ],
        "Drift": sorted(drift, key=lambda item: (item.until is None, item.at)),
        "Decided": [
            Happening(item.at, item.status, item.what, f"{item.what}, {item.status}: {item.why}")
            for item in decided
            if item.what not in ("alarm", "calm")
        ],
    }


def timeline(lanes: Mapping[str, Sequence[Happening]], now: float) -> str:
    """Draw lanes from the first happening until now, as SVG without scripts; nothing where nothing happened.

    Examples
    --------
    >>> timeline({"Champion": []}, 0.0)
    ''
    """
    first = min((item.at for items in lanes.values() for item in items), default=now)
    if first >= now:
        return ""

    def place(at: float) -> float:
        return _LABELS + (_WIDE - _LABELS - 10) * (min(at, now) - first) / (now - first)

    drawn = []
    for lane, (label, items) in enumerate(lanes.items()):
        y = lane * _LANE
        drawn.append(f'<text x="0" y="{y + 21}">{html.escape(label)}</text>')
        drawn.append(f'<line x1="{_LABELS}" x2="{_WIDE - 10}" y1="{y + 16}" y2="{y + 16}"/>')
        drawn += [_drawn(item, place(item.at), item.until and place(item.until), y) for item in items]
    bottom = len(lanes) * _LANE
    for tick in range(_TICKS):
        at = first + (now - first) * tick / (_TICKS - 1)
        anchor = "start" if tick == 0 else "end" if tick == _TICKS - 1 else "middle"
        drawn.append(
            f'<text class="when" x="{place(at):.1f}" y="{bottom + 16}" text-anchor="{anchor}">{_moment(at, now - first)}</text>'
        )
    return (
        f'<svg class="timeline" role="img" aria-label="{html.escape(_said(lanes))}" width="{_WIDE}" '
        f'height="{bottom + 24}" viewBox="0 0 {_WIDE} {bottom + 24}">{"".join(drawn)}</svg>'
    )


def _drawn(item: Happening, x: float, end: float | None, y: int) -> str:
    told = f'<g class="{html.escape(item.kind)}"><title>{html.escape(f"{_moment(item.at, 0)} {item.told}")}</title>'
    if end is None:
        return f'{told}<circle cx="{x:.1f}" cy="{y + 16}" r="5"/></g>'
    wide = max(end - x, 2.0)
    name = f'<text x="{x + 8:.1f}" y="{y + 21}">{html.escape(item.name)}</text>' if wide > _NARROW else ""
    return f'{told}<rect x="{x:.1f}" y="{y + 6}" width="{wide:.1f}" height="20" rx="3"/>{name}</g>'


def _said(lanes: Mapping[str, Sequence[Happening]]) -> str:
    return "Timeline. " + " ".join(f"{label}: {len(items)}." for label, items in lanes.items())


def _moment(at: float, span: float) -> str:
    """Write a time in UTC, as exact as a picture of so many seconds can show."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d" if span > 4 * 86_400 else "%Y-%m-%d %H:%M")
