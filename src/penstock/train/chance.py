"""A number in [0, 1) for each row, from its content: the same whatever other rows there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

Bits = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
_SEVERAL, _CONTRARY = 0.01, 0.02
"""Shares of the rows that must equal an earlier one, and that must have the inputs of one with another answer."""


def chance_of(table: pl.DataFrame) -> Floats:
    """Return a number for each row, the same for equal rows.

    Examples
    --------
    >>> one, two, three = chance_of(pl.DataFrame({"x": [1, 2, 1]})).tolist()
    >>> one == three, one == two
    (True, False)
    """
    return _unit(_hash(table))


def chances(rows: Callable[[], Iterable[pl.DataFrame]], target: str) -> tuple[Floats, bool]:
    """Return a number for each row of some parts, and whether each of equal rows has its own.

    Equal rows are usually the same thing seen twice: were one learnt and the other judged, its answer would be known. But where equal inputs often have
    other answers, as in a survey of a few questions, all who said yes could be learnt and all who said no judged. There, of equal rows the
    second has another number than the first.

    Parameters
    ----------
    rows : callable
        Gives the parts, as often as it is asked.
    target : str
        The column of answers.

    Examples
    --------
    >>> found, apart = chances(lambda: [pl.DataFrame({"asked": ["a", "b", "b", "b"] * 25, "y": [0, 1] * 50})], "y")
    >>> len(set(found)), apart
    (100, True)
    """
    hashes = np.concatenate([_hash(part) for part in rows()])
    count = len(hashes)
    if count - pl.Series(hashes).n_unique() < _SEVERAL * count:
        return _unit(hashes), False
    inputs = np.concatenate([_hash(part.drop(target)) for part in rows()])
    both = pl.DataFrame({"inputs": inputs, "row": hashes})
    contrary = both.select((pl.col("row").n_unique().over("inputs") > 1).sum()).item()
    if contrary < _CONTRARY * count:
        return _unit(hashes), False
    before = both.select((pl.col("row").cum_count().over("row") - 1).cast(pl.UInt64)).to_series().to_numpy()
    own = np.where(before == 0, hashes, _mixed(hashes ^ _mixed(before)))
    return _unit(own), True


def _unit(bits: Bits) -> Floats:
    return (bits >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _hash(table: pl.DataFrame) -> Bits:
    """Return 64 bits of each row, from its content alone; O(cells).

    Numbers are mixed with the finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195);
    each different text is hashed once.
    """
    total = np.zeros(table.height, dtype=np.uint64)
    for name in sorted(table.columns):
        if name.startswith("penstock "):
            continue
        seed = np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))
        with np.errstate(over="ignore"):
            total = _mixed(total ^ _mixed(_bits(table[name]) + seed))
    return total


def _bits(values: pl.Series) -> Bits:
    if values.dtype.is_numeric() or values.dtype == pl.Boolean or values.dtype.is_temporal():
        plain = values.to_physical() if values.dtype.is_temporal() else values
        missing = plain.is_null().to_numpy()
        bits = plain.cast(pl.Float64).fill_null(0.0).to_numpy().copy()
        bits += 0.0  # minus zero is zero
        found = bits.view(np.uint64).copy()
        found[missing] = np.uint64(0x9E3779B97F4A7C15)
        return found
    text = values.cast(pl.String)
    each = text.unique()
    hashed = [
        int.from_bytes(hashlib.blake2b(repr(item).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        for item in each.to_list()
    ]
    hashes = text.replace_strict(each, pl.Series(hashed, dtype=pl.UInt64), return_dtype=pl.UInt64)
    return hashes.cast(pl.UInt64).to_numpy()  # without rows Polars leaves text


def _mixed(value: Bits) -> Bits:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
