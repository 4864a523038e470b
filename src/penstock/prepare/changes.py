"""What was done to a table, as a stored model holds it, to do the same to later rows: never a pickle."""

from __future__ import annotations

import io

import msgspec
import polars as pl

from penstock.errors import InputError


class Renamed(msgspec.Struct, frozen=True, tag="rename"):
    """A column that had another name in the snapshot."""

    old: str
    new: str


class Dropped(msgspec.Struct, frozen=True, tag="drop"):
    """A column that was left out."""

    column: str


class Kept(msgspec.Struct, frozen=True, tag="filter"):
    """Rows that were kept, as an expression in JSON: events of the past are chosen so, requests never are."""

    predicate: str
    needs: tuple[str, ...]

    @classmethod
    def of(cls, predicate: pl.Expr) -> Kept:
        """Write a predicate.

        Raises
        ------
        InputError
            When it calls a Python function, which a stored model cannot hold.
        """
        written = predicate.meta.serialize(format="json")
        if "PLPYFN" in written or "AnonymousFunction" in written:
            raise InputError(
                "ps.prepare.filter: the expression calls a Python function; write it with Polars' own operations"
            )
        return cls(written, tuple(sorted(set(predicate.meta.root_names()))))

    def read(self) -> pl.Expr:
        """Read the predicate back."""
        return pl.Expr.deserialize(io.StringIO(self.predicate), format="json")


class Once(msgspec.Struct, frozen=True, tag="once"):
    """Rows that agree in a key count once; of events that come together, and of tables."""

    columns: tuple[str, ...]
    latest: str | None
