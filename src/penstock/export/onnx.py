"""A model as an ONNX graph: its prepared columns in, its answers out, in double precision.

Columns are inputs of their own, of shape (rows, 1): numbers and yes/no as doubles (NaN where missing), categories as
strings (empty where missing). What comes before them, reading raw cells and computing features, is the caller's.
Trees are ``TreeEnsemble`` of ai.onnx.ml 5 (https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html).
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock.errors import InputError
from penstock.features.encoders import Boolean, Category, Number
from penstock.features.learnt import MISSING, OTHERS, TargetMean
from penstock.model import Model
from penstock.train.learners.design import Design
from penstock.train.learners.treetext import Written, read_trees
from penstock.types.convert import convert

_OPSET, _ML, _IR = 21, 5, 10
_LEAST = 1e-15
_CATEGORICAL, _LEFT_WHEN_MISSING, _MISSING = 1, 2, 12
"""Bits of a node's decision type (LightGBM, ``include/LightGBM/tree.h``)."""
_AT_MOST, _MEMBER = 0, 6
"""Modes of a TreeEnsemble's node."""


class _Graph:
    """Nodes and constants that were added so far."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._numbers = itertools.count()

    def constant(self, value: Any) -> str:
        name = f"c{next(self._numbers)}"
        self.constants.append(self._numpy.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        name = f"v{next(self._numbers)}"
        self.nodes.append(self._helper.make_node(operator, list(inputs), [name], domain=domain, **attributes))
        return name

    def tensor(self, values: Sequence[float], kind: str = "DOUBLE") -> Any:
        from onnx import TensorProto

        return self._helper.make_tensor("", getattr(TensorProto, kind), [len(values)], list(values))

    def strings(self, values: Sequence[str]) -> Any:
        from onnx import TensorProto

        return self._helper.make_tensor("", TensorProto.STRING, [len(values)], [item.encode() for item in values])


def to_onnx(model: Model) -> bytes:
    """Write a model as ONNX.

    Returns
    -------
    bytes
        Of the graph; outputs are ``prediction``, shape (rows,), and of classes ``probabilities``, shape (rows, classes).

    Raises
    ------
    InputError
        When a column or a learner has no form in ONNX here: dates, texts, neighbours, an estimator of the author's own.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ModuleNotFoundError:
        raise InputError("--to onnx needs the package onnx: pip install 'penstock[onnx]'") from None
    graph = _Graph()
    inputs, parts, names = [], [], {}
    encoders = model.manifest.encoding.encoders
    numbers = {encoder.column for encoder in encoders if isinstance(encoder, Number | Boolean)}
    for encoder in encoders:
        text = encoder.column not in numbers
        if not isinstance(encoder, Number | Boolean | Category | TargetMean):
            kind = type(encoder).__name__.lower()
            raise InputError(
                f'model {model.name}: column "{encoder.column}" is a {kind}, which is not written as ONNX; leave it out with '
                "ps.features.select, or export to python"
            )
        if encoder.column not in names:
            names[encoder.column] = f"{encoder.column}"
            kind_ = TensorProto.STRING if text else TensorProto.DOUBLE
            inputs.append(helper.make_tensor_value_info(encoder.column, kind_, [None, 1]))
        parts += _encoded(graph, encoder, text=text)
    matrix = graph.add("Concat", parts, axis=1)
    found = _learner(graph, model.manifest.learner, model.files, matrix, len(parts))
    outputs = _outputs(graph, model, found)
    made = helper.make_model(
        helper.make_graph(graph.nodes, model.name, inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML)],
        ir_version=_IR,
        producer_name="penstock",
    )
    helper.set_model_props(made, {"model": model.name, "version": str(model.version), "digest": model.digest})
    checker.check_model(made)
    return bytes(made.SerializeToString())


def _outputs(graph: _Graph, model: Model, found: str) -> list[Any]:
    from onnx import TensorProto, helper

    if model.task == "regression":
        graph.nodes.append(helper.make_node("Squeeze", [found, graph.constant(np.array([1]))], ["prediction"]))
        return [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])]
    if model.task == "binary":
        yes = graph.add("Gather", [found, graph.constant(np.array(1))], axis=1)
        above = graph.add("Greater", [yes, graph.constant(np.float64(model.labels.threshold))])
        code = graph.add("Cast", [above], to=TensorProto.INT64)
    else:
        code = graph.add("ArgMax", [found], axis=1, keepdims=0)
    labels = np.array(model.labels.values)
    kind = {"U": TensorProto.STRING, "i": TensorProto.INT64, "b": TensorProto.BOOL}.get(
        labels.dtype.kind, TensorProto.DOUBLE
    )
    held = labels.astype(object) if labels.dtype.kind == "U" else labels
    graph.nodes.append(helper.make_node("Gather", [graph.constant(held), code], ["prediction"], axis=0))
    graph.nodes.append(helper.make_node("Identity", [found], ["probabilities"]))
    return [
        helper.make_tensor_value_info("prediction", kind, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, len(labels)]),
    ]


