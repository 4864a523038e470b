"""Texts by the embeddings of a model that was learnt elsewhere, from a folder; few dimensions of them, fitted on training rows."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from penstock.errors import InputError
from penstock.features.encoders import Matrix, each_once


class Embedding(msgspec.Struct, frozen=True, tag="embedding"):
    """A text as a point: its sentence embedding, in fewer dimensions.

    Attributes
    ----------
    folder, digest : str
        Where the embeddings lie, and the digest of what lay there at training.
    space : bytes
        float32, shape (n_dimensions, size).
    """

    column: str
    folder: str
    digest: str
    space: bytes
    size: int

    def names(self) -> list[tuple[str, int]]:
        """Name and number of categories (0 for a number) of each matrix column."""
        return [(f"{self.column} (embedding {number + 1})", 0) for number in range(self.size)]

    def table(self, values: pl.Series) -> list[Matrix]:
        """Encode a column: each different text once."""
        return each_once(values, self.row(), self.size)

    def row(self) -> Callable[[Any, list[float]], None]:
        """Return what encodes one value."""
        embed = embedder(self.folder, self.digest)
        space = np.frombuffer(self.space, np.float32).reshape(-1, self.size).astype(np.float64)
        nothing = [float("nan")] * self.size

        def encode(value: Any, out: list[float]) -> None:
            # Summed one after the other: BLAS may sum in another order on another machine.
            out.extend(nothing if value is None else np.add.reduce(embed(value)[:, None] * space, axis=0).tolist())

        return encode


def digest_of_folder(folder: Path) -> str:
    """Return the digest of the names and bytes of a folder's files.

    Raises
    ------
    InputError
        When it is not there.
    """
    if not folder.is_dir():
        raise InputError(
            f"ps.features.text(model=...): there is no folder {folder}; save embeddings of model2vec there, such as "
            'StaticModel.from_pretrained("minishlab/potion-base-8M").save_pretrained(folder)'
        )
    hasher = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".md":
            hasher.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


@functools.lru_cache(4)
def embedder(folder: str, digest: str) -> Callable[[str], Matrix]:
    """Load the embeddings of a folder; each call embeds one text.

    Raises
    ------
    InputError
        When the folder is gone or has changed, or model2vec is not installed.
    """
    if digest_of_folder(Path(folder)) != digest:
        raise InputError(
            f"{folder}: the embeddings have changed since the model was trained. Train again, or put them back."
        )
    try:
        from model2vec import StaticModel
    except ModuleNotFoundError:
        raise InputError(
            "ps.features.text(model=...): needs the package model2vec. Install it with: pip install 'penstock[text]'"
        ) from None
    made = StaticModel.from_pretrained(folder, force_download=False)

    def embed(text: str) -> Matrix:
        return np.asarray(made.encode([text], use_multiprocessing=False)[0], np.float64)

    return embed


def fit_embedding(values: pl.Series, folder: str, digest: str, size: int, seed: int) -> Embedding:
    """Find the dimensions of the embeddings in which the texts of training rows differ most."""
    from sklearn.decomposition import TruncatedSVD

    embed = embedder(folder, digest)
    points = np.array([embed(text) for text in values.drop_nulls().unique(maintain_order=True).to_list()])
    size = min(size, points.shape[1])
    if size == points.shape[1] or len(points) <= size:
        space = np.eye(points.shape[1])[:, :size]
    else:
        space = TruncatedSVD(size, random_state=seed, n_iter=7).fit(points).components_.T
    return Embedding(values.name, folder, digest, np.ascontiguousarray(space, np.float32).tobytes(), size)
