"""A model as an ONNX graph gives what the model gives: every learner, every task, gaps and categories never seen."""

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.errors import InputError
from penstock.export.onnx import _encoded, _Graph, _learner, to_onnx
from penstock.features.learnt import MISSING, OTHERS, TargetMean
from penstock.train.learners import Sample, fit_learner, read_predictor
from tests.conftest import customers, make_pipeline

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


def asked(model, raw):
    """The prepared columns as the graph takes them."""
    session = ort.InferenceSession(to_onnx(model))
    table = model.prepare(raw)
    feed = {}
    for item in session.get_inputs():
        column = table[item.name]
        if "string" in item.type:
            feed[item.name] = column.cast(pl.String).fill_null("").to_numpy().astype(object)[:, None]
        else:
            feed[item.name] = column.cast(pl.Float64).to_numpy()[:, None]
    return session.run(None, feed)


def odd():
    rows = customers(300, seed=9)
    far = rows[:20].with_columns(city=pl.lit("Atlantis"), age=pl.lit(1e6))
    gaps = rows[20:40].with_columns(city=None, age=None, orders=None)
    return pl.concat([rows, far, gaps], how="vertical_relaxed")


def rows_of(task, n, seed):
    """Encoded rows: two numbers, one of them with gaps, a category of four codes; and a target of each task."""
    random = np.random.default_rng(seed)
    X = np.column_stack([random.normal(0, 1, n), random.gamma(2, 50, n), random.integers(0, 4, n).astype(float)])
    score = X[:, 0] + np.isin(X[:, 2], (1, 3)) * 1.5 - X[:, 1] / 100
    X[random.random(n) < 0.1, 1] = np.nan
    X[random.random(n) < 0.1, 2] = np.nan
    if task == "regression":
        return X, np.exp(score / 2)
    return X, (score > 0).astype(float) if task == "binary" else np.digitize(score, [-1, 0.5]).astype(float)


def answered(fitted, task, X):
    """Run a learner's part of the graph alone."""
    from onnx import TensorProto, helper

    graph = _Graph()
    found = _learner(graph, fitted.written, fitted.files, "matrix", X.shape[1])
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        graph.nodes, "learner", [value("matrix", TensorProto.DOUBLE, [None, X.shape[1]])], [value(found, TensorProto.DOUBLE, None)], graph.constants
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    session = ort.InferenceSession(helper.make_model(made, opset_imports=opsets, ir_version=10).SerializeToString())
    (numbers,) = session.run(None, {"matrix": X})
    return numbers[:, 0] if task == "regression" else numbers


@pytest.mark.parametrize("learner", ["linear", "lightgbm", "xgboost", "catboost", "extra_trees", "network"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "log"])
def test_the_graph_of_a_learner_gives_what_the_learner_gives(learner, task):
    if learner in ("xgboost", "catboost"):
        pytest.importorskip(learner)
    kind = "regression" if task == "log" else task
    X, y = rows_of(kind, 600, 0)
    parameters = {
        "linear": {"C": 1.0}, "network": {"layers": [8], "alpha": 1e-3, "max_iter": 10, "learning_rate_init": 1e-2, "batch_size": 64, "n_iter_no_change": 5},
        "extra_trees": {"n_estimators": 10, "max_features": 0.75, "min_samples_leaf": 3, "max_leaf_nodes": 50},
        "lightgbm": {"num_leaves": 7, "rounds": 15}, "xgboost": {"max_depth": 3, "rounds": 15}, "catboost": {"depth": 3, "rounds": 15},
    }[learner]  # fmt: skip
    parameters |= {"target": "log"} if task == "log" else {}
    sample = Sample(X, y, kind, 3 if task == "multiclass" else 2, [0, 0, 5])
    fitted = fit_learner(learner, sample, parameters, 0)
    asked, _ = rows_of(kind, 300, 1)
    asked[:5, 0], asked[5:10, 1], asked[10:15] = 1e6, -1e9, np.nan
    expected = read_predictor(fitted.written, fitted.files).predict(asked)
    np.testing.assert_allclose(answered(fitted, kind, asked), expected, rtol=1e-9, atol=1e-9)


def test_several_learners_together_and_means_of_the_target(tmp_path, store):
    customers(900).drop("note", "birthday").write_csv(tmp_path / "customers.csv")
    search = ps.train.search(budget="60s", trials=3, learners=["linear", "lightgbm", "network"])
    make_pipeline(tmp_path, train=search, features=[ps.features.categories("city", "orders")]).run(
        store
    ).raise_for_status()
    model = ps.load("customers", 1, store)
    rows = odd()
    expected = model.predict_table(rows)
    prediction, probabilities = asked(model, rows)
    np.testing.assert_allclose(probabilities, expected, atol=1e-9)
    assert prediction.tolist() == [model.labels.values[at] for at in model.labels.decided(expected)]


def test_means_of_numbers_are_looked_up_by_number_and_the_rarest_are_as_those_never_seen():
    from onnx import numpy_helper

    graph = _Graph()
    made = TargetMean("n", [MISSING, OTHERS, "7", "8"], [[0.1, 0.2, 0.3, 0.4]], [0.2], [""])
    assert len(_encoded(graph, made, text=False)) == 1
    (node,) = graph.nodes
    found = {item.name: numpy_helper.to_array(item.t).tolist() for item in node.attribute}
    assert found["keys_tensor"][:2] == [7.0, 8.0]
    assert np.isnan(found["keys_tensor"][2])
    assert (found["values_tensor"], found["default_tensor"]) == ([0.3, 0.4, 0.1], [0.2])


def test_what_has_no_form_in_onnx_is_told(tmp_path, store):
    customers().write_csv(tmp_path / "customers.csv")
    make_pipeline(tmp_path).run(store).raise_for_status()
    with pytest.raises(InputError, match='column "birthday" is a date, which is not written as ONNX'):
        to_onnx(ps.load("customers", store=store))
