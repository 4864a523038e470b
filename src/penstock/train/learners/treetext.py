"""Trees of other libraries as LightGBM's model text, so that one C library answers for all of them.

LightGBM goes left where ``value <= threshold``; a rule of another library is written as that one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_MISSING_IS_NAN, _MISSING_LEFT = 8, 2
"""Bits of a node's decision type (LightGBM, ``include/LightGBM/tree.h``)."""


class Tree(NamedTuple):
    """A binary tree; a child below zero is a leaf, of the number ``-child - 1``.

    Attributes
    ----------
    feature, threshold : array, shape (n_nodes,)
        A row goes left where its feature is at most the threshold.
    missing_left : array of bool, shape (n_nodes,)
        Where a missing value goes.
    left, right : array of int, shape (n_nodes,)
        Children.
    value : array, shape (n_nodes + 1,)
        Of the leaves.
    """

    feature: Array
    threshold: Array
    missing_left: Array
    left: Array
    right: Array
    value: Array


def from_nodes(feature: Array, threshold: Array, missing_left: Array, left: Array, right: Array, value: Array) -> Tree:
    """Make a tree of arrays over all nodes, leaves among them, where a left child below zero marks a leaf.

    Examples
    --------
    >>> of = np.array
    >>> from_nodes(of([3, 0, 0]), of([0.5, 0, 0]), of([True] * 3), of([1, -1, -1]), of([2, -1, -1]), of([0, 7., 8.])).value
    array([7., 8.])
    """
    leaf = left < 0
    place = np.where(leaf, np.negative(np.cumsum(leaf)), np.cumsum(np.logical_not(leaf)) - 1)
    inner = np.flatnonzero(np.logical_not(leaf))
    return Tree(
        feature[inner], threshold[inner], missing_left[inner], place[left[inner]], place[right[inner]], value[leaf]
    )


def write_trees(trees: Iterable[Tree], columns: int, objective: str, outputs: int = 1) -> bytes:
    """Write trees, of several outputs in turn, as LightGBM's model text.

    Parameters
    ----------
    objective : str
        How sums of leaves become answers, as LightGBM writes it; nothing for the sums themselves.
    outputs : int
        How many sums there are.
    """
    head = [
        "tree", "version=v4", f"num_class={outputs}", f"num_tree_per_iteration={outputs}", "label_index=0",
        f"max_feature_idx={columns - 1}", *([f"objective={objective}"] if objective else []),
        f"feature_names={' '.join(f'Column_{number}' for number in range(columns))}",
        f"feature_infos={' '.join(['[-inf:inf]'] * columns)}", "", "",
    ]  # fmt: skip
    return "\n".join([*head, *(_text(number, tree) for number, tree in enumerate(trees)), "end of trees\n"]).encode()


def _text(number: int, tree: Tree) -> str:
    lines = [f"Tree={number}", f"num_leaves={len(tree.value)}", "num_cat=0"]
    if len(tree.feature):
        kinds = _MISSING_IS_NAN + _MISSING_LEFT * tree.missing_left.astype(np.int64)
        lines += [
            f"split_feature={_row(tree.feature)}",
            f"threshold={_row(tree.threshold)}",
            f"decision_type={_row(kinds)}",
            f"left_child={_row(tree.left)}",
            f"right_child={_row(tree.right)}",
        ]
    return "\n".join([*lines, f"leaf_value={_row(tree.value)}", "is_linear=0", "shrinkage=1", "", "", ""])


def _row(values: Array) -> str:
    return " ".join(map(repr, values.tolist()))


class Written(NamedTuple):
    """A tree as LightGBM's text holds it.

    Attributes
    ----------
    feature, threshold, kind : array, shape (n_nodes,)
        Column, threshold (of categories: the place of their set), and decision type of each node.
    left, right : array of int, shape (n_nodes,)
        Children; one below zero is a leaf, of the number ``-child - 1``.
    value : array, shape (n_leaves,)
        Of the leaves.
    sets : list of list of int
        Categories that go left.
    """

    feature: Array
    threshold: Array
    kind: Array
    left: Array
    right: Array
    value: Array
    sets: list[list[int]]


def read_trees(text: str) -> tuple[str, int, list[Written]]:
    """Read LightGBM's model text: objective, outputs, and trees, of several outputs in turn.

    Examples
    --------
    >>> of = np.array
    >>> tree = Tree(of([0]), of([0.5]), of([True]), of([-1]), of([-2]), of([7.0, 8.0]))
    >>> objective, outputs, (read,) = read_trees(write_trees([tree], 1, "binary sigmoid:1").decode())
    >>> objective, outputs, read.value.tolist()
    ('binary sigmoid:1', 1, [7.0, 8.0])
    """
    head, *blocks = text.partition("end of trees")[0].split("\nTree=")
    told = _fields(head)
    return (
        told.get("objective", ""),
        int(told["num_tree_per_iteration"]),
        [_written(_fields(block)) for block in blocks],
    )


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _written(fields: dict[str, str]) -> Written:
    def numbers(name: str, kind: Any) -> Array:
        return np.array(fields.get(name, "").split(), dtype=kind)

    bounds, words = numbers("cat_boundaries", np.int64), numbers("cat_threshold", np.int64)
    sets = [
        [
            32 * place + bit
            for place, word in enumerate(words[start:end].tolist())
            for bit in range(32)
            if word >> bit & 1
        ]
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]
    return Written(
        numbers("split_feature", np.int64), numbers("threshold", np.float64), numbers("decision_type", np.int64),
        numbers("left_child", np.int64), numbers("right_child", np.int64), numbers("leaf_value", np.float64), sets,
    )  # fmt: skip
