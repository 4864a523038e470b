"""Windows over the past: equal to a plain loop over all events, and online equal to offline bit for bit."""

import datetime as dt
import os

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import DataError, InputError
from penstock.features.resolve import resolve
from penstock.features.stored import compacts, compute
from penstock.types.table import Table

CASES = int(os.environ.get("PENSTOCK_CASES", "500"))
START = dt.datetime(2024, 3, 30)
MINUTES = st.integers(0, 3 * 1440) | st.sampled_from([0, 60, 1440, 2880])
NUMBERS = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([0.0, -0.0, 0.1, 1e-9, 1e15])
EVENTS = st.lists(
    st.fixed_dictionaries({
        "who": st.none() | st.sampled_from(["a", "b", "ć"]),
        "when": st.none() | MINUTES,
        "paid": NUMBERS,
        "items": st.none() | st.integers(-5, 5),
        "good": st.none() | st.booleans(),
        "city": st.none() | st.sampled_from(["Oslo", "Łódź", ""]),
    }),
    max_size=25,
)  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({"who": st.none() | st.sampled_from(["a", "b", "ć", "new"]), "when": st.none() | MINUTES}),
    min_size=1,
    max_size=8,
)
EVENT_SCHEMA = {
    "who": pl.String, "when": pl.Datetime("us"), "paid": pl.Float64, "items": pl.Int64, "good": pl.Boolean, "city": pl.String,
}  # fmt: skip
ROW_SCHEMA = {"who": pl.String, "when": pl.Datetime("us")}
TIMES = {"rows": "when", "events": "when"}

WINDOW = ps.features.window(
    "events",
    by="who",
    over=["1d", "90m"],
    events=pl.len(),
    paid_count=pl.col("paid").count(),
    paid_sum=pl.col("paid").sum(),
    paid_mean=pl.col("paid").mean(),
    paid_std=pl.col("paid").std(),
    paid_var0=pl.col("paid").var(ddof=0),
    paid_min=pl.col("paid").min(),
    paid_max=pl.col("paid").max(),
    paid_first=pl.col("paid").first(),
    paid_last=pl.col("paid").last(),
    paid_known=pl.col("paid").drop_nulls().last(),
    city_known=pl.col("city").drop_nulls().first(),
    good_known=pl.col("good").drop_nulls().last(),
    paid_different=pl.col("paid").n_unique(),
    paid_median=pl.col("paid").median(),
    paid_q=pl.col("paid").quantile(0.9, interpolation="linear"),
    paid_near=pl.col("paid").quantile(0.3),
    each=(pl.col("paid") / pl.col("items").clip(1)).mean(),
    good=pl.col("good").mean(),
    good_last=pl.col("good").last(),
    good_std=pl.col("good").std(),
    cities=pl.col("city").n_unique(),
    city=pl.col("city").last(),
    city_count=pl.col("city").count(),
    a_day=ps.features.rate(),
    since=ps.features.time_since(),
)
CHOSEN = {
    "total": pl.col("paid").filter(pl.col("city") == "Oslo").sum(),
    "usual": pl.col("paid").filter(pl.col("good"), pl.col("items") > 0).mean(),
    "wide": pl.col("paid").filter(pl.col("good")).std(),
    "most": pl.col("paid").filter(pl.col("items") < 0).max(),
    "middle": pl.col("paid").filter(pl.col("good")).median(),
    "known": pl.col("paid").filter(pl.col("good")).count(),
    "chosen": pl.col("paid").filter(pl.col("good")).len(),
    "latest": pl.col("paid").filter(pl.col("good")).drop_nulls().last(),
    "all": pl.col("paid").len(),
}
FEATURES = {
    "window": [WINDOW],
    "chosen": [ps.features.window("events", by="who", over="1d", **CHOSEN)],
    "delay": [ps.features.window("events", by="who", over="1d", delay="2h", n=pl.len(), s=pl.col("paid").sum())],
    "whole past": [ps.features.window("events", by="who", n=pl.len(), s=pl.col("paid").std(), t=ps.features.time_since())],
    "everyone": [ps.features.window("events", over="1d", n=pl.len(), s=pl.col("paid").sum())],
    "rolling": [ps.features.rolling(3, table="events", by="who", m=pl.col("paid").mean(), c=pl.col("city").last())],
    "lag": [
        ps.features.lag("paid", 1, 2, 5, table="events", by="who"),
        ps.features.lag("city", 1, table="events", by="who"),
        ps.features.lag("good", 2, table="events", by="who"),
    ],
    "two keys": [ps.features.window("events", by=["who", "what"], n=pl.len(), s=pl.col("paid").sum())],
    "asof": [ps.features.asof("events", by="who")],
    "asof within": [ps.features.asof("events", by="who", columns=["paid", "city"], within="2h")],
    "derived": [
        ps.features.window("events", by="who", over="1d", m=pl.col("paid").mean(), last=pl.col("paid").last()),
        ps.features.derive(ratio=pl.col("last") / pl.col("m")),
    ],
}  # fmt: skip


