"""Rows from a real HTTP server that misbehaves on purpose."""

import contextlib
import email.utils
import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.ingest.download import download, place_of
from penstock.ingest.http import by_cursor, by_link, by_offset, by_page, http
from penstock.store.store import open_store

ROWS = [
    {"id": i, "city": ["Oslo", "Rome", "Łódź"][i % 3], "size": i * 0.5, "gone": "yes" if i % 4 else "no"}
    for i in range(95)
]


class Api(BaseHTTPRequestHandler):
    """Pages of ROWS at several paths; `faults` maps the number of a request to what goes wrong with it."""

    protocol_version = "HTTP/1.1"
    faults: dict = {}
    asked: list = []
    grown: list = []

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=(), cut=None):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])

    def do_GET(self):
        cls = type(self)
        cls.asked.append((time.monotonic(), self.path, dict(self.headers)))
        fault = cls.faults.get(len(cls.asked))
        if fault is not None:
            return fault(self)
        where = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(where.query).items()}
        return getattr(self, f"get_{where.path.strip('/').replace('/', '_')}")(asked)

    def json(self, value, headers=()):
        self.answer(200, json.dumps(value).encode(), [("content-type", "application/json"), *headers])

    def get_pages(self, asked):
        start, size = (int(asked["page"]) - 1) * 10, 10
        self.json({"rows": ROWS[start : start + size], "page": int(asked["page"])})

    def get_filtered(self, asked):
        if asked["kind"] != "all":
            return self.answer(400, b"no")
        return self.get_pages(asked)

    def get_offsets(self, asked):
        start, size = int(asked["offset"]), int(asked["limit"])
        self.json(ROWS[start : start + size])

    def get_cursors(self, asked):
        start = int(asked.get("after", 0))
        following = start + 20 if start + 20 < len(ROWS) else None
        self.json({"data": {"items": ROWS[start : start + 20]}, "meta": {"after": following}, "other": [{"x": 1}]})

    def get_links(self, asked):
        start = int(asked.get("from", 0))
        more = [("link", f'</links?from={start + 30}>; rel="next"')] if start + 30 < len(ROWS) else []
        self.json(ROWS[start : start + 30], more)

    def get_urls(self, asked):
        start = int(asked.get("from", 0))
        self.json(
            {
                "results": ROWS[start : start + 50],
                "next": f"/urls?from={start + 50}" if start + 50 < len(ROWS) else None,
            }
        )

    def get_shifting(self, asked):
        page = int(asked["page"])
        start = max(0, (page - 1) * 10 - 2 * (page > 1))
        self.json(ROWS[start : min(start + 10, 40)] if start < 40 else [])

    def get_csv(self, _asked):
        text = "id,city\n" + "".join(f"{row['id']},{row['city']}\n" for row in ROWS)
        self.answer(200, text.encode(), [("content-type", "text/csv; charset=utf-8")])

    def get_round(self, asked):
        self.json({"rows": ROWS[:5], "next": "again"})

    def get_stuck(self, asked):
        self.json({"rows": ROWS[:5], "took": len(type(self).asked), "next_cursor": "5"})

    def get_moving(self, _asked):
        count = len(type(self).asked)
        self.json({"rows": [{"id": count}], "next": "again" if count < 50 else None})

    def get_waits(self, asked):
        start = int(asked.get("cursor", 0))
        self.json({"rows": ROWS[start : start + 30], "next_cursor": min(start + 30, len(ROWS))})

    def get_ends(self, asked):
        if int(asked["page"]) > 2:
            self.answer(404, b"no such page")
        else:
            self.json(ROWS[int(asked["page"]) * 10 :][:10])

    def get_elsewhere(self, _asked):
        self.json({"rows": ROWS[:5], "next": "http://example.invalid/rows"})

    def get_secret(self, _asked):
        if self.headers.get("Authorization") != "Bearer hush-hush":
            self.answer(401, b"no")
        else:
            self.json(ROWS[:5])

    def get_new(self, asked):
        rows = [row for row in type(self).grown if (row["at"] or "") >= asked.get("from", "")]
        start = int(asked["page"]) * 10 - 10
        self.json(rows[start : start + 10])

    def get_nothing(self, _asked):
        self.json({"rows": []})

    def get_two(self, _asked):
        self.json({"a": ROWS[:2], "b": ROWS[:2]})

    def get_changing(self, asked):
        self.json({"rows": [{"id": 1, "v": 1 if asked["page"] == "1" else "text"}] if int(asked["page"]) < 3 else []})


