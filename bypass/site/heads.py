"""Response heads: status line and fields, ready to be copied behind a TCP header.

A head ends after the last field line's CRLF. The engine fills in the date and appends the empty
line, with `Connection: close` before it where the connection ends (RFC 9112 9.6). No Last-Modified:
a validator made of the content survives a rebuild of the same site, a file's time does not.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from bypass.site.layout import DATE_BYTES

REASONS = {
    200: "OK",
    301: "Moved Permanently",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

ETAG_BYTES = 24  # two quotes around 22 characters
ETAG_PLACEHOLDER = '"' + "-" * (ETAG_BYTES - 2) + '"'
_PATH_SAFE = "/:@!$&'()*+,;=~"  # pchar and "/", RFC 3986 3.3


@dataclass(frozen=True, slots=True)
class Head:
    """date_offset: where the 29 zero octets of the Date value are."""

    octets: bytes
    date_offset: int


def make_head(
    status: int, content_type: str, content_length: int, fields: Iterable[tuple[str, str]] = ()
) -> Head:
    """The head of one response; `fields` follow the ones that every response has, in their order."""
    before = f"HTTP/1.1 {status} {REASONS[status]}\r\nServer: bypass\r\nDate: ".encode("ascii")
    after = f"\r\nContent-Type: {content_type}\r\nContent-Length: {content_length}\r\n"
    after += "".join(f"{name}: {value}\r\n" for name, value in fields)
    return Head(before + bytes(DATE_BYTES) + after.encode("ascii"), date_offset=len(before))


def etag(digest: bytes) -> str:
    """A strong entity tag (RFC 9110 8.8.3) out of the SHA-256 of the body: its first 128 bits."""
    return '"' + base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii") + '"'


def encode_path(path: bytes) -> str:
    """An absolute URL path as it may stand in Location: percent-encoded where RFC 3986 asks for it."""
    return quote_from_bytes(path, safe=_PATH_SAFE)
