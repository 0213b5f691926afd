"""Bodies of the responses that no file stands behind: errors and redirects. Small, self-contained HTML.

A page and its head fit into one segment of 1460 octets.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from bypass.site.heads import REASONS, Head, encode_path, make_head
from bypass.site.layout import ErrorSlot

HTML_TYPE = "text/html; charset=utf-8"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>:root{{color-scheme:light dark}}
body{{margin:0;min-height:100vh;display:grid;place-content:center;font:1rem/1.5 system-ui,sans-serif}}
main{{padding:2rem;max-width:32rem;border-left:.3rem solid #0a9396}}
h1{{margin:0;font-size:1.6rem}}h1 b{{color:#0a9396}}p{{margin:.5rem 0 0}}</style></head>
<body><main><h1>{heading}</h1><p>{text}</p></main></body></html>
"""

_TEXTS = {
    400: "The request could not be understood.",
    404: "There is nothing at this address.",
    405: "Only GET, HEAD and OPTIONS are answered here.",
    408: "The request did not arrive in time.",
    412: "What is here is not what the request was made for.",
    413: "The request carries more content than is accepted here.",
    414: "The address is longer than is accepted here.",
    417: "The expectation in the request cannot be met.",
    431: "The request's header fields are larger than is accepted here.",
    500: "The server failed to answer. The fault is not yours.",
    501: "The server does not know this method or transfer coding.",
    503: "The server is busy or about to stop. Please try again soon.",
    505: "This server speaks HTTP/1.1.",
}

_ALLOW = ("Allow", "GET, HEAD, OPTIONS")

# After these the rest of the stream cannot be trusted, or the server wants the connection back.
CLOSING = frozenset({400, 408, 413, 414, 431, 500, 501, 503, 505})


@dataclass(frozen=True, slots=True)
class Page:
    """A response without a file. closes: the connection ends after it."""

    status: int
    head: Head
    body: bytes
    closes: bool


def error_page(slot: ErrorSlot) -> Page:
    """The response for one error slot."""
    status = slot.status
    if status == 204:
        return Page(status, make_head(status, None, 0, [_ALLOW]), b"", closes=False)
    body = _render(f"<b>{status}</b> {REASONS[status]}", f"{status} {REASONS[status]}", _TEXTS[status])
    fields = [("Cache-Control", "no-store")]
    if status == 405:
        fields.append(_ALLOW)  # RFC 9110 15.5.6
    return Page(status, make_head(status, HTML_TYPE, len(body), fields), body, status in CLOSING)


def redirect_page(target: bytes) -> Page:
    """301 to the absolute path `target` (raw octets): what a folder without its slash answers."""
    location = encode_path(target)
    link = html.escape(location)
    body = _render("Moved", "301 Moved Permanently", f'This page is at <a href="{link}">{link}</a>.')
    return Page(301, make_head(301, HTML_TYPE, len(body), [("Location", location)]), body, closes=False)


def _render(heading: str, title: str, text: str) -> bytes:
    return _PAGE.format(heading=heading, title=title, text=text).encode("ascii")