def tables(**frames):
    return {name: Table.of(frame) for name, frame in frames.items()}


def frames(rows, events):
    def moment(minute):
        return None if minute is None else START + dt.timedelta(minutes=minute)

    made = pl.DataFrame([{**row, "when": moment(row["when"])} for row in rows], schema=ROW_SCHEMA)
    past = pl.DataFrame([{**event, "when": moment(event["when"])} for event in events], schema=EVENT_SCHEMA)
    return made.with_columns(what=pl.lit(1)), past.with_columns(what=pl.lit(1))


def stored(features, rows, events):
    return resolve(features, "rows", {"rows": rows.schema, "events": events.schema}, TIMES)


def offline(features, rows, events):
    made = stored(features, rows, events)
    return compute(rows, made, compacts(made, tables(rows=rows, events=events))).drop(rows.columns)


def online(features, rows, events, told):
    """Compute each row alone: `told` events come one by one, the others were known when the model was made."""
    from types import SimpleNamespace

    from penstock.rows import row_features

    made = stored(features, rows, events)
    known = events if told is None else events[: len(events) - told]
    past = compacts(made, tables(rows=rows, events=known))
    live = [None if item is None else one.live(item) for one, item in zip(made, past, strict=True)]
    whole = ["when"] if not getattr(features[0], "by", None) else ["who", "when"]
    for at in range(known.height, events.height):
        for item, one in zip(made, live, strict=True):
            if one is not None:
                one.add(item.compact(events[at : at + 1].drop_nulls(whole)))
    names = [name for item in made for name in item.names]
    dtypes = {name: str(kind) for name, kind in offline(features, rows, events).schema.items() if name != "ratio"}
    model = SimpleNamespace(manifest=SimpleNamespace(features=made, dtypes=dtypes), knows=SimpleNamespace(live=live))
    prepared = rows.to_dicts()
    for feature in row_features(model):
        feature(prepared)
    return [{name: row[name] for name in names} for row in prepared]


def same(one, two):
    return repr(one) == repr(two) or (one == two and not isinstance(one, float) and not isinstance(two, float)) or (
        isinstance(one, int | float) and isinstance(two, int | float) and np.float64(one).tobytes() == np.float64(two).tobytes()
    )  # fmt: skip


