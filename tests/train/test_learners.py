"""Every learner: one row alone is answered as in a table, and as the library that fitted it would answer."""

import io

import numpy as np
import pytest

from penstock.train.learners import LEARNERS, MONOTONE, WEIGHTED, Sample, Watch, fit_learner, linear, read_predictor
from penstock.train.learners.blend import blend, sharpened
from penstock.train.learners.design import Design
from penstock.train.learners.lasso import lasso_path
from penstock.train.learners.trees import parameters_for
from penstock.types.matrix import Stored, save
from penstock.types.metrics import METRICS

random = np.random.default_rng(0)
N = 400
X = np.column_stack([random.normal(size=N), random.integers(0, 4, N), random.gamma(2, 50, N), random.integers(0, 9, N)])
X[random.random(X.shape) < 0.1] = np.nan
CATEGORIES = [0, 4, 0, 0]
SIGNAL = np.nan_to_num(X[:, 0]) + (np.nan_to_num(X[:, 1]) == 2) + random.normal(size=N) * 0.2
TARGETS = {
    "binary": (SIGNAL > 0.5).astype(float),
    "multiclass": np.digitize(SIGNAL, [0.0, 1.0]).astype(float),
    "regression": np.exp(SIGNAL),
}
CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}
PARAMETERS = {
    "linear": {"C": 1.0}, "lightgbm": {"rounds": 20, "min_data_in_leaf": 5}, "xgboost": {"rounds": 20, "learning_rate": 0.2},
    "catboost": {"rounds": 20, "learning_rate": 0.2, "depth": 4}, "extra_trees": {"n_estimators": 20, "min_samples_leaf": 2},
    "neighbours": {"k": 5}, "network": {"layers": [8], "max_iter": 5},
}  # fmt: skip


def sample(task, rows=slice(None)):
    return Sample(X[rows], TARGETS[task][rows], task, CLASSES[task], CATEGORIES)


