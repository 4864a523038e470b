"""Is everything there that Penstock needs, and is every stored byte as it was written?"""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from pathlib import Path
from typing import Any

from penstock.errors import DamagedArtifactError, PenstockError
from penstock.store.location import find_location
from penstock.store.store import open_store

_PACKAGES = (
    "polars",
    "numpy",
    "scikit-learn",
    "lightgbm",
    "skops",
    "sqlalchemy",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
)


def examine(location: str | None) -> list[dict[str, Any]]:
    """Return one entry a check: ``check``, ``ok`` and ``found``."""
    checks: list[dict[str, Any]] = []

    def add(check: str, ok: bool, found: str) -> None:
        checks.append({"check": check, "ok": ok, "found": found})

    add("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    missing = []
    for name in _PACKAGES:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    add(
        "packages",
        not missing,
        f"missing: {', '.join(missing)}" if missing else f"all {len(_PACKAGES)} installed",
    )
    try:
        from penstock.train.learners.trees import _library

        _library()
        add("LightGBM", True, "its library loads")
    except (PenstockError, OSError) as error:
        add("LightGBM", False, f"{error} (on Debian: apt-get install libgomp1)")
    try:
        place = find_location(location)
        if not place.shared and not (Path(place.blobs).expanduser() / "catalog.db").exists():
            add("store", True, f"none in {place.blobs} yet")
            return checks
        store = open_store(location)
    except PenstockError as error:
        add("store", False, str(error))
        return checks
    free = shutil.disk_usage(store.folder).free
    add("disk", free > 1e9, f"{free / 1e9:.1f} GB free in {store.folder}")
    damaged, count, total = [], 0, 0
    for digest, size in store.blobs.list():
        count, total = count + 1, total + size
        try:
            store.blobs.read(digest)
        except DamagedArtifactError:
            damaged.append(store.blobs.path(digest))
    add(
        "blobs", not damaged,
        f"damaged: {', '.join(damaged[:5])}; remove them and run the pipeline again" if damaged
        else f"{count} blobs, {total / 1e6:.1f} MB, every digest right",
    )  # fmt: skip
    store.close()
    return checks
