"""Several tables: features over the past are the same in training, in a table, in a request, and over HTTP."""

import datetime as dt
import json
import threading
import time
from contextlib import closing

import httpx
import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.deploy import rollout
from penstock.deploy.registry import Registry
from penstock.deploy.served import Hearer
from penstock.deploy.shadow import Shadow
from penstock.errors import InputError
from penstock.feed import EventFeed, event_log
from penstock.monitor.log import log_folder
from penstock.monitor.window import take
from penstock.observed import from_batch
from penstock.rows import compile_rows
from penstock.serving import make_service
from penstock.store.store import open_store
from penstock.types.rows import RowsError
from penstock.unlabelled import skew_of
from tests.cli.test_commands import call
from tests.conftest import copied
from tests.servers import serving

START = dt.datetime(2024, 1, 1)


def moment(minute):
    return (START + dt.timedelta(minutes=int(minute))).isoformat()


def write_tables(folder, n=400, seed=0):
    """Shops' orders; whether one is returned depends on what the customer returned lately, and on the shop."""
    random = np.random.default_rng(seed)
    minutes = np.sort(random.choice(200_000, n, replace=False))
    who = random.integers(0, 25, n)
    shop = random.integers(0, 6, n)
    temper = random.normal(0, 1.5, 25)
    returned = random.random(n) < 1 / (1 + np.exp(-(temper[who] + (shop - 2.5) / 2)))
    orders = pl.DataFrame({
        "who": [f"c{item}" for item in who], "shop": shop, "when": [moment(m) for m in minutes],
        "amount": random.gamma(2, 30, n).round(2), "returned": np.where(returned, "yes", "no"),
    })  # fmt: skip
    visits = pl.DataFrame({
        "client": [f"c{item}" for item in random.integers(0, 25, 4 * n)],
        "at": [moment(m) for m in random.integers(0, 200_000, 4 * n)],
        "seconds": [None if i % 11 == 0 else float(v) for i, v in enumerate(random.gamma(2, 60, 4 * n).round(1))],
        "page": random.choice(["home", "cart", None], 4 * n).tolist(),
    })  # fmt: skip
    prices = pl.DataFrame(
        {
            "shop": [s for s in range(6) for _ in range(20)],
            "since": [moment(d * 10_000) for _ in range(6) for d in range(20)],
            "level": random.normal(0, 1, 120).round(3),
        }
    )
    shops = pl.DataFrame(
        {"number": range(5), "town": ["Oslo", "Rome", "Łódź", None, "Oslo"], "open": ["yes", "no", "yes", "no", "yes"]}
    )
    for name, table in (("orders", orders), ("visits", visits), ("prices", prices), ("shops", shops)):
        table.write_csv(folder / f"{name}.csv")


