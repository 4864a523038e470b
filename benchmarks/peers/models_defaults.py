"""LightGBM or CatBoost with nothing set, categories given as such."""

import json
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Train, answer, print."""
    place = Path(sys.argv[1])
    about = json.loads((place / "about.json").read_text())
    train, test = pd.read_csv(place / "train.csv"), pd.read_csv(place / "test.csv")
    target, classes = about["target"], about["classes"]
    texts = [name for name in train.columns if name != target and train[name].dtype.kind not in "bif"]
    truth = train[target].astype(str).map(classes.index) if classes else train[target]
    began = time.perf_counter()
    if about["system"] == "lightgbm":
        import lightgbm

        for name in texts:
            known = pd.CategoricalDtype(sorted(map(str, train[name].dropna().unique())))
            train[name], test[name] = train[name].astype(known), test[name].astype(known)
        kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
        model = kind(n_jobs=2, verbose=-1, random_state=about["seed"])
    else:
        import catboost

        for name in texts:
            train[name], test[name] = train[name].fillna("").astype(str), test[name].fillna("").astype(str)
        kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
        model = kind(
            thread_count=2, verbose=0, random_seed=about["seed"], cat_features=texts, allow_writing_files=False
        )
    model.fit(train.drop(columns=[target]), truth)
    seconds = time.perf_counter() - began
    inputs = test.drop(columns=[target])
    answer = model.predict_proba if classes else model.predict
    np.save(place / "answers.npy", answer(inputs))
    times = []
    for number in range(30):
        at = time.perf_counter()
        answer(inputs.iloc[[number % len(inputs)]])
        times.append(time.perf_counter() - at)
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "kB": len(pickle.dumps(model)) // 1000,
                "row_ms": float(np.median(times) * 1e3),
            }
        )
    )


if __name__ == "__main__":
    main()
