"""Files of rows, answered part by part."""

import json
import sqlite3
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.answering import answering_graph, predict_on
from penstock.batch import predict_file
from penstock.errors import DataError, InputError
from penstock.store.store import open_store
from tests.conftest import customers, make_pipeline


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    customers().write_csv(folder / "customers.csv")
    store = open_store(folder / "s")
    make_pipeline(folder).run(store).raise_for_status()
    yield store
    store.close()


@pytest.fixture(scope="module")
def model(store):
    return ps.load("customers", store=store)


@pytest.mark.parametrize("given", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("wanted", ["csv", "parquet", "jsonl"])
def test_every_row_is_answered_in_its_order(model, tmp_path, given, wanted):
    rows = customers(500, seed=4).drop("left")
    writers = {"csv": rows.write_csv, "parquet": rows.write_parquet, "jsonl": rows.write_ndjson}
    writers[given](tmp_path / f"rows.{given}")
    told = []
    count = predict_file(model, tmp_path / f"rows.{given}", tmp_path / f"out.{wanted}", told.append)
    readers = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}
    found = readers[wanted](tmp_path / f"out.{wanted}")
    assert (count, told[-1], found.height) == (500, 500, 500)
    assert found["key"].to_list() == rows["key"].to_list()
    np.testing.assert_allclose(found["probability_gone"].to_numpy(), model.predict_proba(rows)[:, 0], atol=1e-12)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_text_without_a_header_in_another_encoding_is_read_as_in_training(tmp_path):
    def write(name, table):
        data = table.write_csv(include_header=False, separator=";").replace("Łódź", "Köln")
        (tmp_path / name).write_bytes(data.encode("latin-1"))

    rows = customers()
    write("customers.csv", rows)
    form = {"columns": rows.columns, "encoding": "latin-1"}
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path, ingest=ps.ingest.files(str(tmp_path / "customers.csv"), **form)).run(
        store
    ).raise_for_status()
    model = ps.load("customers", store=store)
    later = customers(200, seed=4)
    write("all.csv", later)
    write("asked.csv", later.drop("left"))
    for name in ("all", "asked"):
        predict_file(model, tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet")
    found, asked = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("all", "asked"))
    assert asked["city"].drop_nulls().unique().sort().to_list() == ["Köln", "Oslo", "Rome"]
    assert asked["probability_gone"].equals(found["probability_gone"])
    (tmp_path / "utf8.csv").write_bytes((tmp_path / "all.csv").read_bytes().decode("latin-1").encode())
    predict_file(model, tmp_path / "utf8.csv", tmp_path / "utf8.parquet")
    assert pl.read_parquet(tmp_path / "utf8.parquet").equals(found)
    for name in ("all", "utf8"):
        graph = answering_graph(model, str(tmp_path / f"{name}.csv"))
        assert predict_on(graph, store, tmp_path / "on.parquet", "local") == 200
        assert pl.read_parquet(tmp_path / "on.parquet")["probability_gone"].equals(found["probability_gone"])
    # What has names of its own keeps them.
    later.drop("left").write_parquet(tmp_path / "named.parquet")
    later.drop("left").write_csv(tmp_path / "named.csv")
    for name in ("named.parquet", "named.csv"):
        assert predict_file(model, tmp_path / name, tmp_path / "named.jsonl") == 200
    told = ps.health("customers", tmp_path / "all.csv", store=store)
    assert (told.window.rows, told.status) == (200, "calm")