def make_pipeline(folder, **changes):
    files = {name: str(folder / f"{name}.csv") for name in ("orders", "visits", "prices", "shops")}
    stages = {
        "name": "returns",
        "ingest": {
            "shops": ps.ingest.files(files["shops"]),
            "orders": ps.ingest.files(files["orders"], time="when"),
            "visits": ps.ingest.files(files["visits"], time="at"),
            "prices": ps.ingest.files(files["prices"], time="since"),
        },
        "base": "orders",
        "prepare": {"visits": [ps.prepare.rename(page="site")]},
        "features": [
            ps.features.window("orders", by="who", returns=(pl.col("returned") == "yes").mean(), orders=pl.len()),
            ps.features.window(
                "visits", by={"who": "client"}, over=["1d", "30d"], seconds=pl.col("seconds").sum(),
                home=(pl.col("site") == "home").mean(), last=pl.col("site").last(), since=ps.features.time_since(),
            ),
            ps.features.derive(share=pl.col("seconds_1d") / pl.col("seconds_30d"), often=pl.col("orders") * pl.col("returns")),
            ps.features.lag("amount", 1, by="who"),
            ps.features.asof("prices", by="shop"),
            ps.features.join("shops", on={"shop": "number"}),
            ps.features.derive(dear=pl.col("amount") * pl.col("prices_level")),
            ps.features.calendar("when"),
        ],
        "target": ps.binary("returned"),
        "train": ps.train.search(trials=2, folds=3),
        "evaluate": ps.evaluate.gate(beat_baseline=False),
        "file": str(folder / "pipeline.py"),
    }  # fmt: skip
    return ps.Pipeline(**{**stages, **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder)
    store = open_store(folder / "s")
    pipeline = make_pipeline(folder)
    run = pipeline.run(store)
    run.raise_for_status()
    yield folder, store, pipeline, run
    store.close()


def questions(n, seed=3):
    random = np.random.default_rng(seed)
    return [
        {
            "who": f"c{random.integers(0, 28)}",
            "shop": int(random.integers(0, 7)),
            "when": moment(random.integers(0, 260_000)),
            "amount": float(random.gamma(2, 30)),
        }
        for _ in range(n)
    ]


def test_each_table_has_steps_of_its_own_and_features_join_them(made):
    _, _, pipeline, run = made
    assert {"read", "read_visits", "prepared_prices", "snapshot_shops", "featured"} <= {step.name for step in run.steps}
    table = run["featured"]
    assert {"returns", "seconds_30d", "share", "amount_lag_1", "prices_level", "shops_town", "when_hour"} <= set(
        table.columns
    )
    assert table["shops_town"].null_count() >= table.filter(pl.col("shop") == 5).height > 0
    assert {step.status for step in pipeline.run(made[1]).steps} == {"cached"}


def test_a_request_has_the_features_of_the_table_to_the_last_bit_and_its_answer(made):
    model = ps.load("returns", store=made[1])
    rows = questions(60)
    encoded = [compile_rows(model)([row])[0] for row in rows]
    np.testing.assert_array_equal(encoded, model.manifest.encoding.matrix(model.prepare(pl.DataFrame(rows))))
    alone = [model.predict_rows([row])[0].probabilities["yes"] for row in rows]
    np.testing.assert_allclose(alone, model.predict_table(pl.DataFrame(rows))[:, 1], rtol=0, atol=1e-15)
    answers = [answer.probabilities["yes"] for answer in model.predict_rows(rows)]
    np.testing.assert_allclose(alone, answers, rtol=0, atol=1e-15)
    training = model.predict_table(pl.read_csv(made[0] / "orders.csv"))
    assert len(training) == 400


def test_the_champion_is_judged_with_the_tables_of_today(made, tmp_path):
    folder, _, _, _ = made
    for name in ("orders", "visits", "prices", "shops"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path).run(store).raise_for_status()
    write_tables(tmp_path, n=600, seed=1)
    again = make_pipeline(tmp_path).run(store)
    again.raise_for_status()
    assert "the champion's" in " ".join(again.gate.reasons)
    assert "cannot answer" not in " ".join(again.gate.reasons)
    store.close()


def test_a_champion_that_looks_at_a_table_of_another_name_does_not_end_the_run(tmp_path):
    write_tables(tmp_path)
    orders, shops = (
        ps.ingest.files(str(tmp_path / "orders.csv"), time="when"),
        ps.ingest.files(str(tmp_path / "shops.csv")),
    )
    alone = ps.features.lag("amount", 1, by="who")

    def run(ingest, base, *features):
        return make_pipeline(tmp_path, ingest=ingest, base=base, prepare=[], features=list(features)).run(
            tmp_path / "s"
        )

    run(
        {"orders": orders, "shops": shops}, "orders", ps.features.join("shops", on={"shop": "number"})
    ).raise_for_status()
    (tmp_path / "pipeline.schema.toml").unlink()
    renamed = run({"sales": orders, "places": shops}, "sales", ps.features.join("places", on={"shop": "number"}), alone)
    assert 'features look at the table "shops"; there are sales, places' in renamed.gate.reasons[-1]
    assert not renamed.gate.passed
    Registry(open_store(tmp_path / "s"), "returns").promote(2, "its tables have other names")
    assert "the champion's" in run({"sales": orders, "places": shops}, "sales").gate.reasons[-1]


def test_only_the_table_that_changed_is_read_again(made, tmp_path):
    folder, _, _, _ = made
    for name in ("orders", "visits", "prices", "shops"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path).run(store).raise_for_status()
    with (tmp_path / "visits.csv").open("a") as file:
        file.write(f"c1,{moment(1)},5.0,home\n")
    stale = {item.name for item in make_pipeline(tmp_path).plan(store).stale}
    assert {"read_visits", "snapshot_visits", "prepared_visits", "featured"} <= stale
    assert not stale & {"read", "prepared", "read_prices", "prepared_shops"}
    store.close()


def test_events_change_the_answer_from_then_on_and_survive_a_restart(made):
    folder, store, _, _ = made
    row = {"who": "c1", "shop": 1, "when": moment(300_000), "amount": 20.0}
    event = {"who": "c1", "when": moment(299_000), "returned": "yes", "amount": 1.0}
    visit = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}

    def probability(client):
        answer = client.post("/predict", json={"rows": [row]})
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"][0]["probabilities"]["yes"]

    with serving(store.folder, name="returns") as (client, _):
        before = probability(client)
        assert client.post("/events", json={"table": "orders", "rows": [event]}).json() == {"accepted": 1}
        assert client.post("/events", json={"table": "visits", "rows": [visit, visit]}).json() == {"accepted": 2}
        after = probability(client)
        schema = client.get("/openapi.json").json()["components"]["schemas"]["Events"]["oneOf"]
        assert [item["properties"]["table"]["const"] for item in schema] == ["orders", "prices", "visits"]
    model = ps.load("returns", store=store)
    seen = model.prepare(pl.DataFrame([row])).to_dicts()[0]
    assert seen["amount_lag_1"] == 1.0
    assert seen["seconds_1d"] == 25.0
    assert seen["last_1d"] == "cart"
    assert after != before
    # The first answer was given before its events were known: training would say otherwise.
    late, known = take(log_folder(store.folder, "returns")).records[-2:]
    skew = skew_of(model, [late, known])
    assert (skew.rows, skew.unlike) == (2, 1)
    assert skew.largest == pytest.approx(abs(after - before), rel=1e-3)
    assert {"amount_lag_1", "seconds_1d"} <= set(skew.columns)
    with serving(store.folder, name="returns") as (client, _):
        assert probability(client) == after
    for path in (store.folder / "events" / "returns").glob("*.jsonl"):
        path.unlink()


