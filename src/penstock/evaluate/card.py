"""The model card: what a model is for, how good it is and what to know before using it, as Markdown.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (doi:10.1145/3287560.3287596).
"""

from __future__ import annotations

from penstock.evaluate.division import TELLING
from penstock.evaluate.doubts import doubts
from penstock.evaluate.report import ReportData, templates


def write_card(data: ReportData) -> bytes:
    """Fill the template; the same data give the same bytes."""
    trials = [] if data.search is None else data.search["trials"]
    members = [f"{item['learner']} ({item['weight']:.0%})" for item in trials if item["weight"]]
    page = (
        templates()
        .get_template("card.md")
        .render(
            data=data,
            evaluation=data.evaluation,
            doubts=list(doubts(data.evaluation)),
            telling=TELLING,
            members=members,
            worst=data.evaluation["slices"][:1],
        )
    )
    return page.encode()
