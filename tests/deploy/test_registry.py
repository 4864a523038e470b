"""Versions, aliases and their history."""

import pytest

from penstock.deploy.registry import Registry, names
from penstock.errors import InputError


def register(registry, digest, passed=True, promote=True):
    return registry.register(
        digest, "run", {"metric": "r2"}, passed=passed, promote=promote, judged_against=None, why="test"
    )


def test_the_gate_makes_champions_and_the_rest_are_challengers(store):
    registry = Registry(store, "m")
    assert register(registry, "a").aliases == ("champion",)
    assert register(registry, "b", passed=False).aliases == ("challenger",)
    assert registry.champion().version == 1
    assert register(registry, "b", promote=False).version == 2
    assert registry.promote("challenger", "agreed").aliases == ("champion",)
    assert registry.find("challenger") is None
    assert names(store) == ["m"]


def test_the_same_model_keeps_its_version(store):
    registry = Registry(store, "m")
    assert [register(registry, digest).version for digest in "aba"] == [1, 2, 1]
    assert [version.version for version in registry.versions()] == [2, 1]


def test_rolling_back_twice_goes_two_back_and_says_so(store):
    registry = Registry(store, "m")
    for digest in "abc":
        register(registry, digest)
    assert registry.rollback("bad").version == 2
    assert registry.rollback("worse").version == 1
    with pytest.raises(InputError, match="nothing to go back to"):
        registry.rollback("again")
    assert [change.why for change in registry.history()][:2] == ["worse", "bad"]
    assert {change.user for change in registry.history()} != {""}


def test_a_version_that_is_not_there_is_named_with_those_that_are(store):
    registry = Registry(store, "m")
    with pytest.raises(InputError, match="there is no model m;"):
        registry.version("champion")
    register(registry, "a")
    with pytest.raises(InputError, match="model m has no v9; versions: v1"):
        registry.promote(9, "x")


def test_without_a_champion_it_is_said_how_to_make_one(store):
    registry = Registry(store, "m")
    for digest in "ab":
        register(registry, digest, passed=False)
    with pytest.raises(
        InputError, match="no champion; versions: v2, v1. Make one the champion with: penstock promote m 2;"
    ):
        registry.version("champion")
