"""Notes and tags: kept with a run, by which it is found, and which gc respects."""

import types

import pytest
from tests.cli.test_commands import call, call_json

import penstock as ps
from penstock.engine import Graph, run_graph
from penstock.engine.cleanup import clean
from penstock.engine.history import past_run
from penstock.engine.notes import add_note, add_tags, notes_of, remove_tags
from penstock.errors import InputError


def one() -> int:
    return 1


def run(store):
    module = types.ModuleType("noted")
    module.one = ps.step(one)
    return run_graph(Graph.of(module, "noted"), store).run


def test_a_tag_names_the_latest_run_that_has_it(store):
    first, second, third = run(store), run(store), run(store)
    add_tags(store, first, ["base", "base"])
    assert past_run(store, "base").run == first
    add_tags(store, second, ["base"])
    assert past_run(store, "base").run == second
    remove_tags(store, second, ["base"])
    assert past_run(store, "base").run == first
    with pytest.raises(InputError, match="no tag 'base'; its tags: none"):
        remove_tags(store, third, ["base"])
    with pytest.raises(InputError, match="there is no run 'bas'"):
        past_run(store, "bas")


def test_a_pipelines_name_is_its_latest_run(store):
    first, second = run(store), run(store)
    other = run_graph(Graph.build("other", []), store).run
    assert past_run(store, "latest").run == other
    assert past_run(store, "noted").run == second
    assert past_run(store, "noted~1").run == first
    for name in ("noted~2", "note", "noted~x", "7", "latest~x"):
        with pytest.raises(InputError, match=f"there is no run '{name}'"):
            past_run(store, name)


@pytest.mark.parametrize("tag", ["", "latest", "2026", "two words", "x" * 51, "-x", "_x", "a/b"])
def test_what_could_be_taken_for_something_else_is_no_tag(store, tag):
    here = run(store)
    with pytest.raises(InputError, match="a tag is a word"):
        add_tags(store, here, ["fine", tag])
    assert notes_of(store, [here]) == []


def test_cleaning_leaves_tagged_runs_and_takes_notes_with_their_run(store):
    first, second, third = run(store), run(store), run(store)
    add_tags(store, first, ["été"])
    add_note(store, second, "  to go  ")
    assert [item.text for item in notes_of(store, [second])] == ["to go"]
    assert clean(store, keep=1).runs == 1
    assert past_run(store, "été").run == first
    assert past_run(store, "latest").run == third
    assert notes_of(store, [second]) == []


def test_cleaning_leaves_what_is_younger_than_asked(store):
    first, second = run(store), run(store)
    assert clean(store, keep=1, older=3600).runs == 0
    assert past_run(store, first).run == first
    assert clean(store, keep=1, older=1e-6).runs == 1
    assert past_run(store, "latest").run == second


def test_people_write_and_read_them_at_the_terminal(store, tmp_path):
    here = run(store)
    where = ("--store", tmp_path / "store")
    call("note", "latest", "duplicates of March left out", *where)
    assert call_json("tag", "latest", "baseline", "v-1", *where)["tags"] == ["baseline", "v-1"]
    shown = call("show", "baseline", *where).stdout
    assert "tags baseline, v-1" in shown
    assert "duplicates of March left out" in shown
    assert [item["tags"] for item in call_json("runs", "--tag", "v-1", *where)] == [["baseline", "v-1"]]
    assert call_json("runs", "--tag", "other", *where) == []
    assert call("tag", here, "v-1", "--remove", *where).stdout.endswith(": baseline\n")
    assert "a note has between 1" in call("note", here, "  ", *where, code=2).stderr
