"""``ui``: the pages that a team looks at."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.common import echo_json, existing_store, json_option, store_option
from penstock.errors import InputError


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True,
    help="Address; another than this machine's own needs a token in PENSTOCK_UI_TOKEN or PENSTOCK_UI_READ_TOKEN.",
)  # fmt: skip
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--tls-cert", metavar="FILE", help="Certificate, in PEM: speak HTTPS.")
@click.option("--tls-key", metavar="FILE", help="Its key, in PEM.")
@store_option
@json_option
def ui(
    host: str, port: int, tls_cert: str | None, tls_key: str | None, store: str | None, as_json: bool
) -> None:  # fmt: skip
    """Show pipelines, runs, models and decisions in a browser.

    \b
    Example:  penstock ui
              PENSTOCK_UI_TOKEN=... penstock ui --store @prod --host 0.0.0.0
    """
    from penstock.deploy.listening import Tls
    from penstock.ui.access import Access
    from penstock.ui.server import serve_pages

    if (tls_cert is None) != (tls_key is None):
        raise InputError("give --tls-cert and --tls-key together")
    tls = None if tls_cert is None else Tls(Path(tls_cert), Path(str(tls_key)))
    access = Access.from_environment(host)
    opened = existing_store(store)

    def started(url: str) -> None:
        if as_json:
            echo_json({"url": url, "store": opened.location})
        else:
            click.echo(f"the pages of {opened.location} are on {url} (Ctrl-C stops)")

    serve_pages(opened, access, host, port, started, tls)