def status(code, **headers):
    return lambda self: self.answer(
        code, b"sorry", [(name.replace("_", "-"), value) for name, value in headers.items()]
    )


def truncated(self):
    self.answer(200, json.dumps(ROWS).encode(), [("content-type", "application/json")], cut=50)
    self.close_connection = True


def half_json(self):
    self.answer(200, json.dumps(ROWS).encode()[:70], [("content-type", "application/json")])


def silent(self):
    time.sleep(1.5)
    self.close_connection = True


def hang_up(self):
    self.close_connection = True
    self.connection.close()


@pytest.fixture
def api():
    class Own(Api):
        faults: dict = {}
        asked: list = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Own.url = f"http://127.0.0.1:{server.server_port}"
    with contextlib.closing(server.socket):
        yield Own
        server.shutdown()


def fetched(source, tmp_path):
    return pl.concat([frame for _, frame in download(source, place_of(source, tmp_path))], how="diagonal_relaxed")


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/pages", {"pages": by_page()}),
        ("/filtered?kind=all", {"pages": by_page()}),
        ("/offsets", {"pages": by_offset(size=25)}),
        ("/cursors", {"pages": by_cursor("meta.after"), "records": "data.items"}),
        ("/links", {"pages": by_link()}),
        ("/urls", {"pages": by_cursor("next")}),
    ],
)
def test_every_way_of_paging_gives_every_row_once(api, tmp_path, path, options):
    found = fetched(http(api.url + path, **options), tmp_path)
    assert found.to_dicts() == ROWS


def test_csv_is_read_as_well(api, tmp_path):
    assert fetched(http(f"{api.url}/csv"), tmp_path)["city"].to_list() == [row["city"] for row in ROWS]


@pytest.mark.parametrize(
    "fault", [status(429, retry_after="0"), status(500), status(503), truncated, half_json, hang_up]
)
def test_a_fault_is_tried_again_and_no_row_is_lost(api, tmp_path, fault):
    api.faults.update({2: fault, 4: fault})
    assert fetched(http(f"{api.url}/pages", pages=by_page()), tmp_path).to_dicts() == ROWS
    assert len(api.asked) == 13


def test_a_time_out_is_tried_again(api, tmp_path):
    api.faults[1] = silent
    assert fetched(http(f"{api.url}/links", pages=by_link(), timeout=0.4), tmp_path).height == 95


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_retry_waits_as_long_as_it_is_told(api, tmp_path, form):
    value = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    api.faults[1] = status(429, retry_after=value)
    fetched(http(f"{api.url}/csv"), tmp_path)
    assert api.asked[1][0] - api.asked[0][0] >= 0.95


def test_a_rate_holds_requests_apart(api, tmp_path):
    fetched(http(f"{api.url}/offsets", pages=by_offset(size=25), rate="10/s"), tmp_path)
    # Each is held back at the sender; on a busy machine one may arrive late, and the next seems near.
    assert api.asked[-1][0] - api.asked[0][0] >= 0.1 * (len(api.asked) - 1) - 0.05


def test_after_a_failed_page_the_next_run_goes_on_there(api, tmp_path):
    source = http(f"{api.url}/pages", pages=by_page(), retries=1)
    api.faults.update({4: status(500), 5: status(500)})
    with pytest.raises(DataError, match="answered 500"):
        fetched(source, tmp_path)
    asked = len(api.asked)
    assert fetched(source, tmp_path).to_dicts() == ROWS
    assert "page=4" in api.asked[asked][1]
    assert not list((tmp_path / "partial").glob("*"))


def test_a_row_that_comes_twice_counts_once(api, tmp_path):
    found = fetched(http(f"{api.url}/shifting", pages=by_page(), unique="id"), tmp_path)
    assert found["id"].to_list() == list(range(40))
    assert fetched(http(f"{api.url}/shifting", pages=by_page()), tmp_path).height > 40


def test_an_api_that_gives_its_last_token_again_with_no_rows_has_ended(api, tmp_path):
    found = fetched(http(f"{api.url}/waits", pages=by_cursor("next_cursor")), tmp_path)
    assert found["id"].to_list() == [row["id"] for row in ROWS]