def fitted(learner, task, **more):
    return fit_learner(learner, sample(task), {**PARAMETERS[learner], **more}, 0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_one_row_alone_is_answered_as_in_a_table(learner, task):
    made = fitted(learner, task)
    predictor = read_predictor(made.written, made.files)
    asked = np.vstack([X[:60], [[1e300, np.nan, -1e300, 3.0]], np.full((1, 4), np.nan)])
    table = predictor.predict(asked)
    alone = np.array([predictor.predict_row(row) for row in asked.tolist()])
    np.testing.assert_allclose(table, alone, rtol=1e-9, atol=1e-12)
    assert np.isfinite(table).all()
    if task != "regression":
        np.testing.assert_allclose(table.sum(1), 1)
    assert len(predictor.predict(X[:0])) == 0
    assert fitted(learner, task) == made


@pytest.mark.parametrize("task", TARGETS)
def test_lightgbm_is_answered_as_it_answers_itself(task):
    import lightgbm as lgb

    made = parameters_for(task, CLASSES[task], PARAMETERS["lightgbm"], 0, 1)
    data = lgb.Dataset(X, TARGETS[task], categorical_feature=[1], params=made)
    theirs = lgb.train(made, data, num_boost_round=20).predict(X)
    ours = answers("lightgbm", task)
    np.testing.assert_array_equal(ours[:, 1] if task == "binary" else ours, theirs)


@pytest.mark.parametrize("task", TARGETS)
def test_xgboost_is_answered_as_it_answers_itself(task):
    import xgboost as xgb

    objective = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}[task]
    options = {"objective": objective, "tree_method": "hist", "seed": 0, "learning_rate": 0.2, "nthread": 1}
    if task == "multiclass":
        options["num_class"] = 3
    theirs = xgb.train(options, xgb.DMatrix(X, TARGETS[task]), 20).predict(xgb.DMatrix(X))
    ours = answers("xgboost", task)
    np.testing.assert_allclose(ours[:, 1] if task == "binary" else ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("task", TARGETS)
def test_catboost_is_answered_as_it_answers_itself(task):
    import catboost as cb

    loss = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}[task]
    model = cb.CatBoost(
        {"loss_function": loss, "iterations": 20, "learning_rate": 0.2, "depth": 4, "random_seed": 0, "verbose": 0,
         "thread_count": 1, "allow_writing_files": False, "leaf_estimation_backtracking": "No"}
    ).fit(X, TARGETS[task])  # fmt: skip
    theirs = model.predict(X, prediction_type="RawFormulaVal" if task == "regression" else "Probability")
    np.testing.assert_allclose(answers("catboost", task), theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("task", TARGETS)
def test_extra_trees_are_answered_as_scikit_learn_does(task):
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesRegressor if task == "regression" else ExtraTreesClassifier
    model = kind(20, min_samples_leaf=2, random_state=0).fit(X, TARGETS[task])
    theirs = model.predict(X) if task == "regression" else model.predict_proba(X)
    np.testing.assert_allclose(answers("extra_trees", task), theirs, rtol=1e-9, atol=1e-12)


def answers(learner, task):
    made = fitted(learner, task)
    return read_predictor(made.written, made.files).predict(X)


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost"])
def test_boosting_stops_early_on_the_rows_that_judge(learner):
    parameters = {key: value for key, value in PARAMETERS[learner].items() if key != "rounds"}
    watch = Watch(X[300:], TARGETS["binary"][300:], None)
    made = fit_learner(learner, sample("binary", slice(300)), parameters, 0, watch)
    assert 1 <= made.rounds < 500
    again = fit_learner(learner, sample("binary", slice(300)), {**parameters, "rounds": made.rounds}, 0)
    ours, theirs = (read_predictor(item.written, item.files).predict(X) for item in (made, again))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost", "catboost"])
def test_boosting_ends_when_its_time_is_over(learner):
    parameters = {**PARAMETERS[learner], "rounds": 10**6}
    watch = Watch(X, TARGETS["regression"], 0.3)  # the same rows: it would never stop by itself
    assert 1 <= fit_learner(learner, sample("regression"), parameters, 0, watch).rounds < 10**6


def test_a_linear_model_of_many_rows_and_classes_takes_few_steps_and_is_hardly_worse(monkeypatch, recwarn):
    full = answers("linear", "multiclass")
    monkeypatch.setattr(linear, "_WORK", 0.0)
    short = answers("linear", "multiclass")
    truth = TARGETS["multiclass"].astype(int)
    losses = [-np.log(found[np.arange(len(truth)), truth]).mean() for found in (full, short)]
    assert losses[1] < 1.02 * losses[0]
    monkeypatch.setattr(linear, "_STEPS", (2, 1000))
    assert np.abs(answers("linear", "multiclass") - full).max() > 0.01
    assert not recwarn.list


def test_one_thread_and_two_give_lightgbm_the_same_bytes():
    one, two = (
        fit_learner("lightgbm", sample("binary"), PARAMETERS["lightgbm"], 0, threads=threads) for threads in (1, 2)
    )
    assert one == two


def test_the_logarithm_of_a_target_is_learnt_and_answers_are_right_on_average():
    made = fitted("linear", "regression", target="log")
    predictor = read_predictor(made.written, made.files)
    found = predictor.predict(X)
    assert found.mean() == pytest.approx(TARGETS["regression"].mean())
    assert (found >= 0).all()
    np.testing.assert_allclose([predictor.predict_row(row) for row in X[:9].tolist()], found[:9])


def test_a_blend_is_the_weighted_mean_and_may_be_sharpened():
    members = [fitted(name, "binary") for name in ("linear", "lightgbm")]
    one, two = (read_predictor(item.written, item.files).predict(X) for item in members)
    for sharpness in (None, 1.3):
        made = blend(members, [0.25, 0.75], "binary", sharpness)
        predictor = read_predictor(made.written, made.files)
        mean = 0.25 * one + 0.75 * two
        np.testing.assert_allclose(predictor.predict(X), mean if sharpness is None else sharpened(mean, 1.3))
        np.testing.assert_allclose([predictor.predict_row(row) for row in X[:9].tolist()], predictor.predict(X[:9]))
    assert blend(members[:1], [1.0], "binary") == members[0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learner", WEIGHTED)
def test_rows_that_count_nothing_might_as_well_not_be_there(learner):
    kept = np.arange(N) < 300
    spoiled = TARGETS["binary"].copy()
    spoiled[~kept] = 1 - spoiled[~kept]
    answers = []
    for weights in (kept.astype(float), None):
        parameters = {"layers": [16], "max_iter": 300, "learning_rate_init": 0.01} if learner == "network" else PARAMETERS[learner]  # fmt: skip
        made = fit_learner(learner, Sample(X, spoiled, "binary", 2, CATEGORIES, weights), parameters, 0)
        answers.append(read_predictor(made.written, made.files).predict(X)[:, 1])
    truth = TARGETS["binary"] == 1
    apart = [float(item[truth].mean() - item[~truth].mean()) for item in answers]
    assert apart[0] > apart[1] + 0.02


@pytest.mark.parametrize("learner", MONOTONE)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_direction_is_kept_on_every_row(learner, task):
    for direction in (1, -1):
        asked = sample(task)._replace(monotone=[direction, 0, 0, 0])
        made = fit_learner(learner, asked, PARAMETERS[learner], 0)
        predictor = read_predictor(made.written, made.files)
        for row in X[:20]:
            moved = np.tile(row, (50, 1))
            moved[:, 0] = np.linspace(-3, 3, 50)
            answers = predictor.predict(moved)
            steps = np.diff(answers if task == "regression" else answers[:, 1]) * direction
            assert steps.min() >= -1e-12


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("columns", "noise", "strong"), [(300, 2.0, True), (3, 0.01, False)])
def test_a_linear_model_is_held_as_strongly_as_the_watched_rows_ask_for(task, columns, noise, strong):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(300, columns))
    signal = 2 * matrix[:, 0] + matrix[:, 1] + noise * random.normal(size=300)
    target = signal if task == "regression" else (signal > 0).astype(float)
    learnt = Sample(matrix[:150], target[:150], task, 2 if task == "binary" else 0, [0] * columns)
    made = fit_learner("linear", learnt, {}, 0, Watch(matrix[150:], target[150:]))
    assert (linear.STRENGTHS[made.rounds - 1] < 0.1) == strong
    again = fit_learner("linear", learnt, {"C": linear.STRENGTHS[made.rounds - 1]}, 0)
    one, other = (read_predictor(each.written, each.files).predict(matrix[150:]) for each in (made, again))
    np.testing.assert_allclose(one, other, atol=5e-3)  # the one began where a stronger penalty ended


