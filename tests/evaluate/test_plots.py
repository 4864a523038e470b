"""Plots: the same bytes in every process, and nobody else's settings touched."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np

from penstock.evaluate import plots

CODE = (
    "import hashlib, numpy as np; from penstock.evaluate import plots;"
    "svg = plots.bars([('a', 1.0, 0.1), ('b', 0.5, 0.1)]) + plots.roc(np.array([0, 1, 1, 0]), np.array([.1, .8, .4, .3]));"
    "print(hashlib.sha256(svg.encode()).hexdigest())"
)


def test_a_plot_has_the_same_bytes_in_every_process():
    made = {subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(made) == 1


def test_settings_of_the_users_own_plots_stay_as_they_were():
    before = dict(mpl.rcParams)
    plots.bars([("a", 1.0, 0.1)])
    assert dict(mpl.rcParams) == before


def test_a_name_with_dollar_signs_is_text_and_not_mathematics():
    codes = np.array([0.0, 1.0, 2.0, 3.0])
    assert "price $x^2$" in plots.scatter(codes, codes, "price $x^2$")
    assert "A$ = 5$" in plots.bars([("A$ = 5$", 1.0, 0.1)])


def test_labels_of_any_length_lie_within_the_picture():
    for names in (["a"], ["a name as long as a name may be shown here", "b"]):
        figure, axes = plots._figure(6.2, 2.0)
        axes.barh(range(len(names)), [1.0] * len(names))
        axes.set_yticks(range(len(names)), names)
        plots._label(axes, "gain", "a feature")
        plots._svg(figure)
        drawn, whole = axes.get_tightbbox(), figure.bbox
        assert min(drawn.x0, drawn.y0, whole.x1 - drawn.x1, whole.y1 - drawn.y1) >= 0
        assert drawn.width > 0.9 * whole.width  # and fill it
