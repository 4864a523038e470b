"""The declaration of tables in files, as a pipeline's author writes it."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import DataError, InputError
from penstock.types.columns import column_of, columns_of


@dataclass(frozen=True)
class TextForm:
    """How a file is written, where its kind leaves that open.

    Attributes
    ----------
    separator : str, optional
        Between fields; found in the first line when left out.
    encoding : str
        Of its characters.
    columns : tuple of str
        Names of the columns of a file that has no header.
    optional : str
        One of them that may be missing: the target, of rows that are to be answered.
    sheet : str, optional
        Of a workbook: which; the only one with a table when left out.
    skip : int
        Lines above the header of text: titles, remarks.
    """

    separator: str | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    optional: str = ""
    sheet: str | None = None
    skip: int = 0


PLAIN = TextForm()


@dataclass(frozen=True)
class Files:
    """Where raw tables lie; made by :func:`files`.

    Attributes
    ----------
    patterns : tuple of str
        Paths or glob patterns, relative to `folder`.
    folder : str
        The folder of the pipeline file.
    time : str, optional
        The column that says when each row happened.
    form : TextForm
        Of text files.
    """

    patterns: tuple[str, ...]
    folder: str
    time: str | None = None
    form: TextForm = PLAIN


def files(
    *patterns: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    time: str | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
    sheet: str | None = None,
    skip: int = 0,
) -> Files:
    """Take rows from files; several files are partitions of one table, each read once.

    Parameters
    ----------
    *patterns : str or Path, or list of them
        Files or glob patterns, relative to the file that says it: CSV, TSV, JSON, Parquet, Arrow, Avro, Excel, ZIP;
        text also packed with gzip, zstd, bzip2 or xz. Or URLs that fsspec understands, such as ``s3://bucket/sales/*.parquet``;
        credentials are taken from the environment, as the cloud's own tools do.
    time : str, optional
        The column that says when each row happened; rows are then split by time.
    separator : str, optional
        Between the fields of a CSV file, ``"whitespace"`` for any number of blanks; found in its first lines when left out.
    encoding : str
        Of CSV and JSON files.
    columns : sequence of str
        Names of the columns, where a CSV file has no header line.
    sheet : str, optional
        Of an Excel file: which sheet; the only visible one with a table when left out.
    skip : int
        Lines of a CSV file above its header that are none of the table, such as a title.

    Raises
    ------
    DataError
        When no file is named or the encoding is not known.
    InputError
        When `skip` is no number of lines.

    Examples
    --------
    >>> files("data/*.csv", time="day").time
    'day'
    """
    named: list[Any] = [item for given in patterns for item in (given if isinstance(given, list | tuple) else [given])]
    if time is not None:
        column_of("ps.ingest.files(time=...)", time)
    if not named:
        raise DataError("ps.ingest.files() names no file; give it a path or a pattern, such as 'data/*.csv'")
    for item in named:
        if not isinstance(item, str | os.PathLike):
            if hasattr(item, "columns"):
                raise InputError(
                    "ps.ingest.files(...) takes paths and patterns; rows themselves go to ps.ingest.table(rows)"
                )
            what = type(item).__name__
            raise InputError(
                f'ps.ingest.files(...) takes paths and patterns, not {what}: name a file, such as "rows.parquet"'
            )
    caller = Path(sys._getframe(1).f_code.co_filename)
    folder = caller.resolve().parent if caller.exists() else Path.cwd()
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(f"encoding {encoding!r} is not known; examples are utf-8, latin-1 and cp1252") from None
    names = columns_of("ps.ingest.files(columns=...)", columns)
    if doubled := [name for name in names if names.count(name) > 1]:
        raise InputError(f"ps.ingest.files(columns=...): {doubled[0]!r} is named twice")
    return Files(
        tuple(os.fsdecode(item) for item in named), str(folder), time, TextForm(separator, encoding, names, sheet=sheet)
    )
