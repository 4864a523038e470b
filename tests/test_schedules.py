"""Pipelines that other programs run: what they are given works as they would use it."""

import ast
import subprocess
import sys
import types

import pytest
import yaml

from tests.cli.test_commands import call, call_json

PIPELINE = """
import penstock as ps

pipeline = ps.Pipeline(
    name="Über alles",
    ingest=ps.ingest.files("rows.csv"),
    target=ps.binary("y"),
    train=ps.train.search(trials=1, learners=["linear"]),
    evaluate=ps.evaluate.gate(roc_auc=GATE),
)
"""


@pytest.fixture
def pipeline(tmp_path):
    folder = tmp_path / "two words"
    folder.mkdir()
    lines = "\n".join(f"{row % 17},{row * 7919 % 101},{int(row * 7919 % 101 > 40)}" for row in range(600))
    (folder / "rows.csv").write_text(f"a,b,y\n{lines}\n")
    (folder / "p.py").write_text(PIPELINE.replace("GATE", "0.6"))
    return folder / "p.py"


class Airflow:
    """Stands for Airflow, which is too large for these tests: it keeps the tasks, in order, and runs their commands."""

    def __init__(self):
        self.made, self.order = [], []
        test = self

        class DAG:
            def __init__(self, **options):
                test.options = options

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        class BashOperator:
            def __init__(self, **options):
                self.options = options
                test.made.append(self)

            def __rshift__(self, other):
                test.order.append((self.options["task_id"], other.options["task_id"]))

        self.modules = {
            "airflow.sdk": types.SimpleNamespace(DAG=DAG),
            "airflow.providers.standard.operators.bash": types.SimpleNamespace(BashOperator=BashOperator),
        }


def test_airflow_runs_stage_after_stage_to_the_model(pipeline, tmp_path, monkeypatch):
    call_json("export", pipeline, "--to", "airflow", "-o", tmp_path / "dags" / "p.py", "--cron", "30 4 * * 1")
    text = (tmp_path / "dags" / "p.py").read_text()
    airflow = Airflow()
    for name, module in airflow.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(ast.parse(text), "p.py", "exec"), {})
    names = [item.options["task_id"] for item in airflow.made]
    assert names == ["ingest", "prepare", "features", "train", "evaluate", "deploy", "model"]
    assert airflow.order == list(zip(names, names[1:], strict=False))
    assert airflow.options["schedule"] == "30 4 * * 1"
    for item in airflow.made:
        done = subprocess.run(item.options["bash_command"], shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "0 steps ran" in done.stdout  # all was done by the tasks before
    assert "champion" in done.stdout


def test_the_files_of_kubernetes_and_github_hold_what_is_run(pipeline, tmp_path):
    call("export", pipeline, "--to", "kubernetes", "-o", tmp_path / "k.yml")
    job = yaml.safe_load((tmp_path / "k.yml").read_text())
    assert job["metadata"]["name"] == "penstock-run-ber-alles"
    assert job["spec"]["schedule"] == "0 5 * * *"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "penstock", "run", str(pipeline)]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    call("export", pipeline, "--to", "github-actions", "-o", tmp_path / "g.yml")
    flow = yaml.safe_load((tmp_path / "g.yml").read_text())
    assert flow["name"] == "Über alles"
    assert flow[True] == {"schedule": [{"cron": "0 5 * * *"}], "workflow_dispatch": None}  # YAML 1.1 reads on as true
    steps = flow["jobs"]["run"]["steps"]
    assert steps[-1]["run"] == "penstock run 'two words/p.py'"
    assert steps[2]["with"]["path"] == "two words/.penstock"


def test_a_schedule_that_is_none_and_a_file_that_is_there_are_refused(pipeline, tmp_path):
    done = call("export", pipeline, "--to", "airflow", "-o", tmp_path / "d.py", "--cron", "daily", code=2)
    assert "five fields" in done.stderr
    assert not (tmp_path / "d.py").exists()
    done = call("export", pipeline, "--to", "airflow", "-o", pipeline, code=2)
    assert "is there already" in done.stderr
    assert "ps.Pipeline" in pipeline.read_text()


def test_options_that_mean_nothing_to_what_is_written_are_refused(pipeline, tmp_path):
    done = call("export", pipeline, "--to", "airflow", "-o", tmp_path / "d.py", "--version", "2", code=2)
    assert "--version is of a model" in done.stderr
    done = call("export", "churn", "--to", "onnx", "-o", tmp_path / "m.onnx", "--cron", "0 5 * * *", code=2)
    assert "--cron says when a pipeline runs" in done.stderr
    assert list(tmp_path.glob("*.*")) == []


def test_a_run_until_a_stage_does_what_it_needs_and_no_more(pipeline):
    done = call_json("run", pipeline, "--until", "prepare")
    assert {item["name"] for item in done["steps"]} == {"read", "snapshot", "inferred", "prepared", "checked"}
    assert done["model"] is None
    plan = call_json("plan", pipeline)
    assert [item["name"] for item in plan["steps"] if item["status"] == "cached"] == [
        item["name"] for item in done["steps"]
    ]
    assert call_json("run", pipeline, "--until", "featured", "--until", "snapshot")["status"] == "succeeded"
    assert "no step is named 'nothing'" in call("run", pipeline, "--until", "nothing", code=2).stderr
    assert [item["model"] for item in call_json("runs", folder=pipeline.parent)] == [None, None]
