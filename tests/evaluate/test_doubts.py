"""Every doubt is told, and figures without a doubt are left alone."""

from penstock.evaluate.doubts import doubts

LEAK = {"column": "paid_at", "metric": "roc_auc", "score": 0.9991}
SHARED = {"rows": 1200, "of": 4000, "without": 3.5}
EARLY = {"columns": [f"sold_lag_{at}" for at in range(1, 8)], "gap": "14d"}
RELATED = {"column": "visit", "rows": 900, "of": 1000, "known": 0.9, "others": 0.7}


def test_every_doubt_is_told_with_its_figures_and_what_to_do():
    found = list(doubts({"metric": "rmse", "leaks": [LEAK], "shared": SHARED, "related": RELATED, "early": EARLY}))
    assert [doubt.finding for doubt in found] == [
        "column paid_at alone predicts the target on rows never seen (roc_auc 0.9991)",
        "1,200 of 4,000 test rows are training rows too, answer included; without them rmse is 3.5",
        "900 of 1,000 test rows share their visit with training rows, and are easier for that: rmse is 0.9 on them and 0.7 on "
        "the others",
        "sold_lag_1, sold_lag_2, sold_lag_3, sold_lag_4, sold_lag_5 and 2 others look at truths of rows less than 14d before, "
        "which by the split's gap are not known yet",
    ]
    advised = ("drop(", "drop_duplicates", "group(", 'delay="14d"')
    assert [name in doubt.advice for name, doubt in zip(advised, found, strict=True)] == [True] * 4


def test_rows_that_differ_in_an_identifier_alone_are_no_duplicates_as_long_as_it_is_there():
    (doubt,) = doubts({"metric": "rmse", "leaks": [], "shared": {**SHARED, "apart": ["Straße", "no"]}, "related": None})
    assert doubt.finding.endswith("; they differ in Straße and no, which the model does not look at")
    assert 'ps.prepare.drop("Straße", "no") and then ps.prepare.drop_duplicates()' in doubt.advice


def test_a_handful_of_shared_rows_is_no_doubt():
    few = {"rows": 39, "of": 4000, "without": None}
    assert list(doubts({"metric": "rmse", "leaks": [], "shared": few, "related": None})) == []
