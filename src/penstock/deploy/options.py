"""What an author may say about deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import InputError

_DAY = 86_400.0


@dataclass(frozen=True)
class Api:
    """How models of a pipeline are deployed; made by :func:`api`."""

    promote: Literal["gate", "by hand"] = "gate"
    redact: tuple[tuple[str, str], ...] = ()
    keep: float | str | None = None
    fallback: bool = False
    otherwise: str | float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what a version keeps of it, for the service."""
        from penstock.types.durations import seconds_of

        found: dict[str, Any] = {
            "redact": dict(self.redact),
            "keep_seconds": None if self.keep is None else seconds_of(self.keep),
        }
        if self.fallback or self.otherwise is not None:
            found |= {"fallback": self.fallback, "otherwise": self.otherwise}
        return found


def api(
    promote: Literal["gate", "by hand"] = "gate",
    redact: Mapping[str, Literal["drop", "hash"]] | None = None,
    keep: float | str | None = None,
    fallback: bool = False,
    otherwise: str | float | None = None,
) -> Api:
    """Answer requests with the champion.

    Parameters
    ----------
    promote : {"gate", "by hand"}
        Whether a challenger that passes the gate becomes the champion at once, or a person decides.
    redact : mapping of str to {"drop", "hash"}, optional
        Raw columns that the log of predictions must not hold: left out, or as a hash keyed with the store's own
        secret, so that equal values stay equal and cannot be guessed. Monitoring does not watch them.
    keep : float or str, optional
        How long predictions are kept, such as ``"90d"``, at least a day; for ever when left out.
    fallback : bool
        Whether the version before answers where the champion fails; both are in memory then.
    otherwise : str or float, optional
        What is answered when that fails too: a class, or a number. Answers of either kind say so in the header
        ``x-penstock-fallback``.

    Raises
    ------
    InputError
        For words that are not known, or less than a day.

    Examples
    --------
    >>> api(redact={"email": "drop"}, keep="90d").as_json()
    {'redact': {'email': 'drop'}, 'keep_seconds': 7776000.0}
    """
    if promote not in ("gate", "by hand"):
        raise InputError(f'ps.deploy.api(promote={promote!r}): give "gate" or "by hand"')
    if redact is not None and not isinstance(redact, Mapping):
        raise InputError(f'ps.deploy.api(redact={redact!r}): say how, such as {{"email": "drop"}} or "hash"')
    hidden = tuple(sorted((redact or {}).items()))
    wrong = [(name, how) for name, how in hidden if how not in ("drop", "hash")]
    if wrong:
        raise InputError(f'ps.deploy.api(redact={{"{wrong[0][0]}": {wrong[0][1]!r}}}): give "drop" or "hash"')
    made = Api(promote, hidden, keep, bool(fallback), otherwise)
    if keep is not None and float(made.as_json()["keep_seconds"]) < _DAY:
        raise InputError(f'ps.deploy.api(keep={keep!r}): give at least a day, such as "30d"')
    return made
