"""Bodies that come packed, unpacked no further than a body may be large."""

from __future__ import annotations

import zlib

from penstock.deploy.limits import Refusal

_AUTOMATIC = 32 + zlib.MAX_WBITS
"""Tells zlib to read what its first bytes say: gzip or zlib."""
_CODINGS = (b"gzip", b"x-gzip", b"deflate")
_MEMBERS = 16
"""A gzip file may be several, one after the other; very many would keep the service busy with nothing."""


def unpack(body: bytes, coding: bytes, most: int) -> bytes | Refusal | None:
    """Unpack a body as its header ``Content-Encoding`` says (RFC 9110, section 8.4).

    Parameters
    ----------
    body, coding : bytes
        What came, and the header.
    most : int
        Bytes that it may have unpacked.

    Returns
    -------
    bytes, Refusal or None
        What was packed; why it cannot be told; None where it would be larger.

    Examples
    --------
    >>> unpack(zlib.compress(b"[1, 2]"), b"deflate", 100)
    b'[1, 2]'
    >>> unpack(zlib.compress(bytes(1_000_000)), b"deflate", 100) is None
    True
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in _CODINGS:
        told = f"bodies packed with {name.decode('latin-1')[:40]} are not read; send gzip, deflate or none"
        return 415, "unknown_coding", told, [(b"accept-encoding", b"gzip, deflate")]
    out = b""
    try:
        for _ in range(_MEMBERS):
            packed = zlib.decompressobj(_AUTOMATIC)
            out += packed.decompress(body, most + 1 - len(out))
            if len(out) > most:
                return None
            if not packed.eof:
                raise zlib.error("it ends too early")
            body = packed.unused_data
            if not body:
                return out
        raise zlib.error(f"it is more than {_MEMBERS} files in one")
    except zlib.error as error:
        return 400, "not_packed", f"the body is not {name.decode()}, as its Content-Encoding says: {error}", []
