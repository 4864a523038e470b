"""Tables of real databases: PostgreSQL, MariaDB, SQLite and DuckDB."""

import datetime as dt
import json
import sqlite3

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.servers import free_port, mariadb, postgresql

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.ingest.databases import database, parts_of, read_part
from penstock.store.store import open_store
from penstock.types.nested import flat

COLUMNS = "id INTEGER, made TIMESTAMP, amount DOUBLE PRECISION, city VARCHAR(20), gone VARCHAR(5)"


def rows(n=600, seed=0, months=3, first=0):
    random = np.random.default_rng(seed)
    start = dt.datetime(2024, 1, 1)
    made = [start + dt.timedelta(minutes=int(m)) for m in np.sort(random.integers(0, months * 30 * 1440, n))]
    city = random.choice(["Oslo", "Rome", "Łódź"], n)
    amount = random.gamma(2, 30, n).round(2)
    gone = random.random(n) < 1 / (1 + np.exp(-(amount - 60) / 20 - (city == "Rome")))
    return [
        (first + i, made[i], None if i % 23 == 0 else float(amount[i]), str(city[i]), "yes" if gone[i] else "no")
        for i in range(n)
    ]


class Held:
    """A database with a table ``orders``: how Penstock names it, and how a test writes to it."""

    def __init__(self, url, execute, many):
        self.url, self.execute, self.many = url, execute, many

    def fill(self, some):
        self.execute("DROP TABLE IF EXISTS orders")
        self.execute(f"CREATE TABLE orders ({COLUMNS})")
        self.many(some)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Yield a function from a backend's name to its database; servers are started when first asked for."""
    import contextlib

    with contextlib.ExitStack() as stack:
        made = {}

        def get(backend):
            if backend not in made:
                made[backend] = _MAKERS[backend](stack, tmp_path_factory.mktemp(backend))
            return made[backend]

        yield get


def _postgresql(stack, _folder):
    import psycopg

    _, port = stack.enter_context(postgresql())
    link = stack.enter_context(
        psycopg.connect(f"postgresql://penstock:tops3cret@127.0.0.1:{port}/postgres", autocommit=True)
    )

    def many(some):
        with link.cursor() as cursor:
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", some)

    return Held(f"postgresql://penstock:${{SHOP_PASSWORD}}@127.0.0.1:{port}/postgres", link.execute, many)


def _mariadb(stack, _folder):
    import pymysql

    port = stack.enter_context(mariadb())
    link = stack.enter_context(
        pymysql.connect(
            host="127.0.0.1", port=port, user="penstock", password="tops3cret", database="shop", autocommit=True
        )
    )

    def execute(text):
        with link.cursor() as cursor:
            cursor.execute(text.replace("TIMESTAMP", "DATETIME"))

    def many(some):
        with link.cursor() as cursor:
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", some)

    return Held(f"mariadb://penstock:${{SHOP_PASSWORD}}@127.0.0.1:{port}/shop", execute, many)


def _sqlite(stack, folder):
    link = sqlite3.connect(folder / "shop.db")
    stack.callback(link.close)

    def execute(text):
        link.execute(text)
        link.commit()

    def many(some):
        link.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", [(a, b.isoformat(" ") if b else None, *c) for a, b, *c in some]
        )
        link.commit()

    return Held(f"sqlite:///{folder}/shop.db", execute, many)


def _duckdb(_stack, folder):
    import duckdb

    def execute(text):
        with duckdb.connect(str(folder / "shop.duckdb")) as link:
            link.execute(text)

    def many(some):
        if not some:
            return
        with duckdb.connect(str(folder / "shop.duckdb")) as link:
            link.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", some)

    return Held(f"duckdb:///{folder}/shop.duckdb", execute, many)


_MAKERS = {"postgresql": _postgresql, "mariadb": _mariadb, "sqlite": _sqlite, "duckdb": _duckdb}
each_backend = pytest.mark.parametrize("backend", _MAKERS)


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "tops3cret")


