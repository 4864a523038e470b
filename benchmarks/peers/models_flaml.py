"""FLAML's AutoML with its own choice of learners, deployed as a pickle."""

import json
import pickle
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from flaml import AutoML


def main() -> None:
    """Train, answer, print."""
    place = Path(sys.argv[1])
    about = json.loads((place / "about.json").read_text())
    train, test = pd.read_csv(place / "train.csv"), pd.read_csv(place / "test.csv")
    target, task = about["target"], about["task"]
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task]
    began = time.perf_counter()
    automl = AutoML()
    automl.fit(
        train.drop(columns=[target]), train[target].astype(str) if about["classes"] else train[target], n_jobs=2, verbose=0,
        task="regression" if task == "regression" else "classification", metric=metric, time_budget=about["budget"], seed=about["seed"],
    )  # fmt: skip
    seconds = time.perf_counter() - began
    inputs = test.drop(columns=[target])

    def answer(rows: pd.DataFrame) -> np.ndarray:
        if task == "regression":
            return np.asarray(automl.predict(rows))
        return automl.predict_proba(rows)[
            :, [list(map(str, automl.classes_)).index(value) for value in about["classes"]]
        ]

    np.save(place / "answers.npy", answer(inputs))
    times = []
    for number in range(30):
        at = time.perf_counter()
        answer(inputs.iloc[[number % len(inputs)]])
        times.append(time.perf_counter() - at)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "kB": len(pickle.dumps(automl)) // 1000,
                "row_ms": float(np.median(times) * 1e3),
                "MB": peak // 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
