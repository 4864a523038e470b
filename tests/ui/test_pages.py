"""The pages, over a real catalog, by HTTP and in a browser: what they show, who may look, who may decide."""

import contextlib
import re
import threading
import time
import types
import urllib.parse

import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright import sync_api
from tests.conftest import customers, make_pipeline
from tests.servers import pages

import penstock as ps
from penstock.cli import cli
from penstock.engine import Graph, run_graph
from penstock.engine.notes import notes_of
from penstock.monitor.decisions import decide, decisions_of, end
from penstock.store.store import open_store
from penstock.ui import access

SECRETS = {access.DECIDER: "of-who-decides-0123456789", access.LOOKER: "of-who-looks-0123456789"}


@contextlib.contextmanager
def browser():
    """Open Chromium, and hold that no page complains."""
    problems = []
    with sync_api.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        except sync_api.Error:
            pytest.skip("Chromium is not installed")

        def page(**how):
            made = opened.new_page(**how)
            made.on("console", lambda message: problems.append(message.text))
            made.on("pageerror", lambda error: problems.append(str(error)))
            return made

        yield page
        opened.close()
    assert problems == []


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """A store with a pipeline of two runs, a failed one of another, and decisions."""
    folder = tmp_path_factory.mktemp("team")
    customers().write_csv(folder / "customers.csv")
    store = open_store(folder / ".penstock")
    first = make_pipeline(folder).run(store)
    second = make_pipeline(folder, train=ps.train.search(trials=3, folds=3)).run(store)
    graph = graph_of("<b>odd</b> & été", broken, after)
    failed = run_graph(graph, store)
    decide(store, "customers", "drift:1", "alarm", "column paid drifted")
    asked = decide(store, "customers", "drift:1:retrain", "promote", "v2 is better", "asked", version=2)
    yield folder / ".penstock", store, first, second, failed, asked
    store.close()


def broken() -> int:
    print("printed <i>before</i>")
    raise ValueError("<script>alert(1)</script> went wrong")


def after(broken: int) -> int:
    return broken


def graph_of(name, *functions):
    module = types.ModuleType(name)
    vars(module).update({function.__name__: ps.step(function) for function in functions})
    return Graph.of(module, name)


def form_token(text):
    return re.search(r'name="form_token" value="([^"]+)"', text)[1]


def test_no_link_leads_nowhere_and_every_page_says_what_it_should(team):
    place, _, first, second, failed, _ = team
    with pages(place) as client:
        seen, waiting = {}, ["/"]
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            found = client.get(path)
            assert found.status_code == 200, path
            seen[path] = found.text
            if "/report" not in path:
                waiting += [link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]*)"', found.text)]
    assert len(seen) > 40
    home = seen["/"]
    assert "decision waits" in home
    assert "&lt;b&gt;odd&lt;/b&gt; &amp; été" in home
    run = seen[f"/runs/{second.run}"]
    assert "trials 2 -&gt; 3" in run
    assert f"{second.metrics[second.metric].value:.4g}" in run
    table = seen[f"/runs/{first.run}/steps/prepared"]
    assert "600 rows" in table
    assert "city" in table
    compared = seen[f"/compare?one={first.run}&other={second.run}"]
    assert "trials 2 -&gt; 3" in compared
    assert "<td>champion</td>" in seen["/audit"]
    assert "customers" not in seen["/audit?pipeline=%3Cb%3Eodd%3C%2Fb%3E%20%26%20%C3%A9t%C3%A9"].partition("<table>")[2]
    step = seen[f"/runs/{failed.run}/steps/broken"]
    assert "printed &lt;i&gt;before&lt;/i&gt;" in step
    assert "&lt;script&gt;alert(1)&lt;/script&gt; went wrong" in step
    assert "paid_per_order" in seen["/models/customers/features"]
    assert "column paid drifted" in seen["/models/customers/monitoring"]
    assert "Champion: 1. Drift: 1. Decided: 1." in seen["/models/customers/monitoring"]
    assert not any("<script>alert" in text for text in seen.values())


