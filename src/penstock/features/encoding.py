"""How the columns of a table become a matrix: an encoder chosen and fitted for each, on training rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError
from penstock.features.columns import Categories, Columns
from penstock.features.columns import Text as TextAsked
from penstock.features.embedding import Embedding, fit_embedding
from penstock.features.encoders import Boolean, Category, Date, Matrix, Number, Text, recurring_parts, words_of
from penstock.features.learnt import Components, TargetMean, fit_components, fit_target_mean
from penstock.types.columns import ROW_NUMBERS, need
from penstock.types.table import ROW

LEVELS = 200
"""Most categories of one column that are told apart; the rarer ones share a code."""
RARE = 5
"""Categories with fewer training rows than this share a code."""
COUNTED = 30
"""A column with more categories than this also tells how frequent each is."""
OFFERED, OFFERED_CLASSES = 100_000, 10
"""So many means of the target a column, one a category and class, are offered to the search, and for so many classes at most."""
_REPEATED = 0.7
"""Texts of several words, and whole numbers that name things, have means if they are different in so many of the rows at most."""
_SHORT_TEXT = 64
"""Bytes: longer texts tell what they are by their words."""
WORDS = 60
"""Most words of one column of free text that are told apart."""
_IDENTIFIERS = re.compile(rf"^((?i:{ROW_NUMBERS}|index|column_1|(.*[ _.-])?(id|uuid|guid))|.*[a-z]I[dD])$")
_NUMBER = "(no|nr|num|number)"
_COUNTERS = re.compile(
    rf"^((row|line|obs|observation|case|subject|person|record|entry|serial|seq|sequence|key|id)[ _.]?{_NUMBER}?|(s[ _.]?)?{_NUMBER})[.]?$",
    re.IGNORECASE,
)
"""Columns that are called so and count the rows; one of another name, such as ``year`` or ``day``, may mean something."""

_THINGS = (
    "account|agent|branch|brand|category|city|client|company|county|customer|department|dept|device|district|driver|employee|"
    "item|machine|member|merchant|movie|patient|player|product|region|route|school|seller|sensor|shop|station|store|"
    "student|subject|supplier|team|terminal|user|vehicle|vendor|worker"
)
_SHORT = "acct|case|cust|emp|fam|firm|hh|indiv|pat|pers|person|prod|stud|subj|unit"
_KEYS = re.compile(
    rf"^((?i:(.*[ _.-])?(id|uuid|guid|code|zip|zipcode|postcode|key|nbr|{_NUMBER}|({_THINGS}|{_SHORT})(id)?))|.*[a-z](ID|Id|Code|Zip|Key|No|Nr|Number))$"
)
"""Columns that are called so and hold whole numbers name something, such as a customer, and do not count it."""
KEYED = 30
"""Of more things than this, named by whole numbers, the mean of the target tells more than their numbers do."""

IDENTIFIER = "is an identifier"
_LEAST_NUMBERED = 20

Encoder = Number | Boolean | Category | Date | Text | Components | Embedding | TargetMean


class Encoding(msgspec.Struct, frozen=True):
    """The fitted encoders of a table's columns, and the columns that were left out with the reason.

    Examples
    --------
    >>> table = pl.DataFrame({"size": [1.0, None, 3.0], "paid": [True, False, None]})
    >>> fit_encoding(table, ["size", "paid"]).matrix(table)
    array([[ 1.,  1.],
           [nan,  0.],
           [ 3., nan]])
    """

    encoders: list[Encoder]
    ignored: list[tuple[str, str]]

    def names(self) -> list[str]:
        """Names of the matrix columns."""
        return [name for encoder in self.encoders for name, _ in encoder.names()]

    def categories(self) -> list[int]:
        """Of each matrix column the number of codes; 0 for a number."""
        return [count for encoder in self.encoders for _, count in encoder.names()]

    def offers(self) -> dict[str, list[int]]:
        """Matrix columns that were made for the search to try: ``means`` of the target, the ``trend`` of time."""
        found: dict[str, list[int]] = {}
        at = 0
        for item in self.encoders:
            width = len(item.names())
            if isinstance(item, TargetMean) and item.offered:
                found.setdefault("means", []).extend(range(at, at + width))
            elif isinstance(item, Date) and item.offered:
                found.setdefault("trend", []).append(at)
            at += width
        return found

    def keyed(self) -> bool:
        """Whether a column names so many things that the mean of the target in each is what there is to learn of them."""
        return any(
            isinstance(item, TargetMean)
            and item.offered
            and len(item.levels) > (KEYED if isinstance(own, Number) else LEVELS)
            for own, item in itertools.pairwise(self.encoders)
        )

    def columns(self) -> list[str]:
        """Names of the table columns that are used."""
        return list(dict.fromkeys(encoder.column for encoder in self.encoders))

    def kinds(self) -> dict[str, str]:
        """Return how each table column is encoded, in words: of several encoders, all."""
        found: dict[str, str] = {}
        for encoder in self.encoders:
            word = "target mean" if isinstance(encoder, TargetMean) else type(encoder).__name__.lower()
            known = found.get(encoder.column)
            found[encoder.column] = f"{known}, {word}" if known else word
        return found

    def blocks(self) -> list[tuple[str, slice]]:
        """Each column of the table, and where it stands in the matrix."""
        found: list[tuple[str, slice]] = []
        at = 0
        for encoder in self.encoders:
            width = len(encoder.names())
            if found and found[-1][0] == encoder.column:  # a column may have two encoders, one after the other
                found[-1] = (encoder.column, slice(found[-1][1].start, at + width))
            else:
                found.append((encoder.column, slice(at, at + width)))
            at += width
        return found

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """Encode a table: shape (n_rows, n_matrix_columns), float64."""
        parts = [array for encoder in self.encoders for array in encoder.table(frame[encoder.column])]
        if not parts:
            return np.zeros((frame.height, 0))
        return np.column_stack(parts)

    def part(self, values: pl.Series) -> Matrix:
        """Encode values of one column: its part of the matrix."""
        parts = [array for encoder in self.encoders if encoder.column == values.name for array in encoder.table(values)]
        return np.column_stack(parts)

    def row(self) -> Callable[[dict[str, Any]], list[float]]:
        """Return what encodes one prepared row."""
        plan = [(encoder.column, encoder.row()) for encoder in self.encoders]

        def encode(values: dict[str, Any]) -> list[float]:
            out: list[float] = []
            for column, one in plan:
                one(values[column], out)
            return out

        return encode


def fit_learning(
    frame: pl.DataFrame,
    target: npt.NDArray[Any],
    columns: Sequence[str],
    asked: Sequence[Columns] = (),
    task: str = "regression",
    classes: int = 0,
    seed: int = 0,
    clock: str | None = None,
    *,
    offered: Collection[str] = (),
) -> tuple[Encoding, Matrix]:
    """Fit encoders to training rows and their targets, and encode these rows to learn from.

    Parameters
    ----------
    frame, columns, asked, seed, clock
        As for :func:`fit_encoding`.
    target : array, shape (n_rows,)
        Class codes or numbers.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    classes : int
        How many there are.
    offered : collection of str
        What to add for the search to try: ``means``, the mean of the target to every column of three categories or more,
        texts or whole numbers that name things by what the column is called; ``trend``, the days since 1970 to `clock`.

    Returns
    -------
    Encoding
        For later rows.
    array, shape (n_rows, n_matrix_columns)
        The training rows; means of the target are those of other rows.
    """
    encoding = fit_encoding(frame, columns, asked, seed, clock, trend="trend" in offered)
    wanted = [name for item in asked if isinstance(item, Categories) for name in item.columns]
    need("ps.features.categories", wanted, frame.columns)
    encoders: list[Encoder] = []
    outside: dict[int, list[Matrix]] = {}
    for encoder in encoding.encoders:
        encoders.append(encoder)
        asked_for = encoder.column in wanted
        if asked_for or ("means" in offered and _offers(encoder, frame[encoder.column], classes)):
            most = None if asked_for else OFFERED // (classes if classes > 2 else 1)
            made, outside[len(encoders)] = fit_target_mean(frame[encoder.column], target, task, classes, seed, most)
            encoders.append(msgspec.structs.replace(made, offered=not asked_for))
    if not outside:
        return encoding, encoding.matrix(frame)
    parts = [
        array
        for number, encoder in enumerate(encoders)
        for array in (outside[number] if number in outside else encoder.table(frame[encoder.column]))
    ]
    return Encoding(encoders, encoding.ignored), np.column_stack(parts)


def _offers(encoder: Encoder, values: pl.Series, classes: int) -> bool:
    key = isinstance(encoder, Number) and values.dtype.is_integer() and _KEYS.match(values.name) is not None
    if classes > OFFERED_CLASSES or not (key or isinstance(encoder, Category | Text)):
        return False
    if isinstance(encoder, Text) and values.str.len_bytes().mean() > _SHORT_TEXT:  # type: ignore[operator]
        return False
    # Where nearly every row has its own, there is no mean of other rows.
    return 3 <= values.n_unique() <= (values.len() if isinstance(encoder, Category) else values.len() * _REPEATED)


def fit_encoding(
    frame: pl.DataFrame,
    columns: Sequence[str],
    asked: Sequence[Columns] = (),
    seed: int = 0,
    clock: str | None = None,
    *,
    trend: bool = False,
) -> Encoding:
    """Choose and fit an encoder for each column, from the rows given and no others.

    Parameters
    ----------
    frame : DataFrame
        Training rows.
    columns : sequence of str
        Which columns may be used.
    asked : sequence
        What the author says of how they are encoded.
    seed : int
        Of the space of texts.
    clock : str, optional
        Column of times by which rows are divided: only the parts that come round are learnt from, because every later
        row lies beyond its days.
    trend : bool
        Encode the days of `clock` all the same, for the search to try.

    Raises
    ------
    DataError
        When a column that the author speaks of is not there, or is not of text.
    """
    texts = {item.column: item for item in asked if isinstance(item, TextAsked)}
    need("ps.features.text", texts, frame.columns)
    rows = frame[ROW] if ROW in frame.columns else None  # asked once: each asking lists every column
    fitted = {
        name: _fit_components(frame[name], texts[name], seed)
        if name in texts
        else _fit_clock(frame[name], name, trend)
        if name == clock and frame[name].dtype.is_temporal()
        else _fit(frame[name], name, rows)
        for name in columns
    }
    marks = _marks(frame[[name for name, made in fitted.items() if not isinstance(made, str)]])
    encoders: list[Encoder] = []
    ignored: list[tuple[str, str]] = []
    seen: dict[tuple[str, int], str] = {}
    for name, made in fitted.items():
        if not isinstance(made, str):
            values = frame[name]
            first = seen.setdefault((str(values.dtype), marks[name]), name)
            if first != name and values.equals(frame[first]):
                made = f"is a copy of {first}"
        if isinstance(made, str):
            ignored.append((name, made))
        else:
            encoders.append(made)
    return Encoding(encoders, ignored)


def _fit_components(values: pl.Series, asked: TextAsked, seed: int) -> Components | Embedding | str:
    if values.dtype != pl.String:
        raise DataError(f'ps.features.text: column "{values.name}" holds {values.dtype}, not text')
    if not values.drop_nulls().len():
        return "is empty"
    if asked.model is not None:
        return fit_embedding(values, asked.model, str(asked.digest), asked.size, seed)
    return fit_components(values, asked.size, seed)


def _marks(frame: pl.DataFrame) -> dict[str, int]:
    """Of each column a number that equal columns share."""
    return frame.select(pl.all().hash(seed=0).reinterpret(signed=True).sum()).row(0, named=True) if frame.width else {}


def _nothing(values: pl.Series, filled: pl.Series) -> str | None:
    """Return what is said of a column that has nothing to tell."""
    if filled.len() == 0:
        return "is empty"
    return "is constant" if filled.len() == values.len() and (filled == filled[0]).all() else None


def _fit_clock(values: pl.Series, name: str, trend: bool) -> Encoder | str:
    filled = values.drop_nulls()
    if nothing := _nothing(values, filled):
        return nothing
    parts = recurring_parts(filled)
    if trend:
        return Date(name, ("days", *parts), offered=True)
    return Date(name, parts) if parts else "says when, and test rows are later: nothing of it comes round"


def _fit(values: pl.Series, name: str, rows: pl.Series | None) -> Encoder | str:
    filled = values.drop_nulls()
    if nothing := _nothing(values, filled):
        return nothing
    kind = values.dtype
    if kind.is_numeric():
        return IDENTIFIER if _numbers_rows(values, filled, name, rows) else Number(name)
    if kind == pl.Boolean:
        return Boolean(name)
    if kind.is_temporal():
        return Date(name)
    return _fit_text(filled.cast(pl.String), name)


def _counts_rows(values: pl.Series, rows: pl.Series) -> bool:
    """Whether these are the numbers of the rows in their file, from whatever the first one has: of some rows they have gaps."""
    if values.len() < _LEAST_NUMBERED or values.abs().max() >= 2.0**53:  # type: ignore[operator]
        return False
    return (values.cast(pl.Float64) - rows.cast(pl.Float64)).n_unique() == 1


def _numbers_rows(values: pl.Series, filled: pl.Series, name: str, rows: pl.Series | None) -> bool:
    identifies, counts = _IDENTIFIERS.match(name), _COUNTERS.match(name)
    if filled.len() < _LEAST_NUMBERED or not (identifies or counts):
        return False
    if not filled.dtype.is_integer():
        # Numbers as text are floats, and so are whole ones in a column with gaps.
        if (filled % 1 != 0).any() or filled.abs().max() >= 2.0**53:  # type: ignore[operator]
            return False
        filled = filled.cast(pl.Int64)
    if filled.n_unique() != filled.len():
        return False
    span = int(filled.max()) - int(filled.min()) + 1  # type: ignore[arg-type]
    return (
        identifies is not None
        or (span == filled.len() and filled.is_sorted())
        or (rows is not None and filled.len() == values.len() and _counts_rows(values, rows))
    )


def _fit_text(filled: pl.Series, name: str) -> Encoder | str:
    different = filled.n_unique()
    many = filled.len() >= 20 and different > 0.3 * filled.len()
    if many:
        sample = filled.gather_every(max(1, filled.len() // 1000))
        length = sum(len(words_of(item)) for item in sample) / sample.len()
        if length >= 2.5:
            return _fit_words(filled, name)
        if different >= 0.95 * filled.len():
            return IDENTIFIER
    counted = filled.value_counts(name="penstock count").rename({filled.name: "level"})
    counted = counted.sort(["penstock count", "level"], descending=[True, False])
    frequent = counted.filter(pl.col("penstock count") >= RARE) if different > 2 else counted
    if frequent.height == 0:
        frequent = counted.head(1)
    frequent = frequent.head(LEVELS)
    counts = frequent["penstock count"].to_list() if different > COUNTED else []
    return Category(name, frequent["level"].to_list(), counts)


def _fit_words(filled: pl.Series, name: str) -> Text:
    counts: dict[str, int] = {}
    for text in filled.to_list():
        for word in set(words_of(text)):
            counts[word] = counts.get(word, 0) + 1
    least = max(RARE, filled.len() // 100)
    kept = sorted((item for item in counts.items() if item[1] >= least), key=lambda item: (-item[1], item[0]))
    return Text(name, [word for word, _ in kept[:WORDS]])