def pipeline(folder, source, **changes):
    stages = {
        "name": "orders", "ingest": source, "target": ps.binary("gone"), "train": ps.train.search(trials=1, folds=3),
        "evaluate": ps.evaluate.gate(beat_baseline=False), "split": ps.split.stratified(test=0.3), "file": str(folder / "p.py"),
    }  # fmt: skip
    return ps.Pipeline(**{**stages, **changes})


@each_backend
def test_a_growing_table_is_read_by_partitions_and_only_new_or_changed_ones_again(servers, backend, tmp_path):
    held = servers(backend)
    held.fill(rows())
    source = database(held.url, table="orders", cursor="made", time="made", checks=["amount"])
    store = open_store(tmp_path / "s")
    run = pipeline(tmp_path, source).run(store)
    run.raise_for_status()
    assert {step.status for step in pipeline(tmp_path, source).plan(store).steps} == {"cached"}
    snapshot = run["snapshot"]
    assert snapshot.height == 600
    assert snapshot["amount"].null_count() == 27
    assert set(snapshot["city"]) == {"Oslo", "Rome", "Łódź"}
    prepared = pl.concat([part for name, part in run["prepared"].items() if name.endswith("/table")])
    assert prepared["made"].dtype == pl.Datetime("us")

    held.many([(601, dt.datetime(2024, 1, 5), 1.0, "Oslo", "no"), (602, dt.datetime(2024, 9, 1), 2.0, "Oslo", "no")])
    causes = {item.name: item.causes for item in pipeline(tmp_path, source).plan(store).stale}
    assert causes["read"] == ("input source changed (+1 partition)",)
    second = pipeline(tmp_path, source).run(store)
    second.raise_for_status()
    ran = json.dumps([vars(item) for item in _parts(store, second.run)])
    assert "read[2024-01]" in ran and "read[2024-09]" in ran and "read[2024-02]" not in ran
    assert second["snapshot"].height == 602

    held.execute("UPDATE orders SET amount = 77.5 WHERE id = 300")
    assert "read" in {item.name for item in pipeline(tmp_path, source).plan(store).stale}
    store.close()


def _parts(store, run):
    from types import SimpleNamespace

    from penstock.engine.history import past_run

    return [
        SimpleNamespace(name=s["name"]) for s in past_run(store, run).steps if "[" in s["name"] and s["status"] == "ran"
    ]


@each_backend
def test_a_table_without_cursor_is_read_each_time_and_the_same_rows_stop_there(servers, backend, tmp_path):
    held = servers(backend)
    held.fill(rows(300))
    source = database(held.url, query="SELECT id, amount, city, gone FROM orders ORDER BY id")
    store = open_store(tmp_path / "s")
    pipeline(tmp_path, source).run(store).raise_for_status()
    again = pipeline(tmp_path, source).run(store)
    status = {step.name: step.status for step in again.steps}
    assert status["read"] == "ran"
    assert {value for name, value in status.items() if name != "read"} == {"cached"}
    store.close()


@each_backend
def test_partitions_by_number_and_rows_without_cursor(servers, backend):
    held = servers(backend)
    held.fill([*rows(50), (None, None, 1.0, "Oslo", "no")])
    source = database(held.url, table="orders", cursor="id", partition=20)
    parts = dict(parts_of(source))
    assert {name: int(part["n"]) for name, part in parts.items()} == {"0": 20, "1": 20, "2": 10, "none": 1}
    assert sum(frame.height for frame in read_part(source, "1")) == 20
    assert sum(frame.height for frame in read_part(source, "none")) == 1


@each_backend
@pytest.mark.parametrize("options", [{"cursor": "made"}, {"cursor": "id", "partition": 100}], ids=["times", "numbers"])
def test_a_row_less_and_another_more_change_a_partition_though_count_and_bounds_are_as_before(
    servers, backend, options
):
    held = servers(backend)
    first, *others, last = rows(50, months=1, first=300)
    held.fill([first, *others, last, (None, None, 1.0, "Oslo", "no")])
    source = database(held.url, table="orders", **options)
    before = dict(parts_of(source))
    held.execute("DELETE FROM orders WHERE id = 307")
    held.many([(340, first[1] + dt.timedelta(seconds=90), 2.0, "Rome", "no")])
    after = dict(parts_of(source))
    changed = {name for name in after if name != "none" and after[name] != before[name]}
    assert changed == set(before) - {"none"} == ({"2024-01"} if options["cursor"] == "made" else {"3"})
    assert after["none"]["n"] == "1"
    assert after["none"] != before["none"], "nothing tells whether rows without a cursor are the same"


