"""Rows in hand are a source like any other: known by their content, kept in the store."""

import json

import pandas as pd
import polars as pl
import pytest
from tests.cli.test_commands import call
from tests.conftest import customers

import penstock as ps
from penstock.errors import DataError
from penstock.ingest.given import given_parts, table
from penstock.outcome import load
from penstock.store.store import open_store


def pipeline_of(rows, folder, **more):
    return ps.Pipeline(
        "hand",
        ingest=ps.ingest.table(rows, **more),
        target=ps.binary("left", positive="gone"),
        train=ps.train.search(trials=1, learners=["linear"], refit=False),
        file=str(folder / "hand.py"),
    )


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path / "s")
    yield made
    made.close()


def test_a_frame_of_pandas_is_learnt_from_and_known_again_by_its_content(tmp_path, store):
    rows = customers(300).to_pandas()
    run = pipeline_of(rows, tmp_path).run(store, executor="processes")
    run.raise_for_status()
    assert pipeline_of(rows.copy(), tmp_path).plan(store).stale == ()
    causes = {step.name: step.causes for step in pipeline_of(rows[:200], tmp_path).plan(store).stale}
    assert causes["read"] == ("input source changed",)
    model = load("hand", 1, store)
    assert list(model.predict(rows[:20])) == list(model.predict(pl.from_pandas(rows[:20])))


def test_a_file_that_makes_its_rows_is_reproduced(tmp_path):
    customers(300).write_csv(tmp_path / "customers.csv")
    (tmp_path / "hand.py").write_text(
        "import pandas as pd\nimport penstock as ps\nfrom pathlib import Path\n"
        "rows = pd.read_csv(Path(__file__).with_name('customers.csv')).query('orders > 1')\n"
        "pipeline = ps.Pipeline('hand', ingest=ps.ingest.table(rows), target=ps.binary('left', positive='gone'),\n"
        "    train=ps.train.search(trials=1, learners=['linear'], refit=False))\n"
    )
    run = json.loads(call("run", "hand.py", "--json", folder=tmp_path).stdout)
    assert "every artifact is the same byte for byte" in call("reproduce", run["run"], folder=tmp_path).stdout


def test_tables_in_hand_are_joined_and_divided_by_their_time(tmp_path, store):
    rides = pl.DataFrame(
        {
            "at": pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 9), "1h", eager=True),
        }
    ).with_columns(zone=pl.int_range(pl.len()) % 3, fare=(pl.int_range(pl.len()) % 24).cast(pl.Float64))
    pipeline = ps.Pipeline(
        "rides",
        ingest={"rides": table(rides, time="at"), "zones": table({"zone": [0, 1, 2], "rich": [0.5, 1.0, 2.0]})},
        base="rides",
        features=[ps.features.join("zones", on="zone"), ps.features.calendar("at")],
        target=ps.regression("fare"),
        train=ps.train.search(trials=1, learners=["linear"], refit=False),
        file=str(tmp_path / "rides.py"),
    )
    run = pipeline.run(store)
    run.raise_for_status()
    assert run["featured"]["zones_rich"].to_list()[:3] == [0.5, 1.0, 2.0]
    assert run["divided"]["division"]["kind"] == "time"


def test_parts_are_as_files_would_give_them(monkeypatch):
    monkeypatch.setattr("penstock.ingest.given._PART_BYTES", 100)
    rows = pl.DataFrame({"user": [{"age": at} for at in range(40)], "tags": [["a"]] * 40})
    parts = dict(given_parts(rows))
    assert list(parts)[:2] == ["00000", "00001"]
    assert pl.concat(parts.values()).columns == ["user.age", "tags"]
    assert pl.concat(parts.values())["user.age"].to_list() == list(range(40))


@pytest.mark.parametrize("rows", [pd.DataFrame({"a": []}), "rows.csv", None])
def test_what_is_no_table_with_rows_is_refused(rows):
    with pytest.raises(DataError, match="has no rows|expected a table"):
        table(rows)
