"""Runs: cached where nothing changed, early cut-off, resumption, partitions, failures, two runs at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import sqlalchemy as sa

from penstock.engine import Graph, make_plan, run_graph
from penstock.errors import InputError, StepError
from penstock.store import open_store
from penstock.store.schema import artifacts, claims, runs, steps

PREAMBLE = "import penstock as ps\nimport polars as pl\n"


def statuses(result):
    return {item.name: item.status for item in result.steps}


def run(module, store, body: str, **options):
    return run_graph(Graph.of(module(PREAMBLE + textwrap.dedent(body)), "test"), store, **options)


CHAIN = """
@ps.step
def one() -> int:
    return {one}
@ps.step
def sign(one: int) -> int:
    return 1 if one > 0 else -1
@ps.step
def words(sign: int) -> str:
    return f"sign {{sign}}"
"""


def test_a_second_run_computes_nothing(module, store):
    assert set(statuses(run(module, store, CHAIN.format(one=1))).values()) == {"ran"}
    second = run(module, store, CHAIN.format(one=1))
    assert set(statuses(second).values()) == {"cached"}
    assert second["words"] == "sign 1"


def test_a_change_that_yields_the_same_bytes_stops_there(module, store):
    run(module, store, CHAIN.format(one=1))
    second = run(module, store, CHAIN.format(one=2))
    assert statuses(second) == {"one": "ran", "sign": "ran", "words": "cached"}


def test_the_plan_says_why_in_words(module, store):
    graph = Graph.of(module(PREAMBLE + CHAIN.format(one=1)), "test")
    assert {item.causes for item in make_plan(graph, store).steps} >= {("never ran",)}
    run_graph(graph, store)
    assert not make_plan(graph, store).stale
    changed = make_plan(Graph.of(module(PREAMBLE + CHAIN.format(one=2)), "test"), store)
    assert [item.causes for item in changed.steps] == [
        ("code of one() changed at line 6",),
        ("after one",),
        ("after sign",),
    ]


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        (
            "N = 1\n@ps.step\ndef a() -> int:\n    return N",
            "N = 2\n@ps.step\ndef a() -> int:\n    return N",
            "N 1 -> 2",
        ),
        (
            "@ps.step\ndef a(budget: str = '60s') -> str:\n    return budget",
            "@ps.step\ndef a(budget: str = '120s') -> str:\n    return budget",
            "budget 60s -> 120s",
        ),
        (
            "@ps.step\ndef a() -> int:\n    return 1",
            "def h():\n    return 1\n@ps.step\ndef a() -> int:\n    return h()",
            "now uses h()",
        ),
        (
            "def h():\n    x = 1\n    return x\n@ps.step\ndef a() -> int:\n    return h()",
            "def h():\n    x = 1\n    return x + 1\n@ps.step\ndef a() -> int:\n    return h()",
            "code of h() changed at line 5",
        ),
    ],
)
def test_each_kind_of_cause_is_named(module, store, before, after, cause):
    run(module, store, before)
    plan = make_plan(Graph.of(module(PREAMBLE + after), "test"), store)
    assert cause in plan.steps[0].causes


def test_another_version_of_a_package_is_a_cause(module, store, monkeypatch):
    body = "@ps.step\ndef a() -> str:\n    return str(pl.Int64)"
    run(module, store, body)
    import penstock.engine.reach as reach

    monkeypatch.setattr(reach, "version_of", lambda name: ("polars", "99.0"))
    plan = make_plan(Graph.of(module(PREAMBLE + body), "test"), store)
    assert plan.steps[0].causes[0].endswith("-> 99.0")


def test_partitions_are_cached_one_by_one(module, store, tmp_path):
    body = """
    files = ps.source("*.txt")
    @ps.step(each="files")
    def length(files: ps.Path) -> int:
        return len(files.read_text())
    @ps.step
    def total(length: ps.Partitions[int]) -> int:
        return sum(length.values())
    """.replace("ps.Path", "__import__('pathlib').Path")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("abc")
    (folder / "b.txt").write_text("de")

    def go():
        made = module(PREAMBLE + textwrap.dedent(body), folder=folder)
        graph = Graph.of(made, "test")
        return make_plan(graph, store), run_graph(graph, store)

    assert go()[1]["total"] == 5
    (folder / "c.txt").write_text("fghi")
    plan, result = go()
    assert plan.steps[0].causes == ("input files changed (+1 partition)",)
    assert result["total"] == 9
    with store.catalog.read() as connection:
        rows = connection.execute(sa.select(steps.c.name, steps.c.status).where(steps.c.run == result.run)).all()
    assert {tuple(row) for row in rows if "[" in row.name} == {
        ("length[a.txt]", "cached"),
        ("length[b.txt]", "cached"),
        ("length[c.txt]", "ran"),
    }
    assert statuses(go()[1]) == {"length": "cached", "total": "cached"}


def test_a_step_can_make_the_partitions_itself(module, store):
    result = run(
        module,
        store,
        """
        @ps.step
        def parts() -> ps.Partitions[int]:
            return ps.Partitions({"a": 1, "b": 2})
        @ps.step(each="parts")
        def doubled(parts: int) -> int:
            return parts * 2
        @ps.step
        def total(doubled: ps.Partitions[int]) -> int:
            return sum(doubled.values())
        """,
    )
    assert result["total"] == 6


def test_a_failure_is_told_and_its_siblings_go_on(module, store):
    body = """
    @ps.step
    def one() -> int:
        return 1
    @ps.step
    def bad(one: int) -> int:
        return one / {zero}
    @ps.step
    def after(bad: float) -> int:
        return 1
    @ps.step
    def sibling(one: int) -> int:
        return one + 1
    """.replace("-> int:\n        return one /", "-> float:\n        return one /")
    result = run(module, store, body.format(zero=0))
    assert statuses(result) == {"one": "ran", "bad": "failed", "after": "skipped", "sibling": "ran"}
    with pytest.raises(StepError, match="ZeroDivisionError"):
        result.raise_for_status()
    with pytest.raises(StepError, match="step bad: ZeroDivisionError"):
        result["after"]
    assert result["sibling"] == 2
    again = run(module, store, body.format(zero=1))
    assert statuses(again) == {"one": "cached", "bad": "ran", "after": "ran", "sibling": "cached"}


def test_retries_wait_and_are_logged(module, store):
    result = run(
        module,
        store,
        """
        import pathlib
        @ps.step(retries=2, backoff=0.01, version="1")
        def flaky(path: str = "PATH") -> int:
            tries = pathlib.Path(path)
            count = int(tries.read_text()) + 1 if tries.exists() else 1
            tries.write_text(str(count))
            if count < 3:
                raise OSError("not yet")
            return count
        """.replace("PATH", str(store.folder / "tries")),
    )
    assert result["flaky"] == 3
    assert result.step("flaky").log.count("not yet") == 2


def test_what_a_step_prints_and_logs_is_kept(module, store, capsys):
    result = run(
        module,
        store,
        "import logging\n@ps.step\ndef a() -> int:\n    print('hello')\n    logging.getLogger('x').warning('mind')\n    return 1",
    )
    assert result.step("a").log == "hello\nWARNING x: mind\n"
    assert "hello" not in capsys.readouterr().out


def test_a_step_is_measured(module, store):
    result = run(module, store, "@ps.step\ndef a() -> bytes:\n    return bytes(bytearray(50_000_000))")
    step = result.step("a")
    assert step.seconds > 0
    assert step.bytes_out == 50_000_000
    assert step.peak_bytes > 50_000_000


def test_cache_false_runs_each_time(module, store):
    body = "@ps.step(cache=False)\ndef a() -> int:\n    return 1"
    run(module, store, body)
    assert statuses(run(module, store, body)) == {"a": "ran"}


def test_processes_give_the_same_digests(module, store, tmp_path):
    body = """
    import helpers_of_test
    @ps.step
    def frame() -> pl.DataFrame:
        return pl.DataFrame({"a": list(range(1000))})
    @ps.step
    def total(frame: pl.DataFrame, times: int = 2) -> int:
        return helpers_of_test.times(int(frame["a"].sum()), times)
    """
    module("def times(a, b):\n    return a * b\n", "helpers_of_test")
    here = run(module, store, body)
    there = run(module, open_store(tmp_path / "other"), body, executor="processes")
    assert [item.digest for item in here.steps] == [item.digest for item in there.steps]
    assert there["total"] == 999_000


@pytest.mark.parametrize("asked", ['timeout="30s"', ""])
def test_a_script_without_a_guard_of_main_runs_once(tmp_path, asked):
    executor = "local" if asked else "processes"
    (tmp_path / "script.py").write_text(
        "import penstock as ps\nprint('begun')\nclass Kept:\n    number = 20\n"
        f"@ps.step({asked})\ndef one() -> int:\n    return Kept.number\n"
        f"print(ps.Graph.of().run(executor={executor!r})['one'])\n"
    )
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("begun\n20\n", 0), done.stderr


def test_a_step_that_leaves_or_cannot_be_read_in_another_process_is_told(module, store):
    body = """
    import sys
    class Strange(Exception):
        def __init__(self, a, b):
            super().__init__("cannot be read")
    def spoil():
        raise Strange(1, 2)
    class Spoilt:
        def __reduce__(self):
            return spoil, ()
    @ps.step
    def leaves() -> int:
        sys.exit(3)
    @ps.step
    def spoilt(value: object = Spoilt()) -> int:
        return 1
    """
    found = run(module, store, body, executor="processes")
    assert found.step("leaves").error.startswith("SystemExit: 3")
    assert found.step("spoilt").error.startswith("Strange: cannot be read")


def test_a_step_that_takes_too_long_is_ended(module, store):
    started = time.monotonic()
    result = run(
        module,
        store,
        "import time\n@ps.step(timeout=0.5)\ndef slow() -> int:\n    time.sleep(60)\n    return 1",
    )
    assert "timeout of 0.5 s" in result.step("slow").error
    assert time.monotonic() - started < 30


def test_more_memory_than_the_machine_has_is_refused(module, store):
    with pytest.raises(InputError, match="asks for"):
        run(module, store, "@ps.step(memory='9000GB')\ndef a() -> int:\n    return 1")


def test_independent_steps_run_at_once(module, store):
    result = run(
        module,
        store,
        """
        import threading
        met = threading.Barrier(2, timeout=20)
        @ps.step(version="1")
        def a() -> int:
            met.wait()
            return 1
        @ps.step(version="1")
        def b() -> int:
            met.wait()
            return 2
        """,
        workers=2,
    )
    assert result.status == "succeeded"


def test_a_run_records_who_where_and_with_what(module, store):
    result = run(module, store, "@ps.step\ndef a(size: int = 4) -> int:\n    return size", seed=7)
    with store.catalog.read() as connection:
        row = connection.execute(sa.select(runs).where(runs.c.id == result.run)).one()
    assert row.user
    assert row.host
    assert row.seed == 7
    assert '"a.size": "4"' in row.parameters
    assert "polars" in row.packages


SLOW = """
import penstock as ps, time, pathlib
LOG = {log!r}
def note(word):
    with open(LOG, "a") as file:
        file.write(word + "\\n")
