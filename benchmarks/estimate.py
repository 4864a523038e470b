"""The metric before labels come: how near is what is expected to what it turns out to be, beside NannyML?

``python benchmarks/estimate.py STREAM.csv.gz TARGET [--task regression] [--nannyml PYTHON]`` with labelled rows in order. The first half
is learnt from and judged; the second comes in thirty windows. Both systems see the same answers of the same model. NannyML's
reference are the model's test rows, as its manual says; its estimators (CBPE of classes, DLE of numbers) have their defaults.
Told is the mean distance of the expected metric from that of the labels, over the windows, and what "as at training" would give.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import penstock as ps
from penstock.cli.common import load_pipeline
from penstock.deploy.registry import Registry
from penstock.observed import from_batch
from penstock.retrospect import history
from penstock.store import open_store

WINDOWS, TESTED = 30, 0.2
PIPELINE = """
import penstock as ps

pipeline = ps.Pipeline(
    "stream",
    ingest=ps.ingest.files("seen.parquet", time="when"),
    target=ps.{task}("{target}"),
    split=ps.split.time("when", test={tested}),
    train=ps.train.search(budget="20s"),
)
"""

NANNYML = """
import json, os, sys
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml, pandas as pd
reference, analysis = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
metric, rows = sys.argv[3], len(analysis) // int(sys.argv[4])
if metric == "rmse":
    features = [name for name in reference if name not in ("predicted", "truth")]
    watch = nannyml.DLE(feature_column_names=features, y_pred="predicted", y_true="truth", metrics=[metric], chunk_size=rows)
else:
    watch = nannyml.CBPE(
        y_pred_proba="share", y_pred="predicted", y_true="truth", metrics=[metric], problem_type="classification_binary", chunk_size=rows
    )
watch.fit(reference)
found = watch.estimate(analysis).filter(period="analysis").to_df()
print(json.dumps(found[(metric, "value")].tolist()))
"""


def framed(model, matrix, predicted, target):
    """Return answers as NannyML takes them."""
    if model.task == "regression":
        columns = {f"f{at}": matrix[:, at] for at in range(matrix.shape[1])}
        return pl.DataFrame(columns | {"predicted": predicted, "truth": target})
    said = (predicted[:, 1] > model.labels.threshold).astype(int)
    return pl.DataFrame({"share": predicted[:, 1], "predicted": said, "truth": target.astype(int)})


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream")
    parser.add_argument("target")
    parser.add_argument("--task", default="binary")
    parser.add_argument("--drop", nargs="*", default=[])
    parser.add_argument("--nannyml", metavar="PYTHON")
    asked = parser.parse_args()
    stream = pl.read_csv(asked.stream, infer_schema_length=None).drop(asked.drop).drop_nulls(asked.target)
    start = pl.datetime(2020, 1, 1) + pl.duration(minutes=pl.int_range(pl.len()))
    stream = stream.with_columns(when=start)
    half = stream.height // 2
    tested = half - round(TESTED * half)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "p.py").write_text(PIPELINE.format(task=asked.task, target=asked.target, tested=TESTED))
        stream[:half].write_parquet(folder / "seen.parquet")
        store = open_store(folder / "store")
        done = load_pipeline(str(folder / "p.py")).run(store)
        done.raise_for_status()
        Registry(store, "stream").promote(done.model.version, "whatever the gate says")
        model, batch = ps.load("stream", done.model.version, store), stream[half:]
        parts, metric = history("stream", store, None, from_batch(model, batch))
        assert len(parts) == WINDOWS
        real, ours = (np.array([getattr(part, name) for part in parts], dtype=float) for name in ("value", "estimate"))
        figures = {"metric": metric, "windows": WINDOWS, "rows": stream.height - half}
        figures["at training"] = np.abs(done.metrics[metric].value - real).mean()
        figures["penstock"] = np.abs(ours - real).mean()
        if asked.nannyml:
            for name, rows in (("reference", stream[tested:half]), ("analysis", stream[half:])):
                seen = from_batch(model, rows)
                matrix = model.manifest.encoding.matrix(seen.table)
                framed(model, matrix, seen.predicted, seen.target).write_parquet(folder / f"{name}.parquet")
            words = [str(folder / "reference.parquet"), str(folder / "analysis.parquet"), metric, str(WINDOWS)]
            told = subprocess.run(
                [asked.nannyml, "-W", "ignore", "-c", NANNYML, *words], capture_output=True, text=True
            )
            if told.returncode:
                sys.exit(told.stderr[-1000:])
            theirs = np.array(json.loads(told.stdout.splitlines()[-1]))[:WINDOWS]
            figures["nannyml"] = np.abs(theirs - real).mean()
        print(
            json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()})
        )


if __name__ == "__main__":
    main()
