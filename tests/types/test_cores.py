"""How many cores there are: what a pinning, a control group or the user leaves of them."""

import os
import subprocess
import sys

import pytest

from penstock.types.cores import _quota

COUNT = "from penstock.types.cores import cores; print(cores())"


def counted(program=COUNT, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    return done.stdout.strip() or done.stderr.splitlines()[-1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no processes")
def test_a_process_that_is_pinned_has_the_cores_that_it_is_pinned_to():
    assert counted(f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {COUNT}") == "1"


def test_the_user_sets_another_number():
    assert counted(PENSTOCK_CORES="5") == "5"
    assert "a whole number from 1 on is expected" in counted(PENSTOCK_CORES="0")
    assert "a whole number from 1 on is expected" in counted(PENSTOCK_CORES="2.5")


@pytest.mark.parametrize(("text", "number"), [("150000 100000", 2), ("50000 100000", 1), ("400000 100000\n", 4)])
def test_a_quota_of_a_control_group_is_rounded_up(tmp_path, text, number):
    (tmp_path / "cpu.max").write_text(text)
    assert _quota(tmp_path / "cpu.max") == number


def test_a_group_without_limit_or_of_version_1(tmp_path):
    (tmp_path / "cpu.max").write_text("max 100000")
    assert _quota(tmp_path / "cpu.max") > 10_000
    assert _quota(tmp_path / "none") > 10_000
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert _quota(tmp_path / "cpu.cfs_quota_us") > 10_000
    (tmp_path / "cpu.cfs_quota_us").write_text("250000\n")
    assert _quota(tmp_path / "cpu.cfs_quota_us") == 3