def test_lengths_of_time_bytes_and_huge_integers_are_written_to_any_kind(model, tmp_path):
    rows = customers(20).with_columns(
        stayed=pl.duration(days=pl.int_range(20), minutes=90), raw=pl.lit(b"\xff\x00"), far=pl.lit(10**20, pl.Int128)
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    assert predict_file(model, tmp_path / "rows.parquet", tmp_path / "out.csv") == 20
    assert pl.read_csv(tmp_path / "out.csv")["stayed"].to_list()[:2] == ["PT1H30M", "P1DT1H30M"]
    predict_file(model, tmp_path / "rows.parquet", tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["far"].cast(pl.Int128).to_list() == [10**20] * 20
    predict_file(model, tmp_path / "rows.parquet", tmp_path / "out.jsonl")
    assert pl.read_ndjson(tmp_path / "out.jsonl")["raw"].to_list() == ["\\xff\x00"] * 20


def test_a_file_of_many_parts_whose_types_widen_late_is_answered_once_a_row(model, tmp_path, monkeypatch):
    import penstock.batch
    import penstock.ingest.text

    monkeypatch.setattr(penstock.batch, "_ROWS", 700)
    monkeypatch.setattr(penstock.ingest.text, "BLOCK", 50_000)
    rows = pl.concat([customers(2000, seed=5).drop("left")] * 3).with_columns(
        number=pl.Series([str(n) for n in range(5999)] + ["last"])
    )
    rows.write_csv(tmp_path / "rows.csv")
    told = []
    assert predict_file(model, tmp_path / "rows.csv", tmp_path / "out.parquet", told.append) == 6000
    assert len(told) > 5
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found["number"].to_list() == rows["number"].to_list()
    assert found["prediction"][:2000].to_list() == found["prediction"][4000:].to_list()


def test_a_file_without_rows_is_told(model, tmp_path):
    customers(1).drop("left")[:0].write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="but no rows"):
        predict_file(model, tmp_path / "rows.parquet", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_what_cannot_be_answered_leaves_nothing_behind(model, tmp_path):
    (tmp_path / "rows.csv").write_text("age,city\n1,Oslo\n")
    with pytest.raises(DataError, match="has no column"):
        predict_file(model, tmp_path / "rows.csv", tmp_path / "out.csv")
    with pytest.raises(InputError, match="name it"):
        predict_file(model, tmp_path / "rows.csv", tmp_path / "out.txt")
    with pytest.raises(InputError, match="no such file"):
        predict_file(model, tmp_path / "none.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_the_model_is_what_scikit_learn_expects_of_an_estimator(model):
    from sklearn.calibration import CalibrationDisplay
    from sklearn.frozen import FrozenEstimator
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import get_scorer

    test = customers(400, seed=6)
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(test.drop("left").to_dict(as_series=False))
    y = test["left"].to_numpy()
    assert model.predict(X).tolist() == model.predict(test).tolist() == model.predict(test.to_dicts()).tolist()
    assert set(model.classes_) == {"gone", "here"}
    assert model.predict_proba(X).shape == (400, 2)
    assert get_scorer("roc_auc")(model, X, y) > 0.7
    assert get_scorer("accuracy")(model, X, y) == np.mean(model.predict(X) == y)
    assert model.score(X, y) == np.mean(model.predict(X) == y)
    assert model.score(X, y, sample_weight=model.predict(X) == y) == 1
    found = permutation_importance(model, X, y, n_repeats=2, random_state=0, scoring="roc_auc")
    assert found.importances_mean[list(X.columns).index("age")] > 0.02
    import matplotlib

    matplotlib.use("Agg")
    CalibrationDisplay.from_estimator(FrozenEstimator(model), X, y)
    with pytest.raises(InputError, match="trained by penstock run"):
        model.fit(X, y)
    with pytest.raises(DataError, match="expected a table"):
        model.predict(3)
    records = X.assign(city=[city if at % 3 else None for at, city in enumerate(X["city"])]).to_dict("records")
    gaps = [{name: float("nan") if cell is None else cell for name, cell in row.items()} for row in records]
    assert model.answer(gaps) == model.answer(records)
    with pytest.raises(DataError, match="name them"):
        model.predict(X.to_numpy())


def test_the_score_of_a_regression_is_what_it_explains(tmp_path):
    customers(300).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path, target=ps.regression("age")).run(store).raise_for_status()
    model, test = ps.load("customers", store=store, version=1), customers(100, seed=6).drop_nulls("age")
    left = np.square(test["age"].to_numpy() - model.predict(test)).sum() / (test["age"].var() * (test.height - 1))
    assert model.score(test, test["age"]) == pytest.approx(1 - left)
    store.close()


def test_a_model_is_exported_and_runs_from_its_folder_alone(model, tmp_path):
    store = tmp_path / "s"
    customers().write_csv(tmp_path / "customers.csv")
    opened = open_store(store)
    make_pipeline(tmp_path).run(opened).raise_for_status()
    mine = ps.load("customers", store=opened)
    rows = customers(50, seed=8).drop("left")
    rows.write_csv(tmp_path / "rows.csv")

    def penstock(*arguments, **options):
        command = [sys.executable, "-m", "penstock", *arguments, "--store", str(store)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, **options)

    for kind in ("python", "docker", "mlflow"):
        assert penstock("export", "customers", "--to", kind, "-o", kind).returncode == 0
    again = penstock("export", "customers", "--to", "python", "-o", "python")
    assert (again.returncode, "not empty" in again.stderr) == (2, True)
    # The folder's own copy comes before the one that is installed here.
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "python")}
    done = subprocess.run(
        [sys.executable, "predict.py", str(tmp_path / "rows.csv")],
        capture_output=True,
        text=True,
        cwd=tmp_path / "python",
        env=clean,
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "answers.csv").write_text(done.stdout)
    found = pl.read_csv(tmp_path / "answers.csv")["probability_gone"].to_numpy()
    np.testing.assert_allclose(found, mine.predict_proba(rows)[:, 0], atol=1e-12)
    (tmp_path / "python" / "model.penstock").write_bytes(b"tampered")
    done = subprocess.run(
        [sys.executable, "predict.py", "x"], capture_output=True, text=True, cwd=tmp_path / "python", env=clean
    )
    assert "its digest differs" in done.stderr
    lines = (tmp_path / "docker" / "Dockerfile").read_text().splitlines()
    for line in lines:
        if line.startswith("COPY"):
            assert (tmp_path / "docker" / line.split()[-2]).exists()
    assert json.loads(lines[-1].removeprefix("CMD "))[:5] == ["python", "-m", "penstock", "serve", "customers"]
    shipped = ps.load("customers", store=tmp_path / "docker" / "store")
    assert (shipped.version, shipped.digest) == (mine.version, mine.digest)
    mlflow = pytest.importorskip("mlflow.pyfunc")
    pandas = pytest.importorskip("pandas")
    loaded = mlflow.load_model(str(tmp_path / "mlflow"))
    answers = loaded.predict(
        pandas.DataFrame(rows.with_columns(pl.col("birthday").cast(pl.String)).to_dict(as_series=False)).astype(
            {"orders": float}
        )
    )
    assert list(answers) == mine.predict(rows).tolist()
    opened.close()


