"""The values of a target as codes, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from penstock.errors import DataError
from penstock.types.cells import is_blank
from penstock.types.parse import Parse
from penstock.types.reading import shown
from penstock.types.target import Target

_YES = ("yes", "true", "1", "y", "t", "positive", "up")
_MOST = 1_000
_DATES = (
    'target "{name}": holds dates, and a model predicts numbers or classes. Make a number of it, such as the days until then, '
    "with ps.prepare.map(...), and name that as the target."
)


class Labels(msgspec.Struct, frozen=True):
    """The classes of a target in the order of their codes; none for a regression.

    Attributes
    ----------
    column : str
        The target's column.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    values : list
        Class values as they stand in the data; of a binary target the second is the positive one.
    threshold : float
        Of a binary target, the probability above which the answer is the positive class.
    """

    column: str
    task: str
    values: list[str | int | float | bool]
    threshold: float = 0.5

    def decided(self, predicted: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Return the code of the answer to each row of probabilities, shape (n_rows, n_classes)."""
        if self.task == "binary":
            return (predicted[:, 1] > self.threshold).astype(np.intp)
        return np.asarray(predicted.argmax(1))

    def answers(self, predicted: npt.NDArray[Any]) -> pl.Series:
        """Return one value a row: the number, the probability of the second of two classes, or the class."""
        if self.task == "multiclass":
            names = np.array(self.names, dtype=object)
            return pl.Series(names[self.decided(predicted)].tolist(), dtype=pl.String)
        return pl.Series(predicted if predicted.ndim == 1 else predicted[:, 1])

    @property
    def names(self) -> list[str]:
        """The classes as the API writes them."""
        return [label_name(value) for value in self.values]

    def codes(self, column: pl.Series) -> npt.NDArray[np.float64]:
        """Return class codes or numbers, shape (n_rows,), NaN where missing or unknown."""
        if self.task == "regression":
            (found,) = numbers([column])
            return found.to_numpy().astype(np.float64)
        known: dict[Any, float | None] = {name: float(code) for code, name in enumerate(self.names)}
        known[None] = None
        text = text_of(column)
        return text.replace_strict(known, default=None, return_dtype=pl.Float64).to_numpy()