def test_a_batch_is_answered_with_what_has_come_since(made, tmp_path):
    _, store, _, _ = made
    row = {"who": "c1", "shop": 1, "when": moment(300_000), "amount": 20.0}
    visit = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}
    pl.DataFrame([row]).write_csv(tmp_path / "row.csv")
    pl.DataFrame([visit, visit]).write_csv(tmp_path / "visits.csv")
    words = ("predict", "returns", "row.csv", "-o", "out.csv", "--store", store.folder)
    call(*words, "--events", "visits=visits.csv", folder=tmp_path)
    model = ps.load("returns", store=store, events=False)
    model.knows.take_events("visits", model.knows.read_events("visits", [visit, visit]))
    assert model.prepare(pl.DataFrame([row]))["seconds_1d"].to_list() == [25.0]
    for number, seconds in enumerate((1.0, 2.0, 4.0)):  # a table is answered with each that comes between
        more = {**visit, "at": moment(299_600 + number), "seconds": seconds}
        model.knows.take_events("visits", model.knows.read_events("visits", [more]))
        assert model.prepare(pl.DataFrame([row]))["seconds_1d"][0] == 24.0 + 2 ** (number + 1)
        assert model.prepare(pl.DataFrame([row] * 2))["seconds_1d"][1] == 24.0 + 2 ** (number + 1)
    model = ps.load("returns", store=store, events=False)
    model.knows.take_events("visits", model.knows.read_events("visits", [visit, visit]))
    told = pl.read_csv(tmp_path / "out.csv")["probability_yes"][0]
    assert told == pytest.approx(model.answer([row])[0].probabilities["yes"], abs=1e-12)
    pl.DataFrame([visit]).drop("seconds").write_csv(tmp_path / "visits.csv")
    for given, says in (
        ("visits=visits.csv", 'has no column "seconds"'),
        ("shops=visits.csv", "no events of 'shops'"),
        ("visits", "write TABLE=FILES"),
    ):
        assert says in call(*words, "--events", given, folder=tmp_path, code=2).stderr


def test_an_event_that_the_next_training_holds_too_counts_once(made, tmp_path):
    folder, _, _, _ = made
    for name in ("orders", "visits", "prices", "shops"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    store = open_store(tmp_path / "s")
    make_pipeline(tmp_path).run(store).raise_for_status()
    feed = EventFeed(event_log(store, "returns"))
    visit = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}
    feed.log.append("visits", [visit])
    with (tmp_path / "visits.csv").open("a") as file:
        file.write(f"c1,{visit['at']},12.5,cart\n")
    make_pipeline(tmp_path).run(store).raise_for_status()
    row = pl.DataFrame([{"who": "c1", "shop": 1, "when": moment(300_000), "amount": 20.0}])
    assert ps.load("returns", 1, store=store).prepare(row)["seconds_1d"].to_list() == [12.5]
    newest = ps.load("returns", len(store_versions(store)), store=store)
    assert newest.prepare(row)["seconds_1d"].to_list() == [12.5]
    store.close()


