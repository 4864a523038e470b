"""Encoders that learn more than a list of categories: components of texts, means of the target."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError
from penstock.features.encoders import Matrix, each_once, words_of

_TERMS, _LEAST = 4000, 3
MISSING = "\x00missing"
"""Stands for a missing category."""
OTHERS = "\x00rare"
"""Stands for categories too rare to be kept where there are too many."""


class Components(msgspec.Struct, frozen=True, tag="components"):
    """A text as a point in a space of few dimensions: latent semantic analysis (Deerwester et al. 1990).

    Attributes
    ----------
    terms : list of str
        Words, and pairs of words that follow each other.
    idf : list of float
        Weight of each term.
    space : bytes
        float32, shape (n_terms, size).
    """

    column: str
    terms: list[str]
    idf: list[float]
    space: bytes
    size: int

    def names(self) -> list[tuple[str, int]]:
        """Name and number of categories (0 for a number) of each matrix column."""
        return [(f"{self.column} (component {number + 1})", 0) for number in range(self.size)]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column: each different text once."""
        return each_once(values, self.row(), self.size)

    def row(self) -> Callable[[Any, list[float]], None]:
        """Return what encodes one value."""
        place = {term: number for number, term in enumerate(self.terms)}
        space = np.frombuffer(self.space, np.float32).reshape(-1, self.size).astype(np.float64)
        idf, nothing, unknown = self.idf, [float("nan")] * self.size, [0.0] * self.size

        def encode(value: Any, out: list[float]) -> None:
            if value is None:
                out.extend(nothing)
                return
            counts: dict[int, int] = {}
            for term in terms_of(value):
                number = place.get(term)
                if number is not None:
                    counts[number] = counts.get(number, 0) + 1
            if not counts:
                out.extend(unknown)
                return
            weights = np.array([(1.0 + math.log(count)) * idf[number] for number, count in counts.items()])
            weights /= math.sqrt(math.fsum(weights * weights))
            # Summed one after the other: BLAS may sum in another order on another machine.
            out.extend(np.add.reduce(weights[:, None] * space[list(counts)], axis=0).tolist())

        return encode


class TargetMean(msgspec.Struct, frozen=True, tag="target mean"):
    """The mean of the target in each category, drawn towards the mean of all (Micci-Barreca 2001).

    Attributes
    ----------
    levels : list of str
        Categories.
    means : list of list of float
        Of each output one a category.
    other : list of float
        Of each output, for a category that was not seen.
    outputs : list of str
        Names: one for yes/no and numbers, one a class else.
    offered : bool
        Made for the search to try, not asked for by the author.
    """

    column: str
    levels: list[str]
    means: list[list[float]]
    other: list[float]
    outputs: list[str]
    offered: bool = False

    def names(self) -> list[tuple[str, int]]:
        """See :meth:`Components.names`."""
        return [(f"{self.column} (mean of target{name})", 0) for name in self.outputs]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column."""
        text = values.cast(pl.String).fill_null(MISSING)
        return [
            text.replace_strict(self.levels, means, default=other, return_dtype=pl.Float64).to_numpy()
            for means, other in zip(self.means, self.other, strict=True)
        ]

    def row(self) -> Callable[[Any, list[float]], None]:
        """Return what encodes one value."""
        known = {level: [means[at] for means in self.means] for at, level in enumerate(self.levels)}
        other = self.other

        def encode(value: Any, out: list[float]) -> None:
            out.extend(known.get(value if type(value) is str else _as_text(value), other))

        return encode


def _as_text(value: Any) -> str:
    """Write a cell that is no text as a table does."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if float(value).is_integer() else str(value)


def terms_of(text: str) -> list[str]:
    """Return the words of a text, and the pairs of words that follow each other.

    Examples
    --------
    >>> terms_of("The goods were lost")[:5]
    ['the', 'goods', 'were', 'lost', 'the goods']
    """
    words = words_of(text)
    return [*words, *(f"{one} {two}" for one, two in itertools.pairwise(words))]


