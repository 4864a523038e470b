"""What people say of a run: notes, and tags by which it is found again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from penstock.errors import InputError
from penstock.store.catalog import whoami
from penstock.store.schema import notes
from penstock.store.store import Store

LONGEST = 10_000
"""So many letters a note may have."""
_TAG = re.compile(r"(?!latest$)(?=[^\W\d_])[\w.+-]{1,50}")


@dataclass(frozen=True)
class Note:
    """A note, or a tag.

    Attributes
    ----------
    tag, text : str or None
        One of the two.
    at : float
        Seconds since 1970.
    user : str
        Who said it.
    """

    run: str
    tag: str | None
    text: str | None
    at: float
    user: str


def checked_tag(tag: str) -> str:
    """Return a tag that can be one: a letter first, so that none is taken for the id of a run.

    Examples
    --------
    >>> checked_tag("before-summer")
    'before-summer'
    """
    if not _TAG.fullmatch(tag):
        raise InputError(
            f"a tag is a word of at most 50 letters, digits, and . - _ + that begins with a letter, and not latest; not {tag!r}"
        )
    return tag


def add_note(store: Store, run: str, text: str) -> None:
    """Keep a note with a run.

    Raises
    ------
    InputError
        When there is no text, or too much of it.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise InputError(f"a note has between 1 and {LONGEST:,} letters; this one has {len(text):,}")
    with store.catalog.begin() as connection:
        connection.execute(notes.insert().values(run=run, text=text, at=time.time(), user=whoami()))


def add_tags(store: Store, run: str, tags: Iterable[str]) -> None:
    """Give a run tags; those that it has stay as they are.

    Raises
    ------
    InputError
        When one is no word.
    """
    rows = [{"run": run, "tag": checked_tag(tag), "at": time.time(), "user": whoami()} for tag in dict.fromkeys(tags)]
    with store.catalog.begin() as connection:
        store.catalog.insert_new(connection, notes, rows)


def remove_tags(store: Store, run: str, tags: Sequence[str]) -> None:
    """Take tags from a run.

    Raises
    ------
    InputError
        When it has one of them not.
    """
    has = {item.tag for item in notes_of(store, [run]) if item.tag}
    if missing := [tag for tag in tags if tag not in has]:
        raise InputError(f"run {run} has no tag {missing[0]!r}; its tags: {', '.join(sorted(has)) or 'none'}")
    with store.catalog.begin() as connection:
        connection.execute(notes.delete().where(notes.c.run == run, notes.c.tag.in_(tags)))


def notes_of(store: Store, runs: Sequence[str]) -> list[Note]:
    """Return what is said of some runs, the earliest first."""
    question = sa.select(notes).where(notes.c.run.in_(runs)).order_by(notes.c.id)
    with store.catalog.read() as connection:
        return [Note(row.run, row.tag, row.text, row.at, row.user) for row in connection.execute(question)]


def tags_of(store: Store, runs: Sequence[str]) -> dict[str, list[str]]:
    """Return the tags of some runs."""
    found: dict[str, list[str]] = {run: [] for run in runs}
    for item in notes_of(store, runs):
        if item.tag:
            found[item.run].append(item.tag)
    return found