@ps.step(version="1")
def first() -> int:
    note("first")
    return 1
@ps.step(version="1")
def second(first: int) -> int:
    note("second")
    time.sleep({seconds})
    return first + 1
@ps.step(version="1")
def third(second: int) -> int:
    note("third")
    return second + 1
"""

RUNNER = """
import sys, importlib.util
from penstock.engine import Graph, run_graph
from penstock.store import open_store
spec = importlib.util.spec_from_file_location("slow", sys.argv[1])
module = importlib.util.module_from_spec(spec); sys.modules["slow"] = module; spec.loader.exec_module(module)
result = run_graph(Graph.of(module, "slow"), open_store(sys.argv[2]))
print(result.status, result["third"] if result.status == "succeeded" else "")
"""


def start(tmp_path, seconds: float):
    (tmp_path / "slow.py").write_text(SLOW.format(log=str(tmp_path / "log"), seconds=seconds))
    command = [sys.executable, "-c", RUNNER, str(tmp_path / "slow.py"), str(tmp_path / "store")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(tmp_path, word: str) -> None:
    deadline = time.monotonic() + 30
    while word not in ((tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""):
        assert time.monotonic() < deadline, f"{word} was not reached"
        time.sleep(0.02)


def test_after_sigkill_the_next_run_goes_on(tmp_path):
    killed = start(tmp_path, 30)
    wait_for(tmp_path, "second")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = start(tmp_path, 0)
    assert again.communicate(timeout=60)[0].strip() == "succeeded 3"
    assert (tmp_path / "log").read_text().split() == ["first", "second", "second", "third"]


def test_two_runs_at_once_compute_each_step_once(tmp_path):
    both = [start(tmp_path, 1.5), start(tmp_path, 1.5)]
    assert [item.communicate(timeout=60)[0].strip() for item in both] == ["succeeded 3", "succeeded 3"]
    assert sorted((tmp_path / "log").read_text().split()) == ["first", "second", "third"]


def test_ctrl_c_stops_cleanly(tmp_path):
    stopped = start(tmp_path, 30)
    wait_for(tmp_path, "second")
    stopped.send_signal(signal.SIGINT)
    assert stopped.communicate(timeout=30)[0].strip() == "cancelled"
    store = open_store(tmp_path / "store")
    with store.catalog.read() as connection:
        assert connection.execute(sa.select(runs.c.status)).scalars().all() == ["cancelled"]
        assert connection.execute(sa.select(sa.func.count()).select_from(claims)).scalar() == 0
        assert connection.execute(sa.select(artifacts.c.step)).scalars().all() == ["first"]
    store.close()


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.3, 0.6])
def test_sigkill_at_any_moment_leaves_no_half_artifact(tmp_path, moment):
    (tmp_path / "many.py").write_text(
        "import penstock as ps\n"
        + "".join(f"@ps.step\ndef s{i}() -> bytes:\n    return bytes([{i}]) * 200_000\n" for i in range(60))
    )
    command = RUNNER.replace('result["third"]', '""').replace('"slow"', '"many"')
    killed = subprocess.Popen([sys.executable, "-c", command, str(tmp_path / "many.py"), str(tmp_path / "store")])
    deadline = time.monotonic() + 30
    while not (tmp_path / "store" / "blobs").exists() and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.005)
    time.sleep(moment)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    store = open_store(tmp_path / "store")
    with store.catalog.read() as connection:
        for digest in connection.execute(sa.select(artifacts.c.digest)).scalars():
            assert len(store.blobs.read(digest)) == 200_000
    store.close()
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "many.py"), str(tmp_path / "store")], check=True)


STREAM = """
@ps.step
def rows():
    for month in range(3):
        yield f"m{month}", pl.DataFrame({"month": [month] * 4, "paid": [1.0, -2.0, 3.0, 4.0]})
