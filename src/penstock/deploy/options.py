"""What an author may say about deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.errors import InputError


@dataclass(frozen=True)
class Api:
    """How models of a pipeline are deployed; made by :func:`api`."""

    promote: Literal["gate", "by hand"] = "gate"


def api(promote: Literal["gate", "by hand"] = "gate") -> Api:
    """Answer requests with the champion.

    Parameters
    ----------
    promote : {"gate", "by hand"}
        Whether a challenger that passes the gate becomes the champion at once, or a person decides.

    Examples
    --------
    >>> api().promote
    'gate'
    """
    if promote not in ("gate", "by hand"):
        raise InputError(f'ps.deploy.api(promote={promote!r}): give "gate" or "by hand"')
    return Api(promote)
