"""A CSV file to Parquet: the read step, which checks, digests and syncs each part, beside Polars' streaming conversion.

Each in a process of its own, alternating; median wall seconds and peak memory.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, ROUNDS = 10_000_000, 5


def make(path: Path) -> None:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    when = pl.Series(random.integers(1_600_000_000, 1_700_000_000, ROWS) * 1_000_000).cast(pl.Datetime("us"))
    pl.DataFrame({
        "id": np.arange(ROWS), "who": random.integers(0, 100_000, ROWS), "when": when,
        "amount": random.gamma(2, 50, ROWS).round(2), "city": random.choice(["Oslo", "Rome", "Paris"], ROWS),
        "x": random.normal(size=ROWS),
    }).write_csv(path)  # fmt: skip


def penstock(path: Path) -> None:
    from penstock.engine.execute import save
    from penstock.flow.tables import read
    from penstock.store.store import open_store

    save(open_store(path.parent / f"store {os.getpid()}"), read(path, None, "utf-8"))


def polars(path: Path) -> None:
    import polars as pl

    pl.scan_csv(path, try_parse_dates=True).sink_parquet(
        path.with_suffix(".polars.parquet"), compression="zstd", compression_level=3
    )


def main() -> None:
    if len(sys.argv) == 3:
        {"penstock": penstock, "polars": polars, "make": make}[sys.argv[1]](Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        # In a process of its own: the memory of this one would count as that of its children.
        subprocess.run([sys.executable, __file__, "make", str(path)], check=True)
        figures: dict[str, list[tuple[float, int]]] = {"penstock": [], "polars": []}
        for _ in range(ROUNDS):
            for engine, found in figures.items():
                began = time.perf_counter()
                process = subprocess.Popen([sys.executable, __file__, engine, str(path)])
                _, status, usage = os.wait4(process.pid, 0)
                assert status == 0, engine
                found.append((time.perf_counter() - began, usage.ru_maxrss))
        size = path.stat().st_size / 1e6
        for engine, found in figures.items():
            seconds = sorted(item for item, _ in found)[ROUNDS // 2]
            peak = max(item for _, item in found) / 1e6
            print(
                json.dumps(
                    {"engine": engine, "MB": round(size), "seconds": round(seconds, 2), "peak GB": round(peak, 2)}
                )
            )


if __name__ == "__main__":
    main()
