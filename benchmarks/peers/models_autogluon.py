"""AutoGluon, at the preset named, deployed with its own `clone_for_deployment`."""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor


def main() -> None:
    """Train, answer, print."""
    place = Path(sys.argv[1])
    about = json.loads((place / "about.json").read_text())
    train, test = pd.read_csv(place / "train.csv"), pd.read_csv(place / "test.csv")
    target, task = about["target"], about["task"]
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "root_mean_squared_error"}[task]
    preset = {"autogluon-medium": "medium_quality", "autogluon-good": "good_quality"}[about["system"]]
    began = time.perf_counter()
    predictor = TabularPredictor(
        label=target, problem_type=task, eval_metric=metric, path=str(place / "ag"), verbosity=0
    )
    predictor.fit(train, presets=preset, time_limit=about["budget"], num_cpus=2)
    seconds = time.perf_counter() - began
    lean = TabularPredictor.load(predictor.clone_for_deployment(str(place / "lean")))
    if task == "regression":
        answer = lambda rows: lean.predict(rows).to_numpy()  # noqa: E731
    else:
        shown = {str(value): value for value in lean.class_labels}
        answer = lambda rows: lean.predict_proba(rows)[[shown[value] for value in about["classes"]]].to_numpy()  # noqa: E731
    inputs = test.drop(columns=[target])
    lean.persist()
    np.save(place / "answers.npy", answer(inputs))
    times = []
    for number in range(30):
        at = time.perf_counter()
        answer(inputs.iloc[[number % len(inputs)]])
        times.append(time.perf_counter() - at)
    size = sum(path.stat().st_size for path in (place / "lean").rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "kB": size // 1000,
                "row_ms": float(np.median(times) * 1e3),
                "MB": peak // 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
