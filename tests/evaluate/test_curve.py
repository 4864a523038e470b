"""The learning curve: a learner that needs rows gains from them, one that does not, does not."""

import numpy as np

from penstock.evaluate.curve import learning_curve


def curve(noise_of, n=4000, fewest=0, **options):
    """Judge answers whose error is a function of the number of rows."""
    random = np.random.default_rng(0)
    truth = random.normal(size=500)
    seen = []

    def fit(rows):
        seen.append(rows)
        return None if len(rows) < fewest else truth + random.normal(0, noise_of(len(rows)), 500)

    return learning_curve("lightgbm", fit, n, "regression", "rmse", truth, 0, **options), seen


def test_more_rows_help_where_the_error_falls_and_are_not_said_to_where_it_does_not():
    falls, _ = curve(lambda rows: 30 / np.sqrt(rows))
    assert [point.rows for point in falls.points] == [500, 1000, 2000, 4000]
    assert falls.gain.low > 0
    assert "more rows would likely help" in falls.words("rmse")
    flat, _ = curve(lambda rows: 1.0)
    assert flat.gain.low < 0
    assert "unlikely to help" in flat.words("rmse")


def test_parts_grow_and_are_the_latest_where_rows_are_in_order():
    _, seen = curve(lambda rows: 1.0)
    assert all(set(small) < set(large) for small, large in zip(seen, seen[1:], strict=False))
    _, seen = curve(lambda rows: 1.0, ordered=True)
    assert all(rows[-1] == 3999 and len(rows) == 4000 - rows[0] for rows in seen)


def test_too_few_rows_have_no_curve():
    found, _ = curve(lambda rows: 1.0, n=60)
    assert found.gain is None
    assert "too few rows" in found.words("rmse")


def test_parts_that_cannot_be_learnt_from_are_left_out():
    found, _ = curve(lambda rows: 1.0, fewest=1500)
    assert [point.rows for point in found.points] == [2000, 4000]
