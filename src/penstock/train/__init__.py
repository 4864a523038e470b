"""Train: choosing and fitting a learner, on training rows only."""

from penstock.train.learners import Predictor, read_predictor
from penstock.train.options import Estimator, Search, Train, estimator, search
from penstock.train.search import Trial, best_trial, fit_trial, run_trials
from penstock.train.split import Division, Split, divide

__all__ = [
    "Division",
    "Estimator",
    "Predictor",
    "Search",
    "Split",
    "Train",
    "Trial",
    "best_trial",
    "divide",
    "estimator",
    "fit_trial",
    "read_predictor",
    "run_trials",
    "search",
]
