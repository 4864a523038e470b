"""Penstock, as a user runs it: a pipeline over a file, deployed, and asked through the loaded model."""

import json
import resource
import sys
import time
from pathlib import Path

sys.path.pop(0)  # a neighbour of this script is named like the package

import numpy as np
import polars as pl


def main() -> None:
    """Train, answer, print."""
    import penstock as ps
    from penstock.store.formats import encode
    from penstock.store.store import open_store

    place = Path(sys.argv[1])
    about = json.loads((place / "about.json").read_text())
    kind = {"binary": ps.binary, "multiclass": ps.multiclass, "regression": ps.regression}[about["task"]]
    classes = about["classes"]
    target = kind(about["target"], positive=classes[1]) if about["task"] == "binary" else kind(about["target"])
    test = pl.read_csv(place / "test.csv", infer_schema_length=None)
    # The gate must judge something: 2 % of the rows, from which the peers learn too.
    time_column, split = None, ps.split.random(test=0.02)
    if about["ordered"]:
        train = pl.read_csv(place / "train.csv", infer_schema_length=None)
        moments = pl.datetime(2000, 1, 1) + pl.duration(minutes=pl.int_range(pl.len()))
        train.with_columns(when=moments).write_csv(place / "train.csv")
        test = test.with_columns(when=moments + pl.duration(minutes=len(train)))
        time_column, split = "when", ps.split.time(test=0.02)
    began = time.perf_counter()
    store = open_store(place / "store")
    pipeline = ps.Pipeline(
        name="bench", ingest=ps.ingest.files(str(place / "train.csv"), time=time_column), target=target,
        split=split,
        train=ps.train.search(budget=about["budget"]), evaluate=ps.evaluate.gate(beat_baseline=False), seed=about["seed"],
        file=str(place / "pipeline.py"),
    )  # fmt: skip
    done = pipeline.run(store)
    done.raise_for_status()
    seconds = time.perf_counter() - began
    trained = sum(step.seconds for step in done.steps if step.name in ("trials", "trained"))
    model = ps.load("bench", store=store)
    print(model.manifest.encoding.kinds(), file=sys.stderr)
    answers = model.predict_table(test)
    if classes:
        names = [str(value) for value in model.labels.values]
        answers = answers[:, [names.index(value) for value in classes]]
    np.save(place / "answers.npy", answers)
    rows = [{k: v for k, v in row.items() if k != about["target"]} for row in test[:100].to_dicts()]
    times = []
    for row in rows:
        at = time.perf_counter()
        model.answer([row])
        times.append(time.perf_counter() - at)
    size = len(encode(done["trained"]).data)  # as it lies in the store
    searched = done["trials"]
    members = {}
    for trial in searched["trials"]:
        if trial["weight"]:
            members[trial["learner"]] = round(members.get(trial["learner"], 0) + trial["weight"], 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({
        "seconds": round(seconds, 1), "training": round(trained, 1), "kB": size // 1000, "row_ms": float(np.median(times) * 1e3),
        "MB": peak // 1000, "trials": len(searched["trials"]), "members": members,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