def _encoded(graph: _Graph, encoder: Any, *, text: bool) -> list[str]:
    """Return the matrix columns of one column."""
    if isinstance(encoder, Number | Boolean):
        return [encoder.column]

    def looked_up(values: Sequence[float], other: float, missing: float) -> str:
        keys = graph.strings([*levels, ""]) if text else graph.tensor([*map(_number, levels), math.nan])
        return graph.add(
            "LabelEncoder", [encoder.column], "ai.onnx.ml", keys_tensor=keys,
            values_tensor=graph.tensor([*values, missing]), default_tensor=graph.tensor([other]),
        )  # fmt: skip

    if isinstance(encoder, TargetMean):
        levels = [level for level in encoder.levels if level not in (MISSING, OTHERS)]
        found = []
        for means, other in zip(encoder.means, encoder.other, strict=True):
            known = dict(zip(encoder.levels, means, strict=True))
            found.append(looked_up([known[level] for level in levels], other, known.get(MISSING, other)))
        return found
    levels = list(encoder.levels)
    found = [looked_up([float(code) for code in range(len(levels))], float(len(levels)), math.nan)]
    if encoder.counts:
        found.append(looked_up([float(count) for count in encoder.counts], 0.0, math.nan))
    return found


def _number(level: str) -> float:
    """Read back a whole number, or yes and no, that means of the target know as text."""
    return float(level == "true") if level in ("true", "false") else float(level)


def _learner(graph: _Graph, written: Mapping[str, Any], files: Mapping[str, bytes], matrix: str, columns: int) -> str:
    """Add a fitted learner; returns probabilities, shape (rows, classes), or numbers, shape (rows, 1)."""
    if "log" in written:
        inner = _learner(graph, {k: v for k, v in written.items() if k != "log"}, files, matrix, columns)
        held = graph.add("Clip", [inner, graph.constant(np.float64(0)), graph.constant(np.float64(700))])
        less = graph.add("Sub", [graph.add("Exp", [held]), graph.constant(np.float64(1))])
        return graph.add("Mul", [less, graph.constant(np.float64(written["log"]["factor"]))])
    kind, task = written["kind"], written.get("task")
    if kind == "blend":
        return _blend(graph, written, files, matrix, columns)
    if kind == "lightgbm":
        return _trees(graph, written, files["trees.txt"].decode(), matrix)
    if kind == "linear":
        weights = np.load(io.BytesIO(files["weights.npy"]), allow_pickle=False)
        dense = _design(graph, convert(written["design"], Design), matrix)
        scores = graph.add(
            "Add", [graph.add("MatMul", [dense, graph.constant(weights[:, 1:].T)]), graph.constant(weights[:, 0])]
        )
        return _shares(graph, scores, str(task))
    if kind == "network":
        kept = np.load(io.BytesIO(files["weights.npz"]), allow_pickle=False)
        found = _design(graph, convert(written["design"], Design), matrix)
        for number in range(written["layers"]):
            weights, bias = (kept[f"{letter}{number}"].astype(np.float64) for letter in "wb")
            found = graph.add("Add", [graph.add("MatMul", [found, graph.constant(weights)]), graph.constant(bias)])
            if number < written["layers"] - 1:
                found = graph.add("Relu", [found])
        if task == "regression":
            scaled = graph.add("Mul", [found, graph.constant(np.float64(written["spread"]))])
            return graph.add("Add", [scaled, graph.constant(np.float64(written["centre"]))])
        return _shares(graph, found, str(task))
    raise InputError(f"a learner of the kind {kind} is not written as ONNX; train without it, or export to python")


def _blend(graph: _Graph, written: Mapping[str, Any], files: Mapping[str, bytes], matrix: str, columns: int) -> str:
    total = ""
    for number, item in enumerate(written["members"]):
        own = {name.partition("/")[2]: data for name, data in files.items() if name.startswith(f"{number}/")}
        answers = _learner(graph, item["learner"], own, matrix, columns)
        share = graph.add("Mul", [answers, graph.constant(np.float64(item["weight"]))])
        total = graph.add("Add", [total, share]) if total else share
    if written["sharpness"] is None:
        return total
    least = graph.add("Max", [total, graph.constant(np.float64(_LEAST))])
    raised = graph.add("Pow", [least, graph.constant(np.float64(written["sharpness"]))])
    return graph.add("Div", [raised, graph.add("ReduceSum", [raised, graph.constant(np.array([1]))], keepdims=1)])


def _shares(graph: _Graph, scores: str, task: str) -> str:
    """Turn scores into probabilities."""
    if task == "regression":
        return scores
    if task == "multiclass":
        return graph.add("Softmax", [scores], axis=1)
    held = graph.add("Clip", [scores, graph.constant(np.float64(-700)), graph.constant(np.float64(700))])
    return _both(graph, graph.add("Sigmoid", [held]))


def _both(graph: _Graph, yes: str) -> str:
    return graph.add("Concat", [graph.add("Sub", [graph.constant(np.float64(1)), yes]), yes], axis=1)


