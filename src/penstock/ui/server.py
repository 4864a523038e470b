"""Answering with the pages until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import uvloop

from penstock.deploy.listening import Tls, listen, serve
from penstock.store.store import Store
from penstock.ui.access import Access
from penstock.ui.application import application


def serve_pages(
    store: Store, access: Access, host: str, port: int, started: Callable[[str], None], tls: Tls | None = None
) -> None:
    """Show the pages of a store.

    Parameters
    ----------
    access : Access
        From :meth:`penstock.ui.access.Access.from_environment`.
    host, port : str, int
        Where; port 0 takes a free one.
    started : callable
        Told the URL when requests are taken.

    Raises
    ------
    InputError
        When the port is not to be had.
    """
    taken = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"{'http' if tls is None else 'https'}://{shown}:{taken.getsockname()[1]}"
    made = application(store, access, secure=tls is not None)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(made, taken, lambda: None, started=lambda: started(url), tls=tls))
