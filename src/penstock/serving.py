"""The champion behind the web API, with its log of predictions; and predictions for whole files."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from penstock.deploy.registry import CHAMPION, Registry
from penstock.deploy.service import Answer, Service, listen, serve
from penstock.errors import InputError
from penstock.feed import EventFeed, event_log
from penstock.ingest.read import read_table
from penstock.model import Model
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.outcome import load
from penstock.store.store import Store


def make_service(store: Store, name: str, *, durable: bool = False) -> Service:
    """Load the champion and make its web application.

    Raises
    ------
    InputError
        When there is no champion.
    """
    if Registry(store, name).champion() is None:
        Registry(store, name).version(CHAMPION)
    model = load(name, CHAMPION, store, events=False)
    model.predictor  # noqa: B018 - loaded now, so that a model that cannot be is refused before requests come
    log = PredictionLog(log_folder(store.folder, name), durable=durable)

    def record(version: int, answers: list[tuple[str, Mapping[str, Any], Answer]]) -> None:
        now = time.time()
        log.append(
            [
                Record(id_, now, version, dict(row), answer.prediction, answer.probabilities)
                for id_, row, answer in answers
            ]
        )

    def feedback(labels: list[tuple[str, Any]]) -> None:
        now = time.time()
        log.append([Record(id_, now, label=label) for id_, label in labels])

    feed = EventFeed(event_log(store, name, durable=durable))
    feed.prepare(model)
    feed.arrive(model)
    return Service(model, record, feedback, log.process, events=feed, strict_log=durable)


def newest_champion(store: Store, service: Service) -> Callable[[], Model | None]:
    """Return what tells a service which version to swap to, if another has become the champion."""
    registry = Registry(store, service.model.name)

    def newest() -> Model | None:
        champion = registry.champion()
        if champion is None or champion.version == service.model.version:
            return None
        model = load(registry.name, champion.version, store, events=False)
        model.predictor  # noqa: B018
        if service.events is not None:
            service.events.prepare(model)
        return model

    return newest


def serve_champion(
    store: Store,
    name: str,
    host: str,
    port: int,
    *,
    durable: bool = False,
    started: Callable[[str, Model], None] = lambda _url, _model: None,
) -> None:
    """Serve the champion of a pipeline until told to stop.

    Parameters
    ----------
    host, port : str, int
        Where; port 0 takes a free one.
    durable : bool
        Answer only what the disk holds.
    started : callable
        Told the URL and the model when requests are taken.
    """
    service = make_service(store, name, durable=durable)
    taken = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{taken.getsockname()[1]}"
    import uvloop

    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(service, taken, newest_champion(store, service), started=lambda: started(url, service.model)))  # type: ignore[arg-type]


def predict_file(model: Model, source: Path, target: Path) -> int:
    """Answer every row of a file and write the rows with their answers.

    Parameters
    ----------
    source : Path
        CSV, TSV, JSON Lines or Parquet.
    target : Path
        ``.parquet``, ``.csv`` or ``.jsonl``; written whole or not at all.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    DataError, InputError
        When the file does not fit the model, or the target's kind is not known.
    """
    writers = {
        ".parquet": "write_parquet",
        ".csv": "write_csv",
        ".jsonl": "write_ndjson",
        ".ndjson": "write_ndjson",
    }
    if target.suffix.lower() not in writers:
        raise InputError(f"{target}: the kind of file is not known; name it .parquet, .csv or .jsonl")
    if not source.is_file():
        raise InputError(f"{source}: there is no such file")
    raw = read_table(source)
    numbers = model.predict_table(raw)
    columns: dict[str, Any] = {}
    if model.task == "regression":
        columns["prediction"] = numbers
        around = [answer.interval for answer in model.answers(numbers)]
        if around and around[0] is not None:
            columns["prediction_low"], columns["prediction_high"] = map(list, zip(*filter(None, around), strict=True))
    else:
        values = model.labels.values
        columns["prediction"] = [values[at] for at in model.labels.decided(numbers).tolist()]
        columns |= {f"probability_{name}": numbers[:, at] for at, name in enumerate(model.labels.names)}
    taken = [name for name in columns if name in raw.columns]
    done = raw.rename({name: f"{name}_in" for name in taken}).with_columns(
        pl.Series(name, value) for name, value in columns.items()
    )
    temporary = target.with_name(f".{target.name}.part")
    try:
        getattr(done, writers[target.suffix.lower()])(temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
    return raw.height
