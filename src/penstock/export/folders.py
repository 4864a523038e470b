"""Folders that hold a model and all that is needed to run it.

The package itself is copied into them, as it was when the model was exported: what runs there is what was tested here.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import string
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.deploy.registry import ModelVersion, Registry
from penstock.engine.execute import read_bytes
from penstock.engine.own_code import OwnCode, look_in
from penstock.errors import InputError
from penstock.features.embedding import Embedding
from penstock.model import Model
from penstock.prepare.mapped import MapReference
from penstock.store.formats import decode
from penstock.store.store import Store, open_store
from penstock.types.convert import convert

_HERE = Path(__file__).parent
_ANSWERING = ("msgspec", "numpy", "polars", "lightgbm", "sqlalchemy")
"""Packages that a model needs to answer."""
_FILES = ("pyarrow", "fsspec")
_SERVING = (
    "alembic",
    "click",
    "httptools",
    "jinja2",
    "prometheus-client",
    "psutil",
    "starlette",
    "uvicorn",
    "uvloop",
    "scipy",
)


def export(store: Store, name: str, version: int | str, kind: str, target: Path) -> ModelVersion:
    """Write a model as something that runs elsewhere.

    Parameters
    ----------
    kind : {"python", "docker", "mlflow", "onnx", "grafana"}
        A script with few dependencies; a container's build; a model that MLflow serves; one file for any ONNX runtime; a
        dashboard of the figures of its service.
    target : Path
        A folder that is not there, or is empty, or for the last two a file that is not there; it appears whole or not at all.

    Raises
    ------
    InputError
        When the folder holds something, or there is no such model.
    """
    if kind not in KINDS and kind not in FILES:
        raise InputError(f"--to {kind}: there are {', '.join([*KINDS, *FILES])}")
    if target.exists() and (kind in FILES or not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: is there already, and not empty")
    found = Registry(store, name).version(version)
    data = read_bytes(store, found.digest)
    look_in(found.evaluation.get("code", []))
    model = Model(decode("bundle", data), name, found.version, found.digest, made=found.created)
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind in FILES:
        temporary = target.with_name(f".{target.name}.part")
        temporary.write_bytes(FILES[kind](model))
        temporary.replace(target)
        return found
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        made = Path(folder) / "made"
        made.mkdir()
        KINDS[kind](store, found, model, data, made)
        if target.exists():
            target.rmdir()
        made.replace(target)
    return found


def _python(_store: Store, found: ModelVersion, model: Model, data: bytes, target: Path) -> None:
    (target / "model.penstock").write_bytes(data)
    _package(target)
    _own_code(model, target / "code")
    _requirements(target, [*_ANSWERING, *_FILES, *_learning(model)])
    _template("predict.py", target, name=found.name, version=found.version, digest=found.digest)
    _template("README.md", target, name=found.name, version=found.version)


def _docker(store: Store, found: ModelVersion, model: Model, data: bytes, target: Path) -> None:
    own = open_store(target / "store")
    digest = own.blobs.write(data)
    run = f"exported from {found.run}"
    evaluation = {**found.evaluation, "report": None}
    Registry(own, found.name).register(
        digest,
        run,
        evaluation,
        passed=True,
        promote=True,
        judged_against=None,
        why=f"exported v{found.version}",
        number=found.version,
    )
    own.close()
    _package(target)
    code = "COPY code code\nENV PYTHONPATH=/app/code\n" if _own_code(model, target / "code") else ""
    _requirements(target, [*_ANSWERING, *_FILES, *_SERVING, *_learning(model)])
    _template("Dockerfile", target, name=found.name, version=found.version, digest=found.digest, code=code)
    (target / ".dockerignore").write_text("**/__pycache__\n")


def _mlflow(_store: Store, found: ModelVersion, model: Model, data: bytes, target: Path) -> None:
    (target / "data").mkdir()
    (target / "data" / "model.penstock").write_bytes(data)
    (target / "code").mkdir()
    _package(target / "code")
    _own_code(model, target / "code")
    _template("penstock_model.py", target / "code")
    _requirements(target, [*_ANSWERING, *_FILES, *_learning(model), "pandas"])
    signature = [
        {"type": _MLFLOW[column.type], "name": column.name, "required": False} for column in model.inputs if column.required
    ]  # fmt: skip
    _template(
        "MLmodel", target, name=found.name, version=found.version, digest=found.digest,
        signature=json.dumps(json.dumps(signature)), python=_python_version(),
    )  # fmt: skip
    (target / "python_env.yaml").write_text(f"python: {_python_version()}\ndependencies:\n- -r requirements.txt\n")


KINDS: Mapping[str, Callable[[Store, ModelVersion, Model, bytes, Path], None]] = {
    "python": _python,
    "docker": _docker,
    "mlflow": _mlflow,
}
"""What a model can be written as: folders."""


def _onnx(model: Model) -> bytes:
    from penstock.export.onnx import to_onnx

    return to_onnx(model)


def _grafana(model: Model) -> bytes:
    text = (_HERE / "templates" / "grafana.json").read_text()
    return text.replace("$name", model.name, 1).encode()


FILES: Mapping[str, Callable[[Model], bytes]] = {"onnx": _onnx, "grafana": _grafana}
"""And single files."""
_MLFLOW = {"integer": "double", "number": "double", "boolean": "boolean", "text": "string", "date": "string"}


def _python_version() -> str:
    return platform.python_version()


def _learning(model: Model) -> list[str]:
    """Packages that this model needs beside the usual ones."""
    kinds = _kinds(model.manifest.learner)
    more = ["scikit-learn", "skops"] if "estimator" in kinds else []
    if any(isinstance(encoder, Embedding) for encoder in model.manifest.encoding.encoders):
        more.append("model2vec")
    return more


def _kinds(learner: Mapping[str, Any]) -> set[str]:
    return {str(learner["kind"])}.union(*(_kinds(item["learner"]) for item in learner.get("members", ())))


def _requirements(target: Path, packages: Iterable[str]) -> None:
    """Write the versions that are installed here."""
    lines = []
    for package in sorted(set(packages)):
        try:
            lines.append(f"{package}=={importlib.metadata.version(package)}\n")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{package}\n")
    (target / "requirements.txt").write_text("".join(lines))


def _package(target: Path) -> None:
    shutil.copytree(_HERE.parent, target / "penstock", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def _own_code(model: Model, target: Path) -> bool:
    """Copy the author's files that a model needs; whether there are any.

    Raises
    ------
    InputError
        When one is not there, or has changed since the model was trained.
    """
    changes = [*model.manifest.changes, *(change for table in model.manifest.tables for change in table.changes)]
    needed: list[OwnCode] = [change for change in changes if isinstance(change, MapReference)]
    needed += convert(model.manifest.learner.get("code", []), list[OwnCode])
    for code in needed:
        for place, file in code.sources():
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / place)
    return bool(needed)


def _template(file: str, target: Path, /, **values: Any) -> None:
    text = (_HERE / "templates" / f"{file}.txt").read_text()
    (target / file).write_text(string.Template(text).substitute({key: str(value) for key, value in values.items()}))
