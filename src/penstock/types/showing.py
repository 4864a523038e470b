"""How results show themselves in notebooks: plain HTML that takes its looks from the notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence


def shown_table(title: str, lines: Sequence[str], headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a title, lines of text and a table as HTML; everything is escaped.

    Examples
    --------
    >>> shown_table("run 1", ["a < b"], ["step"], [["read"]])
    '<div><b>run 1</b><p>a &lt; b</p><table><thead><tr><th>step</th></tr></thead><tbody><tr><td>read</td></tr></tbody></table></div>'
    """
    told = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return f"<div><b>{html.escape(title)}</b>{told}{table}</div>"


def shown_page(page: str, summary: str) -> str:
    """Return a whole HTML page, folded under a summary, in a frame without scripts of its own."""
    inside = page.replace("&", "&amp;").replace('"', "&quot;")
    return (
        f'<details><summary>{html.escape(summary)}</summary><iframe sandbox srcdoc="{inside}" '
        'style="width:100%;height:640px;border:0"></iframe></details>'
    )
