"""Bodies of the responses that no file stands behind: errors and redirects. Small, self-contained HTML.

A page and its head fit into one segment of 1460 octets.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from bypass.site.heads import REASONS, Front, make_front
from bypass.site.layout import ErrorSlot
from bypass.site.resource import Representation, Resource

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
    401: "A name and a password are needed here.",
    405: "Only GET, HEAD and OPTIONS are answered here.",
    406: "What is here is not to be had in any form that was asked for.",
    408: "The request did not arrive in time.",
    412: "What is here is not what the request was made for.",
    413: "The request carries more content than is accepted here.",
    414: "The address is longer than is accepted here.",
    417: "The expectation in the request cannot be met.",
    421: "This server has nothing under the name that was asked for.",
    431: "The request's header fields are larger than is accepted here.",
    500: "The server failed to answer. The fault is not yours.",
    501: "The server does not know this method or transfer coding.",
    503: "The server is busy or about to stop. Please try again soon.",
    505: "This server speaks HTTP/1.1.",
}

_NO_STORE = (("Cache-Control", "no-store"),)
ALLOW = ("Allow", "GET, HEAD, OPTIONS")

# After these the rest of the stream cannot be trusted, or the server wants the connection back.
CLOSING = frozenset({400, 408, 413, 414, 431, 500, 501, 503, 505})


@dataclass(frozen=True, slots=True)
class Page:
    """A response without a file. closes: the connection ends after it."""

    status: int
    front: Front
    body: bytes
    closes: bool

    @property
    def length(self) -> int | None:
        """Content-Length; None where a status allows no content."""
        return None if self.status == 204 else len(self.body)


def error_page(slot: ErrorSlot) -> Page:
    """The response for one error slot."""
    status = slot.status
    if status == 204:
        return Page(status, make_front(status, None, [ALLOW]), b"", closes=False)
    body = _error_body(status)
    fields = list(_NO_STORE)
    if status == 405:
        fields.append(ALLOW)  # RFC 9110 15.5.6
    if status == 406:
        fields.append(("Vary", "Accept-Encoding"))
    return Page(status, make_front(status, HTML_TYPE, fields), body, status in CLOSING)


def own_page(status: int) -> Resource:
    """Our page for an error, as a host could set it: to add header fields."""
    vary = (("Vary", "Accept-Encoding"),) if status == 406 else ()
    fields = (*_NO_STORE, *vary)  # Allow is added to whatever page a 405 has
    return Resource((Representation(_error_body(status)),), HTML_TYPE, status, fields=fields)


def area_page() -> Resource:
    """What an area answers without credentials, but for its challenge."""
    return own_page(401)


def redirect(location: str, status: int = 301, *, keeps_query: bool = True) -> Resource:
    """Leads to `location`, a percent-encoded URI reference."""
    link = html.escape(location)
    title = f"{status} {REASONS[status]}"
    body = _render("Moved", title, f'This page is at <a href="{link}">{link}</a>.')
    return Resource((Representation(body),), HTML_TYPE, status, location=location, keeps_query=keeps_query)


def bare_redirect(status: int, fields: tuple[tuple[str, str], ...] = ()) -> Page:
    """A redirect whose Location is appended when it is sent."""
    body = _render("Moved", f"{status} {REASONS[status]}", "This page is elsewhere.")
    return Page(status, make_front(status, HTML_TYPE, fields), body, closes=False)


def _error_body(status: int) -> bytes:
    return _render(f"<b>{status}</b> {REASONS[status]}", f"{status} {REASONS[status]}", _TEXTS[status])


def _render(heading: str, title: str, text: str) -> bytes:
    return _PAGE.format(heading=heading, title=title, text=text).encode("ascii")