@each_backend
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"table": "order_s"}, "order_s"),
        ({"table": "orders", "cursor": "whenever"}, "whenever"),
        ({"query": "SELEC 1"}, "SELEC|syntax"),
    ],
    ids=["table", "cursor", "syntax"],
)
def test_what_the_database_refuses_is_told(servers, backend, options, says, tmp_path):
    held = servers(backend)
    held.fill(rows(10))
    store = open_store(tmp_path / "s")
    with pytest.raises(InputError, match="ps.ingest.database.*") as told:
        pipeline(tmp_path, database(held.url, **options)).run(store).raise_for_status()
    assert "tops3cret" not in str(told.value)
    store.close()


@each_backend
def test_a_table_may_have_a_name_of_several_words(servers, backend):
    held = servers(backend)
    held.fill(rows(30))
    sign = "`" if backend == "mariadb" else '"'
    name = "Order Details-2024"
    held.execute(f"DROP TABLE IF EXISTS {sign}{name}{sign}")
    held.execute(f"CREATE TABLE {sign}{name}{sign} AS SELECT * FROM orders")
    source = database(held.url, table=name, cursor="id", partition=20)
    assert {part: int(found["n"]) for part, found in dict(parts_of(source)).items()} == {"0": 20, "1": 10}
    assert sum(frame.height for frame in read_part(source, "1")) == 10


@each_backend
def test_an_empty_table_is_told(servers, backend, tmp_path):
    held = servers(backend)
    held.fill([])
    store = open_store(tmp_path / "s")
    for options in ({}, {"cursor": "made"}):
        with pytest.raises(InputError, match="has no rows"):
            pipeline(tmp_path, database(held.url, table="orders", **options)).run(store).raise_for_status()
    store.close()


@each_backend
def test_a_cursor_of_numbers_is_not_cut_by_a_calendar(servers, backend):
    held = servers(backend)
    held.fill(rows(60))
    with pytest.raises(InputError, match='cursor "id" holds numbers.*such as partition=100_000'):
        parts_of(database(held.url, table="orders", cursor="id"))
    assert [name for name, _ in parts_of(database(held.url, table="orders", cursor="id", partition=50))] == ["0", "1"]
    assert len(parts_of(database(held.url, table="orders", cursor="made", partition="year"))) == 1


QUERY = "SELECT o.*, p.id AS other FROM orders o JOIN orders p ON o.id % 7 = p.id % 11 -- some of them"


@pytest.mark.parametrize("options", [{"table": "orders"}, {"table": "orders", "cursor": "made"}, {"query": QUERY}])
@pytest.mark.parametrize("backend", ["postgresql", "duckdb"])
def test_the_same_rows_come_in_the_same_order_wherever_they_lie(servers, backend, options):
    held = servers(backend)
    held.fill(rows(60))
    source = database(held.url, **options)
    before = pl.concat([frame for name, _ in parts_of(source) for frame in read_part(source, name)])
    held.execute("UPDATE orders SET id = id WHERE id % 3 = 0")  # PostgreSQL finds these last now
    after = pl.concat([frame for name, _ in parts_of(source) for frame in read_part(source, name)])
    assert after.equals(before)
    assert before.height > 60 or before["id"].to_list() == [*range(60)]


@each_backend
def test_a_query_that_says_its_order_has_it(servers, backend):
    held = servers(backend)
    held.fill(rows(50))
    asked = "SELECT id, ROW_NUMBER() OVER (ORDER BY made) AS place FROM orders WHERE id IS NOT NULL"
    read = pl.concat(list(read_part(database(held.url, query=f"{asked} ORDER BY id DESC;"), "all")))
    assert read["id"].to_list() == sorted(read["id"].to_list(), reverse=True)
    assert pl.concat(list(read_part(database(held.url, query=f"{asked};"), "all"))).height == read.height


