"""Plain values to the types that they were written from, by one thread at a time."""

from __future__ import annotations

import threading
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")
_lock = threading.Lock()


@overload
def convert(value: Any, kind: type[T]) -> T: ...
@overload
def convert(value: Any, kind: Any) -> Any: ...
def convert(value: Any, kind: Any) -> Any:
    """Convert as :func:`msgspec.convert` does.

    msgspec works out what a type looks like when it first meets it, and steps run in threads: two that meet the same type
    in the same moment end the process (msgspec 0.22, a segmentation fault).

    Examples
    --------
    >>> convert([1, 2], tuple[int, int])
    (1, 2)
    """
    with _lock:
        return msgspec.convert(value, kind)
