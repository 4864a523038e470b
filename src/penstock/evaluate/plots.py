"""Plots of the report, as SVG text: the same data give the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BLUE, GREY, RED = "#1f5f8b", "#9aa5b1", "#b4472e"
_PAD = 4
"""Pixels about what is drawn."""


def _figure(width: float = 4.4, height: float = 3.6) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors="#52606d")
    return figure, axes


def _fit(figure: Any, axes: Any) -> None:
    """Give the axes all the room that their labels leave: as a constrained layout, which measures them three times."""
    outer, inner, whole = axes.get_tightbbox(), axes.get_window_extent(), figure.bbox
    left, bottom = inner.x0 - outer.x0 + _PAD, inner.y0 - outer.y0 + _PAD
    right, top = outer.x1 - inner.x1 + _PAD, outer.y1 - inner.y1 + _PAD
    axes.set_position(
        (
            left / whole.width,
            bottom / whole.height,
            1 - (left + right) / whole.width,
            1 - (bottom + top) / whole.height,
        )
    )


def _svg(figure: Any) -> str:
    import matplotlib as mpl

    _fit(figure, figure.axes[0])
    buffer = io.StringIO()
    unstamped = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": "penstock", "svg.fonttype": "none"}), warnings.catch_warnings():
        # Without a salt ids are drawn by chance. Text stays text: the browser has letters that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata=unstamped, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(_short(x), fontsize=8, color="#52606d")
    axes.set_ylabel(_short(y), fontsize=8, color="#52606d")


def roc(codes: Array, score: Array) -> str:
    """ROC curve."""
    from sklearn.metrics import roc_curve

    figure, axes = _figure()
    false, true, _ = roc_curve(codes, score)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    axes.plot(false, true, color=BLUE, linewidth=1.8)
    _label(axes, "false positive rate", "true positive rate")
    return _svg(figure)


def precision_recall(codes: Array, score: Array) -> str:
    """Precision over recall."""
    from sklearn.metrics import precision_recall_curve

    figure, axes = _figure()
    precision, recall, _ = precision_recall_curve(codes, score)
    axes.axhline(float(np.mean(codes == 1)), color=GREY, linewidth=1, linestyle="--")
    axes.plot(recall, precision, color=BLUE, linewidth=1.8)
    axes.set_ylim(0, 1.02)
    _label(axes, "recall", "precision")
    return _svg(figure)


def calibration(hits: Array, score: Array, groups: int = 10) -> str:
    """Observed share over predicted probability, in groups of equal size."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    parts = [part for part in np.array_split(np.argsort(score, kind="stable"), groups) if len(part)]
    axes.plot(
        [score[part].mean() for part in parts], [(hits[part] == 1).mean() for part in parts],
        color=BLUE, marker="o", markersize=4, linewidth=1.5,
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _label(axes, "predicted probability", "observed share")
    return _svg(figure)


def binned(codes: Array, predicted: Array, groups: int = 10) -> str:
    """Mean truth over mean prediction, in groups of equal size."""
    figure, axes = _figure()
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), groups) if len(part)]
    x, y = [predicted[part].mean() for part in parts], [codes[part].mean() for part in parts]
    axes.axline((x[0], x[0]), slope=1, color=GREY, linewidth=1, linestyle="--")
    axes.plot(x, y, color=BLUE, marker="o", markersize=4, linewidth=1.5)
    _label(axes, "mean prediction", "mean truth")
    return _svg(figure)


