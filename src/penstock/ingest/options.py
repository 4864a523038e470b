"""The declaration of tables in files, as a pipeline's author writes it."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import DataError
from penstock.types.columns import column_of


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
    separator, encoding
        Of text files.
    """

    patterns: tuple[str, ...]
    folder: str
    time: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"


def files(
    *patterns: str | Path | Sequence[str | Path],
    time: str | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Files:
    """Take rows from files; several files are partitions of one table, each read once.

    Parameters
    ----------
    *patterns : str or Path, or list of them
        Files or glob patterns, relative to the file that says it: CSV, TSV, JSON Lines, Parquet, Arrow, Avro, Excel, ZIP;
        text also packed with gzip, zstd, bzip2 or xz. Or URLs that fsspec understands, such as ``s3://bucket/sales/*.parquet``;
        credentials are taken from the environment, as the cloud's own tools do.
    time : str, optional
        The column that says when each row happened; rows are then split by time.
    separator : str, optional
        Between the fields of a CSV file; found in its first line when left out.
    encoding : str
        Of CSV and JSON Lines files.

    Raises
    ------
    DataError
        When no file is named or the encoding is not known.

    Examples
    --------
    >>> files("data/*.csv", time="day").time
    'day'
    """
    named = [item for given in patterns for item in (given if isinstance(given, list | tuple) else [given])]
    if time is not None:
        column_of("ps.ingest.files(time=...)", time)
    if not named:
        raise DataError("ps.ingest.files() names no file; give it a path or a pattern, such as 'data/*.csv'")
    caller = Path(sys._getframe(1).f_code.co_filename)
    folder = caller.resolve().parent if caller.exists() else Path.cwd()
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(f"encoding {encoding!r} is not known; examples are utf-8, latin-1 and cp1252") from None
    return Files(tuple(str(item) for item in named), str(folder), time, separator, encoding)
