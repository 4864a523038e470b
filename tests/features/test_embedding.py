"""Texts by embeddings from a folder: the same for a row and a table, and noticed when the folder changes.

The embeddings are made here, of a few words: real ones would have to be downloaded.
"""

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.conftest import customers, make_pipeline

import penstock as ps
from penstock.errors import InputError
from penstock.features.embedding import digest_of_folder, embedder
from penstock.features.encoding import Encoding, fit_encoding
from penstock.store.store import open_store

model2vec = pytest.importorskip("model2vec", reason="pip install 'penstock[text]'")

WORDS = [
    "[UNK]",
    "great",
    "good",
    "service",
    "indeed",
    "never",
    "again",
    "at",
    "all",
    "quite",
    "but",
    "slow",
    "no",
    "opinion",
    "on",
    "this",
]


@pytest.fixture
def folder(tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 12)).astype(np.float32)
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "words")
    return tmp_path / "words"


def test_a_row_has_the_point_that_it_has_in_the_table(folder):
    table = pl.DataFrame(
        {"note": ["great service", "never again", None, "no opinion", "great service", "quite new words"] * 5}
    )
    made = fit_encoding(table, ["note"], [ps.features.text("note", size=4, model=folder)])
    made = msgspec.convert(msgspec.json.decode(msgspec.json.encode(made)), Encoding)
    assert made.names() == [f"note (embedding {at})" for at in (1, 2, 3, 4)]
    encode = made.row()
    rows = np.array([encode(row) for row in table.to_dicts()])
    assert np.array_equal(made.matrix(table), rows, equal_nan=True)
    assert np.isnan(rows[2]).all()
    assert not np.array_equal(rows[0], rows[1])


def test_a_pipeline_answers_with_them_and_notices_when_they_change(folder, tmp_path):
    customers(300).write_csv(tmp_path / "customers.csv")
    store = open_store(tmp_path / "s")

    def pipeline():
        return make_pipeline(tmp_path, features=[ps.features.text("note", size=3, model=folder)])

    pipeline().run(store).raise_for_status()
    model = ps.load("customers", store=store)
    row = customers(1, seed=4).drop("left").with_columns(pl.col("birthday").cast(pl.String)).to_dicts()[0]
    model.answer([row])
    assert not pipeline().plan(store).stale
    before = digest_of_folder(folder)
    config = folder / "config.json"
    config.write_text(config.read_text() + " ")
    assert digest_of_folder(folder) != before
    assert {"trials", "trained"} <= {step.name for step in pipeline().plan(store).stale}
    embedder.cache_clear()  # as in another process
    with pytest.raises(InputError, match="the embeddings have changed since the model was trained"):
        ps.load("customers", store=store).answer([row])
    store.close()
