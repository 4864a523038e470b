"""What an author may say of how columns are encoded and chosen; it is learnt from training rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import InputError
from penstock.types.columns import column_of, columns_of


@dataclass(frozen=True)
class Text:
    """A column of free text, encoded as few numbers; made by :func:`text`."""

    column: str
    size: int
    model: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Categories:
    """Columns of categories with the target's mean beside them; made by :func:`categories`."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Select:
    """Which columns are left out; made by :func:`select`."""

    drop: tuple[str, ...]
    useless: bool
    leaking: bool


Columns = Text | Categories | Select


def text(column: str, *, size: int = 16, model: str | Path | None = None) -> Text:
    """Encode free text by its meaning: words and pairs of words, weighed, in a space of few dimensions.

    Without it, a column of free text tells which of its 60 most frequent words it holds.

    Parameters
    ----------
    column : str
        Of texts.
    size : int
        Dimensions.
    model : str or Path, optional
        Instead of words: a folder with static sentence embeddings of model2vec (``penstock[text]``), relative to the
        file that says it. Nothing is downloaded; the folder must be there when the model answers, too, and its content
        is part of every fingerprint.

    Raises
    ------
    InputError
        When there is no such folder.

    Examples
    --------
    >>> text("description", size=8).size
    8
    """
    column_of("ps.features.text", column)
    if not 1 <= size <= 256:
        raise InputError(f"ps.features.text({column!r}, size={size}): give 1 to 256 dimensions")
    if model is None:
        return Text(column, size)
    from penstock.features.embedding import digest_of_folder

    caller = Path(sys._getframe(1).f_code.co_filename)
    folder = ((caller.parent if caller.is_file() else Path()) / Path(model).expanduser()).resolve()
    return Text(column, size, str(folder), digest_of_folder(folder))


def categories(*columns: str | Sequence[str]) -> Categories:
    """Tell of each category also the mean of the target in it, for categories that are many.

    Every column of categories is coded, and tells how frequent each is when they are many. The mean of the target is
    learnt from training rows; a training row's own comes from other rows, so that it does not see its own target.

    Examples
    --------
    >>> categories("shop", "postcode").columns
    ('shop', 'postcode')
    """
    names = columns_of("ps.features.categories", *columns)
    if not names:
        raise InputError("ps.features.categories: name a column or more")
    return Categories(names)


def select(*, drop: Sequence[str] = (), useless: bool = True, leaking: bool = False) -> Select:
    """Leave columns out of training; the report says which, and why.

    Empty, constant and copied columns and identifiers are always left out.

    Parameters
    ----------
    drop : sequence of str
        By name; they may still be looked at by features.
    useless : bool
        Those that never help more than the best of all columns shuffled (Kursa and Rudnicki 2010; in fewer than eight of twenty rounds).
    leaking : bool
        Those that alone predict the target nearly perfectly. Without this they are named, and kept.

    Examples
    --------
    >>> select(drop=["customerID"]).drop
    ('customerID',)
    """
    return Select(columns_of("ps.features.select(drop=...)", drop), useless, leaking)
