"""Sheets of Excel's workbooks as tables: which sheet, and where its header is."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import polars as pl

from penstock.errors import DataError

_LOOKED = 20
"""Rows that a header may stand in."""


def read_sheet(data: bytes, sheet: str | None, path: Path) -> pl.DataFrame:
    """Read a sheet; rows above the header that hold a title or a remark are no rows of the table.

    Types are those of all cells: a column of numbers with a word among them is text, and no cell is lost.

    Parameters
    ----------
    data : bytes
        The workbook.
    sheet : str, optional
        Its name; when left out, or not there, the only visible one that holds a table.

    Raises
    ------
    DataError
        When no sheet, or several, may be meant, with their names.
    """
    import fastexcel

    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it tells of columns without a cell, which are left out
    book = fastexcel.read_excel(data)
    if sheet in book.sheet_names:
        name = str(sheet)
        top = _top(book, name)[1]
    else:
        tables = {
            name: top for name in book.sheet_names for shown, top in [_top(book, name)] if shown and _is_table(top)
        }
        if len(tables) != 1:
            there = ", ".join(tables or book.sheet_names)
            what = "has several sheets with tables" if tables else "has no sheet with a table"
            missing = "" if sheet is None else f"there is no sheet {sheet!r}; "
            advice = (
                f'. Name one: ps.ingest.files(..., sheet="{next(iter(tables))}"), or penstock init --table'
                if tables
                else ""
            )
            raise DataError(f"{path.name}: {missing}{what}: {there}{advice}")
        name, top = next(iter(tables.items()))
    header = _header(top)
    options: dict[str, Any] = {"skip_rows": header + 1, "column_names": _names(top.row(header))} if header else {}
    return pl.read_excel(
        io.BytesIO(data), sheet_name=name, has_header=not header, infer_schema_length=None, read_options=options,
    )  # fmt: skip


def _top(book: Any, name: str) -> tuple[bool, pl.DataFrame]:
    """Whether a sheet is visible, and its first rows as text."""
    sheet = book.load_sheet(name, header_row=None, n_rows=_LOOKED, dtypes="string")
    return sheet.visible == "visible", sheet.to_polars()


def _is_table(top: pl.DataFrame) -> bool:
    header = _header(top)
    return top.height > header + 1 and sum(cell is not None for cell in top.row(header)) > 1


def _header(top: pl.DataFrame) -> int:
    """Find the first row that is no title: one of more than two cells, or of half as many as the fullest row has.

    Examples
    --------
    >>> _header(pl.DataFrame({"a": ["Sales of May", None, "shop", "x"], "b": [None, None, "sold", "1"], "c": [None, None, "day", "2"]}))
    2
    """
    filled = [sum(cell is not None for cell in row) for row in top.iter_rows()]
    fullest = max(filled, default=0)
    return next((at for at, cells in enumerate(filled) if cells > 2 or 2 * cells >= fullest), 0)


def _names(cells: tuple[str | None, ...]) -> list[str]:
    """Name columns after the cells of a header, as the reader of workbooks names them where it finds it itself.

    Examples
    --------
    >>> _names(("a", None, "a"))
    ['a', '__UNNAMED__1', 'a_1']
    """
    names: list[str] = []
    for at, cell in enumerate(cells):
        name = f"__UNNAMED__{at}" if cell is None else cell
        taken = sum(known == name or known.startswith(f"{name}_") for known in names)
        names.append(f"{name}_{taken}" if name in names else name)
    return names
