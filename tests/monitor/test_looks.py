"""A look that knows of none before it judges what a watcher that stays has judged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.monitor.looks import LOOKS, is_due, latest_look
from penstock.monitor.options import Drift
from penstock.monitor.window import times_of
from penstock.store.store import open_store
from penstock.watch import taken_of


@given(
    gaps=st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0, 100.0]), max_size=300),
    least=st.integers(1, 30),
    seconds=st.one_of(st.none(), st.sampled_from([5.0, 60.0, 500.0])),
    rows=st.one_of(st.none(), st.integers(5, 100)),
)
def test_it_is_the_last_look_of_one_who_looks_after_every_request(gaps, least, seconds, rows):
    times = np.cumsum(np.array(gaps, np.float64))
    last, width = None, 0
    for at in range(len(times)):
        if at + 1 < len(times) and times[at + 1] == times[at]:
            continue
        if is_due(at - (-1 if last is None else last), width, least):
            begin = 0 if seconds is None else int(np.searchsorted(times, times[at] - seconds))
            last, width = at, min(at + 1 - begin, at + 1 if rows is None else rows)
    assert latest_look(times, least, seconds, rows) == (None if last is None else times[last])


def test_rows_are_judged_four_times_a_window():
    times = np.arange(10_000.0)
    ends = {latest_look(times[:count], 100, rows=1_000) for count in range(5_000, 6_000)}
    assert len(ends) <= LOOKS + 1


def test_a_window_of_time_ends_where_it_is_said(tmp_path):
    store = open_store(tmp_path / "s")
    log = PredictionLog(log_folder(store.folder, "churn"))
    log.append([Record(f"{at}", 1_000.0 + at, 1, {"a": at}, "yes") for at in range(500)])
    log.close()
    taken = taken_of(store, "churn", 1, Drift(seconds=100.0), until=1_300.0)
    assert [record.at for record in taken.records] == [1_200.0 + at for at in range(101)]
    assert taken_of(store, "churn", 1, Drift(rows=50), until=1_300.0).records == taken.records[-50:]
    store.close()


def test_times_are_of_one_version_in_order_and_without_spans(tmp_path):
    for process in range(2):
        log = PredictionLog(tmp_path)
        rows = [Record(f"{process}-{at}", float(at), 1 + at % 2, {"a": at}, "yes") for at in range(10)]
        log.append([*rows, Record("s", 3.0, 1, {"a": 1}, "yes", shadow=True), Record("0-2", 5.0, label="no")])
        log.close()
    assert times_of(tmp_path, 1, 2.0).tolist() == [2.0, 2.0, 4.0, 4.0, 6.0, 6.0, 8.0, 8.0]
    assert times_of(tmp_path, 2, 0.0, [(3.0, 6.0)]).tolist() == [1.0, 1.0, 7.0, 7.0, 9.0, 9.0]
