"""Rows dealt out to files on disk by the hash of their keys, so that rows of one key meet in memory, and few others do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import polars as pl

from penstock.types.scratch import Scratch

_BUCKET = "penstock bucket"


class Buckets:
    """A folder of temporary files, removed when it is left.

    Parameters
    ----------
    count : int
        Buckets.

    Examples
    --------
    >>> with Buckets(2) as buckets:
    ...     buckets.add(pl.DataFrame({"who": ["a", "b", "a"], "x": [1, 2, 3]}), ["who"])
    ...     found = [item["x"].to_list() for item in map(buckets.read, range(2)) if item is not None]
    >>> any({1, 3} <= set(item) for item in found)
    True
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._scratch = Scratch("buckets")
        self.folder = Path(self._scratch.name)
        self._files: list[list[Path]] = [[] for _ in range(count)]
        self._empty = pl.DataFrame()

    def add(self, frame: pl.DataFrame, keys: Sequence[str]) -> None:
        """Deal out rows; without keys all go to the first bucket. Equal keys must have equal types in all frames."""
        self.expect(frame)
        if not keys:
            self.put(0, frame)
            return
        chosen = frame.with_columns((pl.struct(keys).hash(seed=0) % self.count).alias(_BUCKET))
        for (number,), part in chosen.partition_by(_BUCKET, as_dict=True, include_key=False).items():
            self.put(int(number), part)

    def put(self, bucket: int, frame: pl.DataFrame) -> None:
        """Add rows to one bucket."""
        files = self._files[bucket]
        path = self.folder / f"{bucket}-{len(files)}.arrow"
        frame.write_ipc(path, compression="lz4")
        files.append(path)

    def read(self, bucket: int) -> pl.DataFrame | None:
        """Return the rows of a bucket in the order in which they came, or None when it has none."""
        files = self._files[bucket]
        return pl.concat([pl.read_ipc(path) for path in files]) if files else None

    def expect(self, frame: pl.DataFrame) -> None:
        """Say what columns rows will have."""
        self._empty = frame.clear()

    def empty(self) -> pl.DataFrame:
        """Return a frame of no rows with the columns that are expected."""
        return self._empty

    def remove(self, bucket: int) -> None:
        """Free the disk of a bucket that is done with."""
        for path in self._files[bucket]:
            path.unlink()
        self._files[bucket] = []

    def __enter__(self) -> Buckets:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scratch.cleanup()
