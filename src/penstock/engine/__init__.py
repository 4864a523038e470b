"""Steps, graphs, fingerprints, plans and runs. Knows nothing of machine learning."""

from penstock.engine.graph import Graph
from penstock.engine.plan import Plan, PlannedStep, make_plan
from penstock.engine.results import RunResult, StepResult
from penstock.engine.run import run_graph
from penstock.engine.step import Partitions, Source, Step, source, step

__all__ = [
    "Graph",
    "Partitions",
    "Plan",
    "PlannedStep",
    "RunResult",
    "Source",
    "Step",
    "StepResult",
    "make_plan",
    "run_graph",
    "source",
    "step",
]
