"""LightGBM's one number of threads: nothing raises it while something else counts on it."""

import subprocess
import sys

from penstock.types.cores import cores
from penstock.types.turns import one_thread, predicting

RACE = """
import threading, time
import numpy as np
from penstock.train.learners import Sample, fit_learner, read_predictor

random = np.random.default_rng(0)
x = random.normal(size=(4000, 20))
y = (x[:, 0] + random.normal(size=4000) > 0).astype(float)
fitted = fit_learner("lightgbm", Sample(x, y, "binary", 2, [0] * 20), {"rounds": 50}, 0)
trees = read_predictor(fitted.written, fitted.files)
truth, end = trees.predict(x), time.monotonic() + 4

def fits():
    while time.monotonic() < end:
        fit_learner("lightgbm", Sample(x[:2000], y[:2000], "binary", 2, [0] * 20), {"rounds": 5}, 0)

def asks(rows):
    while time.monotonic() < end:
        assert np.array_equal(trees.predict(x[:rows]), truth[:rows])

threads = [threading.Thread(target=asks, args=[rows]) for rows in (3000, 3000, 100, 100)] + [threading.Thread(target=fits)] * WITH
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_fits_and_predictions_of_any_size_share_a_process():
    for fits in ("1", "0"):
        done = subprocess.run(
            [sys.executable, "-c", RACE.replace("WITH", fits)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_many_rows_are_answered_on_all_cores_unless_something_uses_one():
    with predicting(many=True) as all_cores, predicting(many=False) as beside:
        assert (all_cores, beside) == (cores(), cores())
    with predicting(many=False) as one, predicting(many=True) as beside:
        assert (one, beside) == (1, 1)
    with one_thread(), one_thread(), predicting(many=True) as beside:
        assert beside == 1
    with predicting(many=True) as again:
        assert again == cores()
