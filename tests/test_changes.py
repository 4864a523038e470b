"""Differences of runs for the review of code: against a branch, as Markdown; and results in notebooks."""

import subprocess
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

import penstock as ps
from penstock.changes import run_of_branch
from penstock.cli import cli
from penstock.errors import InputError
from penstock.store.store import open_store
from penstock.watch import monitor
from tests.conftest import customers, make_pipeline


def git(folder, *words):
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """A repository with a run on main, and one on a branch that changes the search and the data."""
    folder = tmp_path_factory.mktemp("reviewed")
    customers().write_csv(folder / "customers.csv")
    (folder / "pipeline.py").write_text("# one\n")
    (folder / ".gitignore").write_text("s\n*.toml\n")
    git(folder, "init", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "one")
    store = open_store(folder / "s")
    first = make_pipeline(folder).run(store)
    git(folder, "checkout", "-b", "longer")
    (folder / "pipeline.py").write_text("# two\n")
    customers(700).write_csv(folder / "customers.csv")
    git(folder, "commit", "-am", "two")
    second = make_pipeline(folder, train=ps.train.search(trials=3, folds=3)).run(store)
    yield folder, store, first, second
    store.close()


def test_a_branch_is_compared_with_the_run_of_the_one_it_left(reviewed, monkeypatch):
    folder, _, first, second = reviewed
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, ["diff", "--base", "main", "--format", "markdown", "--store", str(folder / "s")])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == f"### customers: `{first.run}` → `{second.run}` (succeeded)"
    deciding = next(line for line in lines if line.startswith("| **roc"))
    assert f"{first.metrics['roc_auc'].value:.4g} | {second.metrics['roc_auc'].value:.4g}" in deciding
    assert "- trials: trials 2 -> 3" in done.output
    assert "600 rows -> 700 rows" in done.output


def test_a_branch_without_a_run_or_unknown_is_told(reviewed, monkeypatch):
    folder, store, _, _ = reviewed
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="unknown revision|bad revision"):
        run_of_branch(store, "nowhere", "customers")
    with pytest.raises(InputError, match="not a branch"):
        run_of_branch(store, "--output=x", "customers")
    with pytest.raises(InputError, match="has a run of others"):
        run_of_branch(store, "main", "others")
    for words in ([], ["a", "b", "c"], ["a", "b", "--base", "main"]):
        with pytest.raises(InputError, match="one or two runs"):
            CliRunner().invoke(cli, ["diff", *words, "--store", str(folder / "s")], catch_exceptions=False)


class Seen(HTMLParser):
    """Collects the words and tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, _attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_results_show_themselves_in_notebooks(reviewed):
    _, store, _, second = reviewed
    run = Seen(second._repr_html_())
    assert {"table", "iframe"} <= set(run.tags)
    assert f"{second.metrics['roc_auc'].value:.4g}" in run.words
    model = Seen(ps.load("customers", store=store)._repr_html_())
    assert {"city", "paid", "customers v2"} <= set(model.words)
    watched = Seen(monitor("customers", store)._repr_html_())
    assert "customers v2: not enough data" in watched.words


def test_a_plan_and_a_failed_run_show_themselves_escaped(tmp_path):
    customers().write_csv(tmp_path / "customers.csv")
    pipeline = make_pipeline(tmp_path, name="a&b")
    store = open_store(tmp_path / "s")
    plan = Seen(pipeline.plan(store)._repr_html_())
    assert "plan of a&b" in plan.words
    assert "stale" in plan.words
    (tmp_path / "customers.csv").write_text("left,<img src=x>\n")
    failed = pipeline.run(store)
    store.close()
    shown = Seen(failed._repr_html_())
    assert failed.status == "failed"
    assert "img" not in shown.tags
    assert "failed" in shown.words
