"""The ways in and out of a prediction: rows as objects, columns, JSON Lines, CSV, an Arrow stream; answers likewise."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET, UnsetType

from penstock.deploy.messages import Named, Prediction, Predictions, Why, read_predict
from penstock.errors import DataError, InputError
from penstock.types.nested import flat
from penstock.types.tabular import rows_in

if TYPE_CHECKING:
    import polars as pl

Header = tuple[bytes, bytes]
JSON: list[Header] = [(b"content-type", b"application/json")]
CSV: list[Header] = [(b"content-type", b"text/csv; charset=utf-8")]
ARROW: list[Header] = [(b"content-type", b"application/vnd.apache.arrow.stream")]
_TABLES = {b"text/csv": "csv", b"application/vnd.apache.arrow.stream": "arrow"}
_READ = {
    **_TABLES, b"text/tab-separated-values": "csv",
    b"application/x-ndjson": "lines", b"application/jsonl": "lines", b"application/jsonlines": "lines",
}  # fmt: skip
_CHARSET = re.compile(rb"""charset\s*=\s*"?([\w.:-]+)""", re.IGNORECASE)
_CHARSETS = re.compile(
    r"ascii|utf-8(-sig)?|utf-(16|32)(-[bl]e)?|(iso8859|koi8|mac)-\w+|cp\d+|gb\w+|big5\w*|shift_jis\w*|euc_\w+"
)
"""Those of Python that people's files have; some others take a time that grows with the square of the length."""
_encode = msgspec.json.Encoder().encode
_lines = msgspec.json.Decoder()


class Answered(msgspec.Struct, frozen=True):
    """Answers on their way out.

    Attributes
    ----------
    name, version
        Of the model.
    ids : list of str
        One an answer.
    answers : sequence of Answer
        What the model says.
    whys : sequence of Why, or None
        Where it was asked why.
    """

    name: str
    version: int
    ids: list[str]
    answers: Sequence[Any]
    whys: Sequence[Why | UnsetType] | None = None


Writer = Callable[[Answered], tuple[bytes, list[Header]]]


def write_json(answered: Answered) -> tuple[bytes, list[Header]]:
    """Write answers as the API's own JSON."""
    if answered.whys is None and answered.answers and answered.answers[0].probabilities is not None:
        plain = [
            Prediction(id_, answer.prediction, answer.probabilities)
            for id_, answer in zip(answered.ids, answered.answers, strict=True)
        ]
        return _encode(Predictions(Named(answered.name, answered.version), plain)), JSON
    whys: Sequence[Why | UnsetType] = answered.whys or [UNSET] * len(answered.ids)
    predictions = [
        Prediction(
            id_,
            answer.prediction,
            UNSET if answer.probabilities is None else answer.probabilities,
            UNSET if answer.interval is None else answer.interval,
            UNSET if answer.quantiles is None else answer.quantiles,
            why,
        )
        for id_, answer, why in zip(answered.ids, answered.answers, whys, strict=True)
    ]
    return _encode(Predictions(Named(answered.name, answered.version), predictions)), JSON


class Asked(msgspec.Struct, frozen=True):
    """What a request asks for: rows one by one, or a table; and how its answers are to be written."""

    rows: list[Any] | None = None
    table: Any = None
    explain: bool = False
    write: Callable[..., Any] = write_json

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.rows) if self.rows is not None else 0 if self.table is None else self.table.height


def read_body(kind: bytes, accept: bytes, body: bytes) -> Asked:
    """Read the body of ``POST /predict``.

    Parameters
    ----------
    kind, accept : bytes
        Content types: of the body, and of the answer; JSON unless CSV, an Arrow stream or, of the body, JSON Lines is named.

    Raises
    ------
    InputError, DataError, msgspec.DecodeError
        When it is not what `kind` says.
    """
    write: Writer = write_json
    if accept and not accept.startswith((b"application/json", b"*/*")):
        write = _WRITERS.get(next((name for key, name in _TABLES.items() if key in accept), ""), write_json)
    name = _READ.get(kind.partition(b";")[0].strip().lower()) if kind else None
    if name == "csv":
        return Asked(table=read_csv(body, kind), write=write)
    if name == "arrow":
        return Asked(table=_read_arrow(body), write=write)
    if name == "lines":
        return Asked(_lines.decode_lines(body), write=write)
    try:
        asked = read_predict(body)
    except msgspec.ValidationError:
        if bare := _bare(body):
            return Asked(bare.rows, None, bare.explain, write)
        raise
    if isinstance(asked.rows, list):
        if isinstance(asked.columns, dict):
            raise InputError('give "rows" or "columns", not both')
        return Asked(asked.rows, None, asked.explain, write)
    if isinstance(asked.columns, dict):
        return Asked(rows_of(asked.columns), None, asked.explain, write)
    if bare := _bare(body):
        return Asked(bare.rows, None, bare.explain, write)
    raise msgspec.ValidationError('Object missing required field `rows` (or "columns")')


