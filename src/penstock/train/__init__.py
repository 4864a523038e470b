"""Train: choosing and fitting a learner, on training rows only; what an author writes under ``train=``."""

from penstock.train.options import Estimator, Search, Train, estimator, search

__all__ = ["Estimator", "Search", "Train", "estimator", "search"]
