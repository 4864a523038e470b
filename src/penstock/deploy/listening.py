"""Taking a port, and answering on it until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.deploy.limits import Connection, close_slow
from penstock.deploy.notices import tell
from penstock.errors import InputError


@dataclass(frozen=True)
class Tls:
    """Files of a certificate and its key, in PEM."""

    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        import ssl

        for path in (self.certificate, self.key):
            if not path.is_file():
                raise InputError(f"{path}: there is no such file")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            raise InputError(f"{self.certificate}, {self.key}: no certificate with its key: {error}") from None


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises
    ------
    InputError
        When another program has it, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(2048)
    except OSError as error:
        made.close()
        raise InputError(
            f"cannot serve on {host}:{port}: {error.strerror}. Give another port with --port, or --port 0 for a free one."
        ) from None
    return made


async def serve(
    application: Any,
    taken: socket.socket,
    look: Callable[[], Callable[[], None] | None],
    *,
    poll: float = 1.0,
    started: Callable[[], None] = lambda: None,
    tls: Tls | None = None,
    behind_proxy: bool = False,
) -> None:
    """Answer until the process is told to stop; requests that are being answered are finished.

    Parameters
    ----------
    application : ASGI application
        What answers.
    taken : socket
        From :func:`listen`.
    look : callable
        Looks what has changed, every `poll` seconds in a thread, and returns what to do about it between two
        requests. When it fails, what serves goes on serving.
    started : callable
        Called when requests are taken.
    tls : Tls, optional
        Speak HTTPS.
    behind_proxy : bool
        Believe a proxy on this machine whose address asks (``x-forwarded-for``).
    """
    import uvicorn

    config = uvicorn.Config(
        application, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=10, ws="none",
        http=Connection, server_header=False, proxy_headers=behind_proxy, ssl_certfile=None if tls is None else str(tls.certificate),
        ssl_keyfile=None if tls is None else str(tls.key),
    )  # fmt: skip
    server = uvicorn.Server(config)

    async def watch() -> None:
        complaint = ""
        while True:
            await asyncio.sleep(poll)
            try:
                close_slow(server.server_state.connections, asyncio.get_running_loop().time())
                change = await asyncio.to_thread(look)
                if change is not None:
                    change()
                complaint = ""
            except Exception as error:
                if str(error) != complaint:
                    complaint = str(error)
                    tell(f"what serves goes on serving: {error}", "warning")

    gc.collect()
    gc.freeze()  # what is loaded stays; looking through it again and again costs a tenth of the requests
    watcher = asyncio.create_task(watch())
    asyncio.get_running_loop().call_soon(started)
    try:
        await server.serve(sockets=[taken])
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
