"""Text whose fields stand apart by blanks, any number of them, as older data sets are written."""

from __future__ import annotations

import re

from penstock.ingest.utf8 import Stream

WHITESPACE = ("whitespace", r"\s+")
"""How an author says so."""
_BLANKS = re.compile(rb'("[^"\n]*")|[ \t]+')
_WORDS = re.compile(rb'"[^"]*"|[^ \t"]+')
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LOOKED_AT, _MOST = 20, 65536


def is_spaced(block: bytes) -> bool:
    """Whether the first lines have as many words each, a number in all but the first, and nothing else between them.

    Where there are tabs, fields stand apart by these, unless blanks that align columns are there too.

    Examples
    --------
    >>> is_spaced(b"mpg  cyl\\n18.0   8\\n 9.5   4\\n"), is_spaced(b"full name\\nAda Lovelace\\n")
    (True, False)
    """
    text = block if len(block) <= _MOST else block[: block.rfind(b"\n", 0, _MOST)]
    lines = [line.strip(b" \t\r") for line in text.split(b"\n", _LOOKED_AT)[:_LOOKED_AT]]
    lines = [line for line in lines if line]
    if len(lines) < 2 or any(sign in _BLANKS.sub(b" ", lines[0]) for sign in (b",", b";", b"|")):
        return False
    if b"\t" in lines[0] and b"  " not in lines[0]:
        return False
    found = [_WORDS.findall(line) for line in lines]
    width = len(found[0])
    return (
        width > 1
        and all(len(words) == width for words in found)
        and all(any(_NUMBER.fullmatch(word) for word in words) for words in found[1:])
    )


class Spaced:
    """A stream with one tab instead of blanks between fields, and none at the ends of lines; quoted fields stay as they are.

    Parameters
    ----------
    source : Stream
        The text, in UTF-8.
    """

    def __init__(self, source: Stream) -> None:
        self.source, self._left = source, b""

    def read(self, size: int) -> bytes:
        """Return the next whole lines, nothing at the end."""
        data = self._left
        while more := self.source.read(size):
            data += more
            if b"\n" in more:
                end = data.rfind(b"\n") + 1
                self._left = data[end:]
                return _tabbed(data[:end])
        self._left = b""
        return _tabbed(data)


def _tabbed(text: bytes) -> bytes:
    lines = _BLANKS.sub(lambda found: found[1] or b"\t", text)
    return re.sub(rb"^\t|\t(?=\r?$)", b"", lines, flags=re.MULTILINE)
