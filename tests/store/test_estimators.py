import time

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.store.estimators import read_estimator, write_estimator


def test_a_model_of_catboost_within_a_pipeline_is_the_same_bytes_whenever_it_is_fitted():
    import catboost as cb

    rows = np.random.default_rng(0).normal(size=(120, 3))
    target = rows[:, 0] * 2

    def fitted():
        model = cb.CatBoostRegressor(iterations=5, verbose=0, random_seed=1, allow_writing_files=False, thread_count=1)
        return make_pipeline(StandardScaler(), model).fit(rows, target)

    first = fitted()
    written = write_estimator(first)
    time.sleep(1.1)  # CatBoost notes the second
    assert write_estimator(fitted()) == written
    read = read_estimator(written, lambda name: name.startswith("catboost."))
    assert np.array_equal(read.predict(rows), first.predict(rows))