def test_the_graph_is_that_of_the_pipeline(team):
    place, _, _, second, _, _ = team
    with pages(place) as client:
        text = client.get(f"/runs/{second.run}/steps/trained").text
    assert re.search(r"Takes .*>trials</a>", text)
    assert re.search(r"Feeds .*>evaluated</a>", text)


@pytest.mark.parametrize(
    "look", [{"color_scheme": "light"}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}]
)
def test_pages_are_fit_for_keyboards_readers_and_phones(team, look):
    place, _, _, second, _, _ = team
    paths = [
        "/", "/runs", f"/runs/{second.run}", f"/runs/{second.run}/steps/prepared", "/compare", "/models/customers",
        "/models/customers/features", "/models/customers/traffic", "/models/customers/monitoring", "/search?q=customers",
        "/models/customers/try",
    ]  # fmt: skip
    with pages(place) as client, browser() as open_page:
        page = open_page(**look)
        for path in paths:
            page.goto(str(client.base_url.join(path)))
            found = Axe().run(page)
            bad = [item["id"] for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
            assert bad == [], (path, found.generate_report())
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_a_person_approves_in_the_browser_what_the_watcher_asked(team):
    place, store, _, _, _, asked = team
    with pages(place) as client, browser() as open_page:
        page = open_page()
        page.goto(str(client.base_url.join("/models/customers/monitoring")))
        page.fill("input[name=why]", "the new prices are meant")
        page.click("text=Approve")
        page.wait_for_url("**/monitoring")
        assert "approved" in page.inner_text("table")
    made = next(item for item in decisions_of(store, "customers") if item.id == asked.id)
    assert made.status == "approved"
    assert "the new prices are meant" in made.why
    end(store, asked.id, "asked", "v2 is better")


def test_a_note_and_a_tag_are_left_with_a_run_and_found_again(team):
    place, store, first, *_ = team
    with pages(place) as client, browser() as page:
        shown = page()
        shown.goto(f"{client.base_url}/runs/{first.run}")
        shown.get_by_label("Note").fill("before <b>the</b> été")
        shown.get_by_label("Tag").fill("baseline")
        shown.get_by_role("button", name="Add").click()
        assert "before <b>the</b> été" in shown.locator("main").inner_text()
        assert [item.tag or item.text for item in notes_of(store, [first.run])] == ["baseline", "before <b>the</b> été"]
        assert f">{first.run}</code>" in client.get("/runs/baseline").text
        assert "baseline</span>" in client.get("/runs").text
        assert f"/runs/{first.run}" in client.get("/search?q=the</b>").text
        form = {"form_token": form_token(client.get("/runs/baseline").text), "tag": "two words"}
        refused = client.post(f"/runs/{first.run}/notes", data=form)
        assert (refused.status_code, "a tag is a word" in refused.text) == (400, True)


def test_a_model_is_asked_by_hand(team):
    place, store, _, second, _, _ = team
    with pages(place) as client, browser() as open_page:
        page = open_page()
        page.goto(str(client.base_url.join("/models/customers/try")))
        page.fill("input[name='c.paid']", "12.5")
        page.click("button:has-text('Answer')")
        page.wait_for_selector(".said")
        said = page.inner_text(".said")
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.url).query))
        page.fill("input[name='c.paid']", "<b>much</b>")
        page.click("button:has-text('Answer')")
        page.wait_for_selector("[role=alert]")
        assert "paid" in page.inner_text("[role=alert]")
    model = ps.load("customers", store=store)
    row = {**model.typical_row(), "paid": 12.5}
    expected = model.answer([row])[0]
    assert asked["c.paid"] == "12.5"
    assert said.startswith(str(expected.prediction))
    assert all(f"{name} {100 * share:.4g} %" in said for name, share in expected.probabilities.items())


