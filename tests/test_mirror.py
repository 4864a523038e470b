"""Runs told to others: events that a server of OpenLineage takes, by real HTTP; and MLflow's own store."""

import json
import os
import threading
import types
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import penstock as ps
from penstock.engine import Graph, run_graph
from penstock.errors import InputError, PenstockError
from penstock.mirror import mirror
from tests.cli.test_commands import call, call_json


def one() -> int:
    return 1


def two(one: int) -> int:
    return one + 1


def broken(two: int) -> int:
    raise ValueError("no\nmore")


def run(store, *functions):
    module = types.ModuleType("told")
    for function in functions:
        setattr(module, function.__name__, ps.step(function))
    return run_graph(Graph.of(module, "told"), store).run


@pytest.fixture
def events(monkeypatch):
    """Take OpenLineage events by HTTP, and keep them."""
    kept = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802 - the library's name
            kept.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
    yield kept
    server.shutdown()
    server.server_close()


def test_openlineage_hears_of_each_step_that_ran_what_went_in_and_what_came_out(store, events):
    here = run(store, one, two, broken)
    assert mirror(store, here, "openlineage") == "OpenLineage, 8 events of job told"
    assert [(item["job"]["name"], item["eventType"]) for item in events] == [
        ("told", "START"), ("told.one", "START"), ("told.one", "COMPLETE"), ("told.two", "START"), ("told.two", "COMPLETE"),
        ("told.broken", "START"), ("told.broken", "FAIL"), ("told", "FAIL"),
    ]  # fmt: skip
    done = events[4]
    assert [item["name"] for item in done["inputs"]] == ["told.one"]
    assert [item["name"] for item in done["outputs"]] == ["told.two"]
    assert (
        done["inputs"][0]["facets"]["version"]["datasetVersion"]
        == events[2]["outputs"][0]["facets"]["version"]["datasetVersion"]
    )
    assert done["run"]["facets"]["parent"]["run"]["runId"] == events[0]["run"]["runId"]
    assert events[6]["run"]["facets"]["errorMessage"]["message"].startswith("ValueError")
    for item in events:
        assert {"eventTime", "producer", "schemaURL", "run", "job"} <= set(item)
        uuid.UUID(item["run"]["runId"])
    again = run(store, one, two)
    del events[:]
    mirror(store, again, "openlineage")
    assert [item["job"]["name"] for item in events] == ["told", "told"]  # all was cached: nothing ran


def test_a_server_that_is_not_there_is_told_and_the_run_stays(store, monkeypatch, tmp_path):
    here = run(store, one)
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    with pytest.raises(PenstockError, match="OpenLineage: "):
        mirror(store, here, "openlineage")
    for name in [item for item in os.environ if item.startswith("OPENLINEAGE")]:  # its client sets some itself
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match="OPENLINEAGE_URL does not say"):
        mirror(store, here, "openlineage")
    (tmp_path / "g.py").write_text("import penstock as ps\n\n@ps.step\ndef one() -> int:\n    return 1\n")
    done = call("run", tmp_path / "g.py", "--mirror", "mlflow", MLFLOW_TRACKING_URI="")
    assert "was not told: MLFLOW_TRACKING_URI does not say" in done.stderr


def test_mlflow_holds_parameters_metrics_and_the_report_once(tmp_path):
    lines = "\n".join(f"{row % 17},{row * 7919 % 101},{int(row * 7919 % 101 > 40)}" for row in range(600))
    (tmp_path / "rows.csv").write_text(f"a,b,y\n{lines}\n")
    (tmp_path / "p.py").write_text(
        'import penstock as ps\n\npipeline = ps.Pipeline("told", ingest=ps.ingest.files("rows.csv"), target=ps.binary("y"), '
        'train=ps.train.search(trials=1, learners=["linear"]))\n'
    )
    where = f"sqlite:///{tmp_path}/mlflow.db"
    made = call_json("run", tmp_path / "p.py", "--mirror", "mlflow", MLFLOW_TRACKING_URI=where, folder=tmp_path)
    again = call_json("mirror", "latest", "--to", "mlflow", MLFLOW_TRACKING_URI=where, folder=tmp_path)
    assert again["where"].endswith("it is there already")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(where)
    (begun,) = client.search_runs([client.get_experiment_by_name("told").experiment_id])
    client.update_run(begun.info.run_id, status="RUNNING")  # as when it was cut off in the middle
    third = call_json("mirror", "latest", "--to", "mlflow", MLFLOW_TRACKING_URI=where, folder=tmp_path)
    assert third["where"].endswith(begun.info.run_id)
    (found,) = client.search_runs([client.get_experiment_by_name("told").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.tags["penstock.run"] == made["run"]
    assert found.data.metrics["roc_auc"] == made["metrics"]["roc_auc"]["value"]
    assert "1" in [value for key, value in found.data.params.items() if key.startswith("trials.")]
    assert {item.path for item in client.list_artifacts(found.info.run_id)} == {"report.html", "card.md"}