def store_versions(store):
    return Registry(store, "returns").versions()


@pytest.fixture(scope="module")
def twice(made, tmp_path_factory):
    folder, _, _, _ = made
    store = open_store(tmp_path_factory.mktemp("twice") / "s")
    make_pipeline(folder).run(store).raise_for_status()
    make_pipeline(folder, seed=1, train=ps.train.search(learners=["linear"], trials=1)).run(store).raise_for_status()
    Registry(store, "returns").promote(1, "for the test")
    store.close()
    return store.folder


@pytest.fixture
def two(twice, tmp_path):
    """A store with two versions of one pipeline, of which the first is the champion."""
    with closing(open_store(copied(twice, tmp_path / "two"))) as store:
        yield store


ROW = {"who": "c1", "shop": 1, "when": moment(300_000), "amount": 20.0}


def visit(client, seconds, **more):
    """Tell of a visit shortly before the row."""
    event = {"client": "c1", "at": moment(299_500), "seconds": seconds, "page": "cart", **more}
    return client.post("/events", json={"table": "visits", "rows": [event]})


def ask(client, version, key=""):
    """Ask until a version answers; return its answer."""
    for number in range(400):
        answer = client.post("/predict", json={"rows": [ROW]}, headers={"x-key": key or str(number)}).json()
        if answer["model"]["version"] == version:
            return answer["predictions"][0]["id"], answer["predictions"][0]["probabilities"]["yes"]
        time.sleep(0.02)
    pytest.fail(f"v{version} never answered")


def expected(store, version, **how):
    return ps.load("returns", version, store=store, **how).predict_rows([ROW])[0].probabilities["yes"]


def test_events_keep_counting_when_another_version_takes_over(two):
    with serving(two.folder, name="returns") as (client, _):
        visit(client, 3e5)
        Registry(two, "returns").promote(2, "for the test")
        assert ask(client, 2)[1] == expected(two, 2) != expected(two, 2, events=False)


def test_a_canary_and_a_shadow_learn_of_each_event_as_it_comes(two):
    with serving(two.folder, name="returns") as (client, _):
        rollout.begin(two, "returns", "canary", 2, 0.5, "test")
        before = ask(client, 2)[1]
        visit(client, 3e5)
        assert ask(client, 2)[1] == expected(two, 2) != before
        assert ask(client, 1)[1] == expected(two, 1)
        rollout.end(two, "returns", "canary", "test")
        rollout.begin(two, "returns", "shadow", 2, 0.0, "test")
        time.sleep(2.5)
        visit(client, -9e5)
        asked, _ = ask(client, 1)
        deadline, found = time.monotonic() + 20, []
        while not found and time.monotonic() < deadline:
            records = take(log_folder(two.folder, "returns"), shadows=True).records
            found = [record for record in records if record.shadow and record.id == asked]
            time.sleep(0.1)
    assert [record.probabilities["yes"] for record in found] == [expected(two, 2)] != [before]


def test_an_event_that_was_read_from_the_log_meanwhile_counts_once(two):
    feed, model, waiting = EventFeed(event_log(two, "returns")), ps.load("returns", 2, two, events=False), []
    feed.catch_up(model)
    event = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}
    feed.take([Hearer(model, waiting.append)], "visits", [event])
    feed.catch_up(model)
    for work in waiting:
        work()
    assert len(waiting) == 1
    assert model.prepare(pl.DataFrame([ROW]))["seconds_1d"].to_list() == [12.5]


def test_all_that_may_answer_hear_of_events(two):
    service = make_service(two, "returns")
    fallback, canary, shadow = (ps.load("returns", 2, two, events=False) for _ in range(3))
    service.fallbacks, service.canary = [fallback], (canary, 0.5)
    service.shadow = Shadow(shadow, lambda *_: None, lambda _: None, lambda _: None)
    assert [hearer.model for hearer in service.hearers()] == [service.model, canary, fallback, shadow]
    event = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}
    service.events.take(service.hearers(), "visits", [event])
    told = threading.Event()
    service.shadow.run(told.set)
    assert told.wait(20)
    service.shadow.end()
    for model in (service.model, canary, fallback, shadow):
        assert model.prepare(pl.DataFrame([ROW]))["seconds_1d"].to_list() == [12.5]