def _design(graph: _Graph, design: Design, matrix: str) -> str:
    """Add what linear models and networks look at: one column a category, scaled numbers, and which were missing."""
    parts, missing = [], graph.add("IsNaN", [matrix])
    for index, count in enumerate(design.categories):
        at = graph.constant(np.array([index]))
        column = graph.add("Gather", [matrix, at], axis=1)
        if count:
            codes = graph.constant(np.arange(count, dtype=np.float64)[None, :])
            same = graph.add("Equal", [column, codes])  # NaN equals none
            parts.append(graph.add("Cast", [same], to=11))
            continue
        gap = graph.add("Gather", [missing, at], axis=1)
        filled = graph.add("Where", [gap, graph.constant(np.float64(design.fill[index])), column])
        centred = graph.add("Sub", [filled, graph.constant(np.float64(design.mean[index]))])
        scaled = graph.add("Div", [centred, graph.constant(np.float64(design.scale[index]))])
        parts.append(graph.add("Clip", [scaled, graph.constant(np.float64(-10)), graph.constant(np.float64(10))]))
    if design.gaps:
        gaps = graph.add("Gather", [missing, graph.constant(np.array(design.gaps))], axis=1)
        parts.append(graph.add("Cast", [gaps], to=11))
    return graph.add("Concat", parts, axis=1)


def _trees(graph: _Graph, written: Mapping[str, Any], text: str, matrix: str) -> str:
    objective, outputs, trees = read_trees(text)
    if written.get("single"):  # fitted on numbers of single precision
        matrix = graph.add("Cast", [graph.add("Cast", [matrix], to=1)], to=11)
    sums = _ensemble(graph, trees, outputs, matrix)
    word = objective.partition(" ")[0]
    if word == "binary":
        slope = float(objective.partition("sigmoid:")[2] or 1)
        scaled = graph.add("Mul", [sums, graph.constant(np.float64(slope))])
        return _both(graph, graph.add("Sigmoid", [scaled]))
    if word == "multiclass":
        return graph.add("Softmax", [sums], axis=1)
    return _both(graph, sums) if written["task"] == "binary" else sums


def _ensemble(graph: _Graph, trees: Sequence[Written], outputs: int, matrix: str) -> str:
    """Add the sums of trees, shape (rows, outputs)."""
    base = np.zeros(outputs)
    feature: list[int] = []
    split: list[float] = []
    modes: list[int] = []
    missing: list[int] = []
    members: list[float] = []
    ends: dict[str, list[int]] = {"true": [], "trueleaf": [], "false": [], "falseleaf": []}
    leaves: list[float] = []
    targets: list[int] = []
    roots: list[int] = []
    for number, tree in enumerate(trees):
        target = number % outputs
        if not len(tree.feature):
            base[target] += tree.value[0]
            continue
        first, first_leaf = len(feature), len(leaves)
        roots.append(first)
        for node in range(len(tree.feature)):
            kind, threshold = int(tree.kind[node]), float(tree.threshold[node])
            categorical = bool(kind & _CATEGORICAL)
            feature.append(int(tree.feature[node]))
            modes.append(_MEMBER if categorical else _AT_MOST)
            split.append(0.0 if categorical else threshold)
            if categorical:
                members += [*map(float, tree.sets[int(threshold)]), math.nan]
                missing.append(0)
            elif kind & _MISSING == 8:
                missing.append(int(bool(kind & _LEFT_WHEN_MISSING)))
            else:
                missing.append(int(threshold >= 0.0))  # where training had no gap, LightGBM takes one for 0
            for side, child in (("true", int(tree.left[node])), ("false", int(tree.right[node]))):
                ends[side].append(first + child if child >= 0 else first_leaf - child - 1)
                ends[f"{side}leaf"].append(int(child < 0))
        leaves += tree.value.tolist()
        targets += [target] * len(tree.value)
    if not roots:
        rows = graph.add(
            "Mul", [graph.add("Gather", [matrix, graph.constant(np.array([0]))], axis=1), graph.constant(np.float64(0))]
        )
        return graph.add(
            "Add",
            [
                graph.add("Where", [graph.add("IsNaN", [rows]), graph.constant(np.float64(0)), rows]),
                graph.constant(base),
            ],
        )
    more = {"membership_values": graph.tensor(members)} if members else {}
    sums = graph.add(
        "TreeEnsemble", [matrix], "ai.onnx.ml", n_targets=outputs, aggregate_function=1, post_transform=0, tree_roots=roots,
        nodes_modes=graph.tensor(modes, "UINT8"), nodes_featureids=feature, nodes_splits=graph.tensor(split),
        nodes_truenodeids=ends["true"], nodes_trueleafs=ends["trueleaf"], nodes_falsenodeids=ends["false"],
        nodes_falseleafs=ends["falseleaf"], nodes_missing_value_tracks_true=missing, leaf_targetids=targets,
        leaf_weights=graph.tensor(leaves), **more,
    )  # fmt: skip
    return graph.add("Add", [sums, graph.constant(base)])
