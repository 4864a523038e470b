"""What clients of other servers send: the Open Inference Protocol, version 2, and MLflow's scoring protocol.

https://github.com/kserve/open-inference-protocol and https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally.
A tensor is a column; bytes are text. Tensors may follow the JSON as bytes (the protocol's binary extension).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.deploy.bodies import JSON, Answered, Asked, Header, read_csv, rows_of
from penstock.errors import InputError
from penstock.types.rows import RowProblem, RowsError
from penstock.version import __version__

_DTYPES = {
    "BOOL": "?", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_TENSORS = {"integer": "FP64", "number": "FP64", "boolean": "BOOL", "text": "BYTES", "date": "BYTES"}
_encode = msgspec.json.Encoder().encode


class Tensor(msgspec.Struct):
    """One column of a request."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] = {}


class Infer(msgspec.Struct):
    """A request of the Open Inference Protocol."""

    inputs: list[Tensor]
    id: str | msgspec.UnsetType = msgspec.UNSET


_read_infer = msgspec.json.Decoder(Infer).decode


def read_infer(body: bytes, json_length: bytes) -> Asked:
    """Read ``POST /v2/models/NAME/infer``.

    Parameters
    ----------
    json_length : bytes
        Of the header ``inference-header-content-length``: where tensors begin that are sent as bytes.

    Raises
    ------
    InputError, DataError, msgspec.DecodeError
        When it is not a request of the protocol.
    """
    end = int(json_length) if json_length.isdigit() else len(body)
    asked = _read_infer(body[:end])
    columns, at = {}, end
    for tensor in asked.inputs:
        rows = tensor.shape[0] if tensor.shape else -1
        if not (len(tensor.shape) == 1 or tensor.shape[1:] == [1]) or rows < 0:
            raise InputError(f'tensor "{tensor.name}" has shape {tensor.shape}; a column has shape [rows] or [rows, 1]')
        size = tensor.parameters.get("binary_data_size")
        if isinstance(size, int) and not isinstance(size, bool):
            values, at = _from_bytes(tensor, body[at : at + max(0, size)], rows), at + max(0, size)
        else:
            values = _flat(tensor)
        if len(values) != rows:
            raise InputError(f'tensor "{tensor.name}" says {rows} rows and holds {len(values)} values')
        columns[tensor.name] = values
    return Asked(rows_of(columns), write=_writer(asked.id))


def _flat(tensor: Tensor) -> list[Any]:
    if isinstance(tensor.data, msgspec.UnsetType):
        raise InputError(f'tensor "{tensor.name}" has no data')
    return [item[0] if isinstance(item, list) and len(item) == 1 else item for item in tensor.data]


def _from_bytes(tensor: Tensor, data: bytes, rows: int) -> list[Any]:
    if tensor.datatype == "BYTES":
        found: list[Any] = []
        at = 0
        while at + 4 <= len(data) and len(found) < rows:
            (length,) = struct.unpack_from("<I", data, at)
            found.append(data[at + 4 : at + 4 + length].decode("utf-8"))
            at += 4 + length
        return found
    kind = _DTYPES.get(tensor.datatype)
    if kind is None:
        raise InputError(
            f'tensor "{tensor.name}" has datatype {tensor.datatype}; known are BYTES, {", ".join(_DTYPES)}'
        )
    if len(data) % np.dtype(kind).itemsize:
        raise InputError(f'tensor "{tensor.name}": {len(data)} bytes are no whole number of {tensor.datatype}')
    found = np.frombuffer(data, kind).tolist()
    return [None if isinstance(value, float) and value != value else value for value in found]


