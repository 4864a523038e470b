"""Steps that read from outside by themselves are never taken from the cache, so that what they read is never stale."""

import textwrap

import polars as pl
import pytest

from penstock.engine import Graph, make_plan, run_graph
from penstock.engine.outside import reads_in, talks

PREAMBLE = "import os\nimport io\nfrom dataclasses import dataclass\nimport json\nfrom pathlib import Path\nimport penstock as ps\nimport polars as pl\n"


def run(module, store, body):
    graph = Graph.of(module(PREAMBLE + textwrap.dedent(body)), "test")
    causes = {item.name: " ".join(item.causes) for item in make_plan(graph, store).steps}
    result = run_graph(graph, store)
    return result, {item.name: item.status for item in result.steps}, causes


@pytest.mark.parametrize(
    "body",
    [
        'return int(open("n.txt").read())',
        'with Path("n.txt").open() as file:\n        return json.load(file)',
        "return int(HERE.read_text())",
        "return helper()",
        "return Reader().numbers()",
        'import polars\n    return int(polars.read_csv("n.txt", has_header=False).item())',
        'return int(pl.scan_csv("n.txt", has_header=False).collect().item())',
    ],
)
def test_a_file_that_a_step_opens_by_itself_is_read_each_time(module, store, tmp_path, monkeypatch, body):
    monkeypatch.chdir(tmp_path)
    text = f"""
HERE = Path("n.txt")
def helper():
    return int(HERE.read_bytes())
class Reader:
    def numbers(self):
        return helper()
@ps.step
def number() -> int:
    {body}
@ps.step
def half(number: int) -> int:
    return number // 2
"""
    (tmp_path / "n.txt").write_text("10")
    assert run(module, store, text)[0]["half"] == 5
    same, status, causes = run(module, store, text)
    assert status == {"number": "ran", "half": "cached"}
    assert "ps.source()" in causes["number"] and "cache=True" in causes["number"]
    (tmp_path / "n.txt").write_text("20")
    assert run(module, store, text)[0]["half"] == 10


@pytest.mark.parametrize("each", ['each="parts", ', ""])
def test_what_was_kept_when_the_author_said_so_is_not_taken_when_he_no_longer_does(
    module, store, tmp_path, monkeypatch, each
):
    monkeypatch.chdir(tmp_path)
    text = """
    @ps.step
    def parts() -> ps.Partitions[int]:
        return ps.Partitions({{"a": 1, "b": 2}})
    @ps.step({each}{cache})
    def added(parts: {kind}) -> int:
        return int(Path("n.txt").read_text())
    @ps.step
    def seen(added: {out}) -> str:
        return str(list(added.values()) if isinstance(added, dict) else [added])
    """
    kinds = {"kind": "int", "out": "ps.Partitions[int]"} if each else {"kind": "ps.Partitions[int]", "out": "int"}
    (tmp_path / "n.txt").write_text("10")
    assert "10" in run(module, store, text.format(each=each, cache="cache=True", **kinds))[0]["seen"]
    (tmp_path / "n.txt").write_text("20")
    assert "10" in run(module, store, text.format(each=each, cache="cache=True", **kinds))[0]["seen"]
    assert "20" in run(module, store, text.format(each=each, cache="", **kinds))[0]["seen"]


