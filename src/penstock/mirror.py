"""A run told to what a team has already: MLflow's tracking server, or any that takes OpenLineage events.

Both by their own clients, which find the server by their own settings. Told twice, a run stands there once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from penstock.engine.execute import load
from penstock.engine.history import PastRun, artifact_of, past_run
from penstock.engine.notes import tags_of
from penstock.errors import InputError, PenstockError
from penstock.store.schema import lineage
from penstock.store.store import Store
from penstock.version import __version__

_LONGEST = 6_000
"""MLflow takes values of parameters up to this length."""
_AT_ONCE = 100
_NAMESPACE = uuid.UUID("5f0f7d2c-1f0b-4a83-9d52-9f3f5f0c7a11")
"""From which, with its name here, the id of a run or step follows there."""


def mirror(store: Store, run: str, to: str) -> str:
    """Tell a run that has ended, and return where.

    Parameters
    ----------
    run : str
        As :func:`~penstock.engine.history.past_run` takes it.
    to : {"mlflow", "openlineage"}
        ``MLFLOW_TRACKING_URI``, or ``OPENLINEAGE_URL`` and the client's other settings, say where the server is.

    Raises
    ------
    InputError
        When the client is not installed, or no server is named.
    PenstockError
        When the server cannot be reached, or refuses.
    """
    if to not in MIRRORS:
        raise InputError(f"a run is mirrored to {' or '.join(MIRRORS)}, not to {to!r}")
    found = past_run(store, run)
    if found.status == "running":
        raise InputError(f"run {found.run} is still going on; mirror it when it has ended")
    try:
        return MIRRORS[to](store, found)
    except ModuleNotFoundError as error:
        raise InputError(f"mirroring to {to} needs a package: pip install 'penstock[{to}]' ({error})") from error


def _mlflow(store: Store, run: PastRun) -> str:
    where = os.environ.get("MLFLOW_TRACKING_URI")
    if not where:
        raise InputError("MLFLOW_TRACKING_URI does not say where MLflow's server is, such as http://mlflow:5000")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is reported to anyone
    # Its own defaults would try for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(where)
        experiment = client.get_experiment_by_name(run.pipeline)
        number = client.create_experiment(run.pipeline) if experiment is None else experiment.experiment_id
        known = client.search_runs([number], f"tags.`penstock.run` = '{run.run}'", max_results=1)
        if known and known[0].info.status != "RUNNING":
            return f"MLflow, experiment {run.pipeline}: it is there already"
        started, ended = round(run.started * 1000), round((run.finished or run.started) * 1000)
        tags = _mlflow_tags(store, run)
        # One that was begun and not ended was cut off: it is told anew, into the same.
        there = known[0] if known else client.create_run(number, start_time=started, tags=tags, run_name=run.run)
        made = there.info.run_id
        params = [Param(key, value[:_LONGEST]) for key, value in _parameters(run)]
        metrics = [Metric(key, value, ended, 0) for key, value in _metrics(run)]
        for start in range(0, max(len(params), len(metrics)), _AT_ONCE):
            client.log_batch(made, metrics[start : start + _AT_ONCE], params[start : start + _AT_ONCE])
        client.log_batch(made, tags=[RunTag("penstock.store", store.location)])
        with tempfile.TemporaryDirectory() as folder:
            for name, file in (("report", "report.html"), ("card", "card.md")):
                with contextlib.suppress(PenstockError):  # cleaned away
                    if (ref := artifact_of(store, run, name)) is not None:
                        (Path(folder) / file).write_bytes(load(store, ref))
                        client.log_artifact(made, str(Path(folder) / file))
        client.set_terminated(made, "FINISHED" if run.status == "succeeded" else "FAILED", ended)
    except (MlflowException, OSError) as error:
        raise PenstockError(f"MLflow at {where}: {str(error).splitlines()[0]}") from error
    return f"MLflow, experiment {run.pipeline}, run {made}"


def _mlflow_tags(store: Store, run: PastRun) -> dict[str, str]:
    model = run.summary.get("model")
    found = {
        "penstock.run": run.run,
        "penstock.version": __version__,
        "penstock.tags": ", ".join(tags_of(store, [run.run])[run.run]),
        "penstock.model": f"v{model['version']}" if model else "",
        "penstock.gate": "; ".join(run.summary.get("gate", {}).get("reasons", [])),
        "mlflow.user": run.user,
        "mlflow.source.name": run.file or "",
        "mlflow.source.git.commit": run.git_commit or "",
    }
    return {key: value[:5_000] for key, value in found.items() if value}


def _parameters(run: PastRun) -> Iterator[tuple[str, str]]:
    for step, values in run.parameters.items():
        for name, value in values.items() if isinstance(values, Mapping) else [("", values)]:
            yield f"{step}.{name}".rstrip("."), str(value)


def _metrics(run: PastRun) -> Iterator[tuple[str, float]]:
    for name, value in run.summary.get("metrics", {}).items():
        ends = (("", "value"), ("_low", "low"), ("_high", "high"))
        yield from ((f"{name}{end}", float(value[key])) for end, key in ends if key in value)
    for name, value in run.summary.get("baseline", {}).items():
        yield f"baseline_{name}", float(value)
    for item in run.steps:
        if item["seconds"]:
            yield (
                "seconds/" + "".join(letter if letter.isalnum() else "_" for letter in item["name"]),
                float(item["seconds"]),
            )


def _openlineage(store: Store, run: PastRun) -> str:
    if not any(
        name.startswith(("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")) for name in os.environ
    ):
        raise InputError("OPENLINEAGE_URL does not say where events are taken, such as http://marquez:5000")
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import dataset_version_dataset, error_message_run, parent_run

    producer = f"https://pypi.org/project/penstock/{__version__}"
    made_by = {item["digest"]: item["name"] for item in run.steps if item["digest"]}
    parent = parent_run.ParentRunFacet(
        parent_run.Run(_id(run.run)), parent_run.Job(store.location, run.pipeline), producer=producer
    )

    def dataset(kind: Any, name: str, digest: str) -> Any:
        version = dataset_version_dataset.DatasetVersionDatasetFacet(digest, producer=producer)
        return kind(namespace=store.location, name=f"{run.pipeline}.{name}", facets={"version": version})

    ended = run.finished or run.started
    whole = Job(store.location, run.pipeline)
    events = [
        RunEvent(
            eventTime=_moment(run.started),
            producer=producer,
            run=Run(_id(run.run)),
            job=whole,
            eventType=RunState.START,
        )
    ]
    needs = _needs(store, [item["key"] for item in run.steps if item["key"]])
    for item in run.steps:
        if item["status"] not in ("ran", "failed"):
            continue
        facets: dict[str, Any] = {"parent": parent}
        if item["error"]:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(item["error"], "PYTHON", producer=producer)
        began = item["started"] or run.started
        shared: dict[str, Any] = {
            "producer": producer, "run": Run(_id(f"{run.run}/{item['name']}"), facets), "job": Job(store.location, f"{run.pipeline}.{item['name']}"),
            "inputs": [dataset(InputDataset, made_by.get(digest, name), digest) for name, digest in needs.get(item["key"], [])],
            "outputs": [dataset(OutputDataset, item["name"], item["digest"])] if item["digest"] else [],
        }  # fmt: skip
        events.append(RunEvent(eventTime=_moment(began), eventType=RunState.START, **shared))
        state = RunState.COMPLETE if item["status"] == "ran" else RunState.FAIL
        events.append(RunEvent(eventTime=_moment(began + (item["seconds"] or 0.0)), eventType=state, **shared))
    state = {"succeeded": RunState.COMPLETE, "cancelled": RunState.ABORT}.get(run.status, RunState.FAIL)
    events.append(
        RunEvent(eventTime=_moment(ended), producer=producer, run=Run(_id(run.run)), job=whole, eventType=state)
    )
    try:
        client = OpenLineageClient()
        for event in events:
            client.emit(event)
        client.close()
    except Exception as error:  # which ones, depends on its transport
        raise PenstockError(
            f"OpenLineage: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    return f"OpenLineage, {len(events)} events of job {run.pipeline}"


def _needs(store: Store, keys: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Return what went into each step: names of arguments, and digests."""
    found: dict[str, list[tuple[str, str]]] = {}
    with store.catalog.read() as connection:
        for start in range(0, len(keys), 500):
            question = sa.select(lineage).where(lineage.c.key.in_(keys[start : start + 500])).order_by(lineage.c.input)
            for row in connection.execute(question):
                found.setdefault(row.key, []).append((row.input, row.digest))
    return found


def _id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat()


MIRRORS: Mapping[str, Callable[[Store, PastRun], str]] = {"mlflow": _mlflow, "openlineage": _openlineage}
"""Where a run can be told."""