OWN = """
import numpy as np
import penstock as ps
import polars as pl
from helpers import doubled
from sklearn.base import BaseEstimator, ClassifierMixin

def with_double(table):
    return table.with_columns(double=doubled(pl.col('age').cast(pl.Float64)))

class Halves(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_, self.at_ = np.unique(y), doubled(float(np.nanmean(X[:, 0]))) / 2
        return self

    def predict_proba(self, X):
        second = 1 / (1 + np.exp(-(np.nan_to_num(X[:, 0]) - self.at_)))
        return np.column_stack([1 - second, second])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]

pipeline = ps.Pipeline('customers', ingest=ps.ingest.files('customers.csv'), target=ps.binary('left', positive='gone'),
    prepare=[ps.prepare.map(with_double)], train=ps.train.estimator(Halves(), trusted=["p.Halves"]),
    evaluate=ps.evaluate.gate(min_gain=-1, beat_baseline=False))
"""


def test_functions_and_classes_of_the_authors_own_go_with_an_exported_model(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    customers(300).write_csv(folder / "customers.csv")
    (folder / "helpers.py").write_text("def doubled(column):\n    return column * 2\n")
    (folder / "p.py").write_text(OWN)
    rows = customers(20, seed=8).drop("left")
    rows.write_csv(tmp_path / "rows.csv")

    def penstock(*words, cwd=folder):
        store = [] if "--store" in words else ["--store", str(tmp_path / "s")]
        command = [sys.executable, "-m", "penstock", *words, *store]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)

    assert penstock("run", "p.py").returncode == 0
    answered = penstock("predict", "customers", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "o.csv"), cwd=tmp_path)
    assert answered.returncode == 0, answered.stderr
    digest = ps.load("customers", store=tmp_path / "s").digest
    assert penstock("run", "p.py", "--on", "processes", "--store", str(tmp_path / "t")).returncode == 0
    assert ps.load("customers", store=tmp_path / "t").digest == digest
    export = "import sys, penstock.cli; [penstock.cli.cli([*sys.argv[2:], '--to', kind, '-o', sys.argv[1] + kind], standalone_mode=False) "
    export += "for kind in ('python', 'docker', 'mlflow')]"
    words = [f"{tmp_path}/", "export", "customers", "--store", str(tmp_path / "s")]
    subprocess.run([sys.executable, "-c", export, *words], check=True, capture_output=True, cwd=folder)
    for kind in ("python", "docker", "mlflow"):
        assert sorted(path.name for path in (tmp_path / kind / "code").glob("*.py"))[:2] == ["helpers.py", "p.py"]
    folder.rename(tmp_path / "gone")
    assert "COPY code code" in (tmp_path / "docker" / "Dockerfile").read_text()
    done = subprocess.run(
        [sys.executable, "predict.py", str(tmp_path / "rows.csv")], capture_output=True, text=True,
        cwd=tmp_path / "python", env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "python")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(done.stdout.encode()).equals(pl.read_csv(tmp_path / "o.csv"))
    lost = penstock("predict", "customers", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "o2.csv"), cwd=tmp_path)
    assert (lost.returncode, "no p.py where" in lost.stderr) == (2, True)
    assert penstock("run", "p.py", cwd=tmp_path / "gone").returncode == 0
    found = penstock("predict", "customers", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "o3.csv"), cwd=tmp_path)
    assert (found.returncode, "customers v1" in found.stderr + found.stdout) == (0, True), found.stderr


