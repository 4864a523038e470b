"""The drift report: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from penstock.monitor.compare import ColumnDrift
from penstock.monitor.drawings import then_and_now
from penstock.monitor.profile import Profile

_DRAWN = 60
_LISTED = 2_000
_WORDS = {
    "calm": "Calm: what comes is like what was learnt from.",
    "drift": "Drift: what comes is unlike what was learnt from.",
    "not enough data": "Not enough data to tell.",
}


def chance(value: float, bare: bool = False) -> str:
    """Write a p-value.

    Examples
    --------
    >>> chance(0.034), chance(0.0), chance(0.034, bare=True)
    ('= 0.034', '< 1e-99', '0.034')
    """
    text = f"{value:.2g}"
    return "< 1e-99" if value < 1e-99 else text if bare else f"= {text}"


def drift_report(
    title: str,
    lead: str,
    status: str,
    reasons: Sequence[str],
    columns: Sequence[ColumnDrift],
    reference: Profile,
    current: Profile,
    timelines: Sequence[tuple[str, str]] = (),
    decisions: Sequence[tuple[str, str, str, str]] = (),
    weights: Mapping[str, float] | None = None,
) -> str:
    """Write it.

    Parameters
    ----------
    columns : sequence of ColumnDrift
        Worst first; the first sixty are drawn.
    reference, current : Profile
        Then and now.
    timelines : sequence of (str, str)
        Headings, and drawings.
    decisions : sequence of tuple
        When, what, status, why.
    weights : mapping of str to float, optional
        By how much the move of each column moves an answer, on average.
    """
    old, new = ({column.name: column for column in side.columns} for side in (reference, current))
    figures = [
        (
            item,
            None if weights is None else weights.get(item.name),
            Markup(then_and_now(old[item.name], new[item.name])),  # noqa: S704 - escaped where it is drawn
        )
        for item in columns[:_DRAWN]
        if item.name in old and item.name in new
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["chance"] = chance
    template = environment.from_string(Path(__file__).with_name("report.html").read_text())
    return template.render(
        title=title, lead=lead, status=status, words=_WORDS, reasons=reasons, figures=figures, rest=columns[:_LISTED],
        usual=any(column.usual for column in columns),
        timelines=[(name, Markup(drawing)) for name, drawing in timelines],  # noqa: S704
        before=max((column.rows for column in reference.columns), default=0),
        now=max((column.rows for column in current.columns), default=0), decisions=decisions,
    )  # fmt: skip
