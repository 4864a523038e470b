"""Lines for the operator, who reads the error output: in words, or as JSON for a collector of logs.

They tell what the service did; never a key, and never a cell of a request.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Literal

_as_json = False


def write_as_json(wanted: bool) -> None:
    """Write what follows as one JSON object a line."""
    global _as_json
    _as_json = wanted


def tell(text: str, level: Literal["info", "warning", "error"] = "info") -> None:
    """Write a line.

    Examples
    --------
    >>> line("the disk is full", "warning", as_json=False)
    'warning: the disk is full'
    """
    sys.stderr.write(line(text, level, as_json=_as_json) + "\n")
    sys.stderr.flush()


def line(text: str, level: str, *, as_json: bool) -> str:
    """Return a line as it is written."""
    if not as_json:
        return text if level == "info" else f"{level}: {text}"
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    return json.dumps({"at": now, "level": level, "message": text}, ensure_ascii=False)
