"""Whether requests are answered as the tests were: every test row is asked, once."""

import pytest

from penstock.flow.served import requests_of


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 1_008, 1_009, 5_003])
def test_every_row_is_asked_once_and_never_more_than_are_answered_one_by_one(count):
    asked = [list(range(count))[some] for some in requests_of(count)]
    assert [row for rows in asked for row in rows] == list(range(count))
    assert {len(rows) for rows in asked[:1_000]} <= {1}
    assert all(1 <= len(rows) <= 8 for rows in asked)
