"""Is a canary worse? Told when it is, and hardly ever when it is not."""

import numpy as np
import pytest

from penstock.deploy.judging import Looks, Traffic, worse, worse_losses


def traffic(random, requests, errors, median):
    made = Traffic()
    for failed, seconds in zip(
        random.random(requests) < errors, random.lognormal(np.log(median), 0.4, requests), strict=True
    ):
        made.count(500 if failed else 200, float(seconds))
    return made


def watched(random, errors, median, requests=3200):
    """Watch a canary of 10 % as a service does: after 50, 100, 200, ... of its requests."""
    looks, champion, canary = (
        Looks(),
        traffic(random, requests * 9, 0.01, 0.002),
        traffic(random, requests, errors, median),
    )
    for count in (50, 100, 200, 400, 800, 1600, 3200):
        level = looks.due(count)
        part = Traffic(count, 0)
        part.seconds.extend(list(canary.seconds)[:count])
        part.errors = round(canary.errors * count / requests) if errors > 0.05 else int(random.binomial(count, errors))
        if worse(champion, part, level) is not None:
            return count
    return None


def test_a_canary_as_good_as_the_champion_is_hardly_ever_stopped():
    random = np.random.default_rng(0)
    stopped = sum(watched(random, 0.01, 0.002) is not None for _ in range(200))
    assert stopped <= 6  # 1 % of 200 are 2


@pytest.mark.parametrize(("errors", "median"), [(0.2, 0.002), (0.01, 0.010)])
def test_one_that_fails_or_is_slow_is_stopped_early(errors, median):
    random = np.random.default_rng(1)
    assert [watched(random, errors, median) in (50, 100, 200) for _ in range(10)] == [True] * 10


def test_losses_are_compared_only_when_there_are_enough():
    random = np.random.default_rng(2)
    good, bad = random.normal(1, 0.3, 400).tolist(), random.normal(1.3, 0.3, 100).tolist()
    assert "mean loss 1.252 on 100 labels" in worse_losses(good, bad, 0.005)
    assert worse_losses(good, bad[:49], 0.005) is None
    assert worse_losses(good, random.normal(0.9, 0.3, 100).tolist(), 0.005) is None


def test_each_look_is_given_once_and_all_levels_sum_to_the_whole():
    looks, levels = Looks(0.01), []
    for count in range(1, 100_000):
        level = looks.due(count)
        if level is not None:
            levels.append(level)
    assert len(levels) == 11
    assert sum(levels) < 0.01
