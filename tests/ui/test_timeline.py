"""The timeline: champions one after another, drift until it is calm, decisions; nothing of others' markup."""

import re

from penstock.deploy.registry import CHAMPION, Deployment
from penstock.monitor.decisions import Decision
from penstock.ui.timeline import happenings, timeline

DAY = 86_400.0


def decision(number, what, at, status="done", why="because"):
    return Decision(number, "churn", f"cause {number}", what, status, why, None, None, at, None, None)


def test_a_champion_lasts_until_the_next_and_an_alarm_until_the_next_calm():
    changes = [  # the latest first, as the registry tells them
        Deployment(CHAMPION, 2, 5 * DAY, "ann", "better"),
        Deployment("canary", 2, 4 * DAY, "ann", "tried"),
        Deployment(CHAMPION, 1, 1 * DAY, "ann", "first"),
    ]
    decided = [
        decision(3, "alarm", 8 * DAY), decision(2, "calm", 6 * DAY), decision(1, "alarm", 3 * DAY),
        decision(4, "retrain", 3.5 * DAY, "asked"),
    ]  # fmt: skip
    lanes = happenings(changes, [(3 * DAY, "age, city")], decided, 9 * DAY)
    assert [(item.name, item.at, item.until) for item in lanes["Champion"]] == [
        ("v1", 1 * DAY, 5 * DAY), ("v2", 5 * DAY, 9 * DAY)
    ]  # fmt: skip
    assert [(item.kind, item.at, item.until) for item in lanes["Drift"]] == [
        ("alarm", 3 * DAY, 6 * DAY), ("alarm", 8 * DAY, 9 * DAY), ("drift", 3 * DAY, None)
    ]  # fmt: skip
    assert [(item.name, item.kind) for item in lanes["Decided"]] == [("retrain", "asked")]


def test_it_is_drawn_within_its_width_with_words_that_cannot_be_markup():
    decided = [decision(1, "retrain", 3 * DAY, "asked", "<script>alert(1)</script> & été")]
    lanes = happenings([Deployment(CHAMPION, 1, 1 * DAY, "ann", "first")], [(2 * DAY, "<b>")], decided, 9 * DAY)
    drawn = timeline(lanes, 9 * DAY)
    assert "<script" not in drawn
    assert "retrain, asked: &lt;script&gt;alert(1)&lt;/script&gt; &amp; été" in drawn
    assert "1970-01-02" in drawn and "1970-01-10" in drawn
    ends = [float(x) + float(wide) for x, wide in re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)]
    assert ends and max(ends) <= 1190
    assert all(90 <= float(x) <= 1190 for x in re.findall(r'cx="([\d.]+)"', drawn))


def test_where_nothing_has_happened_yet_nothing_is_drawn():
    assert timeline(happenings([], [], [], DAY), DAY) == ""
    assert timeline(happenings([Deployment(CHAMPION, 1, DAY, "ann", "first")], [], [], DAY), DAY) == ""