def label_name(value: Any) -> str:
    """Write a class as text: ``True`` is ``true``, ``1.0`` is ``1``.

    Examples
    --------
    >>> label_name(True), label_name(1.0), label_name("Yes")
    ('true', '1', 'Yes')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def text_of(column: pl.Series) -> pl.Series:
    """Write class values as :func:`label_name` does; blank text is missing, and so is what is not a number."""
    if column.dtype.is_float() and column.len():  # without rows Polars leaves numbers
        each = column.unique()
        names = pl.Series(
            [None if item is None or item != item else label_name(item) for item in each.to_list()], dtype=pl.String
        )
        return column.replace_strict(each, names, return_dtype=pl.String)
    text = column.cast(pl.String)
    if column.dtype == pl.String:
        text = text.str.strip_chars()
        return (
            text.to_frame().select(pl.when(pl.col(text.name).str.len_bytes() > 0).then(pl.col(text.name))).to_series()
        )
    return text


def numbers(parts: Iterable[pl.Series]) -> Iterator[pl.Series]:
    """Yield a target as numbers, part by part.

    Raises
    ------
    DataError
        In the end, when cells are not numbers.
    """
    wrong, rows, first = 0, 0, ""
    for part in parts:
        if part.dtype.is_numeric() or part.dtype == pl.Boolean:
            yield part.cast(pl.Float64)
            continue
        if part.dtype.is_temporal():
            raise DataError(_DATES.format(name=part.name))
        parse, frame = Parse(part.name, "number"), part.cast(pl.String).to_frame()
        found = frame.select(parse.expression()).to_series()
        odd = (found.is_null() & ~frame.select(parse.blank().fill_null(value=True)).to_series()).arg_true()
        if odd.len() and not wrong:
            first = f"{shown(part[int(odd[0])])} in row {rows + int(odd[0]) + 1}"
        wrong, rows = wrong + odd.len(), rows + part.len()
        yield found
    if wrong:
        raise DataError(
            f'target "{part.name}": {wrong} of {rows} values are not numbers (first: {first}). Predict classes with '
            "ps.multiclass(...), or correct them."
        )


def fit_labels(column: pl.Series | Iterable[pl.Series], target: Target) -> Labels:
    """Find the classes of a target, whose column is given as a whole or part by part.

    Raises
    ------
    DataError
        When the target is empty, has one class only, or does not suit the task.

    Examples
    --------
    >>> from penstock.types.target import binary
    >>> fit_labels(pl.Series("left", ["No", "Yes", "No", "Yes"]), binary("left")).values
    ['No', 'Yes']
    """
    name, parts = target.column, [column] if isinstance(column, pl.Series) else column
    if target.task == "regression":
        found = (part.drop_nulls().drop_nans() for part in numbers(parts))
        ends = {end for part in found if part.len() for end in (part.min(), part.max())}
        _need_several(ends, name)
        return Labels(name, "regression", [])
    kinds, counts = [], []
    for part in parts:
        kinds.append(part.dtype)
        counts.append(text_of(part).drop_nulls().alias("label").value_counts(name="penstock count"))
    counted = pl.concat(counts).group_by("label").sum()
    counted = counted.sort(["penstock count", "label"], descending=[True, False])
    labels = counted["label"].to_list()
    _need_several(labels, name, f"a {target.task} target needs two classes or more")
    if target.task == "binary" and len(labels) != 2:
        left = next((label for label in labels if is_blank(label)), labels[-1])
        raise DataError(
            f'target "{name}": has {len(labels)} values ({", ".join(map(shown, labels[:5]))}...), a binary target has two. '
            f'Use ps.multiclass("{name}"), or leave rows out: ps.prepare.filter(pl.col("{name}") != "{left}")'
        )
    if kinds[0].is_temporal() and (len(labels) > _MOST or counted["penstock count"].min() == 1):
        raise DataError(_DATES.format(name=name))
    if len(labels) > _MOST:
        raise DataError(
            f'target "{name}": has {len(labels)} different values, more than {_MOST}. If it is a number to predict, use '
            f'ps.regression("{name}").'
        )
    rare = [label for label, count in counted.rows() if count < 2]
    if rare and (target.task == "binary" or len(rare) > len(labels) - 2):
        raise DataError(
            f'target "{name}": the class {shown(rare[0])} has a single row, which cannot be both learnt and judged; two classes '
            "of several rows are needed. Give more rows, or join classes."
        )
    values = _values(sorted(labels), kinds[0])
    if target.task == "binary":
        values = _ordered(values, target, labels[-1], name)
    return Labels(name, target.task, values, 0.5 if target.threshold is None else target.threshold)


def _need_several(values: Collection[Any], name: str, why: str = "there is nothing to learn") -> None:
    if not values:
        raise DataError(f'target "{name}": every cell is empty; there is nothing to learn')
    if len(values) < 2:
        raise DataError(f'target "{name}": every value is {shown(next(iter(values)))}; {why}')


def _values(labels: Sequence[str], kind: pl.DataType) -> list[Any]:
    """Read classes back as they stand in the data; numbers are whole ones where all of them are."""
    if kind == pl.Boolean:
        return [label == "true" for label in labels]
    if kind.is_integer():
        return [int(label) for label in labels]
    if kind.is_float():
        found = [float(label) for label in labels]
        return [int(number) for number in found] if all(number.is_integer() for number in found) else found
    return list(labels)


def _ordered(values: list[Any], target: Target, rarer: str, name: str) -> list[Any]:
    """Put the positive class last."""
    names = [label_name(value) for value in values]
    if target.positive is not None:
        wanted = label_name(target.positive)
        if wanted not in names:
            raise DataError(
                f'target "{name}": positive={target.positive!r} is not one of its values, which are '
                f"{' and '.join(map(shown, values))}"
            )
    else:
        found = [item for item in names if item.lower() in _YES]
        wanted = found[0] if len(found) == 1 else rarer
    return sorted(values, key=lambda value: label_name(value) == wanted)