def _writer(request: str | msgspec.UnsetType) -> Any:
    def write(answered: Answered) -> tuple[bytes, list[Header]]:
        answers = answered.answers
        rows = len(answers)
        said: list[Any] = [item.prediction for item in answers]
        kind = "FP64" if answers and answers[0].probabilities is None else "BYTES"
        if kind == "BYTES":
            said = [item if isinstance(item, str) else str(item) for item in said]
        outputs: list[dict[str, Any]] = [{"name": "prediction", "datatype": kind, "shape": [rows], "data": said}]
        if answers and answers[0].probabilities is not None:
            names = list(answers[0].probabilities)
            outputs.append({
                "name": "probabilities", "datatype": "FP64", "shape": [rows, len(names)],
                "data": [value for item in answers for value in item.probabilities.values()],
                "parameters": {"classes": ",".join(names)},
            })  # fmt: skip
        outputs.append({"name": "id", "datatype": "BYTES", "shape": [rows], "data": answered.ids})
        made: dict[str, Any] = {
            "model_name": answered.name,
            "model_version": str(answered.version),
            "outputs": outputs,
        }
        if isinstance(request, str):
            made["id"] = request
        return _encode(made), JSON

    return write


def server_metadata() -> dict[str, Any]:
    """Return what ``GET /v2`` says."""
    return {"name": "penstock", "version": __version__, "extensions": ["binary_tensor_data"]}


def model_metadata(model: Any) -> dict[str, Any]:
    """Return what ``GET /v2/models/NAME`` says: a tensor for each column that the model looks at."""
    outputs = [{"name": "prediction", "datatype": "FP64" if model.task == "regression" else "BYTES", "shape": [-1]}]
    if model.task != "regression":
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(model.labels.names)]})
    inputs = [
        {"name": column.name, "datatype": _TENSORS[column.type], "shape": [-1]}
        for column in model.inputs
        if column.required
    ]
    return {
        "name": model.name, "versions": [str(model.version)], "platform": "penstock", "inputs": inputs,
        "outputs": [*outputs, {"name": "id", "datatype": "BYTES", "shape": [-1]}],
    }  # fmt: skip


class _Split(msgspec.Struct):
    """A frame as pandas writes it, ``orient="split"``."""

    columns: list[str]
    data: list[list[Any]]
    index: list[Any] = []


class _Invocation(msgspec.Struct):
    """A request of MLflow's protocol: one of these."""

    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    inputs: dict[str, list[Any]] | list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[dict[str, Any]] | dict[str, list[Any]] | msgspec.UnsetType = msgspec.UNSET
    params: Any = None


_read_invocation = msgspec.json.Decoder(_Invocation).decode


def read_invocation(kind: bytes, body: bytes) -> Asked:
    """Read ``POST /invocations``: CSV, or JSON with ``dataframe_split``, ``dataframe_records``, ``inputs`` or ``instances``.

    Raises
    ------
    InputError, DataError, msgspec.DecodeError
        When it is neither.
    """
    if kind.partition(b";")[0].strip().lower() == b"text/csv":
        return Asked(table=read_csv(body, kind), write=_write_invocation)
    try:
        asked = _read_invocation(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # MLflow's clients write NaN as Python does, which is not JSON.
        try:
            plain = _encode(json.loads(body, parse_constant=lambda _: None))
        except (ValueError, OverflowError) as error:
            raise msgspec.DecodeError(ascii(str(error))) from None
        asked = _read_invocation(plain)
    given = [
        item
        for item in (asked.dataframe_split, asked.dataframe_records, asked.inputs, asked.instances)
        if not isinstance(item, msgspec.UnsetType)
    ]
    if len(given) != 1:
        raise InputError("give one of dataframe_split, dataframe_records, inputs, instances")
    (found,) = given
    if isinstance(found, _Split):
        width = len(found.columns)
        wrong = [number for number, row in enumerate(found.data) if len(row) != width]
        if wrong:
            problem = f"has {len(found.data[wrong[0]])} cells, and there are {width} columns"
            raise RowsError([RowProblem(wrong[0], "", problem)])
        found = [dict(zip(found.columns, row, strict=True)) for row in found.data]
    rows = rows_of(found) if isinstance(found, Mapping) else found
    return Asked(rows, write=_write_invocation)


def _write_invocation(answered: Answered) -> tuple[bytes, list[Header]]:
    return _encode({"predictions": [item.prediction for item in answered.answers]}), JSON
