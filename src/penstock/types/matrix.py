"""Matrices that are larger than what is held of them: made in batches, and read by rows from a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
_BYTES = np.dtype(np.float64).itemsize
_AT_ONCE = 16_000_000


@dataclass(frozen=True)
class Batches:
    """A matrix that is made some rows at a time.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    made : callable
        Gives the batches, from the first on, each time it is called.

    Examples
    --------
    >>> batches = Batches((3, 1), lambda: iter([np.zeros((2, 1)), np.ones((1, 1))]))
    >>> len(batches), batches.whole().ravel().tolist()
    (3, [0.0, 0.0, 1.0])
    """

    shape: tuple[int, int]
    made: Callable[[], Iterator[Matrix]]

    def __len__(self) -> int:
        """Count the rows."""
        return self.shape[0]

    def whole(self) -> Matrix:
        """Hold all of them."""
        return np.concatenate([np.zeros((0, self.shape[1])), *self.made()])


def save(path: Path, matrix: Matrix | Batches) -> None:
    """Write a matrix in NumPy's format, batch by batch where it has them."""
    if not isinstance(matrix, Batches):
        np.save(path, np.ascontiguousarray(matrix))
        return
    with path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(np.float64)),
            "fortran_order": False,
            "shape": matrix.shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for batch in matrix.made():
            file.write(np.ascontiguousarray(batch, np.float64).data)


class Stored:
    """A matrix in a file of NumPy's format, of which those rows are in memory that are asked for.

    Unlike the pages of a mapped file, which count to what a process may take, the rest is the system's to keep or drop.

    Parameters
    ----------
    path : Path
        Written by :func:`save`.
    blank : sequence of int
        Columns that are read as 0.
    """

    def __init__(self, path: Path, blank: Sequence[int] = ()) -> None:
        self.path, self.blank = path, list(blank)
        self._file = os.open(path, os.O_RDONLY)
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            self.shape, _, _ = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._file)

    def __len__(self) -> int:
        """Count the rows."""
        return int(self.shape[0])

    @property
    def height(self) -> int:
        """How many rows are read at once."""
        return max(1, _AT_ONCE // (max(self.shape[1], 1) * _BYTES))

    def batches(self) -> Iterator[Matrix]:
        """Read all rows, some at a time."""
        for start in range(0, len(self), self.height):
            yield self[start : start + self.height]

    @overload
    def __getitem__(self, rows: int) -> npt.NDArray[np.float64]: ...
    @overload
    def __getitem__(self, rows: slice) -> Matrix: ...
    def __getitem__(self, rows: Any) -> Any:
        """Read a row, or some that follow each other."""
        width = self.shape[1] * _BYTES
        if not isinstance(rows, slice):  # LightGBM asks for 200,000 of them, one by one
            found = np.frombuffer(bytearray(os.pread(self._file, width, self._start + rows * width)))
            found[self.blank] = 0.0
            return found
        start, stop, _ = rows.indices(len(self))
        read = bytearray((stop - start) * width)
        os.preadv(self._file, [read], self._start + start * width)
        found = np.frombuffer(read).reshape(stop - start, self.shape[1])
        found[:, self.blank] = 0.0
        return found
