"""Response heads: status line and fields, ready to be copied behind a TCP header.

A head ends after the last field line's CRLF. The engine fills in the date and appends the empty
line, with `Connection: close` before it where the connection ends (RFC 9112 9.6).

The order of fields serves the engine. First comes what many responses have in common, which so lies in the
image once, and in the caches; then the few lines of their own. And 304 and 206 are made from the head of the
200: what a 304 repeats (RFC 9110 15.4.5) is the end of the one part and the beginning of the other, the
content's length is last.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import quote_from_bytes

from bypass.errors import SiteError
from bypass.site.layout import DATE_BYTES, MODIFIED_BYTES, TAG_BYTES, own_length_at
from bypass.site.resource import RESERVED_FIELDS

REASONS = {
    200: "OK",
    204: "No Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

MOST_HEAD_BYTES = 32768
"""Longest head: offsets within it have 16 bits, and the engine has so much room to change one."""
OWN_BYTES_MOST = TAG_BYTES + MODIFIED_BYTES + len("Content-Length: \r\n") + 20
_REPEATED = frozenset({"cache-control", "content-location", "expires", "vary"})
_NEGOTIATED = "Accept-Encoding"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")
_PATH_SAFE = "/:@!$&'()*+,;=~"  # pchar and "/", RFC 3986 3.3


@dataclass(frozen=True, slots=True)
class Front:
    """The part of a head that many responses have in common. Offsets within the octets: date_offset of the 29
    zero octets of the Date value, meta_first of the fields that a 304 repeats."""

    octets: bytes
    date_offset: int
    meta_first: int

    @property
    def line_bytes(self) -> int:
        """The status line with its CRLF."""
        return self.octets.index(b"\r\n") + 2


def make_front(
    status: int,
    content_type: str | None,
    fields: Iterable[tuple[str, str]] = (),
    meta: Iterable[tuple[str, str]] = (),
) -> Front:
    """meta: fields that a 304 for it repeats. content_type None: no content at all."""
    before = f"HTTP/1.1 {status} {REASONS[status]}\r\nServer: bypass\r\nDate: ".encode("ascii")
    described = [("Content-Type", content_type), *fields] if content_type is not None else list(fields)
    first = before + bytes(DATE_BYTES) + b"\r\n" + _lines(described)
    octets = first + _lines(meta)
    if len(octets) + OWN_BYTES_MOST > MOST_HEAD_BYTES:
        raise SiteError(
            f"a response has header fields of {len(octets) + OWN_BYTES_MOST} octets, allowed are"
            f" {MOST_HEAD_BYTES}"
        )
    return Front(octets, len(before), len(first))


def make_own(status: int, digest: bytes, modified: int, length: int | None) -> bytes:
    """The rest of a head: entity tag of a 200, Last-Modified unless it is 0, content's length (RFC 9110 8.6:
    without content there is none)."""
    lines = f"ETag: {etag(digest)}\r\n" if status == 200 else ""
    if modified:
        lines += f"Last-Modified: {http_date(modified)}\r\n"
    if length is not None:
        lines += f"Content-Length: {length}\r\n"
    return lines.encode("ascii")


def own_size(status: int, modified: int, length: int | None) -> int:
    """Octets that make_own() returns."""
    last = 0 if length is None else len(f"Content-Length: {length}\r\n")
    return own_length_at(status, modified) + last


def _lines(fields: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")


def divide_fields(
    fields: Iterable[tuple[str, str]], negotiated: bool
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Fields that a 304 repeats too (RFC 9110 15.4.5), and the others. negotiated: Vary says so.

    SiteError for a field that is malformed, or not for a site to set.
    """
    repeated: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for name, value in fields:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise SiteError(
                f"{name!r}: {value!r} cannot be a header field", remedy="Use ASCII, and no line ends"
            )
        if name.lower() in RESERVED_FIELDS:
            raise SiteError(f"{name}: this header field is written by the server itself")
        (repeated if name.lower() in _REPEATED else others).append((name, value))
    if negotiated:
        vary = [value for name, value in repeated if name.lower() == "vary"]
        known = {each.strip().lower() for value in vary for each in value.split(",")}
        if not known & {"*", _NEGOTIATED.lower()}:
            repeated = [field for field in repeated if field[0].lower() != "vary"]
            repeated.append(("Vary", ", ".join([*vary, _NEGOTIATED])))
    return repeated, others


@lru_cache(maxsize=1 << 14)
def http_date(second: int) -> str:
    """IMF-fixdate (RFC 9110 5.6.7) of seconds since 1970."""
    return formatdate(second, usegmt=True)


def etag(digest: bytes) -> str:
    """A strong entity tag (RFC 9110 8.8.3) out of the SHA-256 of the body: its first 128 bits."""
    return '"' + base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii") + '"'


def encode_path(path: bytes) -> str:
    """An absolute URL path as it may stand in Location: percent-encoded where RFC 3986 asks for it."""
    return quote_from_bytes(path, safe=_PATH_SAFE)