def test_what_a_type_reads_that_only_an_annotation_names_is_read_each_time(module, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """
    @dataclass
    class Reader:
        name: str
        def number(self) -> int:
            return int(Path(self.name).read_text())
    @ps.step
    def reader() -> Reader:
        return Reader("n.txt")
    @ps.step
    def number(reader: Reader) -> int:
        return reader.number()
    """
    (tmp_path / "n.txt").write_text("10")
    assert run(module, store, text)[0]["number"] == 10
    (tmp_path / "n.txt").write_text("20")
    assert run(module, store, text)[0]["number"] == 20


def test_the_environment_is_read_each_time(module, store, monkeypatch):
    text = """
    @ps.step
    def said() -> str:
        return os.environ["SAID"]
    @ps.step
    def got() -> str:
        return os.environ.get("SAID", "")
    """
    monkeypatch.setenv("SAID", "one")
    run(module, store, text)
    monkeypatch.setenv("SAID", "two")
    result, _, causes = run(module, store, text)
    assert (result["said"], result["got"]) == ("two", "two")
    assert "os.environ in said()" in causes["said"]


def test_what_a_map_over_partitions_reads_by_itself_is_read_each_time(module, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """
    @ps.step
    def parts() -> ps.Partitions[int]:
        return ps.Partitions({"a": 1, "b": 2})
    @ps.step(each="parts")
    def added(parts: int) -> int:
        return parts + int(Path("n.txt").read_text())
    @ps.step
    def total(added: ps.Partitions[int]) -> int:
        return sum(added.values())
    """
    (tmp_path / "n.txt").write_text("10")
    assert run(module, store, text)[0]["total"] == 23
    (tmp_path / "n.txt").write_text("20")
    assert run(module, store, text)[0]["total"] == 43


def test_files_that_are_given_memory_and_writing_leave_a_step_in_the_cache(module, store, tmp_path):
    pl.DataFrame({"x": [1, 2]}).write_csv(tmp_path / "t.csv")
    text = f"""
    table = ps.source({str(tmp_path / "t.csv")!r})
    @ps.step
    def rows(table: Path) -> pl.DataFrame:
        return pl.read_csv(table)
    @ps.step
    def parsed() -> pl.DataFrame:
        return pl.read_csv(io.BytesIO(b"a\\n1\\n"))
    @ps.step
    def written(parsed: pl.DataFrame) -> int:
        with open({str(tmp_path / "out.txt")!r}, "w") as file:
            return file.write("x")
    @ps.step(cache=True)
    def trusted() -> str:
        return Path({str(tmp_path / "t.csv")!r}).read_text()
    class Door:
        def open(self) -> int:
            return 1
        def twice(self) -> int:
            return self.open() * 2
    door = Door()
    @dataclass
    class Settings:
        size: int
        @classmethod
        def load(cls, path):
            return cls(**json.loads(Path(path).read_text()))
    @ps.step
    def halved(settings: Settings) -> int:
        return settings.size // 2
    @ps.step
    def settings() -> Settings:
        return setting
    setting = Settings(4)
    @ps.step
    def opened() -> int:
        return door.open() + door.twice()
    """
    run(module, store, text)
    assert set(run(module, store, text)[1].values()) == {"cached"}


def test_a_database_is_asked_each_time_even_by_a_step_that_is_given_files(module, store, tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n")
    text = f"""
    import sqlite3
    table = ps.source({str(tmp_path / "t.csv")!r})
    @ps.step
    def rows(table: Path) -> int:
        with sqlite3.connect(":memory:") as connection:
            return connection.execute("select 1").fetchone()[0]
    """
    run(module, store, text)
    _, status, causes = run(module, store, text)
    assert status == {"rows": "ran"} and "sqlite3" in causes["rows"]


def test_reading_is_told_by_the_names_of_calls():
    import ast

    written = """
    pd.read_csv(path); read_parquet(path); np.load(path); model.load(path); ast.walk(tree); os.walk(folder)
    open(path, mode="rb"); open(path, "a"); path.open("w"); gzip.open(path, "wb"); open("a", "r+"); os.environ["A"] = "1"; print(os.environ["B"])
    """
    found = reads_in(ast.parse(textwrap.dedent(written)))
    assert found == (
        "pd.read_csv()", "read_parquet()", "np.load()", "os.walk()", "open()", "os.environ",
    )  # fmt: skip
    of_bytes = "Image.open(io.BytesIO(body)); zipfile.ZipFile(io.BytesIO(body)); np.load(io.BytesIO(body)); open(path)"
    assert reads_in(ast.parse(of_bytes)) == ("open()",)
    assert reads_in(ast.parse('open("a"); path.open("rb")')) == ("open()", "path.open()")
    assert talks("psycopg") and talks("requests.sessions") and not talks("polars") and not talks("requestsx")
