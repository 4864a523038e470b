"""The report: one HTML file, with plots, that stands alone without any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from penstock.evaluate import plots
from penstock.evaluate.curve import Curve, drawn
from penstock.evaluate.division import TELLING
from penstock.evaluate.doubts import doubts
from penstock.types.metrics import METRICS, moved
from penstock.types.writing import figure

if TYPE_CHECKING:
    import jinja2

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ReportData:
    """All that the report shows; the same data give the same bytes."""

    pipeline: str
    task: str
    target: str
    classes: list[str]
    rows_in: int
    rows_out: int
    without_target: int
    columns: list[tuple[str, str]]
    kinds: Mapping[str, str]
    notes: Sequence[tuple[str, str, int, str]]
    division: str
    n_train: int
    n_test: int
    learner: str
    search: Mapping[str, Any] | None
    evaluation: Mapping[str, Any]
    passed: bool
    reasons: list[str]
    champion: Mapping[str, float]
    codes: Array = field(repr=False)
    predicted: Array = field(repr=False)
    threshold: float = 0.5
    curve: Curve | None = None
    refit: bool = False


def write_report(data: ReportData) -> bytes:
    """Fill the template; plots are drawn as SVG inside the page."""
    evaluation = data.evaluation
    figures = _figures(data)
    page = templates().get_template("report.html").render(
        data=data, evaluation=evaluation, doubts=list(doubts(evaluation)), telling=TELLING, figures=figures, metrics=METRICS, board=_board(data.search),
        top=[item for item in evaluation["importance"] if item["mean"] > 0][:20],
    )  # fmt: skip
    return page.encode()


@cache
def templates() -> jinja2.Environment:
    """Return the templates of this folder, and the ways in which they write numbers."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = lambda value: f"{100 * value:.3g} %"
    environment.filters["figure"] = figure
    environment.filters["capitalised"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _board(search: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the trials, best first."""
    if search is None:
        return []
    higher = search["higher"]
    return sorted(search["trials"], key=lambda trial: -trial["score"] if higher else trial["score"])


def _figures(data: ReportData) -> list[tuple[str, str, str]]:
    """Return title, caption and SVG of each plot."""
    codes, predicted = data.codes, data.predicted
    found = []
    if data.task == "regression":
        found.append(
            (
                "Predicted and true",
                "Each dot is a test row; on the line the prediction is exact.",
                plots.scatter(codes, predicted, data.target),
            )
        )
        found.append(
            (
                "Residuals",
                "True minus predicted. A lean or a curve means something is not learnt.",
                plots.residuals(codes, predicted),
            )
        )
        found.append(
            (
                "Calibration",
                "Test rows in ten groups by prediction: mean prediction against mean truth.",
                plots.binned(codes, predicted),
            )
        )
    elif data.task == "binary":
        found.append(
            (
                "ROC",
                "Share of the positives found, against the share of false alarms.",
                plots.roc(codes, predicted[:, 1]),
            )
        )
        found.append(
            (
                "Precision and recall",
                "How many of those found are right, as more are found.",
                plots.precision_recall(codes, predicted[:, 1]),
            )
        )
        found.append(
            (
                "Calibration",
                "Test rows in ten groups by probability: on the line, 30 % means 30 %.",
                plots.calibration(codes, predicted[:, 1]),
            )
        )
        found.append(
            (
                "Confusion",
                f"True classes in rows, answers in columns; yes is answered above {data.threshold:.3g}.",
                plots.confusion(codes, moved(predicted, data.threshold), data.classes),
            )
        )
    else:
        found.append(
            (
                "Confusion",
                "True classes in rows, predicted in columns; shares of each row.",
                plots.confusion(codes, predicted, data.classes),
            )
        )
        found.append(
            (
                "Calibration",
                "Probability of the predicted class, against how often it is right.",
                plots.calibration((predicted.argmax(1) == codes).astype(float), predicted.max(1)),
            )
        )
    if data.curve is not None and len(data.curve.points) > 1:
        last = data.curve.points[-1].metric.value
        words = data.curve.words(data.evaluation["metric"])
        found.append(
            (
                "More rows",
                f"{words} Learner: a small {data.curve.learner}.",
                plots.ranges(drawn(data.curve.points), last),
            )
        )
    top = [(item["column"], item["mean"], item["deviation"]) for item in data.evaluation["importance"][:15]]
    if top:
        found.append(
            (
                "Importance",
                f"How much {data.evaluation['metric']} worsens when a column is shuffled.",
                plots.bars(top),
            )
        )
    for item in data.evaluation["dependence"]:
        answer = (
            data.target
            if data.task == "regression"
            else f"probability of {data.classes[1]}"
            if len(data.classes) == 2
            else "probability"
        )
        names = [""] if len(item["means"]) == 1 else [data.classes[code] for code in item["classes"]]
        found.append(
            (
                item["column"],
                f"Mean {answer} as {item['column']} moves and all else stays.",
                plots.dependence(item["values"], item["means"], names, answer),
            )
        )
    groups = [
        (
            f"{item['column']} = {item['value']}",
            item["metric"]["value"],
            item["metric"]["low"],
            item["metric"]["high"],
        )
        for item in data.evaluation["slices"][:15]
    ]
    if groups:
        whole = data.evaluation["metrics"][data.evaluation["metric"]]["value"]
        found.append(
            (
                "Slices",
                f"{data.evaluation['metric']} by group with 95 % intervals, worst first; the line is all rows.",
                plots.ranges(groups, whole),
            )
        )
    return found
