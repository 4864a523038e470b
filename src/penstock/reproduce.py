"""Computing a run again from its recorded list of trials, to see whether the same bytes come out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.engine.execute import load, save
from penstock.engine.graph import Graph
from penstock.engine.history import PastRun, artifact_of
from penstock.engine.run import run_graph
from penstock.engine.step import Ref, Source
from penstock.store.store import Store, open_store
from penstock.types.scratch import Scratch


def reproduce_run(made: Any, store: Store, past: PastRun) -> list[dict[str, Any]]:
    """Run a pipeline or graph anew in a temporary store and compare the digests with those of a past run.

    A search is not repeated: how many trials its budget allowed depends on the machine, so the list of
    trials that the run recorded is taken as it is. So is the champion that the model was held against.

    Returns
    -------
    list of dict
        Of each step ``name``, ``same`` and, where it differs, ``why``.
    """
    graph = made if isinstance(made, Graph) else made.graph()
    recorded = artifact_of(store, past, "trials")
    with Scratch("reproduced") as folder:
        fresh = open_store(folder)
        steps = list(graph.steps.values())
        sources = list(graph.sources.values())
        if recorded is not None:
            taken = save(fresh, load(store, recorded))
            steps = [step for step in steps if step.name != "trials"]
            sources.append(Source("trials", lambda _store, _known: taken, location="recorded"))
        sources = [
            _champion_of(source, store, fresh, past) if source.name == "champion" else source for source in sources
        ]
        done = run_graph(Graph.build(graph.name, steps, sources), fresh, seed=past.seed)
        fresh.close()
    before = {item["name"]: item["digest"] for item in past.steps if "[" not in item["name"]}
    found = []
    for item in done.steps:
        same = item.digest is not None and item.digest == before.get(item.name)
        why = (
            ""
            if same
            else item.error or f"{(before.get(item.name) or 'nothing')[:12]} -> {(item.digest or 'nothing')[:12]}"
        )
        found.append({"name": item.name, "same": same, "why": why})
    return found


def _champion_of(source: Source, store: Store, fresh: Store, past: PastRun) -> Source:
    """Give the gate what it was given in the past run."""
    import json

    import sqlalchemy as sa

    from penstock.store.schema import artifacts

    key = next((item["key"] for item in past.steps if item["name"] == "gated"), None)
    with store.catalog.read() as connection:
        parts = connection.execute(sa.select(artifacts.c.parts).where(artifacts.c.key == key)).scalar()
    digest = json.loads(parts).get("input:champion", "none") if parts else "none"
    ref = Ref("none", "json", 4, b"null")
    if digest != "none":
        ref = save(fresh, load(store, Ref(digest, "bundle")))
    return replace(source, resolve=lambda _store, _known: ref)
