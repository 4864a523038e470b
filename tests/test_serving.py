"""The web API over real HTTP, from the command line's own process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import polars as pl
import pytest

from penstock.deploy.registry import Registry
from penstock.monitor.log import log_folder
from penstock.monitor.window import take
from penstock.store.store import open_store
from penstock.watch import monitor
from tests.conftest import customers, make_pipeline
from tests.servers import serving


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    customers().write_csv(folder / "customers.csv")
    store = open_store(folder / "s")
    make_pipeline(folder).run(store).raise_for_status()
    make_pipeline(folder, seed=1).run(store).raise_for_status()
    if len(Registry(store, "customers").versions()) < 2:
        make_pipeline(folder, seed=2, features=[]).run(store).raise_for_status()
    Registry(store, "customers").promote(1, "for the test")
    with serving(folder / "s") as (client, process):
        yield client, store, process
    store.close()


def rows(n=1, seed=7, **changes):
    made = customers(n, seed=seed, **changes).drop("left").with_columns(pl.col("birthday").cast(pl.String))
    return made.to_dicts()


def test_rows_are_answered_with_ids_and_probabilities(served):
    client, store, _ = served
    answer = client.post("/predict", json={"rows": rows(3)}).json()
    assert answer["model"] == {"name": "customers", "version": 1}
    assert len({item["id"] for item in answer["predictions"]}) == 3
    for item in answer["predictions"]:
        assert item["prediction"] in ("gone", "here")
        assert sum(item["probabilities"].values()) == pytest.approx(1)
    logged = take(log_folder(store.folder, "customers")).records
    assert {item["id"] for item in answer["predictions"]} <= {record.id for record in logged}
    assert client.post("/predict", json={"rows": []}).json()["predictions"] == []


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"rows": ' + b"[" * 100_000, 400, "nested too deeply"),
        (b"[1]", 422, 'got `array`; send {"rows": [{column: value}]}'),
        (b'{"rows": [{"age": NaN}]}', 400, "NaN and Infinity are no JSON: send null"),
        (b'{"row": {}}', 422, "expected shape"),
        (b"{}", 422, "expected shape"),
        (b'{"dataframe_split": {"columns": ["age"], "data": [[1]]}}', 422, "POST to /invocations"),
        (b'{"age": 1}\n{"age": 2}', 400, "say Content-Type: application/x-ndjson"),
        (b'{"age": [1, 2], "city": ["Oslo"]}', 422, "expected shape"),
        (b'{"columns": ["age", "city"], "data": [[1]]}', 422, "expected shape"),
        (b'[{"age": 1}, 3]', 422, "expected shape"),
        (b'{"rows": 3}', 422, "expected shape"),
        (b'{"rows": [3]}', 422, "expected an object of column to value, found 3"),
        (b'{"rows": [{}]}', 422, "is missing"),
        (b"\xff\xfe", 400, "not JSON"),
        (json.dumps({"rows": [{}] * 10_001}).encode(), 422, "at most 10000"),
    ],
    ids=[
        "empty",
        "half",
        "deep",
        "list",
        "nan",
        "row",
        "nothing",
        "mlflow",
        "lines",
        "uneven",
        "short",
        "mixed",
        "number",
        "no-row",
        "no-fields",
        "bytes",
        "many",
    ],
)
def test_what_is_not_rows_is_told_and_the_service_goes_on(served, body, status, says):
    client, _, _ = served
    answer = client.post("/predict", content=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    assert client.post("/predict", json={"rows": rows()}).status_code == 200


def test_rows_may_come_by_themselves_or_one_a_line(served):
    client, _, _ = served
    few = rows(3)
    expected = [item["probabilities"] for item in client.post("/predict", json={"rows": few}).json()["predictions"]]

    def answered(**request):
        answer = client.post("/predict", **request)
        assert answer.status_code == 200, answer.text
        return [item["probabilities"] for item in answer.json()["predictions"]]

    assert answered(json=few) == expected
    assert answered(json=few[0]) == expected[:1]
    assert answered(json=[]) == []
    assert answered(json={"instances": few}) == expected
    columns = {name: [row[name] for row in few] for name in few[0]}
    assert answered(json=columns) == expected
    assert answered(json={name: dict(enumerate(cells)) for name, cells in columns.items()}) == expected
    cells = [list(row.values()) for row in few]
    assert answered(json={"columns": list(columns), "index": [0, 1, 2], "data": cells}) == expected
    assert answered(json=[list(columns), *cells]) == expected
    lines = "\n".join(map(json.dumps, few))
    for kind in ("application/x-ndjson", "application/jsonl; charset=utf-8"):
        assert answered(content=lines, headers={"content-type": kind}) == expected
    for request in ("/predict?explain=true", few[0]), ("/predict", {**columns, "explain": True}):
        explained = client.post(request[0], json=request[1]).json()["predictions"][0]
        assert explained["explanation"]["reasons"]
    wrong = client.post("/predict", json={**few[0], "age": "forty", "colour": 3}).json()["error"]
    assert {item["field"] for item in wrong["rows"]} == {"age", "colour"}


@pytest.mark.parametrize(
    ("separator", "kind"),
    [(",", "text/csv"), (";", "text/csv"), ("\t", "text/tab-separated-values"), (";", "text/csv; charset=latin-1")],
)
def test_separated_values_come_as_programs_write_them(served, separator, kind):
    client, _, _ = served
    few = [{**row, "city": "Köln"} for row in rows(2)]
    text = pl.DataFrame(few).write_csv(separator=separator)
    answer = client.post(
        "/predict", content=text.encode("latin-1" if "latin" in kind else "utf-8"), headers={"content-type": kind}
    )
    expected = client.post("/predict", json=few).json()["predictions"]
    for found, wanted in zip(answer.json()["predictions"], expected, strict=True):
        assert found["probabilities"] == pytest.approx(wanted["probabilities"])


def test_a_table_with_a_cell_that_does_not_fit_is_refused_as_a_row_is(served):
    client, _, _ = served
    few = rows(3)
    few[1]["paid"] = "much"
    headers = {"content-type": "text/csv"}
    answer = client.post("/predict", content=pl.DataFrame(few).write_csv().encode(), headers=headers)
    assert answer.status_code == client.post("/predict", json=few).status_code == 422
    assert answer.json()["error"]["message"] == "column \"paid\": 1 of 3 cells are not numbers (first: 'much')"
    few[1]["paid"] = "n/a"
    assert client.post("/predict", content=pl.DataFrame(few).write_csv().encode(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("charset", "says"),
    [
        ("latin-99", "charset 'latin-99' is not read"),
        ("punycode", "charset 'punycode' is not read"),
        ("ascii", "not text in the charset"),
    ],
)
def test_text_that_is_not_in_the_charset_it_names_is_told(served, charset, says):
    client, _, _ = served
    answer = client.post(
        "/predict", content="a\nö\n".encode(), headers={"content-type": f"text/csv; charset={charset}"}
    )
    assert answer.status_code == 422
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"a\rb,c\n1\n", b'"' + b"a" * 200_000 + b'"\n1\n', b'{"rows":\r[]}'], ids=["return", "long", "json"]
)
def test_what_is_no_csv_is_told(served, body):
    client, _, _ = served
    answer = client.post("/predict", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 422, answer.text


def test_a_body_of_an_unknown_kind_is_told_which_are_known(served):
    client, _, _ = served
    answer = client.post("/predict", content=b"PAR1", headers={"content-type": "application/vnd.apache.parquet"})
    assert answer.status_code == 400
    assert "text/csv, application/x-ndjson" in answer.json()["error"]["message"]


def test_a_path_that_is_posted_to_says_so_to_other_methods(served):
    client, _, _ = served
    for path in ("/predict", "/feedback", "/v2/models/customers/infer"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.json()["error"]["code"] == "other_method"
        assert "takes POST" in answer.json()["error"]["message"]
    assert client.get("/forecast").status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("age", "forty", "expected a number, or a number as text, found 'forty'"),
        ("age", True, "expected a number"),
        ("age", [1], "expected a number"),
        ("paid", "much", "expected a number, or a number as text"),
        ("city", 5, "expected text, found 5"),
        ("member", "maybe", "expected true or false"),
        ("birthday", "yesterday", "expected a date"),
        ("AGE", 5, 'is not a column of this model. Did you mean "age"?'),
        ("agee", 5, 'is not a column of this model. Did you mean "age"?'),
    ],
)
def test_a_bad_field_is_named(served, field, value, says):
    client, _, _ = served
    answer = client.post("/predict", json={"rows": [*rows(), {**rows()[0], field: value}]})
    assert answer.status_code == 422
    (problem,) = answer.json()["error"]["rows"]
    assert (problem["row"], problem["field"]) == (1, field)
    assert says in problem["message"]


@pytest.mark.parametrize(
    "change",
    [{"city": "Atlantis"}, {"city": None, "age": None}, {"paid": 12}, {"member": True}, {"age": 10**30}, {"key": "x"}],
)
def test_unseen_values_and_nulls_are_ordinary(served, change):
    client, _, _ = served
    assert client.post("/predict", json={"rows": [{**rows()[0], **change}]}).status_code == 200


def test_a_request_of_a_hundred_megabytes_is_refused_and_others_are_answered(served):
    client, _, _ = served

    def body():
        for _ in range(100):
            yield b" " * 1_000_000

    with contextlib.suppress(httpx.TransportError):
        assert client.post("/predict", content=body()).status_code == 413
    with contextlib.suppress(httpx.TransportError):
        assert client.post("/predict", content=b" " * 20_000_000).status_code == 413
    assert client.post("/predict", json={"rows": rows()}).status_code == 200


def test_a_missing_field_is_named_and_one_that_is_not_used_may_be_missing(served):
    client, _, _ = served
    row = rows()[0]
    del row["key"]
    assert client.post("/predict", json={"rows": [row]}).status_code == 200
    del row["age"]
    (problem,) = client.post("/predict", json={"rows": [row]}).json()["error"]["rows"]
    assert problem["field"] == "age"
    assert "is missing" in problem["message"]


def test_machines_find_what_they_look_for(served):
    client, _, _ = served
    assert client.get("/health/live").json() == {"status": "live"}
    for path in ("/health/ready", "/health", "/healthz"):
        assert client.get(path).json()["model"]["version"] == 1
    assert "penstock_predictions_total" in client.get("/metrics").text
    described = client.get("/openapi.json").json()
    row = described["components"]["schemas"]["Row"]
    assert "age" in row["required"]
    assert "key" not in row["required"]
    assert described["openapi"].startswith("3.1")
    assert client.get("/nothing").status_code == 404
    assert client.get("/predict").status_code == 405


def test_labels_are_taken_and_wrong_ones_are_told(served):
    client, store, _ = served
    answers = client.post("/predict", json={"rows": rows(2)}).json()["predictions"]
    good = {"labels": [{"id": item["id"], "label": "gone"} for item in answers]}
    assert client.post("/feedback", json=good).json() == {"accepted": 2}
    assert client.post("/feedback", json=good["labels"]).json() == {"accepted": 2}
    assert client.post("/feedback", json=good["labels"][1]).json() == {"accepted": 1}
    assert client.post("/feedback", json=[]).json() == {"accepted": 0}
    for wrong in (
        {"id": "x"},
        {"label": "gone"},
        {"labels": good["labels"][0]},
        [{"id": "x"}],
        "x",
        {"id": 1, "label": "gone"},
    ):
        refused = client.post("/feedback", json=wrong)
        assert refused.status_code == 422
        assert 'send {"labels": [{"id"' in refused.json()["error"]["message"]
    assert take(log_folder(store.folder, "customers")).labels[answers[0]["id"]] == "gone"
    answer = client.post("/feedback", json={"labels": [{"id": "x", "label": "perhaps"}]})
    assert answer.status_code == 422
    assert "expected one of here, gone" in answer.json()["error"]["message"]


def test_a_promotion_changes_over_without_losing_a_request(served):
    client, store, _ = served
    registry = Registry(store, "customers")
    other = registry.versions()[0].version
    seen, failed, stop = [], [], threading.Event()

    def ask():
        with httpx.Client(base_url=client.base_url, timeout=10) as mine:
            while not stop.is_set():
                try:
                    seen.append(mine.post("/predict", json={"rows": rows()}).json()["model"]["version"])
                except Exception as error:
                    failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    registry.promote(other, "while asked")
    deadline = time.monotonic() + 15
    while other not in seen and time.monotonic() < deadline:
        time.sleep(0.05)
    registry.rollback("back")
    while (len(seen) < 10 or seen[-1] != 1) and time.monotonic() < deadline + 15:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failed == []
    assert {1, other} <= set(seen)


def test_drift_is_seen_in_what_was_asked_and_labels_show_decay(served):
    client, store, _ = served
    registry = Registry(store, "customers")
    version = registry.champion().version
    from penstock.monitor.options import drift

    client.post("/predict", json={"rows": rows(300, seed=21)})
    calm = monitor("customers", store, drift("300 rows"))
    assert (calm.status, calm.version, calm.window.rows) == ("calm", version, 300)
    assert (calm.skew.rows, calm.skew.unlike) == (300, 0)
    assert not calm.answers.drifted
    answers = client.post("/predict", json={"rows": rows(300, seed=22, drifted=True)}).json()["predictions"]
    wrong = [{"id": item["id"], "label": "here" if item["prediction"] == "gone" else "gone"} for item in answers]
    client.post("/feedback", json={"labels": wrong})
    found = monitor("customers", store, drift("300 rows"))
    assert found.status == "drift"
    assert {column.name for column in found.columns if column.drifted} >= {"age", "city"}
    assert found.performance.decayed
    assert found.performance.labels == 300
    few = monitor("customers", store, drift("20 rows"))
    assert few.status in {"not enough data", "drift"}


def test_what_was_answered_is_logged_though_the_service_is_killed(served):
    _, store, _ = served
    with serving(store.folder) as (client, process):
        answers = client.post("/predict", json={"rows": rows(5)}).json()["predictions"]
        os.kill(process.pid, signal.SIGKILL)
    logged = {record.id for record in take(log_folder(store.folder, "customers")).records}
    assert {item["id"] for item in answers} <= logged


def test_a_port_in_use_is_told_in_words(served):
    client, store, _ = served
    command = [
        sys.executable,
        "-m",
        "penstock",
        "serve",
        "customers",
        "--port",
        str(client.base_url.port),
        "--store",
        str(store.folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "Give another port with --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_imports_nothing_heavy(served):
    _, store, _ = served
    code = (
        "import sys; from penstock.serving import make_service; from penstock.store.store import open_store\n"
        f"s = make_service(open_store({str(store.folder)!r}), 'customers')\n"
        f"s.model.predict_rows({rows()!r})\n"
        "print([m for m in ('sklearn', 'lightgbm', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_answer_is_explained_where_that_is_asked_for(served):
    client, _, _ = served
    asked = rows(3)
    plain = client.post("/predict", json={"rows": asked}).json()["predictions"]
    why = client.post("/predict", json={"rows": asked, "explain": True}).json()["predictions"]
    for one, other in zip(plain, why, strict=True):
        assert "explanation" not in one
        assert other["prediction"] == one["prediction"]
        told = other["explanation"]
        assert told["of"] == "gone"
        total = told["base"] + sum(item["effect"] for item in told["reasons"])
        assert total == pytest.approx(one["probabilities"]["gone"], abs=1e-9)
        assert {"age", "city", "paid_per_order"} <= {item["column"] for item in told["reasons"]}
    effects = [abs(item["effect"]) for item in why[0]["explanation"]["reasons"]]
    assert effects == sorted(effects, reverse=True)
    same = client.post("/predict?explain=true", json={"rows": asked}).json()["predictions"]
    assert [item["explanation"] for item in same] == [item["explanation"] for item in why]
    assert client.post("/predict?explain=1", json={"rows": asked}).json()["predictions"][0]["explanation"]
    wrong = client.post("/predict?explain=perhaps", json={"rows": asked})
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (422, "explain='perhaps': give true or false")
    table = client.post("/predict?explain=true", content=b"age\n3\n", headers={"content-type": "text/csv"})
    assert (table.status_code, "come as JSON" in table.text) == (422, True)
    refused = client.post("/predict", json={"rows": asked * 50, "explain": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "too_many_rows")