def test_rows_with_columns_that_cannot_be_compared_have_an_order_too(servers):
    held = servers("postgresql")
    held.execute("DROP TABLE IF EXISTS odd")
    held.execute("CREATE TABLE odd (j json, n int)")
    held.execute("INSERT INTO odd VALUES ('{}', 3), ('{}', 1), ('[2]', 2)")
    for source in (database(held.url, table="odd"), database(held.url, table="odd", cursor="n", partition=10)):
        read = pl.concat([frame for name, _ in parts_of(source) for frame in read_part(source, name)])
        assert sorted(read["n"].to_list()) == [1, 2, 3]
        held.execute("UPDATE odd SET n = n WHERE n = 3")
        again = pl.concat([frame for name, _ in parts_of(source) for frame in read_part(source, name)])
        assert again.equals(read)


def test_a_secret_is_nowhere_in_the_store_nor_in_any_error(servers, tmp_path, monkeypatch):
    held = servers("postgresql")
    held.fill(rows(100))
    store = open_store(tmp_path / "s")
    source = database(held.url, table="orders", cursor="made")
    pipeline(tmp_path, source).run(store).raise_for_status()
    store.close()
    for path in (tmp_path / "s").rglob("*"):
        assert not path.is_file() or b"tops3cret" not in path.read_bytes(), path
    monkeypatch.setenv("SHOP_PASSWORD", "wr0ngs3cret")
    with pytest.raises(DataError) as told:
        parts_of(source)
    assert "wr0ngs3cret" not in str(told.value)
    assert "${SHOP_PASSWORD}" in str(told.value)
    monkeypatch.delenv("SHOP_PASSWORD")
    with pytest.raises(InputError, match="the environment has no SHOP_PASSWORD"):
        parts_of(source)


def test_a_database_that_does_not_answer_is_told():
    source = database(
        f"postgresql://penstock:${{SHOP_PASSWORD}}@127.0.0.1:{free_port()}/postgres", table="orders", cursor="made"
    )
    with pytest.raises(DataError, match="orders: .*refused"):
        parts_of(source)


def test_types_that_only_a_database_has_become_numbers_and_text(servers):
    held = servers("postgresql")
    held.execute("DROP TABLE IF EXISTS odd")
    held.execute(
        "CREATE TABLE odd AS SELECT 1.50::numeric(9,2) AS n, 'nan'::numeric AS x, '-1 year -1 month 1 day 00:00:00.5'::interval AS i, "
        "'{\"a\": 1}'::jsonb AS j, '12345678-1234-1234-1234-123456789abc'::uuid AS u, "
        "'2024-01-01 10:00+02'::timestamptz AS t, 12345678901234567890::numeric AS big, NULL::int AS nothing, "
        "9007199254740993::numeric(20,0) AS key"
    )
    frame = pl.concat(list(read_part(database(held.url, table="odd"), "all")))
    row = frame.row(0, named=True)
    assert (row["n"], row["u"], row["j"]) == (1.5, "12345678-1234-1234-1234-123456789abc", '{"a": 1}')
    assert row["t"] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert row["big"] == 1.2345678901234567e19
    assert row["nothing"] is None
    assert row["key"] == 2**53 + 1  # another one as a float
    assert row["i"] == (-365.25 - 30 + 1) * 86_400 + 0.5  # as PostgreSQL's own epoch of it