@pytest.mark.parametrize("strongest", [True, False])
def test_where_each_strength_takes_long_the_first_is_from_the_middle(monkeypatch, strongest):
    random = np.random.default_rng(0)
    columns = 60 if strongest else 2
    matrix = random.normal(size=(200, columns))
    target = np.digitize(matrix[:, 0] + (3.0 if strongest else 0.001) * random.normal(size=200), [-0.5, 0.5]) * 1.0
    learnt = Sample(matrix[:100], target[:100], "multiclass", 3, [0] * columns)
    watch = Watch(matrix[100:], target[100:])
    usual, alone = (fit_learner("linear", learnt, parameters, 0, watch) for parameters in ({}, {"C": 3.0}))
    monkeypatch.setattr(linear, "_LONG", 0)
    found = fit_learner("linear", learnt, {}, 0, watch)
    assert found.rounds == usual.rounds
    monkeypatch.setattr(linear, "_FEWER", 2)
    assert fit_learner("linear", learnt, {}, 0, watch).files != found.files
    assert fit_learner("linear", learnt, {"C": 3.0}, 0, watch).files == alone.files, "one alone has the usual steps"
    ended = fit_learner("linear", learnt, {}, 0, watch._replace(seconds=0.0))
    assert (linear.STRENGTHS[ended.rounds - 1], ended.share) == (0.03, 1.0)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_where_few_of_many_columns_matter_the_lasso_finds_them(task):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(400, 500))
    signal = 2 * matrix[:, 0] + matrix[:, 1] - matrix[:, 2] + random.normal(size=400)
    target = {"binary": (signal > 0.5) * 1.0, "multiclass": np.digitize(signal, [-1, 1]) * 1.0, "regression": signal}[
        task
    ]
    classes = {"binary": 2, "multiclass": 3, "regression": 0}[task]
    learnt = Sample(matrix[:200], target[:200], task, classes, [0] * 500)
    later = Watch(matrix[200:], target[200:])
    losses = {}
    for parameters in ({}, {"lasso": True}):
        made = fit_learner("linear", learnt, parameters, 0, later)
        answers = read_predictor(made.written, made.files).predict(later.matrix)
        losses[len(parameters)] = METRICS["rmse" if task == "regression" else "log_loss"].value(later.target, answers)
    assert losses[1] < 0.8 * losses[0]
    weights = np.load(io.BytesIO(made.files["weights.npy"]))[:, 1:]
    assert np.count_nonzero(weights) < weights.size / 5
    assert weights[:, :3].any(axis=0).all()