def _bare(body: bytes) -> Asked | None:
    """Return rows that came without saying so: one, or many in any form that files may have."""
    found = msgspec.json.decode(body)
    explain = False
    if isinstance(found, dict):
        if "rows" in found:
            return None
        explain = found.pop("explain", False) is True
        if found and not any(isinstance(cell, dict | list) for cell in found.values()):
            return Asked([found], None, explain)
    rows = rows_in(found)
    if isinstance(rows, dict):
        rows = rows_of(rows)
    if rows is None and isinstance(found, dict) and any(not isinstance(cell, dict | list) for cell in found.values()):
        rows = [found]  # some of whose cells hold others, as those of JSON files may
    return None if rows is None else Asked(rows, None, explain)


def with_query(asked: Asked, query: bytes) -> Asked:
    """Add what the query asks for: ``explain=true``.

    Raises
    ------
    InputError
        When that is neither true nor false, or the rows are not JSON.

    Examples
    --------
    >>> with_query(Asked([{"size": 1}]), b"explain=true").explain
    True
    """
    for explain in parse_qs(query.decode("latin-1")).get("explain", []):
        if explain.lower() not in ("true", "false", "1", "0"):
            raise InputError(f"explain={explain!r}: give true or false")
        wanted = explain.lower() in ("true", "1")
        if wanted and asked.rows is None:
            raise InputError("explain=true: rows are explained that come as JSON, not as a table")
        asked = msgspec.structs.replace(asked, explain=wanted)
    return asked


def rows_of(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Turn columns into rows.

    Raises
    ------
    DataError
        When they are not of one length.

    Examples
    --------
    >>> rows_of({"size": [1, 2], "paid": [True, None]})
    [{'size': 1, 'paid': True}, {'size': 2, 'paid': None}]
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in list(lengths.items())[:10])
        raise DataError(f"columns must have one length, and have: {told}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_csv(body: bytes, kind: bytes = b"") -> pl.DataFrame:
    """Read separated values with a header, all cells as text; empty ones are missing.

    What separates them is what makes most columns of the header: a comma, a semicolon or a tab.

    Parameters
    ----------
    kind : bytes
        Content type, which may say the ``charset``; UTF-8 otherwise.

    Examples
    --------
    >>> read_csv("größe;ort\\n3;Köln".encode("latin-1"), b"text/csv; charset=latin-1").rows()
    [('3', 'Köln')]
    """
    import polars as pl

    if said := _CHARSET.search(kind):
        body = _decoded(body, said[1].decode()).encode()
    header = body.partition(b"\n")[0].decode(errors="replace")
    try:
        separator = max(",;\t", key=lambda sign: len(next(csv.reader([header], delimiter=sign), [])))
    except csv.Error as error:
        raise DataError(f"the request is not CSV with a header: {error}") from None
    try:
        return pl.read_csv(body, infer_schema=False, separator=separator)
    except pl.exceptions.NoDataError:
        return pl.DataFrame()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"the request is not CSV with a header: {str(error).splitlines()[0]}") from None


def _decoded(body: bytes, charset: str) -> str:
    try:
        known = codecs.lookup(charset).name
    except LookupError:
        known = ""
    if not _CHARSETS.fullmatch(known):
        raise DataError(f"the charset {charset!r} is not read; send UTF-8, or one such as latin-1 or cp1252")
    try:
        return body.decode(known)
    except UnicodeDecodeError as error:
        raise DataError(f"the request is not text in the charset that it names: {error}") from None


def _read_arrow(body: bytes) -> pl.DataFrame:
    import polars as pl
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(body) as stream:
            made = pl.from_arrow(stream.read_all())
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"the request is not an Arrow IPC stream: {str(error).splitlines()[0]}") from None
    assert isinstance(made, pl.DataFrame)
    return flat(made)


def answer_table(answered: Answered) -> pl.DataFrame:
    """Return answers as a table: id, prediction, and a column for each probability, end of the interval or quantile."""
    import polars as pl

    columns: dict[str, Any] = {
        "id": answered.ids,
        "prediction": [item.prediction for item in answered.answers],
        "version": [answered.version] * len(answered.ids),
    }
    first = answered.answers[0] if answered.answers else None
    if first is not None and first.probabilities is not None:
        for name in first.probabilities:
            columns[f"probability_{name}"] = [item.probabilities[name] for item in answered.answers]
    if first is not None and first.interval is not None:
        columns["prediction_low"], columns["prediction_high"] = zip(
            *(item.interval for item in answered.answers), strict=True
        )
    for share in (first.quantiles if first is not None else None) or ():
        columns[f"quantile_{share}"] = [item.quantiles[share] for item in answered.answers]
    return pl.DataFrame(columns)


def _write_csv(answered: Answered) -> tuple[bytes, list[Header]]:
    return answer_table(answered).write_csv().encode(), CSV


def _write_arrow(answered: Answered) -> tuple[bytes, list[Header]]:
    import io

    buffer = io.BytesIO()
    answer_table(answered).write_ipc_stream(buffer)
    return buffer.getvalue(), ARROW


_WRITERS: dict[str, Writer] = {"csv": _write_csv, "arrow": _write_arrow}
