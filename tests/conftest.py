"""Builders that the tests share: a store in a fresh folder, and modules made from text."""

from __future__ import annotations

import datetime as dt
import importlib.util
import itertools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, settings

import penstock as ps
from penstock.store import Store, open_store

# How fast examples are drawn says something of the machine, nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_numbers = itertools.count()


def pytest_make_parametrize_id(val, argname):
    """Name bytes by their argument: packed bytes hold the time, and each worker must collect the same names."""
    return argname if isinstance(val, bytes) else None


def copied(folder: Path, to: Path) -> Path:
    """Copy a store that may be open: were its database opened and closed here, SQLite's locks on it would be lost."""
    subprocess.run(["cp", "-r", folder, to], check=True)
    return to


@pytest.fixture
def store(tmp_path) -> Store:
    made = open_store(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def module(tmp_path):
    """Return a function that writes text to a file and imports it as a module of its own."""
    names = []

    def load(text: str, name: str = "steps", folder: Path | None = None):
        folder = folder or tmp_path / f"m{next(_numbers)}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(name, path)
        made = importlib.util.module_from_spec(spec)
        sys.modules[name] = made
        names.append(name)
        spec.loader.exec_module(made)
        return made

    yield load
    for name in names:
        sys.modules.pop(name, None)


def customers(n: int = 600, seed: int = 0, drifted: bool = False) -> pl.DataFrame:
    """A messy table with every kind of column; `left` depends on `age`, `city` and `paid`."""
    random = np.random.default_rng(seed)
    age = random.normal(60 if drifted else 40, 12, n).round(1)
    city = random.choice(["Oslo", "Rome", "Łódź"], n, p=[0.1, 0.1, 0.8] if drifted else [0.5, 0.3, 0.2])
    paid = random.gamma(2, 50, n).round(2)
    score = (age - 40) / 12 + (city == "Rome") * 1.5 - (paid - 100) / 60 + random.normal(0, 1, n)
    texts = random.choice(
        ["great service indeed", "never again at all", "quite good but slow", "no opinion on this"], n
    )
    return pl.DataFrame(
        {
            "key": [f"C{1000 + seed * 10_000 + i}" for i in range(n)],
            "age": [None if i % 17 == 0 else value for i, value in enumerate(age.tolist())],
            "city": [None if i % 29 == 0 else value for i, value in enumerate(city.tolist())],
            "paid": [" " if i % 31 == 0 else f"{value:.2f}" for i, value in enumerate(paid.tolist())],
            "member": random.choice(["Yes", "No"], n).tolist(),
            "birthday": [dt.date(1960, 1, 1) + dt.timedelta(days=int(day)) for day in random.integers(0, 15000, n)],
            "note": [f"{text} {number}" for text, number in zip(texts, random.integers(0, 10_000, n), strict=True)],
            "orders": random.integers(0, 9, n).tolist(),
            "left": np.where(score > 0.3, "gone", "here").tolist(),
        }
    )


def make_pipeline(folder: Path, **changes) -> ps.Pipeline:
    """A quick pipeline over ``customers.csv`` in `folder`."""
    stages = {
        "name": "customers",
        "ingest": ps.ingest.files(str(folder / "customers*.csv")),
        "features": [ps.features.derive(paid_per_order=pl.col("paid") / (pl.col("orders") + 1))],
        "target": ps.binary("left", positive="gone"),
        "train": ps.train.search(trials=2, folds=3),
        "monitor": ps.monitor.drift(least=50),
        "file": str(folder / "pipeline.py"),
    }
    return ps.Pipeline(**{**stages, **changes})


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """A finished run of :func:`make_pipeline`: its folder, store and result; not to be changed."""
    folder = tmp_path_factory.mktemp("done")
    customers().write_csv(folder / "customers.csv")
    opened = open_store(folder / ".penstock")
    pipeline = make_pipeline(folder)
    result = pipeline.run(opened)
    result.raise_for_status()
    yield folder, opened, pipeline, result
    opened.close()