@ps.step
def cleaned(rows: ps.LazyPartitions[pl.DataFrame], least: float = 0.0):
    for name, part in rows.items():
        yield name, part.filter(pl.col("paid") > least)
@ps.step(each="cleaned")
def split(cleaned: pl.DataFrame) -> ps.Partitions[pl.DataFrame]:
    return ps.Partitions({"low": cleaned.head(1), "high": cleaned.tail(2)})
@ps.step
def whole(cleaned: pl.DataFrame, split: ps.LazyPartitions[pl.DataFrame]) -> dict:
    lows = split.ending("low")
    return {
        "rows": cleaned.height, "parts": list(split), "lows": [lows[name]["paid"].sum() for name in lows],
        "columns": lows.select(["paid"])["m1"].columns, "shape": [lows.shape("m0")[1], list(lows.shape("m0")[0])],
    }
"""


def test_a_table_larger_than_memory_goes_through_part_by_part(module, store):
    done = run(module, store, STREAM)
    done.raise_for_status()
    assert done["whole"] == {
        "rows": 9, "parts": ["m0/low", "m0/high", "m1/low", "m1/high", "m2/low", "m2/high"], "lows": [1.0, 1.0, 1.0],
        "columns": ["paid"], "shape": [1, ["month", "paid"]],
    }  # fmt: skip
    assert set(statuses(run(module, store, STREAM)).values()) == {"cached"}
    changed = run(module, store, STREAM.replace("[1.0, -2.0, 3.0, 4.0]", "[1.0, -2.0, 3.0, 4.0 + (month == 2)]"))
    parts = [item["name"] for item in _steps_of(store, changed.run) if item["status"] == "ran"]
    assert [name for name in parts if name.startswith("split[")] == ["split[m2]"]


def _steps_of(store, run_id):
    from penstock.engine.history import past_run

    return past_run(store, run_id).steps


def test_a_part_that_is_yielded_again_takes_the_place_of_the_first(module, store):
    body = """
    @ps.step
    def rows():
        yield "a", pl.DataFrame({"x": [1]})
        yield "b", pl.DataFrame({"x": [2]})
        yield "a", pl.DataFrame({"x": [1.5]})
    @ps.step
    def found(rows: ps.Partitions[pl.DataFrame]) -> dict:
        return {name: part["x"].to_list() for name, part in rows.items()}
    """
    assert run(module, store, body)["found"] == {"a": [1.5], "b": [2]}


def test_a_table_is_handed_on_as_the_next_step_asks_for_it(module, store):
    pytest.importorskip("pandas")
    body = """
    import pandas as pd
    from sklearn.linear_model import Ridge

    @ps.step
    def rows() -> pd.DataFrame:
        return pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=[5, 6, 7])
    @ps.step
    def doubled(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(pl.col("x"), y=pl.col("x") * 2)
    @ps.step
    def fitted(doubled: pd.DataFrame) -> Ridge:
        return Ridge(alpha=0).fit(doubled[["x"]], doubled["y"])
    @ps.step
    def answer(fitted: Ridge, rows: pd.DataFrame) -> list:
        return [round(float(fitted.predict(rows.loc[[6]])[0]), 6), list(rows.index)]
    """
    assert run(module, store, body)["answer"] == [4.0, [5, 6, 7]]


def test_a_step_that_yields_values_without_names_is_told(module, store):
    done = run(module, store, "@ps.step\ndef rows():\n    yield 1\n")
    assert "pairs of a part's name and its value, not int" in done.step("rows").error


def test_a_generator_that_fails_midway_is_an_ordinary_failure(module, store):
    body = """
    @ps.step
    def rows():
        yield "a", pl.DataFrame({"x": [1]})
        raise ValueError("the source vanished")
    """
    done = run(module, store, body)
    assert done.status == "failed"
    assert "the source vanished" in done.step("rows").error


def test_a_step_that_fails_by_the_interpreters_fault_is_called_again_and_not_for_ever(module, store, tmp_path):
    body = """
    from pathlib import Path

    @ps.step
    def parsed(place: str = {place!r}, fails: int = {fails}) -> int:
        times = len(Path(place).read_text()) + 1
        Path(place).write_text("x" * times)
        if times <= fails:
            raise SystemError("AST constructor recursion depth mismatch (before=54, after=51)")
        return times
    """
    for fails, ends in ((2, "ran"), (100, "failed")):
        (tmp_path / "times").write_text("")
        result = run(module, store, body.format(place=str(tmp_path / "times"), fails=fails))
        assert statuses(result) == {"parsed": ends}
    assert len((tmp_path / "times").read_text()) == 5
