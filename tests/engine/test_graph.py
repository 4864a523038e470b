"""Graphs are checked when they are made."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock.engine.graph import Graph
from penstock.engine.history import artifact, past_run
from penstock.errors import GraphError, InputError


def graph_of(module, body: str) -> Graph:
    return Graph.of(module("import penstock as ps\n" + body))


def test_arguments_name_the_steps_that_they_need(module):
    graph = graph_of(
        module,
        "@ps.step\ndef two(one: int, size: int = 3) -> int:\n    return one\n@ps.step\ndef one() -> int:\n    return 1\n",
    )
    assert list(graph.steps) == ["one", "two"]
    assert graph.steps["two"].parameters == {"size": 3}


def test_a_cycle_is_told_with_names_and_lines(module):
    with pytest.raises(GraphError, match=r"cycle: a <- b <- a \(a at steps\.py:2, b at steps\.py:5\)"):
        graph_of(
            module,
            "@ps.step\ndef a(b: int) -> int:\n    return b\n@ps.step\ndef b(a: int) -> int:\n    return a\n",
        )


def test_a_step_that_asks_for_itself_is_refused(module):
    with pytest.raises(GraphError, match="own result"):
        graph_of(module, "@ps.step\ndef a(a: int) -> int:\n    return a\n")


def test_a_missing_step_is_named(module):
    with pytest.raises(GraphError, match=r"steps\.py:2: step a needs 'nothing'"):
        graph_of(module, "@ps.step\ndef a(nothing: int) -> int:\n    return 1\n")


def test_a_doubled_name_is_told_with_both_places(module):
    with pytest.raises(GraphError, match=r"two steps are named 'a': steps\.py:2 and steps\.py:5"):
        graph_of(
            module,
            "@ps.step\ndef a() -> int:\n    return 1\n@ps.step(name='a')\ndef b() -> int:\n    return 1\n",
        )


def test_types_that_do_not_fit_are_refused(module):
    with pytest.raises(GraphError, match=r"step b takes a: str, but a \(steps\.py:2\) gives int"):
        graph_of(module, "@ps.step\ndef a() -> int:\n    return 1\n@ps.step\ndef b(a: str) -> int:\n    return 1\n")


def test_tables_of_any_library_fit_one_another(module):
    body = (
        "import polars as pl\nimport pyarrow as pa\n@ps.step\ndef a() -> pl.DataFrame:\n    return pl.DataFrame()\n"
        "@ps.step\ndef b(a: pa.Table) -> int:\n    return 1\n"
    )
    assert set(graph_of(module, body).steps) == {"a", "b"}


def test_an_async_function_is_no_step(module):
    with pytest.raises(GraphError, match="step a: is an async function"):
        graph_of(module, "@ps.step\nasync def a() -> int:\n    return 1\n")


def test_any_number_of_arguments_is_refused(module):
    with pytest.raises(GraphError, match="name each argument"):
        graph_of(module, "@ps.step\ndef a(*rest) -> int:\n    return 1\n")


def test_each_must_name_an_input(module):
    with pytest.raises(GraphError, match="not one of its inputs"):
        graph_of(module, "@ps.step(each='x')\ndef a(x: int = 1) -> int:\n    return 1\n")


def test_each_needs_partitions(module):
    with pytest.raises(GraphError, match=r"Return ps\.Partitions"):
        graph_of(
            module,
            "@ps.step\ndef a() -> int:\n    return 1\n@ps.step(each='a')\ndef b(a: int) -> int:\n    return 1\n",
        )


def test_marked_functions_are_put_together_by_name_and_what_is_no_step_is_told(tmp_path):
    @ps.step
    def one() -> int:
        return 1

    @ps.step
    def two(one: int) -> int:
        return one + 1

    assert ps.Graph.build("numbers", [two, one]).run(tmp_path / "s")["two"] == 2
    with pytest.raises(GraphError, match=r"ps.Graph.build\('numbers', \[one, two\]\)"):
        ps.Graph("numbers", [one, two])
    with pytest.raises(GraphError, match="is no step; mark the function with @ps.step"):
        ps.Graph.build("numbers", [one, two.function])


def test_a_chain_of_ten_thousand_steps_is_put_in_order():
    from penstock.engine.step import Step

    steps = [Step(f"s{i}", len, {"x": f"s{i - 1}"} if i else {}) for i in range(10_000)]
    assert list(Graph.build("long", reversed(steps)).steps)[-1] == "s9999"


def test_the_calling_module_is_run_from_python_as_from_the_command_line(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_STORE", raising=False)
    made = module(
        "import penstock as ps\n@ps.step\ndef one() -> int:\n    return 1\n"
        "@ps.step\ndef two(one: int) -> int:\n    return one + 1\n"
        "def go():\n    graph = ps.Graph.of()\n    return graph.plan(), graph.run()\n"
    )
    plan, run = made.go()
    assert repr(plan) == f"plan of {plan.pipeline}: 2 of 2 steps would run\n  one: never ran\n  two: never ran"
    assert repr(run) == f"<RunResult {plan.pipeline} {run.run}: succeeded; 2 of 2 steps ran>"
    assert run["two"] == 2
    assert (tmp_path / ".penstock").is_dir()
    assert made.go()[0].stale == ()


FLOW = (
    "@ps.step\ndef rows(size: int = 3, name: str = 'a', seed: int = 0) -> list:\n    return [seed] * size\n"
    "@ps.step\ndef total(rows: list, scale: float = 1, seed: int = 0, sizes: tuple = (1, 2), limit=None) -> float:\n"
    "    return sum(rows) * scale\n"
)


def test_parameters_are_changed_of_one_step_or_of_all_that_have_them(module):
    graph = graph_of(module, FLOW)
    changed = graph.with_parameters({"rows.size": 4, "seed": 7, "total.scale": 0.5, "sizes": [3], "limit": "x"})
    assert changed.steps["rows"].parameters == {"size": 4, "name": "a", "seed": 7}
    assert changed.steps["total"].parameters == {"scale": 0.5, "seed": 7, "sizes": (3,), "limit": "x"}
    assert graph.steps["rows"].parameters["size"] == 3


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rows.sise": 1}, "no step has a parameter 'rows.sise'. Did you mean \"rows.size\""),
        ({"nothing": 1}, "There are: rows.size, rows.name, rows.seed, total.scale"),
        ({"rows.size": "x"}, "step rows takes size=3; 'x' is of another kind"),
        ({"rows.size": True}, "of another kind"),
        ({"name": 1}, "of another kind"),
    ],
)
def test_a_parameter_that_is_none_or_of_another_kind_is_refused(module, values, told):
    with pytest.raises(InputError) as error:
        graph_of(module, FLOW).with_parameters(values)
    assert told in str(error.value)


def test_what_a_step_made_is_had_again_with_all_its_parts(module, tmp_path):
    graph_of(
        module,
        "import polars as pl\n@ps.step\ndef mixed() -> ps.Partitions:\n"
        "    return ps.Partitions({'a': pl.DataFrame({'x': [1]}), 'b': {'n': 1}})\n"
        "@ps.step\ndef halves() -> ps.Partitions:\n"
        "    return ps.Partitions({'a': pl.DataFrame({'x': [1]}), 'b': pl.DataFrame({'x': [2]})})\n",
    ).run(tmp_path)
    assert artifact("mixed", store=tmp_path)["b"] == {"n": 1}
    assert artifact("halves", store=tmp_path)["x"].to_list() == [1, 2]


def test_the_numbers_that_steps_return_are_the_metrics_of_the_run(module, tmp_path):
    run = graph_of(
        module,
        "import dataclasses\n@dataclasses.dataclass\nclass Best:\n    name: str\n    auc: float\n"
        "@ps.step\ndef one() -> int:\n    return 1\n"
        "@ps.step\ndef counted():\n    import numpy as np\n    return Best('b', np.int64(7))\n"
        "@ps.step\ndef scores() -> dict:\n    return {'a': {'auc': 0.5, 'ok': True}, 'b': float('nan'), 'c': [1, 2]}\n"
        "@ps.step\ndef best(scores: dict) -> Best:\n    return Best('a', 0.5)\n",
    ).run(tmp_path)
    assert run.metrics == {"one": 1, "counted.auc": 7, "scores.a.auc": 0.5, "best.auc": 0.5}
    assert past_run(run.store, run.run).summary["metrics"]["best.auc"] == {"value": 0.5}
