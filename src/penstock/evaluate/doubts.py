"""What makes a model's figures doubtful, in words: the same in the report, on the card and at the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.types.writing import figure

_NOTICEABLE = 0.01
"""Fewer test rows than this share that are training rows too hardly move a figure."""


class Doubt(NamedTuple):
    """Why the figures may be better than what is answered later.

    Attributes
    ----------
    finding : str
        What was found, with its figures.
    advice : str
        What to ask oneself, or to do.
    """

    finding: str
    advice: str


def doubts(evaluation: Mapping[str, Any]) -> Iterator[Doubt]:
    """Yield what an evaluation found that makes its own figures doubtful.

    Parameters
    ----------
    evaluation : mapping
        :class:`~penstock.evaluate.measure.Evaluation` as it is kept.

    Examples
    --------
    >>> leak = {"column": "paid_at", "metric": "roc_auc", "score": 0.999}
    >>> for doubt in doubts({"metric": "roc_auc", "leaks": [leak], "shared": None, "related": None}):
    ...     print(doubt.finding)
    column paid_at alone predicts the target on rows never seen (roc_auc 0.999)
    """
    metric = evaluation["metric"]
    for leak in evaluation["leaks"]:
        column = leak["column"]
        yield Doubt(
            f"column {column} alone predicts the target on rows never seen ({leak['metric']} {figure(leak['score'])})",
            f'is it known when one asks? If not, leave it out with ps.prepare.drop("{column}")',
        )
    if parts := evaluation.get("parts"):
        yield Doubt(
            f"{_listed(parts)} together give the target exactly, as the parts of a total do",
            "are they known when one asks? If not, leave them out with ps.prepare.drop("
            + ", ".join(json.dumps(name, ensure_ascii=False) for name in parts)
            + ")",
        )
    if (shared := evaluation["shared"]) and shared["rows"] >= _NOTICEABLE * shared["of"]:
        without = "" if shared["without"] is None else f"; without them {metric} is {figure(shared['without'])}"
        finding = f"{shared['rows']:,} of {shared['of']:,} test rows are training rows too, answer included{without}"
        advice = "if they are the same thing seen twice, ps.prepare.drop_duplicates() takes them out, or ps.split.group keeps them on one side"
        if apart := shared.get("apart"):
            finding += f"; they differ in {' and '.join(apart)}, which the model does not look at"
            named = ", ".join(json.dumps(name, ensure_ascii=False) for name in apart)
            advice = f"if they are the same thing seen twice, ps.prepare.drop({named}) and then ps.prepare.drop_duplicates() takes them out"
        yield Doubt(finding, advice)
    if related := evaluation.get("related"):
        column = related["column"]
        yield Doubt(
            f"{related['rows']:,} of {related['of']:,} test rows share their {column} with training rows, and are easier for "
            f"that: {metric} is {figure(related['known'])} on them and {figure(related['others'])} on the others",
            f"if what is asked later has a new {column}, expect the second, and keep rows of one on one side with "
            f'ps.split.group("{column}")',
        )
    if early := evaluation.get("early"):
        names, gap = early["columns"], early["gap"]
        yield Doubt(
            f"{_listed(names)} look at truths of rows less than {gap} before, which by the split's gap are not known yet",
            f'give these features delay="{gap}", so that they see what will be known when one asks',
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")
