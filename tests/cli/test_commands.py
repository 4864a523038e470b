"""The command line as people and programs use it: real processes, exit codes, shapes of JSON."""

import contextlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import polars as pl
import pytest
import xlsxwriter
from click.testing import CliRunner
from tests.conftest import copied, customers

import penstock as ps
import penstock.cli
from penstock.cli import COMMANDS, cli, obey
from penstock.cli.common import load_pipeline
from penstock.outcome import run_pipeline
from penstock.store import open_store
from penstock.train import searching

PIPELINE = """
import polars as pl
import penstock as ps

pipeline = ps.Pipeline(
    "customers",
    ingest=ps.ingest.files("customers.csv"),
    target=ps.binary("left", positive="gone"),
    train=ps.train.search(trials=2, folds=2),
    evaluate=ps.evaluate.gate({gate}),
)
"""


def call(*words, folder=None, code=0, **environment):
    """Do what a command line says, in this process: what it imports is there already."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder or Path.cwd()), mock.patch.dict(os.environ, environment), mock.patch.object(penstock.cli, "_WARNED", set()),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors),
    ):  # fmt: skip
        try:
            found = obey([str(word) for word in words])
        except SystemExit as left:
            found = left.code
    done = SimpleNamespace(stdout=out.getvalue(), stderr=errors.getvalue(), returncode=found)
    assert found == code, f"{found}: {done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def test_the_command_line_of_a_process_tells_errors_and_leaves_with_their_code(tmp_path):
    words = [sys.executable, "-m", "penstock", "run", "nothing.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: nothing.py: there is no such file")


def call_json(*words, **options):
    return json.loads(call(*words, "--json", **options).stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    customers(500).write_csv(folder / "customers.csv")
    (folder / "pipeline.py").write_text(PIPELINE.format(gate=""))
    call("run", "pipeline.py", folder=folder)
    return folder


def test_every_command_has_help_with_an_example():
    assert "penstock init data.csv" in call("--help").stdout
    for name in COMMANDS:
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0, name
        assert "Example:" in shown.output, name


def test_plan_and_run_print_the_promised_shapes(place):
    plan = call_json("plan", "pipeline.py", folder=place)
    assert plan["pipeline"] == "customers"
    assert all(set(step) >= {"name", "status", "causes", "stage"} for step in plan["steps"])
    assert {step["status"] for step in plan["steps"]} == {"cached"}
    run = call_json("run", place / "pipeline.py", folder="/")
    assert set(run) >= {"run", "pipeline", "status", "steps", "metrics", "baseline", "gate", "model", "report"}
    assert run["status"] == "succeeded"
    assert all(set(step) >= {"name", "status", "seconds", "digest"} for step in run["steps"])
    assert set(run["metrics"]["roc_auc"]) == {"value", "low", "high"}
    assert run["gate"]["passed"] is True
    assert run["model"] == {"name": "customers", "version": 1, "aliases": ["champion"]}
    assert Path(run["report"]).is_file()


def test_a_plan_is_a_tree_for_people(place):
    text = call("plan", "pipeline.py", folder=place).stdout
    assert "├─ ingest" in text
    assert "everything is cached" in text


def test_the_store_is_found_in_the_order_that_is_promised(place, tmp_path):
    steps = call_json("plan", "pipeline.py", folder=place, PENSTOCK_STORE=str(tmp_path / "e"))["steps"]
    assert {step["status"] for step in steps} == {"stale"}
    steps = call_json("plan", "pipeline.py", "--store", ".penstock", folder=place, PENSTOCK_STORE=str(tmp_path / "e"))[
        "steps"
    ]
    assert {step["status"] for step in steps} == {"cached"}


def test_runs_show_diff_and_models(place):
    call("run", "pipeline.py", folder=place)
    runs = call_json("runs", folder=place)
    assert runs[0]["pipeline"] == "customers"
    shown = call_json("show", "latest", folder=place)
    assert {"user", "host", "packages", "seed", "git_commit", "parameters", "steps"} <= set(shown)
    assert shown["packages"]["polars"]
    assert "cpu" in call("show", runs[-1]["run"], "--log", folder=place).stdout
    assert "nothing changed" in call("diff", "latest~1", "latest", folder=place).stdout
    assert "champion" in call("models", "customers", folder=place).stdout
    assert call_json("models", folder=place)[0]["versions"][0]["version"] == 1
    assert "every artifact is the same" in call("reproduce", "latest", folder=place).stdout
    assert call_json("gc", "--dry-run", folder=place)["dry_run"] is True
    assert all(check["ok"] for check in call_json("doctor", folder=place))
    assert "_PENSTOCK_COMPLETE" in call("completion", "bash").stdout


def test_a_changed_parameter_is_a_cause_in_words(place, tmp_path):
    copied(place, tmp_path / "p")
    file = tmp_path / "p" / "pipeline.py"
    file.write_text(file.read_text().replace("trials=2", 'trials=2, budget="120s"'))
    steps = {step["name"]: step for step in call_json("plan", file)["steps"]}
    assert steps["trials"]["causes"] == ["budget 60s -> 120s"]
    assert steps["prepared"]["status"] == "cached"
    assert "--force nothing: no step has that name" in call("run", file, "--force", "nothing", code=2).stderr
    call("run", file, "--force", "trials")
    assert any(
        "budget 60s -> 120s" in line
        for line in call_json("diff", "latest~1", "latest", "--store", file.parent / ".penstock")["parameters"]
    )


def test_a_gate_that_says_no_leaves_with_three_and_a_person_may_promote(place, tmp_path):
    copied(place, tmp_path / "p")
    file = tmp_path / "p" / "pipeline.py"
    file.write_text(PIPELINE.format(gate="roc_auc=0.999").replace("trials=2", 'trials=3, learners=["lightgbm"]'))
    done = call("run", file, code=3)
    assert "misses the bound 0.999" in done.stdout
    store = ["--store", tmp_path / "p" / ".penstock"]
    assert call_json("promote", "customers", "2", "--why", "trust me", *store)["aliases"] == ["champion"]
    assert "trust me" in call("models", "customers", *store).stdout
    assert call_json("rollback", "customers", *store)["version"] == 1


def test_a_file_is_predicted_in_each_kind(place, tmp_path):
    for suffix in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"out.{suffix}"
        assert call_json("predict", "customers", "customers.csv", "-o", out, folder=place)["rows"] == 500
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert set(table["prediction"]) == {"gone", "here"}
    assert "probability_gone" in table.columns
    call("predict", "customers", "customers.csv", "-o", "out.xlsx", folder=place, code=2)
    call("predict", "customers", "nothing.csv", "-o", tmp_path / "o.csv", folder=place, code=2)
    customers(20).drop("age").write_csv(tmp_path / "in.csv")
    assert (
        'has no column "age"'
        in call("predict", "customers", tmp_path / "in.csv", "-o", tmp_path / "o.csv", folder=place, code=2).stderr
    )
    assert not (tmp_path / "o.csv").exists()


def test_monitor_without_requests_has_not_enough_data(place):
    found = call_json("monitor", "customers", folder=place)
    assert set(found) >= {"model", "version", "window", "status", "columns", "performance"}
    assert found["status"] == "not enough data"
    assert found["window"] == {"from": None, "to": None, "rows": 0, "looked_at": 0}


@pytest.mark.parametrize("column", ["left", "city", "orders", "age"])
def test_init_writes_a_file_that_runs_as_it_is(tmp_path, column):
    customers(300).drop_nulls(column).write_csv(tmp_path / "my data.csv")
    made = call_json("init", "my data.csv", "--target", column, "-o", "p.py", folder=tmp_path)
    assert made["task"] == {"left": "binary", "city": "multiclass", "orders": "multiclass", "age": "regression"}[column]
    text = (tmp_path / "p.py").read_text().replace('budget="60s"', "trials=1, folds=2")
    (tmp_path / "p.py").write_text(text)
    assert (
        call_json("run", "p.py", folder=tmp_path, code=0 if column in ("left", "age") else call_code(tmp_path))[
            "status"
        ]
        == "succeeded"
    )
    assert (
        "is there already"
        in call("init", "my data.csv", "--target", column, "-o", "p.py", folder=tmp_path, code=2).stderr
    )


def test_a_series_is_divided_by_time_and_the_advice_of_the_gate_can_be_followed_at_once(tmp_path):
    random = np.random.default_rng(0)
    level = np.cumsum(random.normal(size=900))
    at = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 3, 1), "1h", eager=True)[:900]
    table = pl.DataFrame({"at": at.dt.strftime("%Y/%m/%d %H:%M"), "wind": random.normal(size=900), "level": level})
    table.with_columns(pl.col("level") + pl.col("wind")).write_csv(tmp_path / "river.csv")
    call("init", "river.csv", "--target", "level", "-o", "p.py", folder=tmp_path)
    text = (tmp_path / "p.py").read_text()
    assert 'ps.ingest.files("river.csv", time="at")' in text
    assert 'split=ps.split.time("at", test=0.2)' in text
    quick = ("--set", "train.trials=1", "--set", "train.learners=linear")
    told = call("run", "p.py", *quick, folder=tmp_path, code=3).stdout
    advice = re.search(r"ps\.features\.lag\('level', 1\)", told)[0]
    (tmp_path / "p.py").write_text(re.sub(r"# features=\[.*\],.*", f"features=[{advice}],", text))
    assert call_json("run", "p.py", *quick, folder=tmp_path)["gate"]["passed"]


def test_a_run_warns_where_both_sides_hold_rows_of_one_visit(tmp_path):
    random = np.random.default_rng(0)
    visit = np.repeat(np.arange(1200), 4)
    known = pl.DataFrame({name: random.normal(size=1200)[visit].round(6) for name in ("height", "weight")})
    table = known.with_columns(
        visit=pl.format("visit {}", pl.Series(visit)), sick=pl.Series(random.integers(0, 2, 1200)[visit]),
        minute=pl.Series(random.integers(0, 60, len(visit))),
    )  # fmt: skip
    table.write_csv(tmp_path / "visits.csv")
    (tmp_path / "visits.py").write_text(
        "import penstock as ps\n"
        'pipeline = ps.Pipeline("visits", ingest=ps.ingest.files("visits.csv"), target=ps.binary("sick", positive=1), split=ps.split.random(test=0.4),\n'
        '    train=ps.train.search(trials=2, learners=["linear", "extra_trees"]))\n'
    )
    told = call("run", "visits.py", folder=tmp_path).stdout
    found = re.search(
        r"rows share their visit with training rows, and are easier for that: roc_auc is (\S+) on them and (\S+) on the others",
        told,
    )
    assert float(found[1]) > float(found[2]) + 0.08
    assert 'ps.split.group("visit")' in told


def test_init_looks_at_a_table_of_a_database_too(tmp_path):
    table = customers(300)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as link:
        link.execute(f'CREATE TABLE "our customers" ({", ".join(table.columns)})')
        link.execute("CREATE TABLE nobody (x)")
        rows = table.with_columns(pl.col("birthday").cast(pl.String)).rows()
        link.executemany(f'INSERT INTO "our customers" VALUES ({", ".join("?" * table.width)})', rows)
        link.commit()
    (tmp_path / "sub").mkdir()
    url, out = "sqlite:///shop.db", ("-o", "sub/p.py")
    made = call_json("init", url, "--table", "our customers", "--target", "left", *out, folder=tmp_path)
    assert (made["name"], made["task"], made["rows"]) == ("our-customers", "binary", 300)
    assert 'database("sqlite:///../shop.db", table="our customers")' in (tmp_path / "sub" / "p.py").read_text()
    quick = ("--set", "train.trials=1", "--set", "train.learners=linear")
    assert call_json("run", "sub/p.py", *quick, folder=tmp_path)["status"] == "succeeded"
    for words, says in (
        ((), "name one of its tables"),
        (("--table", "no"), "no such table"),
        (("--table", "nobody"), "has no rows"),
        (("--table", "nobody", "--columns", "a,b"), "names its columns itself"),
    ):
        assert says in call("init", url, *words, "--target", "left", "-o", "q.py", folder=tmp_path, code=2).stderr


def test_init_names_the_columns_of_a_file_without_a_header(tmp_path):
    rows = "".join(f"{number % 7},{number % 3 / 2},{'yes' if number % 3 else 'no'}\n" for number in range(90))
    (tmp_path / "data.csv").write_text(rows)
    words = ["init", "data.csv", "--target", "bought", "-o", "p.py"]
    assert "where the file has no header" in call(*words, folder=tmp_path, code=2).stderr
    made = call_json(*words, "--columns", "visits, spent,bought", folder=tmp_path)
    assert (made["rows"], made["columns"]) == (90, ["visits", "spent", "bought"])
    assert 'columns=["visits", "spent", "bought"]' in (tmp_path / "p.py").read_text()
    call("plan", "p.py", folder=tmp_path)


def test_init_writes_down_how_many_lines_stand_above_the_header_and_which_sheet_is_meant(tmp_path):
    table = customers(100)
    (tmp_path / "data.csv").write_text(f"Export of May\n\n{table.write_csv()}")
    call("init", "data.csv", "--target", "left", "--skip", 2, "-o", "p.py", folder=tmp_path)
    assert 'ps.ingest.files("data.csv", skip=2)' in (tmp_path / "p.py").read_text()
    with xlsxwriter.Workbook(tmp_path / "data.xlsx") as book:
        table.write_excel(book, "this one")
        table.write_excel(book, "that one")
    words = ["init", "data.xlsx", "--target", "left", "-o", "q.py"]
    assert "several sheets with tables: this one, that one" in call(*words, folder=tmp_path, code=2).stderr
    call(*words, "--table", "that one", folder=tmp_path)
    assert 'ps.ingest.files("data.xlsx", sheet="that one")' in (tmp_path / "q.py").read_text()
    call("plan", "q.py", folder=tmp_path)


def test_init_says_what_is_the_same_of_many_columns_in_one_line(tmp_path):
    table = customers(200).with_columns(**{f"same_{at}": pl.lit(1) for at in range(9)})
    table.write_csv(tmp_path / "data.csv")
    made = call_json("init", "data.csv", "--target", "left", "-o", "p.py", folder=tmp_path)
    named = "same_0, same_1, same_2, same_3, same_4"
    assert [note for note in made["notes"] if "same_" in note] == [f"9 columns: left out, is constant ({named}, ...)"]


@pytest.mark.parametrize(("encoding", "told"), [("cp1252", "cp1252"), ("utf-16", "utf-16"), ("utf-8", None)])
def test_init_reads_decimal_commas_and_other_encodings_and_writes_them_down(tmp_path, encoding, told):
    lines = [
        f"{row % 7},{row % 10};{row * 37 % 1000 / 100};Köln {row % 3};{'ja' if row % 7 > 3 else 'nein'}"
        for row in range(200)
    ]
    text = "Größe;Punkte;Stadt;Käufer\n" + "\n".join(lines).replace("Köln 0", "Zürich")
    (tmp_path / "rows.csv").write_bytes(text.encode(encoding))
    made = call_json("init", "rows.csv", "--target", "Käufer", "-o", "p.py", folder=tmp_path)
    assert "Größe: numbers as text with a comma before the fraction, read as numbers" in made["notes"]
    assert any(f"read as {told}" in note for note in made["notes"]) is (told is not None)
    written = (tmp_path / "p.py").read_text()
    assert (f'encoding="{told}"' in written) is (told is not None)
    (tmp_path / "p.py").write_text(written.replace('budget="60s"', 'trials=1, folds=2, learners=["lightgbm"]'))
    run = call_json("run", "p.py", folder=tmp_path)
    assert run["metrics"]["roc_auc"]["value"] == 1.0
    price = call_json("init", "rows.csv", "--target", "Größe", "--name", "q", "-o", "q.py", folder=tmp_path)
    assert price["task"] == "regression"
    assert "Größe: numbers as text with a comma before the fraction, read as numbers" in price["notes"]
    text = (tmp_path / "q.py").read_text()
    assert "cast(" not in text, "a regression reads its target by itself"
    (tmp_path / "q.py").write_text(text.replace('budget="60s"', 'trials=1, folds=2, learners=["linear"]'))
    call("run", "q.py", folder=tmp_path)
    featured = ps.artifact("featured", store=tmp_path / ".penstock")
    assert featured["Größe"].to_list() == [float(f"{row % 7}.{row % 10}") for row in range(200)]


@pytest.mark.parametrize(
    "write",
    [
        "${:,.2f}".format,
        lambda value: f"{value:,.2f} €".translate(str.maketrans(",.", ".,")),
        lambda value: f"{value // 60:.0f}:{value % 60:02.0f}",
        lambda value: f"{value / 1000:.3f}K" if value > 900 else f"{value:.0f}",
        "{:.0f} kg".format,
        "{:.0f}%".format,
    ],
    ids=["dollars", "euros", "clock", "thousands", "unit", "percent"],
)
def test_amounts_as_people_write_them_are_the_target_of_a_regression(tmp_path, write):
    values = [100.0 + 300 * (row % 7) + row % 11 for row in range(120)]
    cells = [f'{row % 7},{row % 11},"{write(value)}"' for row, value in enumerate(values)]
    (tmp_path / "rows.csv").write_text("a,b,y\n" + "\n".join(cells))
    assert call_json("init", "rows.csv", "--target", "y", "-o", "p.py", folder=tmp_path)["task"] == "regression"
    text = (tmp_path / "p.py").read_text()
    (tmp_path / "p.py").write_text(text.replace('budget="60s"', 'trials=1, folds=2, learners=["linear"]'))
    call("run", "p.py", folder=tmp_path)
    assert ps.artifact("featured", store=tmp_path / ".penstock")["y"].to_list() == pytest.approx(values)


@pytest.mark.parametrize(
    ("cells", "gap", "task", "written"),
    [
        (lambda at: 3000 + 25 * (at % 10 * 9 + at % 7), "NA", "regression", ""),
        (lambda at: at * 7 % 10 // 5, "?", "binary", 'ps.prepare.cast("y", "number")'),
        (lambda at: "up" if at % 10 > 4 else "down", "NA", "binary", 'ps.prepare.filter(~pl.col("y").is_in(["NA"]))'),
        (lambda at: "abc"[at % 10 // 4], "none", "multiclass", None),
    ],
)
def test_init_leaves_out_rows_of_which_the_target_is_not_known(tmp_path, cells, gap, task, written):
    rows = [f"{at % 10},{at % 7},{gap if at % 25 == 3 else cells(at)}" for at in range(300)]
    (tmp_path / "rows.csv").write_text("a,b,y\n" + "\n".join(rows))
    made = call_json("init", "rows.csv", "--target", "y", "-o", "p.py", folder=tmp_path)
    text = (tmp_path / "p.py").read_text()
    assert made["task"] == task
    assert ("    prepare=[" in text) is bool(written)
    if written is not None:
        assert not written or f"    prepare=[{written}]," in text
        assert [note for note in made["notes"] if note.startswith("y: ") and "12 " in note and "left out" in note]
    (tmp_path / "p.py").write_text(text.replace('budget="60s"', 'trials=1, folds=2, learners=["linear"]'))
    call("run", "p.py", folder=tmp_path)
    table = ps.artifact("featured", store=tmp_path / ".penstock")
    assert table["y"].drop_nulls().len() == (300 if written is None else 288)
    assert gap not in table["y"].cast(pl.String).to_list() or written is None


def test_a_run_tells_what_only_the_author_can_say_of_a_column(tmp_path):
    rows = [f"0{1 + at % 9}/0{1 + at % 7}/2024,{at % 13},{'yes' if at % 13 > 6 else 'no'}" for at in range(200)]
    (tmp_path / "rows.csv").write_text("day,x,y\n" + "\n".join(rows))
    (tmp_path / "p.py").write_text(
        'import penstock as ps\npipeline = ps.Pipeline("days", ingest=ps.ingest.files("rows.csv"), target=ps.binary("y"), '
        'train=ps.train.search(trials=1, folds=2, learners=["lightgbm"]))\n'
    )
    told = call("run", "p.py", folder=tmp_path).stdout
    assert "warning: column day: dates with the day or the month first: kept as text" in told


def call_code(folder):
    """What the gate says of a target that nothing predicts: either is right."""
    return subprocess.run(
        [sys.executable, "-m", "penstock", "run", "p.py"], cwd=folder, capture_output=True, check=False
    ).returncode


def test_a_module_of_steps_runs_without_a_model(tmp_path):
    (tmp_path / "g.py").write_text("import penstock as ps\n@ps.step\ndef one() -> int:\n    return 1\n")
    run = call_json("run", tmp_path / "g.py")
    assert run["model"] is None
    assert run["steps"][0]["status"] == "ran"
    assert call_json("plan", tmp_path / "g.py")["steps"][0] == {
        "name": "one",
        "status": "cached",
        "causes": [],
        "stage": None,
    }


def test_parameters_of_steps_are_set_and_their_numbers_compared(tmp_path):
    (tmp_path / "g.py").write_text(
        "import penstock as ps\n@ps.step\ndef rows(size: int = 3, name: str = '7') -> list:\n    return [name] * size\n"
        "@ps.step\ndef scored(rows: list) -> dict:\n    print('made')\n    return {'n': len(rows), 'auc': 1 / len(rows)}\n"
    )
    assert "scored.n 3\nscored.auc 0.3333\n" in call("run", "g.py", folder=tmp_path).stdout
    run = call_json("run", "g.py", "--set", "rows.size=4", "--set", "name=8", folder=tmp_path)
    assert run["metrics"] == {"scored.n": {"value": 4}, "scored.auc": {"value": 0.25}}
    found = call("diff", "latest~1", folder=tmp_path).stdout
    assert "rows: size 3 -> 4" in found
    assert "rows: name 7 -> 8" in found
    assert "scored.auc 0.3333 -> 0.25 (-0.08333)" in found
    assert "| scored.n | 3 | 4 | – | +1 |" in call("diff", "latest~1", "--format", "markdown", folder=tmp_path).stdout
    assert call("show", "latest", "--log", folder=tmp_path).stdout.endswith(
        "-- scored\nmade\nscored.n 4\nscored.auc 0.25\n"
    )
    assert "\nset rows.size=4, name=8\n" in call("show", "latest", folder=tmp_path).stdout
    assert "every artifact is the same" in call("reproduce", "latest", folder=tmp_path).stdout
    assert "scored.n 4" in call("runs", folder=tmp_path).stdout
    assert "--set rows=3" in call("run", "g.py", "--set", "rows=3", folder=tmp_path, code=2).stderr
    assert "write step.parameter=value" in call("run", "g.py", "--set", "rows.size", folder=tmp_path, code=2).stderr


def test_what_a_step_made_is_shown_and_written_to_a_file(place):
    shown = call("show", "latest", "prepared", folder=place).stdout
    assert "500 rows" in shown.splitlines()[0]
    assert "city" in shown
    for name in ("prepared.parquet", "prepared.csv", "prepared.jsonl"):
        call("show", "latest", "prepared", "-o", name, folder=place)
    assert load_pipeline(str(place / "pipeline.py")).run(place / ".penstock").result.metrics == {}  # it has its own
    table = pl.read_parquet(place / "prepared.parquet")
    assert table.equals(ps.artifact("prepared", store=place / ".penstock"))
    assert pl.read_csv(place / "prepared.csv").height == pl.read_ndjson(place / "prepared.jsonl").height == 500
    call("show", "latest", "report", "-o", "report.html", folder=place)
    assert (place / "report.html").read_bytes() == ps.artifact("report", store=place / ".penstock")
    assert call_json("show", "latest", "prepared", folder=place)["format"] in ("parquet", "partitions")
    for words, told in (
        (("preparedd",), 'Did you mean "prepared"'),
        (("prepared", "-o", "x.doc"), "name it .parquet, .csv or .jsonl"),
        (("report", "-o", "no/where.html"), "No such file or directory"),
        (("-o", "x.csv"), "name the step"),
    ):
        assert told in call("show", "latest", *words, folder=place, code=2).stderr


def test_python_gives_the_same_as_the_commands(place):
    code = (
        "import penstock as ps, json; from pipeline import pipeline\n"
        "print(json.dumps([[s.name for s in pipeline.plan().steps], pipeline.run().as_json()['metrics'], ps.load('customers').version]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True)
    names, metrics, version = json.loads(done.stdout)
    run = call_json("run", "pipeline.py", folder=place)
    assert names == [step["name"] for step in run["steps"]]
    assert metrics == run["metrics"]
    assert version == run["model"]["version"]


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    import signal
    import time

    (tmp_path / "g.py").write_text(
        "import time, penstock as ps\n@ps.step\ndef one() -> int:\n    return 1\n"
        "@ps.step\ndef two(one: int) -> int:\n    time.sleep(60)\n    return 2\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "run", "g.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stderr.readline()
    assert "one" in line
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "finished steps are kept" in errors
    steps = call_json("plan", "g.py", folder=tmp_path)["steps"]
    assert [step["status"] for step in steps] == ["cached", "stale"]


def test_nothing_heavy_is_imported_to_plan_or_to_find_everything_cached(place):
    code = (
        "import sys; from penstock.cli.common import load_pipeline\np = load_pipeline('pipeline.py'); p.plan(); p.run()\n"
        "print([m for m in ('sklearn', 'lightgbm', 'pandas', 'scipy', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_option_is_changed_for_one_run(place):
    before = call_json("plan", "pipeline.py", folder=place)
    assert all(step["status"] == "cached" for step in before["steps"])
    plan = call_json("plan", "pipeline.py", "--set", "train.trials=1", folder=place)
    assert {step["name"] for step in plan["steps"] if step["status"] != "cached"} >= {"trials", "trained"}
    assert "trials" not in {
        step["name"]
        for step in call_json("plan", "pipeline.py", "--set", "evaluate.min_gain=0.5", folder=place)["steps"]
        if step["status"] != "cached"
    }


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("budget=3", "write stage.field=value"),
        ("train.buget=3", 'Did you mean "budget"'),
        ("train.budget=soon", "is not a length of time"),
        ("train.trials=0", "at least 1"),
        ("seed=x", "whole number"),
        ("ingest.path=x", "stages are"),
    ],
)
def test_an_option_that_is_none_is_refused(place, setting, says):
    assert says in call("run", "pipeline.py", "--set", setting, folder=place, code=2).stderr


def test_a_model_that_learnt_from_some_rows_only_says_so_in_the_run_and_on_its_card(tmp_path, monkeypatch):
    customers(500).write_csv(tmp_path / "customers.csv")
    (tmp_path / "pipeline.py").write_text(PIPELINE.format(gate=""))
    monkeypatch.setattr(searching, "holding", lambda *_: 240)
    words = ["run", str(tmp_path / "pipeline.py"), "--store", str(tmp_path / "store")]
    told = CliRunner().invoke(cli, words, catch_exceptions=False).output
    assert "learnt from 240 of the training rows, evenly spaced" in told
    cached = run_pipeline(load_pipeline(words[1]), open_store(tmp_path / "store"))
    assert b"Learnt from 240 of 405 rows, evenly spaced" in cached["card"]