def fit_components(values: pl.Series, size: int, seed: int) -> Components | str:
    """Fit a space to the texts of training rows, or say why there is none."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    texts = values.drop_nulls().cast(pl.String).to_list()
    counter = CountVectorizer(analyzer=terms_of, min_df=min(_LEAST, max(1, len(texts) // 10)), max_features=_TERMS)
    try:
        counts = counter.fit_transform(texts)
    except ValueError:  # no term comes often enough
        return "has no word that comes often enough"
    terms = counter.get_feature_names_out().tolist()
    size = min(size, len(terms) - 1, len(texts) - 1)
    if size < 1:
        return "has no word that comes often enough"
    weigh = TfidfTransformer(sublinear_tf=True)
    weighed = weigh.fit_transform(counts)
    space = TruncatedSVD(size, random_state=seed, n_iter=7).fit(weighed).components_.T
    return Components(values.name, terms, weigh.idf_.tolist(), np.ascontiguousarray(space, np.float32).tobytes(), size)


def fit_target_mean(
    values: pl.Series, target: npt.NDArray[Any], task: str, classes: int, seed: int, most: int | None = None
) -> tuple[TargetMean, list[Matrix]]:
    """Fit the means to training rows; of more categories than `most`, the rarest share one with those never seen.

    Returns
    -------
    TargetMean
        For later rows, from all training rows.
    list of array
        For the training rows themselves: each row's from other rows (5 folds), so that no row sees its own target.

    Raises
    ------
    DataError
        When the column does not hold categories.
    """
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    if not (values.dtype == pl.String or values.dtype == pl.Boolean or values.dtype.is_integer()):
        raise DataError(
            f'ps.features.categories: column "{values.name}" holds {values.dtype}; categories are texts, whole numbers '
            "or yes/no"
        )
    text = values.cast(pl.String).fill_null(MISSING).alias("level")
    levels = text.unique().sort()
    crowded = most is not None and levels.len() > most
    if crowded:
        counted = text.value_counts(name="count").sort(["count", "level"], descending=[True, False])
        rare = counted["level"][most:]
        text = text.replace(rare, [OTHERS] * rare.len())
        levels = text.unique().sort()
    # Numbers in the order of the texts: scikit-learn compares objects one by one, which takes 20 times as long.
    codes = text.replace_strict(levels, pl.int_range(len(levels), eager=True), return_dtype=pl.Int64).to_numpy()
    codes = codes.reshape(-1, 1)
    goal = target if task == "regression" else target.astype(np.int64)
    there = np.unique(goal) if task == "multiclass" else goal[:0]
    kind = "continuous" if task == "regression" else "multiclass" if len(there) > 2 else "binary"
    fewest = len(goal) if task == "regression" else int(np.unique(goal, return_counts=True)[1].min())
    encoder = TargetEncoder(target_type=kind).fit(codes, goal)
    outside = np.tile(np.atleast_1d(encoder.target_mean_), (len(goal), 1))
    folds = min(5, fewest)
    if folds >= 2:  # a class of one row cannot be divided: all rows then learn from the mean of all
        divide = (KFold if task == "regression" else StratifiedKFold)(folds, shuffle=True, random_state=seed)
        for learn, rest in divide.split(codes, goal):
            outside[rest] = TargetEncoder(target_type=kind).fit(codes[learn], goal[learn]).transform(codes[rest])
    found = np.array(encoder.encodings_)
    other = np.atleast_1d(encoder.target_mean_)
    if crowded:
        other = found[:, levels.to_list().index(OTHERS)]
    names = [""]
    if task == "multiclass":
        names = [f" {name}" for name in range(classes)]
        found, other, outside = (_of_all(each, there, classes) for each in (found, other, outside.T))
        outside = outside.T
    made = TargetMean(values.name, levels.to_list(), found.tolist(), other.tolist(), names)
    return made, list(outside.T)


def _of_all(shares: Matrix, there: npt.NDArray[Any], classes: int) -> Matrix:
    """Return shares of all classes, shape (classes, ...), from those of the classes that are there, or of the second one of two."""
    if len(there) <= 2:
        shares = np.array([1.0 - shares[0], shares[0]])[: len(there)]
    found = np.zeros((classes, *shares.shape[1:]))
    found[there] = shares
    return found