def test_a_prediction_is_traced_back_to_its_data(tmp_path):
    from tests.servers import serving
    from tests.test_serving import rows

    customers().write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")
    run = make_pipeline(tmp_path).run(store)
    run.raise_for_status()
    with serving(tmp_path / "s") as (client, _):
        (answer,) = client.post("/predict", json={"rows": rows()}).json()["predictions"]
        client.post("/feedback", json={"labels": [{"id": answer["id"], "label": "gone"}]})
    command = [sys.executable, "-m", "penstock", "trace", answer["id"], "--store", str(tmp_path / "s")]
    found = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert (found["prediction"], found["label"]) == (answer["prediction"], "gone")
    assert found["run"]["id"] == run.run
    assert found["data"]["customers"] == next(step.digest for step in run.steps if step.name == "snapshot")
    assert found["row"]["age"] == rows()[0]["age"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"run           {run.run}" in told
    command[4] = "nothing-1"
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "no log of this store holds" in done.stderr) == (2, True)
    store.close()


def test_processes_answer_the_files_of_a_pattern_as_one_process_does_and_next_time_only_new_ones(
    store, model, tmp_path
):
    rows = customers(900, seed=6).drop("left")
    rows.write_csv(tmp_path / "all.csv")
    (tmp_path / "days").mkdir()
    for day in range(3):
        rows[day * 300 : (day + 1) * 300].write_csv(tmp_path / "days" / f"{day}.csv")
    predict_file(model, tmp_path / "all.csv", tmp_path / "one.parquet")
    graph = answering_graph(model, str(tmp_path / "days" / "*.csv"))
    assert predict_on(graph, store, tmp_path / "many.parquet", "processes") == 900
    assert pl.read_parquet(tmp_path / "many.parquet").equals(pl.read_parquet(tmp_path / "one.parquet"))
    rows[:10].write_csv(tmp_path / "days" / "3.csv")
    assert predict_on(graph, store, tmp_path / "more.csv", "local") == 910
    with sqlite3.connect(store.folder / "catalog.db") as catalog:
        ran = catalog.execute(
            "SELECT name FROM steps WHERE name LIKE 'answered[%' AND status = 'ran' ORDER BY name"
        ).fetchall()
    assert ran == [(f"answered[{day}.csv]",) for day in range(4)]


def test_what_executors_cannot_answer_is_told_and_leaves_nothing_behind(store, model, tmp_path):
    (tmp_path / "rows.csv").write_text("age,city\n1,Oslo\n")
    graph = answering_graph(model, str(tmp_path / "rows.csv"))
    with pytest.raises(InputError, match=r"partition rows.csv: the table has no column"):
        predict_on(graph, store, tmp_path / "out.csv", "local")
    with pytest.raises(InputError, match="name it"):
        predict_on(graph, store, tmp_path / "out.txt", "local")
    with pytest.raises(InputError, match="no executor"):
        predict_on(graph, store, tmp_path / "out.csv", "nowhere")
    with pytest.raises(InputError, match="was not found"):
        predict_on(answering_graph(model, str(tmp_path / "none.csv")), store, tmp_path / "out.csv", "local")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
