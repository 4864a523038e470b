"""Evaluate: what a model is worth on rows never seen, and whether it may answer."""

from penstock.evaluate.gates import Gate, Verdict, gate

__all__ = ["Gate", "Verdict", "gate"]
