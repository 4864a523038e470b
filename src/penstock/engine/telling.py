"""What a step says of itself while it works, for whoever watches: the leaderboard of a search, live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """While open, hand what steps of this process tell to a function; it is called from the step's thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(text: str) -> None:
    """Say how things stand; each time anew, all of it. Nothing happens when nobody listens.

    Examples
    --------
    >>> heard = []
    >>> with listening(heard.append):
    ...     tell("3 trials")
    >>> tell("4 trials"), heard
    (None, ['3 trials'])
    """
    for listener in _listeners:
        listener(text)