def test_other_sites_and_forged_forms_decide_nothing(team):
    place, store, _, _, _, asked = team
    path = f"/models/customers/decisions/{asked.id}/rejected"
    with pages(place) as client:
        token = form_token(client.get("/models/customers/monitoring").text)
        assert client.post(path).status_code == 403
        assert client.post(path, data={"form_token": "x" * 64}).status_code == 403
        foreign = client.post(path, data={"form_token": token}, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert client.post(path, data={"form_token": token, "why": "x" * 9_000}).status_code == 413
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        assert client.post(path.replace("rejected", "erased"), data={"form_token": token}).status_code == 404
        assert client.post("/models/customers/decisions/999/rejected", data={"form_token": token}).status_code == 404
    assert next(item for item in decisions_of(store, "customers") if item.id == asked.id).status == "asked"


def test_with_tokens_nobody_looks_without_and_readers_only_look(team):
    place, _, _, _, _, asked = team
    with pages(place, **SECRETS) as client:
        away = client.get("/models/customers")
        assert away.status_code == 303
        assert away.headers["location"] == "/login?next=/models/customers"
        wrong = client.post("/login", data={"form_token": form_token(client.get("/login").text), "token": "guess"})
        assert wrong.status_code == 403
        for variable, may in ((access.LOOKER, False), (access.DECIDER, True)):
            client.cookies.clear()
            mine = form_token(client.get("/login?next=//evil.example").text)
            entered = client.post(
                "/login", data={"form_token": mine, "token": SECRETS[variable], "next": "//evil.example"}
            )
            assert entered.headers["location"] == "/"
            assert "httponly" in entered.headers["set-cookie"].lower()
            assert "samesite=strict" in entered.headers["set-cookie"].lower()
            page = client.get("/models/customers/monitoring")
            assert ("Approve" in page.text) is may
            if not may:
                assert client.post(f"/models/customers/decisions/{asked.id}/approved").status_code == 403
        role, ends, more, _ = client.cookies["penstock_ui"].split(".")
        client.cookies.clear()
        client.cookies.set("penstock_ui", f"{role}.{int(ends) + 9_999}.{more}.{'0' * 64}")
        assert client.get("/").status_code == 303
        client.cookies.clear()
        known = client.get("/", headers={"authorization": f"Bearer {SECRETS[access.LOOKER]}"})
        assert known.status_code == 200
        assert not any(secret in known.text for secret in SECRETS.values())


def test_others_are_not_let_in_without_a_token(team, monkeypatch):
    place = team[0]
    for value, told in (("", "others could look too"), ("short", "expected at least 16")):
        monkeypatch.setenv(access.DECIDER, value)
        done = CliRunner().invoke(cli, ["ui", "--host", "0.0.0.0", "--port", "0", "--store", str(place)])
        assert isinstance(done.exception, Exception)
        assert told in str(done.exception)
        assert done.exception.exit_code == 2


def test_a_run_is_followed_while_it_works(module, tmp_path):
    made = module(
        f"""
        import time
        import penstock as ps
        from pathlib import Path

        @ps.step
        def quick() -> int:
            return 1

        @ps.step(cache=False)
        def slow(quick: int) -> int:
            Path({str(tmp_path / "begun")!r}).touch()
            while not Path({str(tmp_path / "go")!r}).exists():
                time.sleep(0.05)
            return quick
        """
    )
    store = open_store(tmp_path / "s")
    worker = threading.Thread(target=lambda: run_graph(Graph.of(made, "work"), store), daemon=True)
    worker.start()
    try:
        while not (tmp_path / "begun").exists():
            assert worker.is_alive()
            time.sleep(0.05)
        with pages(tmp_path / "s") as client, browser() as open_page:
            page = open_page()
            page.goto(str(client.base_url))
            assert "running" in page.inner_text("table")
            page.click("td a code")
            assert "running" in page.inner_text("h1")
            (tmp_path / "go").touch()
            page.wait_for_selector("h1 .succeeded", timeout=20_000)
            assert page.locator("td .ran").count() == 2
    finally:
        (tmp_path / "go").touch()
        worker.join(60)
        store.close()


def test_an_empty_store_says_how_to_begin(tmp_path):
    open_store(tmp_path / "s").close()
    with pages(tmp_path / "s") as client:
        assert "penstock run PIPELINE" in client.get("/").text
        assert "There are none." in client.get("/runs?page=9").text
        for odd in ("9" * 30, "²", "-1", "x"):
            assert client.get("/runs", params={"page": odd}).status_code == 200
            assert client.get(f"/models/none/versions/{odd}/report").status_code == 404
        assert client.get("/compare").status_code == 404
        assert "Nothing." in client.get("/search", params={"q": "%_'\"<x>"}).text


def test_artifacts_of_every_kind_are_shown_or_named(module, tmp_path):
    made = module(
        """
        import penstock as ps
        import polars as pl

        @ps.step
        def parts() -> ps.Partitions[pl.DataFrame]:
            return ps.Partitions({"a/1": pl.DataFrame({"naïve": ["<ä>", None]}), "b": pl.DataFrame({"naïve": ["x"]})})

        @ps.step(each="parts")
        def shouted(parts: pl.DataFrame) -> int:
            return parts.height

        @ps.step
        def empty() -> pl.DataFrame:
            return pl.DataFrame({"n": []}, schema={"n": pl.Int64})

        @ps.step
        def drawn() -> object:
            from matplotlib.figure import Figure
            figure = Figure()
            figure.subplots().plot([1, 2])
            return figure

        @ps.step
        def words() -> dict:
            return {"größe": [1, 2]}

        @ps.step
        def scored(words: dict) -> dict:
            return {"auc": 0.75}

        @ps.step
        def pair(words: dict):
            return words, {1, 2}
        """
    )
    store = open_store(tmp_path / "s")
    done = run_graph(Graph.of(made, "kinds"), store)
    done.raise_for_status()
    with pages(tmp_path / "s") as client:
        texts = {
            name: client.get(f"/runs/{done.run}/steps/{urllib.parse.quote(name, safe='')}").text
            for name in ("parts", "shouted", "empty", "drawn", "words", "pair", "shouted[a/1]")
        }
        again = run_graph(Graph.of(made, "kinds"), store)
        page = client.get(f"/runs/{done.run}").text
        both = client.get(f"/compare?one={done.run}&other={again.run}").text
    assert '<td>scored.auc</td><td class="n">0.75</td>' in page
    assert both.count("0.75") == 2
    assert "({&#39;größe&#39;: [1, 2]}, {1, 2})" in texts["pair"]
    assert "3 rows in 2 parts" in texts["parts"]
    assert "&lt;ä&gt;" in texts["parts"]
    assert "2 parts" in texts["shouted"]
    assert "1 columns, 0 rows" in texts["empty"]
    assert "data:image/png;base64," in texts["drawn"]
    assert "größe" in texts["words"]
    assert "shouted[a/1]" in texts["shouted[a/1]"]
    store.close()


def test_a_store_of_an_earlier_version_gets_its_new_column(tmp_path):
    import sqlite3

    store = open_store(tmp_path / "s")
    run_graph(graph_of("old", broken), store)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "s" / "catalog.db")) as connection:
        connection.execute("ALTER TABLE steps DROP COLUMN started")
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
        connection.commit()
    store = open_store(tmp_path / "s")
    before = time.time()
    done = run_graph(graph_of("old", broken), store)
    with pages(tmp_path / "s") as client:
        assert client.get(f"/runs/{done.run}").text.count('<svg class="bar"') == 1
        assert client.get("/runs").text.count("/runs/2") == 2
    assert done.steps[0].started >= before
    store.close()