@pytest.mark.parametrize("kind", FEATURES)
@given(rows=ROWS, events=EVENTS, told=st.integers(0, 25))
@settings(max_examples=CASES // 5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_row_alone_has_the_value_that_it_has_in_the_table_bit_for_bit(kind, rows, events, told):
    rows, events = frames(rows, events)
    table = offline(FEATURES[kind], rows, events).to_dicts()
    alone = online(FEATURES[kind], rows, events, min(told, events.height))
    for number, (one, two) in enumerate(zip(table, alone, strict=True)):
        for name in one:
            assert same(one[name], two[name]), (number, name, one[name], two[name])


def by_loop(rows, events, over, delay=dt.timedelta(0)):
    """The definition, written as slowly and plainly as it can be: Polars on each row's own events."""
    found = []
    for row in rows.iter_rows(named=True):
        if row["who"] is None or row["when"] is None:
            found.append(None)
            continue
        until = row["when"] - delay
        mine = events.filter(
            (pl.col("who") == row["who"]) & (pl.col("when") < until) & (pl.col("when") >= until - over)
        ).sort("when", maintain_order=True)
        found.append(mine)
    return found


@given(rows=ROWS, events=EVENTS)
@settings(max_examples=CASES // 5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_window_is_what_polars_makes_of_each_rows_own_events(rows, events):
    rows, events = frames(rows, events)
    table = offline([WINDOW], rows, events)
    expressions = {
        name: made for name, made in WINDOW.aggregates if isinstance(made, pl.Expr) and name not in ("each", "events")
    }
    for suffix, over in (("_1d", dt.timedelta(days=1)), ("_90m", dt.timedelta(minutes=90))):
        for number, mine in enumerate(by_loop(rows, events, over)):
            row = table.row(number, named=True)
            if mine is None:
                assert all(value is None for value in row.values())
                continue
            assert row[f"events{suffix}"] == mine.height
            for name, made in expressions.items():
                wanted = mine.select(made.alias("x")).item() if mine.height else {"paid_sum": 0.0}.get(name)
                if name in ("paid_different", "cities", "paid_count", "city_count") and not mine.height:
                    wanted = 0
                got = row[name + suffix]
                if isinstance(wanted, float):
                    scale = 1 + mine["paid"].abs().max() if "paid" in name and mine["paid"].count() else 1
                    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-7 * scale), name
                else:
                    assert got == wanted, name


@given(events=EVENTS, rows=ROWS, order=st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_order_in_which_events_of_unlike_times_come_does_not_matter(events, rows, order):
    unlike = list({event["when"]: event for event in events if event["when"] is not None}.values())
    mixed = list(unlike)
    order.shuffle(mixed)
    one = offline([WINDOW], *frames(rows, unlike))
    assert one.equals(offline([WINDOW], *frames(rows, mixed)))


def test_an_event_of_the_same_moment_does_not_count_and_the_windows_far_end_does():
    rows, events = frames([{"who": "a", "when": 2000}], [])
    past = pl.DataFrame({
        "who": ["a"] * 4, "paid": [1.0, 2.0, 4.0, 8.0],
        "when": [START + dt.timedelta(minutes=m) for m in (2000, 1999, 2000 - 1440, 2000 - 1441)],
    })  # fmt: skip
    made = [ps.features.window("events", by="who", over="1d", s=pl.col("paid").sum())]
    assert offline(made, rows, past)["s"].to_list() == [6.0]


def test_clocks_that_are_put_forward_do_not_stretch_a_window():
    # 31 March 2024: in Oslo, one hour is missing. Times are kept in UTC, so one day is 24 hours.
    zone = "Europe/Oslo"
    times = pl.Series("when", [dt.datetime(2024, 3, 31, 1, 30), dt.datetime(2024, 3, 31, 3, 30)]).dt.replace_time_zone(
        zone
    )
    from penstock.prepare.tables import normalised

    events = normalised(pl.DataFrame({"who": ["a", "a"], "when": times, "paid": [1.0, 2.0]}))
    rows = pl.DataFrame({"who": ["a"], "when": [dt.datetime(2024, 3, 31, 1, 45)]}).with_columns(
        pl.col("when").cast(pl.Datetime("us"))
    )
    made = [
        ps.features.window("events", by="who", over="61m", n=pl.len()),
        ps.features.window("events", by="who", over="75m", m=pl.len()),
    ]
    assert offline(made, rows, events).rows() == [(1, 2)]
    assert (events["when"][1] - events["when"][0]) == dt.timedelta(hours=1)


def test_whole_numbers_may_stand_for_times():
    rows, events = pl.DataFrame({"when": [5, 10]}), pl.DataFrame({"when": [1, 4, 5, 9], "paid": [1, 2, 4, 8]})
    made = [ps.features.window("events", over=5, s=pl.col("paid").sum(), t=ps.features.time_since())]
    assert offline(made, rows, events).rows() == [(3.0, 1.0), (12.0, 1.0)]
    for made in (
        ps.features.window("events", over="5s", n=pl.len()),
        ps.features.window("events", delay="1d", n=pl.len()),
        ps.features.asof("events", within="3h"),
    ):
        with pytest.raises(DataError, match="numbers that are no dates.*give a number of their unit"):
            offline([made], rows, events)


def test_times_far_apart_do_not_overflow():
    far = [dt.datetime(1, 1, 1, 0, 0, 0, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999)]
    events = pl.DataFrame({"who": ["a", "b"] * 40, "when": far * 40, "paid": [1.0] * 80})
    rows = pl.DataFrame({"who": [f"x{i}" for i in range(50)] + ["a"], "when": [dt.datetime(2024, 1, 1)] * 51})
    many = pl.concat(
        [events, pl.DataFrame({"who": [f"y{i}" for i in range(50)], "when": [far[0]] * 50, "paid": [1.0] * 50})]
    )
    assert offline([ps.features.window("events", by="who", n=pl.len())], rows, many)["n"].to_list() == [0] * 50 + [40]


@pytest.mark.parametrize(
    ("made", "problem", "says"),
    [
        (lambda: ps.features.window("events", by="who"), InputError, "makes no column"),
        (lambda: ps.features.window("events", n=pl.len(), over="-1d"), InputError, "positive|negative"),
        (lambda: ps.features.window("events", n=pl.len(), over="1d", rows=3), InputError, "not both"),
        (lambda: ps.features.window("events", n=pl.len(), delay=-1), InputError, "look into the future"),
        (lambda: ps.features.lag("paid", -1), InputError, "looks into the future"),
        (lambda: ps.features.window("event", n=pl.len()), InputError, 'Did you mean "events"'),
        (lambda: ps.features.window("events", by="whoo", n=pl.len()), DataError, 'no column "whoo". Did you mean "who"'),
        (lambda: ps.features.window("events", by={"who": "items"}, n=pl.len()), DataError, "keys of unlike types"),
        (lambda: ps.features.window("events", x=pl.col("paid").mean() / 2), InputError, "not an aggregate"),
        (lambda: ps.features.window("events", x=pl.col("paid")), InputError, "not an aggregate"),
        (lambda: ps.features.window("events", x=(pl.col("paid") - pl.col("paid").mean()).sum()), InputError, "not an aggregate"),
        (lambda: ps.features.window("events", x=pl.col("city").mean()), DataError, "needs numbers or yes/no"),
        (lambda: ps.features.window("events", x=pl.col("city").filter(pl.col("good")).last()), InputError, "do not go with filter"),
        (lambda: ps.features.window("events", who=pl.len()), DataError, 'feature "who" has the name of a column'),
        (lambda: ps.features.window("events", x=ps.features.rate()), InputError, "needs over="),
        (lambda: ps.features.window("events", over="1d", rows=pl.len()), InputError, "rows= is an option of its own"),
        (lambda: ps.features.window(over="1d", delay=pl.col("late").mean()), InputError, "delay= is an option of its own"),
        (lambda: ps.features.window("events", rows=2.5, n=pl.len()), InputError, "rows= is how many events"),
        (lambda: ps.features.asof("rows", by="who"), InputError, "is the base table"),
        (lambda: ps.features.join("events", on="who", duplicates="all"), InputError, "duplicates="),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(made, problem, says):
    rows, events = frames([{"who": "a", "when": 0}], [])
    with pytest.raises(problem, match=says):
        offline([made()], rows, events)


@given(events=EVENTS)
@settings(max_examples=100)
def test_what_a_filter_leaves_is_aggregated_as_polars_does(events):
    rows, past = frames([{"who": "a", "when": 3 * 1440}], events)
    made = offline(FEATURES["chosen"], rows, past)
    day = pl.col("when").is_between(rows["when"][0] - dt.timedelta(days=1), rows["when"][0], closed="left")
    expected = past.filter(day & (pl.col("who") == "a")).sort("when", maintain_order=True).select(**CHOSEN)
    for name in CHOSEN:
        assert made[name][0] == pytest.approx(expected[name][0], rel=1e-6, abs=1e-3), name


def test_a_table_without_time_is_told_what_to_say():
    rows, events = frames([{"who": "a", "when": 0}], [])
    with pytest.raises(InputError, match="say it at its ingest with time="):
        resolve(
            [ps.features.asof("events", by="who")],
            "rows",
            {"rows": rows.schema, "events": events.schema},
            {"rows": "when"},
        )


def test_a_join_never_multiplies_rows_and_keeps_their_order():
    rows = pl.DataFrame({"who": ["b", None, "a", "x", "b"]})
    table = pl.DataFrame({"code": ["a", "b", "b", None], "size": [1, 2, 3, 4], "name": ["A", "B", "C", "D"]})

    def joined(**options):
        made = resolve(
            [ps.features.join("planes", on={"who": "code"}, **options)],
            "rows",
            {"rows": rows.schema, "planes": table.schema},
            {},
        )
        return compute(rows, made, compacts(made, tables(planes=table)))

    with pytest.raises(DataError, match="2 of 3 rows share a key \\(first: b\\), so that the join would multiply rows"):
        joined()
    first, last = joined(duplicates="first"), joined(duplicates="last", columns=["size"])
    assert first["planes_size"].to_list() == [2, None, 1, None, 2]
    assert last["planes_size"].to_list() == [3, None, 1, None, 3]
    assert first.columns == ["who", "planes_size", "planes_name"]


@pytest.mark.parametrize(
    ("columns", "taken"),
    [
        ({"rownames": [4, 2], "size": [7, 9]}, ["planes_size"]),
        ({"rownames": [4, 2]}, ["planes_rownames"]),
        ({"rownames": ["x", "y"], "size": [7, 9]}, ["planes_rownames", "planes_size"]),
    ],
)
def test_the_number_of_a_row_in_its_file_is_not_joined_unless_asked_for_or_all_there_is(columns, taken):
    rows, table = pl.DataFrame({"who": ["b"]}), pl.DataFrame({"code": ["a", "b"], **columns})
    schemas = {"rows": rows.schema, "planes": table.schema}
    assert resolve([ps.features.join("planes", on={"who": "code"})], "rows", schemas, {})[0].names == taken
    asked = ps.features.join("planes", on={"who": "code"}, columns=["rownames"])
    assert resolve([asked], "rows", schemas, {})[0].names == ["planes_rownames"]


def test_keys_of_whole_and_of_decimal_numbers_are_equal():
    rows, events = pl.DataFrame({"k": [1, 2], "when": [5, 5]}), pl.DataFrame({"k": [1.0, 1.5], "when": [1, 1]})
    made = [ps.features.window("events", by="k", n=pl.len())]
    assert offline(made, rows, events)["n"].to_list() == [1, 0]


def test_a_missing_cell_takes_the_last_value_that_was_known_of_its_entity():
    table = pl.DataFrame({
        "sensor": ["a", "b", "a", "a", "b", "a"], "at": [1, 2, 3, 4, 5, 90],
        "level": [1.0, None, None, 2.0, None, None], "state": [None, "on", "off", None, None, None],
    })  # fmt: skip
    features = [
        *ps.features.forward_fill("level", by="sensor"),
        *ps.features.forward_fill("state", by="sensor", over=50),
    ]
    made = resolve(features, "rows", {"rows": table.schema}, {"rows": "at"})
    found = compute(table, made, compacts(made, tables(rows=table)), check=True)
    assert found["level_filled"].to_list() == [1.0, None, 1.0, 2.0, None, 2.0]
    assert found["state_filled"].to_list() == [None, "on", "off", "off", "on", None]


@given(
    rows=ROWS,
    events=EVENTS,
    names=st.sampled_from([{"a": -3, "b": 0, "ć": 2, "new": 1}, {"a": -(10**12), "b": 7, "ć": 10**15, "new": 8}]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whole_numbers_as_keys_are_as_good_as_names(rows, events, names):
    rows, events = frames(rows, events)
    found = offline([WINDOW], rows, events)
    numbered = [
        frame.with_columns(pl.col("who").replace_strict(names, return_dtype=pl.Int64)) for frame in (rows, events)
    ]
    assert offline([WINDOW], *numbered).equals(found)