def test_what_the_driver_has_no_type_for_comes_as_it_is_written_and_infinite_dates_as_missing(servers):
    held = servers("postgresql")
    held.execute('DROP TABLE IF EXISTS "Odd Ones"')
    held.execute("DROP TYPE IF EXISTS duo")
    held.execute("CREATE TYPE duo AS (a int, b text)")
    held.execute(
        """CREATE TABLE "Odd Ones" AS SELECT (-5.25)::money AS price, '10.0.0.1'::inet AS ip, '10.1.0.0/16'::cidr AS net,
        '08:00:2b:01:02:03'::macaddr AS mac, point(1, 2) AS place, B'101'::bit(3) AS bits, ARRAY['a', 'b'] AS tags,
        ARRAY[]::int[] AS none, ROW(1, 'x')::duo AS pair, 'infinity'::timestamptz AS until, '-infinity'::date AS since,
        '2024-05-31'::date AS day, '\\xdeadbeef'::bytea AS raw, '{"a": [1]}'::json AS j, NULL::inet AS gone"""
    )
    source = database(held.url, table="Odd Ones")
    (row,) = pl.concat(list(read_part(source, "all"))).to_dicts()
    assert row == {
        "price": -5.25, "ip": "10.0.0.1", "net": "10.1.0.0/16", "mac": "08:00:2b:01:02:03", "place": "(1,2)", "bits": "101",
        "tags": '["a", "b"]', "none": "[]", "pair": "(1,x)", "until": None, "since": None, "day": dt.date(2024, 5, 31),
        "raw": "ޭ\\xbe\\xef", "j": '{"a": [1]}', "gone": None,
    }  # fmt: skip
    twice = database(held.url, query='SELECT price, price AS "a""b" FROM "Odd Ones" ORDER BY price')
    assert pl.concat(list(read_part(twice, "all"))).row(0) == (-5.25, -5.25)


def test_cells_of_several_types_in_a_column_of_sqlite_are_read_whatever_the_first_rows_hold(tmp_path):
    link = sqlite3.connect(tmp_path / "loose.db")
    link.execute('CREATE TABLE t (at INTEGER, number, late, `mixed "x"`, first, whole INTEGER, gone)')
    many = [(at, at, None, at, "a", at, None) for at in range(3000)]
    link.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", [*many, (3000, 0.5, 2.5, "n/a", 7, 2**62, None)])
    link.commit()
    source = database(f"sqlite:///{tmp_path}/loose.db", query="SELECT * FROM t ORDER BY at")
    frame = pl.concat(list(read_part(source, "all")))
    assert frame.height == 3001
    assert frame.row(5) == (5, 5.0, None, "5", "a", 5, None)
    assert frame.row(-1) == (3000, 0.5, 2.5, "n/a", "7", 2**62, None)
    link.execute("CREATE TABLE empty (a)")
    assert list(read_part(database(f"sqlite:///{tmp_path}/loose.db", table="empty"), "all")) == []


def test_exact_whole_numbers_keep_their_digits(servers):
    held = servers("duckdb")
    held.execute("DROP TABLE IF EXISTS odd")
    held.execute("CREATE TABLE odd AS SELECT 9007199254740993::DECIMAL(20,0) AS k, 0.5::DECIMAL(9,2) AS half")
    frame = pl.concat(list(read_part(database(held.url, table="odd"), "all")))
    assert frame.rows() == [(2**53 + 1, 0.5)]


def test_a_frame_with_a_databases_own_types_is_one_of_text():
    opaque = pa.array(["1.5", None], pa.opaque(pa.string(), "numeric", "PostgreSQL"))
    frame = flat(pl.from_arrow(pa.table({"n": opaque})))
    assert (frame["n"].dtype, frame["n"].to_list()) == (pl.String, ["1.5", None])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: database("oracle://h/db", table="t"), "is not a known database"),
        (lambda: database("x.db", table="t"), "such as sqlite:///x.db"),
        (lambda: database("sqlite:///x.db"), "either table= or query="),
        (lambda: database("postgresql://u:secret@h/db", table="t"), "password in plain text"),
        (lambda: database("sqlite:///x.db", table="t; DROP TABLE t"), "is not the name of a table"),
        (lambda: database("sqlite:///x.db", table="t", cursor="c", partition="week"), "give day, month, year"),
        (lambda: parts_of(database("sqlite:///nothing.db", table="t", cursor="c")), "there is no file"),
    ],
)
def test_declarations_that_cannot_be_are_refused(make, says):
    with pytest.raises((InputError, DataError), match=says):
        make()