def test_rows_of_a_batch_that_a_service_was_told_as_events_count_once(two):
    raw = pl.DataFrame([{**ROW, "when": moment(300_000 + n), "returned": "no"} for n in range(40)])
    knowing, told = (ps.load("returns", store=two, events=False) for _ in range(2))
    told.knows.take_events("orders", told.knows.read_events("orders", raw[:30].to_dicts()))
    one, other = (from_batch(model, raw).table.select("orders", "returns", "amount_lag_1") for model in (knowing, told))
    assert one.equals(other)


def test_many_events_of_the_log_count_together_and_one_that_does_not_fit_harms_no_other(two):
    feed = EventFeed(event_log(two, "returns"))
    known = [{"client": f"c{n % 25}", "at": moment(200_000 + n), "seconds": 1.0, "page": "home"} for n in range(500)]
    for event in known:
        feed.log.append("visits", [event])
    one_by_one = ps.load("returns", store=two, events=False)
    for event in known:
        one_by_one.knows.take_events("visits", one_by_one.knows.read_events("visits", [event]), again=True)
    assert ps.load("returns", store=two).predict_rows([ROW]) == one_by_one.predict_rows([ROW])
    good = {"client": "c1", "at": moment(299_500), "seconds": 3e5, "page": "cart"}
    for bad in ({"seconds": "many"}, {"client": None}, {"at": "9999999-01-01"}, {"more": 1}):
        feed.log.append("visits", [{**good, **bad}])
    feed.log.append("visits", [good])
    told = one_by_one.knows
    told.take_events("visits", told.read_events("visits", [good]))
    assert ps.load("returns", store=two).predict_rows([ROW]) == one_by_one.predict_rows([ROW])


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"table": "visit", "rows": []}, 422, "takes no events of 'visit'; its features look at events of: orders, prices, visits"),
        ({"table": "shops", "rows": []}, 422, "takes no events of 'shops'"),
        ({"table": "visits", "rows": [{"client": "c1", "seconds": 1.0, "page": "home"}]}, 422, "is missing"),
        ({"table": "visits", "rows": [{"client": "c1", "at": "soon", "seconds": 1.0, "page": None}]}, 422, "expected a date"),
        ({"table": "visits", "rows": [{"client": None, "at": "2024-01-01", "seconds": 1.0, "page": None}]}, 422, "an event needs its entity and its time"),
        ({"table": "visits", "rows": [{"client": "c1", "at": "2024-01-01", "seconds": "x", "page": None}]}, 422, "expected a number"),
        ({"table": "visits", "rows": [{"client": "c1", "at": "2024-01-01", "seconds": 1, "page": None, "x": 1}]}, 422, "is not a column of this table"),
        ({"table": "visits", "rows": [3]}, 422, "expected an object"),
        ({"rows": [3]}, 422, "expected shape"),
    ],
    ids=["unknown", "static", "missing", "date", "empty", "number", "more", "no-row", "no-table"],
)  # fmt: skip
def test_events_that_cannot_be_are_told_and_not_counted(shared_service, body, status, says):
    answer = shared_service.post("/events", json=body)
    assert answer.status_code == status
    assert says in json.dumps(answer.json(), ensure_ascii=False)
    assert shared_service.get("/health/live").status_code == 200


@pytest.fixture(scope="module")
def shared_service(made) -> httpx.Client:
    with serving(made[1].folder, name="returns") as (client, _):
        yield client