def test_a_column_that_changes_its_type_between_pages_is_still_read(api, tmp_path):
    from penstock.ingest.read import concatenate

    source = http(f"{api.url}/changing", pages=by_page())
    found = concatenate(dict(download(source, place_of(source, tmp_path))))
    assert found["v"].to_list() == ["1", "text"]


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("/secret", {}, "answered 401 .*check the secret"),
        ("/nothing", {"pages": by_page()}, "gave no rows"),
        ("/two", {}, "expected a list of objects, the answer holds: a, b. Say where"),
        ("/two", {"records": "c"}, "expected a list of objects at 'c'"),
        ("/round", {"pages": by_cursor("next")}, "is the same as an earlier one, or leads to it; the API goes round"),
        ("/moving", {"pages": by_cursor("next")}, "or leads to it; the API goes round"),
        ("/stuck", {"pages": by_page()}, 'goes round. If it expects another parameter than "page", give by_page'),
        (
            "/stuck",
            {"pages": by_cursor("next_cursor")},
            r'goes round. If it expects the token in another parameter than "cursor", give by_cursor\("next_cursor", parameter=',
        ),
        (
            "/ends",
            {"pages": by_page()},
            r"answered 404 .*no more pages, follow its own link, such as by_cursor\(\"next\"\)",
        ),
        ("/elsewhere", {"pages": by_cursor("next")}, "on another host, example.invalid, and is not asked for"),
        ("/csv", {"unique": "key"}, "unique='key' is not a column"),
    ],
)
def test_what_cannot_be_used_is_told(api, tmp_path, path, options, says):
    with pytest.raises(DataError, match=says):
        fetched(http(api.url + path, retries=0, **options), tmp_path)


def test_a_server_that_is_not_there_is_told(tmp_path):
    from tests.servers import free_port

    with pytest.raises(DataError, match="after 1 tries: ConnectError"):
        fetched(http(f"http://127.0.0.1:{free_port()}/x", retries=0), tmp_path)


def test_a_secret_is_sent_and_kept_nowhere(api, tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hush-hush")
    source = http(f"{api.url}/secret", headers={"Authorization": "Bearer ${API_TOKEN}"})
    assert fetched(source, tmp_path).height == 5
    assert "hush" not in repr(source)
    monkeypatch.setenv("API_TOKEN", "wr0ng-token")
    with pytest.raises(DataError) as told:
        fetched(source, tmp_path)
    assert "wr0ng" not in str(told.value)
    monkeypatch.delenv("API_TOKEN")
    with pytest.raises(InputError, match="the environment has no API_TOKEN"):
        fetched(source, tmp_path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: http("ftp://x/y"), "begins with https"),
        (lambda: http("http://x", headers={"Authorization": "Bearer abc"}), "secret in plain text"),
        (lambda: http("http://x", params={"api_key": "abc"}), "secret in plain text"),
        (lambda: http("http://x", rate="fast"), "write it as 10/s"),
        (lambda: by_offset(size=0), "how many rows"),
    ],
)
def test_declarations_that_cannot_be_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_a_pipeline_reads_an_api_and_the_same_rows_stop_there(api, tmp_path):
    def pipeline():
        return ps.Pipeline(
            "api", ingest=ps.ingest.http(f"{api.url}/pages", pages=by_page()), target=ps.binary("gone"),
            train=ps.train.search(trials=1, folds=3), evaluate=ps.evaluate.gate(beat_baseline=False), file=str(tmp_path / "p.py"),
        )  # fmt: skip

    store = open_store(tmp_path / "s")
    run = pipeline().run(store)
    run.raise_for_status()
    assert run["snapshot"].height == 95
    again = pipeline().run(store)
    assert {step.status for step in again.steps if step.name != "read"} == {"cached"}
    api.faults.update({len(api.asked) + n: status(404) for n in range(1, 30)})
    failed = pipeline().run(store)
    assert "answered 404" in next(step.error for step in failed.steps if step.error)
    assert ps.load("api", store=store).version == 1
    store.close()


def grown_row(number, day, **changes):
    return {**ROWS[number % 95], "id": number, "at": f"2024-03-{day:02}T12:00:00Z", **changes}


