"""What a search tries, in order: first a fixed list of configurations that complement each other, then draws by Optuna.

The idea of a portfolio is that of TabRepo (Salinas and Erickson 2024, arXiv:2311.02971): what worked on many tables is
tried before anything is learnt about this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

Parameters = dict[str, Any]
Proposal = tuple[str, Parameters]
_NEAR = 20_000
"""Rows up to which the nearest neighbours are asked."""

# "TD": the tuned defaults of Holzmueller, Grinsztajn and Steinwart 2024 (arXiv:2407.04491, tables B.1 and B.2).
# "TabRepo": configurations of its portfolio. The others were chosen on the data sets of benchmarks/models.py.
_SMALL_TREES: Parameters = {"learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.8}
_FEW_ROUNDS: Parameters = {"learning_rate": 0.15, "num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 0.8}
_TD_LIGHTGBM: dict[bool, Parameters] = {
    True: {
        "learning_rate": 0.04, "num_leaves": 50, "bagging_fraction": 0.75, "bagging_freq": 1, "min_data_in_leaf": 40,
        "min_sum_hessian_in_leaf": 1e-7,
    },
    False: {
        "learning_rate": 0.05, "num_leaves": 100, "bagging_fraction": 0.7, "bagging_freq": 1, "min_data_in_leaf": 3,
        "min_sum_hessian_in_leaf": 1e-7,
    },
}  # fmt: skip
_TD_CATBOOST: dict[bool, Parameters] = {
    True: {
        "learning_rate": 0.08, "l2_leaf_reg": 1e-5, "boosting_type": "Plain", "bootstrap_type": "Bernoulli", "subsample": 0.9,
        "depth": 7, "random_strength": 0.8, "leaf_estimation_iterations": 1,
    },
    False: {
        "learning_rate": 0.09, "l2_leaf_reg": 1e-5, "boosting_type": "Plain", "bootstrap_type": "Bernoulli", "subsample": 0.9,
        "depth": 8, "random_strength": 0.0, "leaf_estimation_iterations": 1,
    },
}  # fmt: skip
_TD_XGBOOST: dict[bool, Parameters] = {
    True: {
        "learning_rate": 0.08, "min_child_weight": 5e-6, "reg_lambda": 0.0, "max_depth": 6, "colsample_bylevel": 0.9,
        "subsample": 0.65,
    },
    False: {"learning_rate": 0.05, "max_depth": 9, "min_child_weight": 2.0, "reg_lambda": 0.0, "subsample": 0.7},
}  # fmt: skip
_WIDE = 100
_FEW_COLUMNS: dict[str, Parameters] = {
    "lightgbm": {"feature_fraction": 0.3}, "xgboost": {"colsample_bylevel": 0.3}, "catboost": {"rsm": 0.1},
}  # fmt: skip
"""As good on tables of 130 to 1,400 columns (pd_speech, ad_data, hepatic_injury_qsar, permeability_qsar, grants_other), in half to an eighth
of the time."""
_MANY_ROWS, _LASSO_CELLS = 20, 10_000_000
"""With so many rows a column, weights that do not matter come out small by themselves; of more cells a lasso takes over half a minute."""
_RARE = 0.05
_GENTLE: dict[str, Parameters] = {
    "lightgbm": {"lambda_l2": 1.0}, "xgboost": {"reg_lambda": 1.0}, "catboost": {"l2_leaf_reg": 3.0},
}  # fmt: skip
"""Of a rare class the second derivatives are tiny, so that a Newton step without a penalty overshoots: benchmarks/README.md, `rare_classes.py`."""
_TABREPO_EXTRA: Parameters = {
    "extra_trees": True, "learning_rate": 0.0339, "feature_fraction": 0.828, "min_data_in_leaf": 6, "num_leaves": 127,
}  # fmt: skip
_TABREPO_SLOW: Parameters = {
    "learning_rate": 0.0121, "feature_fraction": 0.702, "min_data_in_leaf": 14, "num_leaves": 53,
}  # fmt: skip


def portfolio(
    task: str,
    rows: int,
    skewed: bool,
    learners: Sequence[str],
    columns: int = 1,
    hurried: bool = False,
    rarest: float = 1.0,
) -> list[Proposal]:
    """Return the fixed list for a task.

    Parameters
    ----------
    rows : int
        To learn from.
    skewed : bool
        Whether the target is above zero with a long tail, so that its logarithm may be easier to learn.
    columns : int
        To learn from; of more than a hundred, trees look at some at a time.
    hurried : bool
        Whether the budget is short for the rows: begin with trees that few rounds make good.
    rarest : float
        Share of the rows that the rarest class has; below 5 % trees take gentler steps.

    Returns
    -------
    list of (str, dict)
        Learner and parameters; those with ``means`` are for tables that have means of the target to learn from, those
        with ``trend`` for numbers to predict of rows that are divided by time.

    Examples
    --------
    >>> [learner for learner, _ in portfolio("binary", 1000, False, ["linear", "lightgbm"])][:2]
    ['linear', 'lightgbm']
    >>> [parameters for _, parameters in portfolio("binary", 1000, False, ["linear"], columns=200)]
    [{}, {'lasso': True}]
    """
    classes = task != "regression"
    log: Parameters = {"target": "log"}
    of_means: Parameters = {"means": True}
    trend: Parameters = {"trend": True}  # not of chances: ranks do not tell one that goes too far (elec2 was worse)
    found: list[Proposal | None] = [
        ("lightgbm", _FEW_ROUNDS) if hurried else None,
        ("linear", {}),
        None if classes else ("linear", trend),
        ("lightgbm", _SMALL_TREES),
        ("linear", {"lasso": True}) if columns > max(_WIDE, rows / _MANY_ROWS) and rows * columns <= _LASSO_CELLS else None,
        ("xgboost", _TD_XGBOOST[classes]),
        ("catboost", _catboost_for(rows)),
        None if classes else ("lightgbm", {**_SMALL_TREES, **trend}),
        ("lightgbm", {**_SMALL_TREES, **log}) if skewed else None,
        ("catboost", {**_catboost_for(rows), **of_means, **(log if skewed else {})}),
        ("lightgbm", {"extra_trees": True, "learning_rate": 0.03, "num_leaves": 31, "feature_fraction": 0.7}),
        ("lightgbm", _TD_LIGHTGBM[classes]),
        (
            "network",
            {
                "layers": [128, 64], "alpha": 1e-3, "learning_rate_init": 2e-3, "max_iter": 100, "n_iter_no_change": 10,
                "batch_size": 256 if rows > 2_000 else 32,
            },
        ),
        ("extra_trees", _extra(task, rows)),
        None if classes else ("catboost", {**_catboost_for(rows), **trend}),
        ("catboost", _TD_CATBOOST[classes]),
        ("catboost", {**_catboost_for(rows), **log}) if skewed else None,
        ("lightgbm", {**_SMALL_TREES, **of_means}),
        ("lightgbm", _TABREPO_EXTRA),
        ("linear", log) if skewed else None,
        ("catboost", {"learning_rate": 0.05, "depth": 4, "l2_leaf_reg": 4.56}),
        ("neighbours", {"k": 15}) if rows <= _NEAR else None,
        ("lightgbm", _TABREPO_SLOW),
        ("xgboost", {"learning_rate": 0.018, "max_depth": 10, "min_child_weight": 0.6, "colsample_bytree": 0.69}),
    ]  # fmt: skip
    few = _FEW_COLUMNS if columns > _WIDE else {}
    gentle = _GENTLE if rarest < _RARE else {}
    return [
        (learner, {**parameters, **few.get(learner, {}), **gentle.get(learner, {})})
        for learner, parameters in filter(None, found)
        if learner in learners
    ]


def of_things(planned: Sequence[Proposal]) -> list[Proposal]:
    """Return a list for a table with columns that name many things, such as customers: all learn from means of the target.

    Boosted trees are tried without them too.

    Examples
    --------
    >>> of_things([("linear", {}), ("lightgbm", {}), ("lightgbm", {"means": True})])
    [('linear', {'means': True}), ('lightgbm', {'means': True}), ('lightgbm', {})]
    """
    found: list[Proposal] = []
    for learner, parameters in planned:
        plain = learner == "lightgbm" and not any(known == learner for known, _ in found)
        for item in [(learner, {**parameters, "means": True}), *([(learner, parameters)] if plain else [])]:
            if item not in found:
                found.append(item)
    return found


def _catboost_for(rows: int) -> Parameters:
    """Larger steps on larger tables: as good there, and a quarter faster (California housing, New York flights)."""
    if rows < 5_000:
        return {"learning_rate": 0.06, "depth": 6}
    return {
        "learning_rate": 0.1, "depth": 6, "leaf_estimation_iterations": 1, "bootstrap_type": "Bernoulli", "subsample": 0.8,
    }  # fmt: skip


def _extra(task: str, rows: int) -> Parameters:
    """Few enough leaves that the stored forest stays within some megabytes."""
    return {
        "n_estimators": 100, "max_features": 0.75 if task == "regression" else "sqrt",
        "min_samples_leaf": 2 if rows < 2_000 else 3 if rows < 20_000 else 5, "max_leaf_nodes": 2_000,
    }  # fmt: skip


class Draws:
    """Proposals by Optuna's tree-structured Parzen estimator, told what the trials before gave; the same for the same seed.

    Parameters
    ----------
    higher : bool
        Whether a higher score is better.
    offered : collection of str
        What there is to learn from besides: see :data:`~penstock.train.learners.OFFERS`.
    """

    def __init__(self, learners: Sequence[str], seed: int, higher: bool, offered: Collection[str] = ()) -> None:
        import optuna

        self._offered = sorted(offered)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._studies = {
            learner: optuna.create_study(
                direction="maximize" if higher else "minimize",
                sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5, constant_liar=True),
            )
            for learner in ("lightgbm", "catboost", "xgboost")
            if learner in learners
        }
        self._asked: list[Any] = []

    def propose(self) -> Iterator[tuple[str, Parameters, Any]]:
        """Yield what to try, and what :meth:`tell` wants to be given with its score; endless, or nothing."""
        turn = 0
        while self._studies:
            learner = list(self._studies)[turn % len(self._studies)]
            turn += 1
            trial = self._studies[learner].ask()
            parameters = _SPACES[learner](trial)
            parameters.update({name: True for name in self._offered if trial.suggest_categorical(name, [False, True])})
            yield learner, parameters, (learner, trial)

    def tell(self, asked: Any, score: float | None) -> None:
        """Learn from a score; of a trial that failed, None."""
        import optuna

        learner, trial = asked
        failed = optuna.trial.TrialState.FAIL
        self._studies[learner].tell(trial, score, state=failed if score is None else None)


def _lightgbm(trial: Any) -> Parameters:
    return {
        "learning_rate": round(trial.suggest_float("learning_rate", 0.01, 0.12, log=True), 4),
        "num_leaves": trial.suggest_int("num_leaves", 4, 200, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 2, 100, log=True),
        "feature_fraction": round(trial.suggest_float("feature_fraction", 0.3, 1.0), 2),
        "bagging_fraction": round(trial.suggest_float("bagging_fraction", 0.5, 1.0), 2),
        "bagging_freq": 1,
        "lambda_l2": round(trial.suggest_float("lambda_l2", 0.001, 20.0, log=True), 4),
        "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
    }


def _catboost(trial: Any) -> Parameters:
    return {
        "learning_rate": round(trial.suggest_float("learning_rate", 0.02, 0.15, log=True), 4),
        "depth": trial.suggest_int("depth", 3, 8),
        "l2_leaf_reg": round(trial.suggest_float("l2_leaf_reg", 0.01, 10.0, log=True), 4),
        "random_strength": round(trial.suggest_float("random_strength", 0.1, 4.0, log=True), 3),
    }


def _xgboost(trial: Any) -> Parameters:
    return {
        "learning_rate": round(trial.suggest_float("learning_rate", 0.015, 0.15, log=True), 4),
        "max_depth": trial.suggest_int("max_depth", 2, 10),
        "min_child_weight": round(trial.suggest_float("min_child_weight", 0.001, 20.0, log=True), 4),
        "subsample": round(trial.suggest_float("subsample", 0.5, 1.0), 2),
        "colsample_bytree": round(trial.suggest_float("colsample_bytree", 0.3, 1.0), 2),
        "reg_lambda": round(trial.suggest_float("reg_lambda", 0.001, 20.0, log=True), 4),
    }


_SPACES = {"lightgbm": _lightgbm, "catboost": _catboost, "xgboost": _xgboost}


def named(parameters: Mapping[str, Any]) -> str:
    """Write parameters for a person.

    Examples
    --------
    >>> named({"C": 1.0, "rounds": 12})
    'C=1.0 rounds=12'
    """
    return " ".join(f"{name}={value}" for name, value in parameters.items())
