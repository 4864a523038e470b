"""A year replayed, week by week: never trained again, each week, or by the watcher: for a quarter more labels, or also for drift.

``python benchmarks/year.py STREAM.csv.gz TARGET ROWS_A_WEEK`` with a stream of labelled rows in order, such as elec2 (336 rows a
week) or SEA (1,000). The first four weeks are learnt from; then each week's rows are answered by the champion, their labels come,
and the rows are added to the source. A strategy is judged by the share of right answers over all weeks. Nothing is
tuned to a stream; windows count rows, so that a week may pass in seconds.
"""

import datetime as dt
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

import penstock as ps
from penstock.cli.common import load_pipeline
from penstock.deploy.registry import Registry
from penstock.monitor.decisions import decisions_of
from penstock.monitor.log import PredictionLog, Record, log_folder
from penstock.store.store import open_store
from penstock.upkeep import Watcher

FIRST, WEEKS = 4, 52
PIPELINE = """
import penstock as ps

pipeline = ps.Pipeline(
    "stream",
    ingest=ps.ingest.files("week-*.csv"),
    target=ps.{task}("{target}"),
    split=ps.split.time("when"),
    train=ps.train.search(trials=3, budget="1h"),
    monitor=ps.monitor.drift(
        window="{window} rows", retrain=ps.monitor.retrain(on={on}, labels="25%", cool_down=0, most_per_day=1000, hold="1h"),
    ),
)
"""


def replay(strategy, weeks, target, folder):
    """Return the share of right answers a week, how often it was trained again, and how many seconds it took."""
    many = weeks[0][target].n_unique() > 2
    (folder / "p.py").write_text(
        PIPELINE.format(
            target=target,
            on=[] if strategy == "labels" else ["drift"],
            window=2 * weeks[0].height,
            task="multiclass" if many else "binary",
        )
    )
    for number, week in enumerate(weeks[:FIRST]):
        week.write_csv(folder / f"week-{number:03}.csv")
    pipeline, store = load_pipeline(str(folder / "p.py")), open_store(folder / "store")
    began = time.monotonic()
    pipeline.run(store).raise_for_status()
    watcher = Watcher(store, pipeline, str(folder / "p.py"))
    right, trained = [], 0
    for number, week in enumerate(weeks[FIRST:], FIRST):
        version = Registry(store, "stream").champion().version
        model = ps.load("stream", version, store)
        rows = week.drop(target).with_columns(pl.col("when").cast(pl.String)).to_dicts()
        answers, truth = model.answer(rows), week[target].to_list()
        right.append(
            sum(str(item.prediction) == str(true) for item, true in zip(answers, truth, strict=True)) / len(rows)
        )
        log, now = PredictionLog(log_folder(store.folder, "stream")), time.time()
        ids = [f"{number}-{at}" for at in range(len(rows))]
        log.append([Record(*item) for item in zip(ids, itertools.repeat(now), itertools.repeat(version), rows,
                                                  (item.prediction for item in answers), (item.probabilities for item in answers))])  # fmt: skip
        log.append([Record(i, now, label=true) for i, true in zip(ids, truth, strict=True)])
        log.close()
        week.write_csv(folder / f"week-{number:03}.csv")
        if strategy == "each week":
            pipeline.run(store).raise_for_status()
            trained += 1
        elif strategy != "never":
            watcher.look()
            trained = len(decisions_of(store, "stream", "retrain"))
    store.close()
    return right, trained, time.monotonic() - began


def main():
    """Print a JSON line a strategy."""
    path, target, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    table = pl.read_csv(path).head((FIRST + WEEKS) * size)
    start = dt.datetime(2024, 1, 1)
    step = dt.timedelta(days=7) / size
    table = table.with_columns(when=pl.Series([start + step * at for at in range(table.height)]))
    weeks = [table[at : at + size] for at in range(0, table.height - size + 1, size)]
    for strategy in ("never", "each week", "labels", "drift and labels"):
        with tempfile.TemporaryDirectory() as folder:
            right, trained, seconds = replay(strategy, weeks, target, Path(folder))
        print(json.dumps({"stream": path.name, "strategy": strategy, "weeks": len(right), "right": round(sum(right) / len(right), 4),
                          "trained again": trained, "s": round(seconds), "by week": [round(item, 3) for item in right]}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