def test_what_judges_the_lasso_does_not_choose_its_penalty():
    """Of noise it would say a little less than log 2, 0.688 in the mean of forty such tables: more than can be known."""
    losses, random = [], np.random.default_rng(1)
    for _ in range(20):
        matrix, target = random.normal(size=(100, 300)), np.arange(100) % 2 * 1.0
        learnt = Sample(matrix[:80], target[:80], "binary", 2, [0] * 300)
        made = fit_learner("linear", learnt, {"lasso": True}, 0, Watch(matrix[80:], target[80:]))
        answers = read_predictor(made.written, made.files).predict(matrix[80:])
        losses.append(METRICS["log_loss"].value(target[80:], answers))
    assert np.mean(losses) > np.log(2)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_to_the_lasso_a_row_of_weight_two_is_two_rows_and_what_is_said_is_what_came(task):
    random = np.random.default_rng(0)
    matrix, twice = random.normal(size=(200, 30)), random.random(200) < 0.5
    target = matrix[:, 0] + random.normal(size=200)
    target = (target > 1) * 1.0 if task == "binary" else target
    rows, doubled = np.arange(200), np.repeat(np.arange(200), 1 + twice)
    weighted = Sample(matrix, target, task, 2 if task == "binary" else 0, [0] * 30, weights=1.0 + twice)
    one = next(lasso_path(weighted, matrix, rows, [0.2], 0))
    other = next(lasso_path(weighted._replace(weights=None), matrix, doubled, [0.2], 0))
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert np.count_nonzero(one) < 20
    said = one[0, 0] + matrix @ one[0, 1:]
    said = 1 / (1 + np.exp(-said)) if task == "binary" else said
    assert said[doubled].mean() == pytest.approx(target[doubled].mean(), abs=1e-3)


def test_of_one_class_alone_the_lasso_says_that_one():
    sample = Sample(np.eye(20), np.zeros(20), "multiclass", 3, [0] * 20)
    made = fit_learner("linear", sample, {"lasso": True}, 0)
    assert read_predictor(made.written, made.files).predict(np.eye(20)).argmax(1).tolist() == [0] * 20


def test_a_linear_model_that_has_no_time_takes_what_it_has():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(100, 3))
    learnt = Sample(matrix, matrix[:, 0], "regression", 0, [0, 0, 0])
    hurried = Watch(matrix, matrix[:, 0], seconds=0.0)
    assert fit_learner("linear", learnt, {}, 0, hurried).rounds == 1
    made = fit_learner("linear", learnt, {"lasso": True}, 0, hurried)  # the strongest penalty alone
    assert np.count_nonzero(np.load(io.BytesIO(made.files["weights.npy"]))[0, 1:]) == 1


@pytest.mark.parametrize("categories", [CATEGORIES, [0, 4, 0, 9], [0, 0, 0, 0]])
def test_a_sparse_design_holds_what_the_dense_one_holds(categories):
    design = Design.fit(X, categories)
    made = design.sparse(X[:50])
    np.testing.assert_array_equal(made.toarray(), design.apply(X[:50]))
    assert made.nnz <= design.density() * made.shape[0] * made.shape[1]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_of_many_categories_a_linear_model_learns_from_the_cells_that_are_not_zero_what_it_learns_from_all(
    task, monkeypatch
):
    many = X.copy()
    many[:, 1] = random.integers(0, 60, N)
    given = Sample(many, TARGETS[task], task, CLASSES[task], [0, 60, 0, 0])
    sparse = fit_learner("linear", given, {"C": 0.1}, 0)
    monkeypatch.setattr(linear, "_SPARSE", 0.0)
    dense = fit_learner("linear", given, {"C": 0.1}, 0)
    answers = [read_predictor(each.written, each.files).predict(many) for each in (sparse, dense)]
    np.testing.assert_allclose(*answers, atol=0.002)


def test_a_network_of_a_small_table_says_nothing_at_the_terminal(recwarn):
    few = sample("binary", slice(60))
    fit_learner("network", few, {"layers": [8], "max_iter": 2, "batch_size": 256}, 0)
    assert [str(each.message) for each in recwarn] == []


@pytest.mark.parametrize("more", [{}, {"target": "log"}, {"means": True}])
def test_trees_are_the_same_from_a_file_and_from_an_array(tmp_path, more):
    random = np.random.default_rng(0)
    n = 250_000  # more than the rows by which LightGBM chooses its bins
    matrix = np.column_stack([random.normal(size=n), random.integers(0, 40, n), random.gamma(2, 50, n)])
    matrix[random.random(n) < 0.1, 0] = np.nan
    target = np.exp(np.nan_to_num(matrix[:, 0]) / 3 + (matrix[:, 1] % 3))
    save(tmp_path / "x.npy", matrix)
    rows = Sample(matrix, target, "regression", 0, [0, 40, 0], offers={"means": [2]})
    one, two = (
        fit_learner("lightgbm", rows._replace(matrix=each), {"rounds": 3, **more}, 0)
        for each in (matrix, Stored(tmp_path / "x.npy"))
    )
    assert one.files == two.files
    assert one == two
