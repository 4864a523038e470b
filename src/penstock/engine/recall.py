"""What a step computes on its way and may want again: kept in the store under a key, found by the next run.

A search that is cut short, or begun anew with a larger budget, does not fit its trials again.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from penstock.errors import StoreError
from penstock.store.schema import artifacts
from penstock.store.store import Store

Arrays = Mapping[str, npt.NDArray[Any]]
_store: ContextVar[Store | None] = ContextVar("penstock-store", default=None)
_STEP = "recalled"


@contextmanager
def recalling(store: Store) -> Iterator[None]:
    """Let what is computed meanwhile use a store."""
    token = _store.set(store)
    try:
        yield
    finally:
        _store.reset(token)


def recalled(key: str) -> dict[str, npt.NDArray[Any]] | None:
    """Return what was kept under a key, or None; always None outside a run."""
    store = _store.get()
    if store is None:
        return None
    question = sa.select(artifacts.c.digest).where(artifacts.c.key == _digest(key))
    with store.catalog.read() as connection:
        digest = connection.execute(question).scalar()
    if digest is None:
        return None
    try:
        with np.load(io.BytesIO(store.blobs.read(digest)), allow_pickle=False) as found:
            return dict(found)
    except StoreError:  # lost or damaged: it is computed again
        return None


def keep(key: str, name: str, arrays: Arrays) -> None:
    """Keep arrays under a key until the store is cleaned; nothing happens outside a run."""
    store = _store.get()
    if store is None:
        return
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    row = {
        "key": _digest(key), "digest": store.blobs.write(buffer.getvalue()), "format": "bytes", "size": buffer.tell(), "value": None,
        "pipeline": "", "step": _STEP, "run": "", "parts": json.dumps({"name": name}), "created": time.time(),
    }  # fmt: skip
    with store.catalog.begin() as connection:
        store.catalog.insert_new(connection, artifacts, [row])


def _digest(key: str) -> str:
    return hashlib.sha256(f"recalled {key}".encode()).hexdigest()