def scatter(codes: Array, predicted: Array, name: str) -> str:
    """Truth over prediction; at most 2,000 rows are drawn."""
    figure, axes = _figure()
    rows = slice(None, None, -(-len(codes) // 2000))
    axes.scatter(predicted[rows], codes[rows], s=6, color=BLUE, alpha=0.35, linewidths=0, rasterized=False)
    axes.axline((float(codes.mean()), float(codes.mean())), slope=1, color=GREY, linewidth=1, linestyle="--")
    _label(axes, f"predicted {name}", f"true {name}")
    return _svg(figure)


def residuals(codes: Array, predicted: Array) -> str:
    """Truth minus prediction over prediction."""
    figure, axes = _figure()
    rows = slice(None, None, -(-len(codes) // 2000))
    axes.axhline(0, color=GREY, linewidth=1, linestyle="--")
    axes.scatter(predicted[rows], (codes - predicted)[rows], s=6, color=BLUE, alpha=0.35, linewidths=0)
    _label(axes, "predicted", "true minus predicted")
    return _svg(figure)


def confusion(codes: Array, predicted: Array, classes: Sequence[str]) -> str:
    """Shares of each true class by predicted class."""
    n = len(classes)
    table = np.zeros((n, n))
    np.add.at(table, (codes.astype(np.int64), predicted.argmax(1)), 1)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure, axes = _figure(4.4 if n < 8 else 7, 3.8 if n < 8 else 6)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n <= 15:
        for row in range(n):
            for column in range(n):
                colour = "white" if shares[row, column] > 0.6 else "#323f4b"
                axes.text(
                    column,
                    row,
                    f"{shares[row, column]:.0%}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=colour,
                )
        axes.set_xticks(range(n), [_short(str(item)[:14]) for item in classes], rotation=45 if n > 5 else 0)
        axes.set_yticks(range(n), [_short(str(item)[:14]) for item in classes])
    _label(axes, "predicted", "true")
    return _svg(figure)


def bars(rows: Sequence[tuple[str, float, float]]) -> str:
    """Horizontal bars with deviations, the greatest on top."""
    figure, axes = _figure(6.2, 0.9 + 0.26 * len(rows))
    at = np.arange(len(rows))[::-1]
    axes.barh(at, [row[1] for row in rows], xerr=[row[2] for row in rows], color=BLUE, height=0.65,
              error_kw={"elinewidth": 1, "ecolor": GREY})  # fmt: skip
    axes.set_yticks(at, [_short(row[0]) for row in rows])
    axes.axvline(0, color=GREY, linewidth=0.8)
    return _svg(figure)


def ranges(rows: Sequence[tuple[str, float, float, float]], whole: float) -> str:
    """Points with intervals, the first on top, and a line for the whole."""
    figure, axes = _figure(6.2, 0.9 + 0.26 * len(rows))
    at = np.arange(len(rows))[::-1]
    for y, (_, value, low, high) in zip(at, rows, strict=True):
        axes.plot([low, high], [y, y], color=GREY, linewidth=1.5)
        axes.plot([value], [y], marker="o", markersize=5, color=RED if y == at[0] else BLUE)
    axes.axvline(whole, color=GREY, linewidth=1, linestyle="--")
    axes.set_yticks(at, [_short(row[0]) for row in rows])
    return _svg(figure)


def dependence(
    values: Sequence[float | str], means: Sequence[Sequence[float]], names: Sequence[str], answer: str
) -> str:
    """Mean answer over the values of a column: a line for numbers, bars for texts; one a class."""
    figure, axes = _figure()
    numbers = isinstance(values[0], float)
    for number, (line, name) in enumerate(zip(means, names, strict=True)):
        colour = (BLUE, RED, "#2a7d4f", GREY)[number % 4]
        if numbers:
            axes.plot(values, line, color=colour, linewidth=1.8, label=name)
        else:
            axes.plot(line, range(len(values)), marker="o", markersize=5, linewidth=0, color=colour, label=name)
    if not numbers:
        axes.set_yticks(range(len(values)), [_short(str(value)) for value in values])
    if len(means) > 1:
        axes.legend(fontsize=7, frameon=False)
    _label(axes, "" if numbers else answer, answer if numbers else "")
    return _svg(figure)


def _short(text: str) -> str:
    # A dollar sign would begin mathematics in a label.
    return (text if len(text) <= 34 else f"{text[:33]}…").replace("$", r"\$")
