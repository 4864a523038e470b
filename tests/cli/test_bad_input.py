"""Every mistake that people make: a clear error, exit code 2, no traceback, nothing lost."""

from pathlib import Path

import polars as pl
import pytest
from tests.cli.test_commands import PIPELINE, call, call_json
from tests.conftest import customers

GOOD = PIPELINE.format(gate="")


def attempt(folder, data=None, pipeline=GOOD, code=2):
    if data is not None:
        (folder / "customers.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
    (folder / "pipeline.py").write_text(pipeline)
    return call("run", "pipeline.py", folder=folder, code=code).stderr


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "customers.csv: the file is empty"),
        ("a,left\n", "but no rows"),
        ("a,left\n1,gone\n2\n", "customers.csv, line 3: has 1 fields, the header has 2"),
        ("a,left\né,gone\n".encode("latin-1"), "is not utf-8"),
        (bytes(range(256)) * 30, "holds binary data"),
        ("a,a,left\n1,2,gone\n", "two columns have the same name: 'a'"),
        ("a,lefty\n1,gone\n2,here\n", 'no column "left". Did you mean "lefty"?'),
        ("a,left\n1,gone\n2,gone\n", "every value is 'gone'; a binary target needs two classes"),
        ("a,left\n1,\n2,\n", "every cell is empty"),
        ("a,left\n1,x\n2,y\n3,z\n", "has 3 values"),
        ("left\n" + "gone\nhere\n" * 50, "no column is left to learn from"),
    ],
    ids=[
        "empty",
        "header",
        "ragged",
        "encoding",
        "junk",
        "doubled",
        "no-target",
        "one-class",
        "null-target",
        "three",
        "alone",
    ],
)
def test_data_that_cannot_be_used(tmp_path, data, says):
    assert says in attempt(tmp_path, data)


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        ("pipeline = (", "pipeline.py, line 1: "),
        ("x = 1", "holds no pipeline and no steps"),
        ("import penstock as ps\n\n1 / 0", "pipeline.py, line 3: ZeroDivisionError"),
        ("import nothing_like_it", "No module named 'nothing_like_it'"),
        (
            GOOD + "other = ps.Pipeline('b', ingest=pipeline.ingest, target=pipeline.target)",
            "name one: pipeline.py:pipeline or",
        ),
        (GOOD.replace('"customers.csv"', '"missing.csv"'), "missing.csv: was not found"),
        (GOOD.replace("ps.binary", "ps.train.search"), "pipeline.py, line 8: TypeError"),
        (GOOD.replace("evaluate=ps.evaluate.gate()", "evaluate=ps.evaluate.gate(auc=1)"), "'auc' is not a metric"),
        (GOOD.replace('positive="gone"', 'positive="left"'), "positive='left' is not one of its values"),
    ],
    ids=["syntax", "none", "raises", "import", "two", "no-file", "wrong-stage", "metric", "positive"],
)
def test_a_pipeline_file_that_cannot_be_used(tmp_path, pipeline, says):
    customers(100).write_csv(tmp_path / "customers.csv")
    assert says in attempt(tmp_path, pipeline=pipeline)


def test_nan_infinite_ten_thousand_categories_and_five_thousand_columns(tmp_path):
    table = customers(400).with_columns(
        pl.Series("odd", [float("nan"), float("inf"), -float("inf"), 1.0] * 100),
        pl.Series("many", [f"c{i * 25 % 10_000}" for i in range(400)]),
    )
    wide = table.with_columns(pl.lit(0.5).alias(f"x{i}") * pl.col("orders") * i for i in range(5000))
    wide.write_csv(tmp_path / "customers.csv")
    (tmp_path / "pipeline.py").write_text(GOOD)
    run = call_json("run", "pipeline.py", "--set", "train.refit=false", folder=tmp_path)
    assert run["status"] == "succeeded"


def test_ten_thousand_categories(tmp_path):
    many = pl.Series("many", [f"c{i}" for i in range(10_000)])
    once, again = (customers(10_000, seed=seed).with_columns(many) for seed in (1, 2))
    pl.concat([once, again.with_columns(pl.col("key") + "b")]).write_csv(tmp_path / "customers.csv")
    (tmp_path / "pipeline.py").write_text(GOOD)
    assert call_json("run", "pipeline.py", folder=tmp_path)["status"] == "succeeded"


def test_rows_without_a_target_are_left_out_and_counted(tmp_path):
    table = customers(400).with_columns(
        pl.when(pl.col("orders") == 3).then(None).otherwise(pl.col("left")).alias("left")
    )
    table.write_csv(tmp_path / "customers.csv")
    (tmp_path / "pipeline.py").write_text(GOOD)
    run = call_json("run", "pipeline.py", folder=tmp_path)
    assert "were neither learnt nor judged" in Path(run["report"]).read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runn"], "Did you mean run?"),
        (["run", "nothing.py"], "there is no such file"),
        (["run", "."], "is a folder"),
        (["show", "20"], "there is no store"),
        (["serve", "nobody"], "there is no store"),
        (["init", "nothing.csv", "--target", "x"], "was not found"),
        (["run", "p.py", "--store", "s3://bucket"], "give a folder, or"),
        (["watch", "p.py", "--every", "0s"], "at least 0.1s"),
        (["watch", "p.py", "--every", "often", "--unit", "systemd"], "is not a length of time"),
        (
            ["watch", "p.py", "--every", "2 months", "--unit", "systemd"],
            "months and years differ in length; write days",
        ),
    ],
)
def test_words_that_lead_nowhere(tmp_path, words, says):
    (tmp_path / "p.py").write_text(GOOD)
    code = 1 if "s3" in words[-1] else 2
    assert says in call(*words, folder=tmp_path, code=code).stderr


def test_a_model_that_is_not_there_is_named_with_those_that_are(tmp_path):
    customers(200).write_csv(tmp_path / "customers.csv")
    (tmp_path / "pipeline.py").write_text(GOOD)
    call("run", "pipeline.py", folder=tmp_path)
    for words in (["serve", "nobody"], ["monitor", "nobody"], ["models", "nobody"], ["promote", "nobody", "1"]):
        assert "pipelines with models: customers" in call(*words, folder=tmp_path, code=2).stderr
    assert "there is no run 'x'" in call("show", "x", folder=tmp_path, code=2).stderr
    assert "nothing to go back to" in call("rollback", "customers", folder=tmp_path, code=2).stderr


def test_a_failure_leaves_what_serves(tmp_path):
    customers(300).write_csv(tmp_path / "customers.csv")
    (tmp_path / "pipeline.py").write_text(GOOD)
    call("run", "pipeline.py", folder=tmp_path)
    (tmp_path / "customers.csv").write_text("a,left\n1\n")
    attempt(tmp_path)
    assert "champion" in call("models", "customers", folder=tmp_path).stdout
