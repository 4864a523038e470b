"""Estimators of scikit-learn as bytes without pickle: what skops writes, with nothing of the moment in it.

skops names objects by their places in memory and its files by the clock; here they are numbered as they come, so that
the same estimator gives the same bytes.
"""

from __future__ import annotations

import inspect
import io
import json
import sys
import zipfile
from collections.abc import Callable
from typing import Any

from penstock.errors import StoreError

_SCHEMA = "schema.json"
_NO_CLOCK = (1980, 1, 1, 0, 0, 0)


def write_estimator(estimator: Any) -> bytes:
    """Write an estimator.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> one, other = (write_estimator(Ridge().fit([[1.0], [2.0]], [1.0, 2.0])) for _ in range(2))
    >>> one == other, float(read_estimator(one).predict([[0.0]])[0]) < 1.5
    (True, True)
    """
    import skops.io

    if "catboost" in sys.modules:
        _forget_moment(estimator, set())
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    objects: dict[int, int] = {}
    files: dict[str, str] = {}

    def numbered(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: objects.setdefault(value, len(objects)) if key == "__id__" else numbered(value)
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [numbered(item) for item in node]
        if isinstance(node, str) and node in members:
            return files.setdefault(node, f"{len(files)}.{node.rpartition('.')[2]}")
        return node

    schema = json.dumps(numbered(json.loads(members[_SCHEMA]))).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [(_SCHEMA, schema), *((new, members[old]) for old, new in files.items())]:
            info = zipfile.ZipInfo(name, _NO_CLOCK)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


def _forget_moment(value: Any, seen: set[int]) -> None:
    """Empty what CatBoost's models in an estimator hold of when they were fitted."""
    import catboost

    if id(value) in seen or inspect.ismodule(value):
        return
    seen.add(id(value))
    if isinstance(value, catboost.CatBoost) and value.is_fitted():
        held = value.get_metadata()
        for name in ("train_finish_time", "model_guid"):
            if name in held.keys():  # noqa: SIM118 - it has no other way to ask
                held[name] = ""
    inner = value if isinstance(value, dict | list | tuple | set) else getattr(value, "__dict__", None)
    if isinstance(inner, dict):
        inner = list(inner.values())
    for item in inner if isinstance(inner, list | tuple | set) else ():
        _forget_moment(item, seen)


def untrusted(data: bytes, trusted: Callable[[str], bool] = lambda _name: False) -> list[str]:
    """Return the types that written estimators hold which are neither known to be safe, scikit-learn's own, nor `trusted`."""
    import skops.io

    held = skops.io.get_untrusted_types(data=data)
    return [name for name in held if not name.startswith("sklearn.") and not trusted(name)]


def read_estimator(data: bytes, trusted: Callable[[str], bool] = lambda _name: False) -> Any:
    """Read an estimator: no type is loaded that is not known to be safe, scikit-learn's own, or `trusted`.

    Raises
    ------
    StoreError
        When it holds another, or cannot be read by this version of scikit-learn.
    """
    import skops.io

    if unknown := untrusted(data, trusted):
        raise StoreError(f"the estimator holds types that are not loaded unasked: {', '.join(unknown)}")
    try:
        return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    except Exception as error:
        raise StoreError(f"the estimator cannot be loaded: {error}") from error
