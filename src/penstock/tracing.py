"""From a prediction back to all that it came from."""

from __future__ import annotations

from typing import Any

from penstock.deploy.registry import Registry, names
from penstock.engine.history import past_run
from penstock.errors import InputError
from penstock.monitor.log import find_record, log_folder
from penstock.store.store import Store

_LIBRARIES = ("penstock", "polars", "numpy", "scikit-learn", "lightgbm", "xgboost-cpu", "catboost")


def trace_of(store: Store, id_: str) -> dict[str, Any]:
    """Return what is known of a prediction: request, answer, truth, model, run, data, code, libraries.

    Raises
    ------
    InputError
        When no log of the store holds it.
    """
    for name in names(store):
        record, label = find_record(log_folder(store.folder, name), id_)
        if record is None:
            continue
        version = Registry(store, name).version(record.version)
        run = past_run(store, version.run)
        data = {
            step["name"].removeprefix("snapshot_") if step["name"] != "snapshot" else name: step["digest"]
            for step in run.steps
            if step["name"].startswith("snapshot") and step["digest"]
        }
        return {
            "id": id_, "at": record.at, "row": record.row, "prediction": record.prediction,
            "probabilities": record.probabilities, "took": record.took, "label": label,
            "model": {"name": name, "version": version.version, "digest": version.digest},
            "run": {
                "id": run.run, "started": run.started, "user": run.user, "host": run.host, "file": run.file,
                "git_commit": run.git_commit, "changed": bool(run.git_diff), "seed": run.seed,
            },
            "data": data,
            "libraries": {item: run.packages[item] for item in _LIBRARIES if item in run.packages},
        }  # fmt: skip
    raise InputError(
        f"no log of this store holds a prediction {id_!r}; ids are in the answers of the service, and in its logs"
    )
