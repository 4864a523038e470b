"""Text in any encoding as a stream of UTF-8, and which line holds what cannot be read."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from penstock.errors import DataError

BLOCK = 24 << 20
"""Bytes of text that are one part of a table."""


class Stream(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, nothing at the end."""
        ...


class EncodingError(DataError):
    """Text that is not in the encoding it was said to be in.

    Attributes
    ----------
    encoding : str or None
        What it is in, where that is certain.
    """

    def __init__(self, message: str, encoding: str | None = None) -> None:
        super().__init__(message)
        self.encoding = encoding


class Utf8:
    """A stream of text in some encoding, as UTF-8 without its mark.

    Parameters
    ----------
    source : Stream
        As it is.
    encoding : str
        What it is in.
    path : Path
        For errors.
    """

    def __init__(self, source: Stream, encoding: str, path: Path) -> None:
        self.source, self.encoding, self.path = source, encoding, path
        self._plain = codecs.lookup(encoding).name == "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._lines, self._begun, self._old_mac = 1, False, False

    def read(self, size: int) -> bytes:
        """Return the next bytes, nothing at the end.

        Raises
        ------
        DataError
            When they are not text in that encoding, or not text at all.
        """
        data = self.source.read(size)
        if not self._begun:
            self._begun = True
            data = self._first(data, size)
            self._old_mac = self._plain and b"\n" not in data and b"\r" in data
        if self._old_mac:  # lines end as they did before 2001
            data = data.replace(b"\r", b"\n")
        if self._plain:  # checked where Polars does not accept it: each byte is looked at once
            return data
        try:
            text = self._decoder.decode(data, not data)
        except UnicodeDecodeError as error:
            raise undecodable(data, error, self.encoding, self.path, self._lines) from None
        self._lines += text.count("\n")
        return text.encode() if text or not data else self.read(size)

    def _first(self, data: bytes, size: int) -> bytes:
        if not data or (len(data) < size and data.isspace()):
            raise DataError(f"{self.path.name}: the file is empty; expected a header line and rows")
        if data.startswith(b"PK\x03\x04"):
            raise DataError(f"{self.path.name}: is a ZIP or Excel file, not text; save its table as CSV or Parquet")
        if data.startswith(b"\x1f\x8b"):
            raise DataError(f"{self.path.name}: is packed with gzip; name it {self.path.name}.gz")
        if self._plain and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            message = f'{self.path.name}: is text in UTF-16; say so with ps.ingest.files(..., encoding="utf-16")'
            raise EncodingError(message, "utf-16")
        if b"\x00" in data[:65536] and not self.encoding.lower().startswith(("utf-16", "utf-32")):
            raise DataError(f"{self.path.name}: holds binary data, not text; expected lines of separated values")
        return data.removeprefix(codecs.BOM_UTF8) if self._plain else data


def undecodable(data: bytes, error: UnicodeDecodeError, encoding: str, path: Path, lines: int) -> EncodingError:
    """Return what to raise for bytes that cannot be decoded; `data` begins in line `lines`."""
    line = lines + data[: error.start].count(b"\n")
    return EncodingError(
        f"{path.name}, line {line}: the byte 0x{error.object[error.start]:02x} is not {encoding}. "
        'Say what it is with ps.ingest.files(..., encoding="latin-1") or another encoding.'
    )


def decoded(data: bytes, path: Path, before: Callable[[], int]) -> str:
    """Decode, or say which line holds what is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise undecodable(data, error, "utf-8", path, before() + 1) from None
