"""Predictions for whole files, a part in memory at a time."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import InputError
from penstock.ingest.options import TextForm
from penstock.ingest.read import common_schema, in_either, read_parts, with_schema
from penstock.model import Model

_KINDS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_ROWS = 200_000
"""So many rows are answered at once."""


def predict_file(model: Model, source: Path, target: Path, progress: Callable[[int], None] = lambda _rows: None) -> int:
    """Answer every row of a file and write the rows with their answers, in the same order.

    Parts wait in a temporary folder beside the target until the types of all are known: it needs the space of one copy.

    Parameters
    ----------
    source : Path
        CSV, TSV, JSON Lines, Parquet, Arrow, Avro, Excel; plain or packed. Text is in UTF-8 or as that of
        training was, and has a header if that had one.
    target : Path
        ``.parquet``, ``.csv`` or ``.jsonl``; written whole or not at all.
    progress : callable
        Told how many rows are done, again and again.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    DataError, InputError
        When the file does not fit the model, or the target's kind is not known.
    """
    done = 0
    with written_whole(target) as out:
        if not source.is_file():
            raise InputError(f"{source}: there is no such file")
        for frame in _staged(source, model.form(), out.folder):
            out.write(answered(model, frame))
            done += frame.height
            progress(done)
    return done


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Output]:
    """Give a file to write answers into; it takes the target's place when all is written.

    Raises
    ------
    InputError
        When the target's kind is not known, or it cannot be written.
    """
    kind = _KINDS.get(target.suffix.lower())
    if kind is None:
        raise InputError(f"{target}: the kind of file is not known; name it .parquet, .csv or .jsonl")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            out = Output(Path(folder), kind)
            yield out
            out.close()
            out.path.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None


def _staged(source: Path, form: TextForm, folder: Path) -> Iterator[pl.DataFrame]:
    """Yield the parts of a file with one schema: later parts may be of wider types, and are read before the first leaves."""

    def stage(form: TextForm) -> tuple[dict[str, Path], dict[str, Any]]:
        places: dict[str, Path] = {}
        schemas: dict[str, Any] = {}
        for name, frame in read_parts(source, form):
            places.setdefault(name, folder / f"part-{len(places)}")
            frame.write_ipc(places[name], compression="zstd")
            schemas[name] = frame.schema
        return places, schemas

    places, schemas = in_either(form, stage)
    schema = common_schema(schemas)
    for place in places.values():
        frame = with_schema(pl.read_ipc(place), schema)
        place.unlink()
        for start in range(0, max(frame.height, 1), _ROWS):
            yield frame[start : start + _ROWS]


class Output:
    """A file of answers that grows, in a folder beside the target."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.path = folder, folder / "answers"
        self._kind, self._first = kind, True
        self._parquet: Any = None
        self._file = None if kind == "parquet" else self.path.open("wb")

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        if self._kind == "parquet":
            import pyarrow.parquet as pq

            table = frame.with_columns(pl.col(pl.Int128).cast(pl.Decimal(38, 0))).to_arrow()  # which Arrow knows
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self.path, table.schema, compression="zstd")
            self._parquet.write_table(table.cast(self._parquet.schema))
        elif self._kind == "csv":
            lengths = [name for name, kind in frame.schema.items() if kind == pl.Duration]
            frame = frame.with_columns(pl.col(lengths).dt.to_string("iso"))
            frame.write_csv(self._file, include_header=self._first)
        else:
            frame.write_ndjson(self._file)
        self._first = False

    def close(self) -> None:
        """End the file."""
        if self._parquet is not None:
            self._parquet.close()
        if self._file is not None:
            self._file.close()


def answered(model: Model, raw: pl.DataFrame) -> pl.DataFrame:
    """Return a raw table with its answers: prediction, and a probability a class, or the ends of the interval and quantiles.

    A column of the table that has such a name already is called ``..._in``.
    """
    rows = model.prepare(raw)
    model.knows.warn_ahead(rows)
    numbers = model.predict_prepared(rows)
    columns: dict[str, Any] = {}
    if model.task == "regression":
        columns["prediction"] = numbers
        spread = model.manifest.spread
        if spread is not None:
            if model.interval is not None:
                columns["prediction_low"], columns["prediction_high"] = spread.around(numbers, model.interval)
            columns |= {f"quantile_{share}": spread.quantile(numbers, share) for share in model.quantiles}
    else:
        values = model.labels.values
        columns["prediction"] = [values[at] for at in model.labels.decided(numbers).tolist()]
        columns |= {f"probability_{name}": numbers[:, at] for at, name in enumerate(model.labels.names)}
    taken = [name for name in columns if name in raw.columns]
    kinds = {"prediction": pl.Series(model.labels.values).dtype} if model.task != "regression" else {}
    return raw.rename({name: f"{name}_in" for name in taken}).with_columns(
        pl.Series(name, value, kinds.get(name, pl.Float64())) for name, value in columns.items()
    )
