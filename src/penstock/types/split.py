"""How test rows are chosen: what an author writes under ``split=``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.errors import InputError
from penstock.types.columns import column_of


@dataclass(frozen=True)
class Split:
    """How test rows are chosen; made by :func:`random`, :func:`stratified`, :func:`group` or :func:`time`."""

    kind: Literal["auto", "random", "stratified", "group", "time"]
    test: float | str = 0.2
    column: str | None = None
    gap: float | str = 0.0


def random(test: float = 0.2) -> Split:
    """Choose test rows by chance.

    Examples
    --------
    >>> random(test=0.25).test
    0.25
    """
    return Split("random", _share(test))


def stratified(test: float = 0.2) -> Split:
    """Choose test rows by chance within each class of the target.

    Examples
    --------
    >>> stratified().kind
    'stratified'
    """
    return Split("stratified", _share(test))


def group(column: str, test: float = 0.2) -> Split:
    """Keep all rows of one group (a customer, a patient) on one side.

    Examples
    --------
    >>> group("customer").column
    'customer'
    """
    return Split("group", _share(test), column_of("ps.split.group", column))


def time(column: str | None = None, test: float | str = 0.2, gap: float | str = 0.0) -> Split:
    """Judge by the latest rows.

    Parameters
    ----------
    column : str, optional
        What says when a row happened; that of ``ingest.files(time=...)`` when left out.
    test : float or str
        The share of rows, or a length of time such as ``"30d"``.
    gap : float or str
        Seconds, or such as ``"7d"``: rows of so long before the first test row are neither learnt nor judged, as when
        the truth becomes known late; the folds of the search keep the same distance.

    Examples
    --------
    >>> time("day", test="30d", gap="7d").test
    '30d'
    """
    from penstock.types.durations import seconds_of

    seconds_of(gap)
    if column is not None:
        column_of("ps.split.time", column)
    if isinstance(test, str):
        seconds_of(test)
        return Split("time", test, column, gap)
    return Split("time", _share(test), column, gap)


def _share(test: float) -> float:
    if isinstance(test, bool) or not isinstance(test, int | float) or not 0 < test < 1:
        raise InputError(f"the share of test rows must lie between 0 and 1, such as 0.2; it is {test!r}")
    return float(test)
