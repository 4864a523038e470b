"""Blobs, formats and the catalog: what is written is read back, or an error says why not."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import FunctionTransformer
from tests.conftest import copied, make_pipeline
from tests.servers import postgresql

from penstock.errors import MissingArtifactError, StoreError
from penstock.store import schema
from penstock.store.blobs import Blobs
from penstock.store.catalog import Catalog
from penstock.store.estimators import read_estimator, write_estimator
from penstock.store.formats import Bundle, decode, encode
from penstock.store.store import open_store


@pytest.fixture(params=["folder", "memory"])
def blobs(request, tmp_path):
    return Blobs(tmp_path / "blobs" if request.param == "folder" else f"memory://{tmp_path.name}")


@given(data=st.binary(max_size=200))
@settings(max_examples=25, deadline=None)
def test_a_blob_is_read_back_and_equal_content_is_stored_once(tmp_path_factory, data):
    for made in (Blobs(tmp_path_factory.getbasetemp() / "b"), Blobs("memory://hypothesis")):
        digest = made.write(data)
        assert made.write(data) == digest
        assert made.read(digest) == data
        assert [size for found, size in made.list() if found == digest] == [len(data)]


def test_a_blob_that_is_removed_is_missing(blobs):
    digest = blobs.write(b"water")
    blobs.remove(digest)
    blobs.remove(digest)
    assert not blobs.exists(digest)
    with pytest.raises(MissingArtifactError, match="is not in the store"):
        blobs.read(digest)


def test_a_flipped_bit_names_the_artifact_and_how_to_compute_it_again(done, tmp_path):
    folder, store, pipeline, result = done
    copied(store.folder, tmp_path / "s")
    other = open_store(tmp_path / "s")
    ((_, featured),) = result.result.refs["featured"].partitions
    digest = featured.digest
    path = Path(other.blobs.path(digest))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    failed = pipeline.run(other, force=lambda name: name == "trials")
    error = next(step.error for step in failed.steps if step.status == "failed")
    assert "step featured of customers" in error
    assert "is damaged" in error
    assert f"Remove {path}" in error
    path.unlink()
    mended = pipeline.run(other)
    assert mended.status == "succeeded"
    assert mended.result.refs["featured"] == result.result.refs["featured"]
    other.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
@settings(deadline=None)
def test_plain_values_come_back_as_they_were(value):
    written = encode(value)
    again = decode(written.format, written.data, None)
    assert encode(again) == written


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    sizes: list[int]


@pytest.mark.parametrize(
    ("value", "kind", "annotation"),
    [
        (pl.DataFrame({"a": [1, None], "b": ["x", "Łódź"]}), "parquet", None),
        (pa.table({"a": [1, 2]}), "arrow", None),
        (np.arange(6.0).reshape(2, 3), "numpy", None),
        ({"a": np.arange(3), "b": np.zeros(2)}, "arrays", None),
        (b"bytes", "bytes", None),
        (Bundle({"k": 1}, {"f": b"x"}), "bundle", None),
        (Shape("s", [1, 2]), "json", Shape),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_type_has_a_format_and_the_same_value_the_same_bytes(value, kind, annotation):
    written = encode(value)
    assert written.format == kind
    assert encode(value) == written
    again = decode(kind, written.data, annotation)
    if kind == "parquet":
        assert again.equals(value)
    elif kind in ("numpy", "arrays"):
        np.testing.assert_equal(again, value)
    else:
        assert again == value


def test_a_table_is_read_as_what_is_asked_for():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.5, 2.5], "c": ["a", None]}, index=pandas.Index([7, 9], name="id"))
    kept = encode(frame)
    assert kept.format == "pandas"
    assert encode(frame.copy()) == kept
    pandas.testing.assert_frame_equal(decode("pandas", kept.data), frame)
    assert decode("pandas", kept.data, pl.DataFrame).to_dict(as_series=False) == {
        "x": [1.5, 2.5],
        "c": ["a", None],
        "id": [7, 9],
    }
    polars = pl.DataFrame({"x": [1, 2]})
    written = encode(polars)
    assert decode("parquet", written.data, pandas.DataFrame)["x"].tolist() == [1, 2]
    assert decode("parquet", written.data, pa.Table).column("x").to_pylist() == [1, 2]
    with pytest.raises(StoreError, match="a pandas.DataFrame cannot be stored"):
        encode(pandas.DataFrame({"x": [1, "a"]}))


def test_an_estimator_gives_the_same_bytes_in_any_process_and_loads_no_type_unasked():
    code = (
        "import sys; junk = [object() for _ in range(int(sys.argv[1]))]\n"
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\nfrom penstock.store.formats import encode\n"
        "X = np.random.default_rng(0).normal(size=(80, 3)); y = X[:, 0] > 0\n"
        "made = make_pipeline(StandardScaler(), RandomForestClassifier(4, random_state=0)).fit(X, y)\n"
        "sys.stdout.buffer.write(encode(made).data)"
    )
    one, other = (
        subprocess.run([sys.executable, "-c", code, n], capture_output=True, check=True).stdout for n in ("0", "9999")
    )
    assert one == other
    X = np.random.default_rng(0).normal(size=(80, 3))
    assert (decode("estimator", one).predict(X) == (X[:, 0] > 0)).mean() > 0.95
    unknown = FunctionTransformer(encode)
    with pytest.raises(StoreError, match="not loaded unasked.*encode"):
        encode(unknown)
    with pytest.raises(StoreError, match="not loaded unasked"):
        read_estimator(write_estimator(unknown))


def test_a_figure_is_kept_as_a_picture():
    from matplotlib.figure import Figure

    assert encode(Figure()).data.startswith(b"\x89PNG")


def test_a_value_without_a_format_is_refused_and_never_pickled():
    with pytest.raises(StoreError, match="cannot be stored: no format accepts it"):
        encode(object())
    with pytest.raises(StoreError):
        encode(np.array([object()]))


def test_migrations_make_the_tables_that_the_code_declares(tmp_path):
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.db'}")
    found = sa.MetaData()
    found.reflect(catalog.engine)
    declared = schema.metadata
    for name, table in declared.tables.items():
        assert {c.name: c.nullable for c in table.columns} == {c.name: c.nullable for c in found.tables[name].columns}
    assert set(found.tables) == {*declared.tables, "alembic_version"}
    catalog.close()


def test_a_store_of_a_newer_version_is_refused_and_not_touched(tmp_path):
    store = open_store(tmp_path)
    with store.catalog.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match=r"written by a newer Penstock.*pip install --upgrade penstock"):
        open_store(tmp_path)


def test_a_file_that_is_no_catalog_is_told(tmp_path):
    (tmp_path / "catalog.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreError, match="it is not a catalog, or is damaged"):
        open_store(tmp_path)


def test_the_environment_says_where_the_store_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_STORE", str(tmp_path / "e"))
    assert open_store().folder == tmp_path / "e"
    assert open_store(tmp_path / "o").folder == tmp_path / "o"
    monkeypatch.delenv("PENSTOCK_STORE")
    assert open_store(beside=tmp_path).folder == tmp_path / ".penstock"


def test_a_full_disk_loses_nothing_and_says_what_to_do(done, tmp_path):
    """A file system of 600 kB, really full; needs the right to mount one."""
    folder, _, _, _ = done
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = open_store(small / "s")
        noise = np.random.default_rng(0).bytes(100_000)
        first = store.blobs.write(noise)
        with pytest.raises(StoreError, match=r"No space left on device.*Nothing was lost; free some space"):
            for index in range(20):
                store.blobs.write(noise + bytes([index]))
        assert store.blobs.read(first) == noise
        assert not list(store.blobs.leftovers())
        store.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_read_only_disk_is_told(tmp_path):
    """A file system that is really read-only, because as root every folder can be written."""
    locked = tmp_path / "locked"
    locked.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(locked)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (tmp_path / "p.py").write_text("import penstock as ps\n@ps.step\ndef one() -> int:\n    return 1\n")
        command = [sys.executable, "-m", "penstock", "run", str(tmp_path / "p.py"), "--store", str(locked / "s")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        subprocess.run(["umount", str(locked)], check=True)
    assert done.returncode == 1
    assert "cannot be made: Read-only file system" in done.stderr
    assert "Give a folder that can be written with --store" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def postgres():
    with postgresql() as (folder, port):
        yield f"postgresql+psycopg://penstock@:{port}/postgres?host={folder}"


def test_the_catalog_is_the_same_on_postgresql(postgres, done, tmp_path):
    from penstock.deploy.registry import Registry
    from penstock.engine.cleanup import clean
    from penstock.engine.history import past_runs
    from penstock.store.store import Store

    folder, _, _, result = done
    store = Store(Blobs(tmp_path / "blobs"), Catalog(postgres), tmp_path)
    pipeline = make_pipeline(folder)
    first = pipeline.run(store)
    first.raise_for_status()
    assert {s.name: s.digest for s in first.steps} == {s.name: s.digest for s in result.steps}
    assert {step.status for step in pipeline.run(store).steps} == {"cached"}
    assert Registry(store, "customers").champion().version == 1
    assert [run.status for run in past_runs(store)] == ["succeeded", "succeeded"]
    assert clean(store, 1).runs == 0
    store.close()


def test_cleaning_keeps_what_kept_runs_and_models_need(tmp_path, module):
    from penstock.engine.cleanup import clean
    from penstock.engine.graph import Graph
    from penstock.engine.run import run_graph

    store = open_store(tmp_path / "s")
    text = (
        "import penstock as ps\nimport numpy as np\n@ps.step\ndef big() -> np.ndarray:\n    return np.full(1000, {})\n"
    )
    for value in range(5):
        run_graph(Graph.of(module(text.format(value)), "g"), store)
    assert len(list(store.blobs.list())) == 5
    planned = clean(store, 2, dry_run=True)
    assert (planned.runs, planned.blobs) == (3, 3)
    assert len(list(store.blobs.list())) == 5
    assert clean(store, 2) == planned
    assert len(list(store.blobs.list())) == 2
    last = run_graph(Graph.of(module(text.format(4)), "g"), store)
    assert last.steps[0].status == "cached"
    store.close()


def test_cleaning_keeps_models_that_answer(done, tmp_path):
    from penstock.engine.cleanup import clean
    from penstock.outcome import load

    _, store, _, result = done
    copied(store.folder, tmp_path / "s")
    other = open_store(tmp_path / "s")
    gone, kept = (
        other.folder / "reports" / "customers-old.html",
        other.folder / "reports" / f"customers-{result.run}.html",
    )
    gone.touch()
    with other.catalog.begin() as connection:
        connection.execute(
            schema.runs.insert(),
            {
                "id": "old",
                "pipeline": "customers",
                "status": "succeeded",
                "started": 1.0,
                "user": "",
                "host": "",
                "packages": "{}",
                "parameters": "{}",
                "seed": 0,
            },
        )
    assert clean(other, 0).blobs > 0
    assert load("customers", store=other).version == 1
    assert (gone.exists(), kept.exists()) == (False, True)
    other.close()


def test_many_processes_may_open_a_new_store_at_once(tmp_path):
    code = f"from penstock.store.store import open_store; open_store({str(tmp_path / 's')!r}).close(); print('fine')"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [item.communicate()[0].strip() for item in started] == ["fine"] * 6