def test_a_bad_event_leaves_the_others_of_its_request_uncounted(made):
    model = ps.load("returns", store=made[1])
    good = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}
    with pytest.raises(RowsError):
        model.knows.read_events("visits", [good, {**good, "at": None}])
    assert model.knows._since == {}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base": "order"}, "base='order' is not a table of ingest="),
        ({"prepare": {"visit": []}}, "prepare= names the table 'visit'"),
        ({"ingest": {"a b": ps.ingest.files("x.csv")}, "base": None}, "a table's name is a word"),
        ({"ingest": {}, "base": None}, "ingest= names no table"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        make_pipeline(tmp_path, **changes)


def test_the_catalogue_says_what_each_feature_is_and_where_it_comes_from(made):
    from penstock.catalogue import feature_catalogue

    found = {item.name: item for item in feature_catalogue(made[1], "returns", 1)}
    seconds = found["seconds_30d"]
    assert seconds.kind == "window"
    assert seconds.definition == 'sum(col("seconds")) of visits of the same client, over 30d'
    assert seconds.comes_from == ("orders.when", "orders.who", "visits.at", "visits.seconds")
    assert seconds.importance is not None and seconds.newest.startswith("2024-")
    assert found["amount_lag_1"].definition == 'col("amount") of orders of the same who, 1 back'
    assert found["prices_level"].definition == "level of the latest row of prices of the same shop"
    assert found["shops_town"].comes_from == ("orders.shop", "shops.town")
    assert {"orders.amount", "prices.level"} <= set(found["dear"].comes_from)
    assert "alias" not in found["share"].definition


def test_the_difference_of_two_snapshots_names_the_columns_that_moved(made, tmp_path):
    from penstock.changes import moved_columns

    folder, _, _, _ = made
    for name in ("orders", "visits", "prices", "shops"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    store = open_store(tmp_path / "s")
    one = make_pipeline(tmp_path).run(store)
    visits = pl.read_csv(tmp_path / "visits.csv").with_columns(pl.col("seconds") * 5)
    visits.write_csv(tmp_path / "visits.csv")
    two = make_pipeline(tmp_path).run(store)
    (moved,) = moved_columns(store, one.run, two.run)
    assert moved.startswith("snapshot_visits: column seconds moved by 0.")
    assert moved_columns(store, two.run, two.run) == []
    store.close()


def test_what_is_left_out_of_training_is_left_out_of_the_past_while_serving(made, tmp_path):
    folder, _, _, _ = made
    for name in ("orders", "visits", "prices", "shops"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    visits = pl.read_csv(tmp_path / "visits.csv").with_columns(robot=pl.int_range(pl.len()) % 3 == 0)
    visits.write_csv(tmp_path / "visits.csv")
    store = open_store(tmp_path / "s")
    cleaning = {
        "visits": [
            ps.prepare.filter(~pl.col("robot")),
            ps.prepare.drop("robot"),
            ps.prepare.drop_duplicates("client", "at"),
            ps.prepare.rename(page="site"),
        ]
    }
    pipeline = make_pipeline(tmp_path, prepare=cleaning)
    run = pipeline.run(store)
    run.raise_for_status()
    model = ps.load("returns", store=store)
    tables = {
        name: pl.read_csv(tmp_path / f"{name}.csv", try_parse_dates=True)
        for name in ("orders", "visits", "prices", "shops")
    }
    again = model.prepare(tables["orders"], tables)
    assert again["seconds_30d"].equals(run["featured"]["seconds_30d"])
    row = {"who": "c1", "shop": 1, "when": moment(300_000), "amount": 20.0}
    event = {"client": "c1", "at": moment(299_500), "seconds": 12.5, "page": "cart"}
    for robot in (True, False):
        model.knows.take_events("visits", model.knows.read_events("visits", [{**event, "robot": robot}]))
    seen = model.prepare(pl.DataFrame([row]))["seconds_1d"].to_list()
    assert seen == [12.5]
    with pytest.raises(RowsError, match="robot"):
        model.knows.read_events("visits", [event])
    alone, together = model.predict_rows([row])[0].probabilities["yes"], model.predict_table(pl.DataFrame([row]))[0, 1]
    assert alone == pytest.approx(together, rel=1e-12)
    store.close()


def test_services_of_one_store_learn_of_each_others_events(made):
    _, store, _, _ = made
    row = {"who": "c3", "shop": 1, "when": moment(310_000), "amount": 20.0}
    visits = [{"client": "c3", "at": moment(309_900 + n), "seconds": 500.0, "page": "cart"} for n in range(3)]

    def probability(client):
        return client.post("/predict", json={"rows": [row]}).json()["predictions"][0]["probabilities"]["yes"]

    with serving(store.folder, name="returns") as (one, _), serving(store.folder, name="returns") as (two, _):
        before = probability(two)
        assert probability(one) == before
        for visit in visits:
            assert one.post("/events", json={"table": "visits", "rows": [visit]}).status_code == 200
        told = probability(one)
        assert told != before
        until = time.monotonic() + 30
        while probability(two) != told:
            assert time.monotonic() < until, "the other service never learnt of the events"
            time.sleep(0.1)
        time.sleep(1.5)
        assert probability(two) == probability(one) == told, "events count once"
    model = ps.load("returns", store=store)
    assert model.predict_rows([row])[0].probabilities["yes"] == told