def test_a_growing_api_is_asked_for_new_rows_only_and_late_and_changed_ones_are_taken_in(api, tmp_path):
    api.grown = [grown_row(number, 1 + number // 10) for number in range(95)]

    def pipeline(**changes):
        options = {
            "since": "from",
            "cursor": "at",
            "unique": "id",
            "lateness": "1d",
            "pages": by_page(size=10),
            **changes,
        }
        return ps.Pipeline(
            "growing", ingest=ps.ingest.http(f"{api.url}/new", **options), target=ps.binary("gone"),
            train=ps.train.search(trials=1, folds=3), evaluate=ps.evaluate.gate(beat_baseline=False), file=str(tmp_path / "p.py"),
        )  # fmt: skip

    store = open_store(tmp_path / "s")
    run = pipeline().run(store)
    run.raise_for_status()
    assert run["snapshot"].height == 95
    again = pipeline().run(store)
    assert {step.status for step in again.steps if step.name != "read"} == {"cached"}
    assert "from=2024-03-09T12%3A00%3A00Z" in api.asked[-1][1]

    late, changed = grown_row(200, 9), grown_row(3, 11, size=99.0)
    api.grown = [row for row in api.grown if row["id"] != 3] + [late, changed, grown_row(96, 12), grown_row(97, 12)]
    before = len(api.asked)
    run = pipeline().run(store)
    run.raise_for_status()
    assert len(api.asked) - before <= 3
    snapshot = run["snapshot"]
    assert sorted(snapshot["id"]) == sorted(row["id"] for row in api.grown)
    assert snapshot.filter(pl.col("id") == 3)["size"].to_list() == [99.0]
    ran = [step.name for step in run.steps if step.status == "ran"]
    assert "prepared" in ran
    api.grown = []
    assert pipeline().run(store)["snapshot"].height == 98
    api.grown = [grown_row(number, 1) for number in range(60)]
    other = pipeline(records=None, params={"kind": "all"}).run(store)
    assert other["snapshot"].height == 60, "another request knows nothing of the first one's rows"
    store.close()


@pytest.fixture
def growing(api, tmp_path):
    """Run a pipeline over the API of growing rows, and return what it has read."""
    store = open_store(tmp_path / "s")

    def run():
        ingest = ps.ingest.http(f"{api.url}/new", since="from", cursor="at", unique="id", pages=by_page(size=10))
        pipeline = ps.Pipeline("growing", ingest=ingest, target=ps.binary("gone"), file=str(tmp_path / "p.py"))
        run = pipeline.graph().until(["snapshot"]).run(store)
        run.raise_for_status()
        return run

    yield run
    store.close()


def test_rows_that_come_again_stay_where_they_are_also_when_a_short_answer_has_other_types(api, growing):
    rows = [grown_row(number, 1 + (number + 5) // 10, size=number + 0.5, seen=True) for number in range(95)]
    for row in rows[-10:]:  # they are the last day's, and stand on two pages at first
        row |= {"seen": None, "size": 7}
    api.grown = rows
    first = growing()["snapshot"]
    again = growing()
    assert {step.status for step in again.steps if step.name != "read"} == {"cached"}
    del rows[-1]["seen"]
    assert growing()["snapshot"].equals(first)


def test_rows_that_come_at_the_same_moment_as_those_before_are_all_kept(api, growing):
    api.grown = [grown_row(number, 1) for number in range(80)]
    growing()
    for number in range(80, 83):
        api.grown.append(grown_row(number, 1))
        assert growing()["snapshot"]["id"].sort().to_list() == list(range(number + 1))


@pytest.mark.parametrize(
    ("column", "left"), [("updated_at", [("updated_at", "says when a row was last written")]), ("at", [])]
)
def test_what_says_when_a_row_was_last_written_is_not_learnt_from_but_the_time_is(api, tmp_path, column, left):
    api.grown = [grown_row(number, 1 + number // 10) for number in range(95)]
    for row in api.grown:
        row["updated_at"] = row["at"] if row["gone"] == "yes" else "2024-04-01T00:00:00Z"
    ingest = ps.ingest.http(f"{api.url}/new", since="from", cursor=column, unique="id", pages=by_page(size=10))
    file = str(tmp_path / "p.py")
    pipeline = ps.Pipeline("growing", ingest=ingest, target=ps.binary("gone"), file=file, features=[])
    store = open_store(tmp_path / "s")
    run = pipeline.graph().until(["divided", "selected"]).run(store)
    run.raise_for_status()
    assert run["divided"]["division"]["column"] == "at"
    assert run["selected"] == left
    assert "selected" not in replace(pipeline, ingest=replace(ingest, time=column)).graph().steps
    store.close()


def test_rows_without_a_cursor_are_all_asked_for_again(api, growing):
    api.grown = [grown_row(number, 1, at=None) for number in range(25)]
    assert growing()["snapshot"].height == 25
    api.grown += [grown_row(25, 1)]
    assert growing()["snapshot"]["id"].to_list() == list(range(26))


def test_what_since_needs_is_said():
    with pytest.raises(InputError, match="which column tells rows apart, unique="):
        http("http://127.0.0.1/x", since="from", cursor="at")
