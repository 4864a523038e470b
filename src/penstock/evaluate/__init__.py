"""Evaluate: what a model is worth on rows never seen, and whether it may answer."""

from penstock.evaluate.gate import Gate, Verdict, gate, judge
from penstock.evaluate.measure import Evaluation, Importance, Interval, Slice

__all__ = ["Evaluation", "Gate", "Importance", "Interval", "Slice", "Verdict", "gate", "judge"]
