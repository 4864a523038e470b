"""Whether requests are answered as the tests were: compared."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.engine.step import LazyPartitions, Partitions
from penstock.errors import PenstockError
from penstock.model import Model
from penstock.store.formats import Bundle
from penstock.types.table import ROW, Table

Parts = LazyPartitions[Any]
Array = npt.NDArray[Any]

_ASKED = 100_000
_ALONE, _TOGETHER = 1_000, 8
_CLOSE = 1e-6


def compared(
    trained: Bundle, snapshot: Parts, featured: Parts, divided: Partitions[Any]
) -> dict[str, float | int | bool | str]:
    """Ask the model for each test row as requests would, and compare with what the tests gave.

    The first thousand are asked one by one, the others eight at a time, which the same functions answer. Where
    features look into other tables, which know more by now than when the row was made, the answers are compared with
    those to the same rows as a table. Of more than 100,000 test rows, so many are asked.

    Returns
    -------
    dict
        ``rows``; ``largest`` difference, of a probability, or of a number over the spread of all answers; and whether
        it is at most 1e-6: else services answer through tables.
    """
    model = Model(trained)
    table = Table(featured).chosen(divided["test"])
    test = table.each(-(-table.height // _ASKED)).whole()
    raw = _rows_at(snapshot, test[ROW].to_numpy())
    present = set(raw.columns)
    names = [column.name for column in model.inputs if column.name in present]
    rows = msgspec.json.decode(msgspec.json.encode(raw[names].to_dicts()))
    by_table = model.knows.looks_up
    expected = model.predict_table(raw) if by_table else model.predict_prepared(test)
    largest, spread = 0.0, float(np.ptp(expected)) or 1.0 if model.task == "regression" else 1.0
    problem = ""
    for some in requests_of(len(rows)):
        try:
            answers = model.predict_rows(rows[some])
        except PenstockError as error:
            problem = str(error)
            break
        found = [one.prediction if one.probabilities is None else [*one.probabilities.values()] for one in answers]
        off = np.abs(np.asarray(found, dtype=np.float64) - expected[some])
        largest = float(np.maximum(largest, np.max(off) / spread))  # keeps what is no number
    return {
        "rows": len(rows),
        "largest": largest,
        "equal": largest <= _CLOSE and not problem,
        "with": "the rows as a table" if by_table else "the test rows",
        "problem": problem,
    }


def requests_of(rows: int) -> list[slice]:
    """Divide test rows into requests: the first thousand by themselves, then eight together.

    Examples
    --------
    >>> requests_of(1_009)[-3:]
    [slice(999, 1000, None), slice(1000, 1008, None), slice(1008, 1016, None)]
    """
    alone = [slice(at, at + 1) for at in range(min(_ALONE, rows))]
    return alone + [slice(at, at + _TOGETHER) for at in range(_ALONE, rows, _TOGETHER)]


def _rows_at(snapshot: Parts, wanted: Array) -> pl.DataFrame:
    """Return raw rows by their numbers, in the order of `wanted`."""
    found, start = [], 0
    for frame in snapshot.values():
        here = wanted[(wanted >= start) & (wanted < start + frame.height)]
        found.append(frame[here - start].with_columns(pl.Series(ROW, here)))
        start += frame.height
    order = pl.DataFrame({ROW: wanted})
    return order.join(pl.concat(found, how="diagonal_relaxed"), on=ROW, how="left", maintain_order="left").drop(ROW)
