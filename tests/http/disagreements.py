"""Where we and others read differently on purpose: each class a row of docs/http-strictness.md.

A class is told by the octets alone, with expressions that have nothing of our parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Told = Callable[[bytes], object]


def _head(data: bytes) -> bytes:
    """From the first octet to the first empty line, by CRLF or LF."""
    end = re.search(rb"\r?\n\r?\n", data.lstrip(b"\r\n"))
    stripped = data.lstrip(b"\r\n")
    return stripped[: end.end()] if end else stripped


def _in_head(pattern: bytes) -> Told:
    expression = re.compile(pattern, re.I | re.S)
    return lambda data: expression.search(_head(data))


def _anywhere(pattern: bytes) -> Told:
    expression = re.compile(pattern, re.I | re.S)
    return expression.search


def _fields(name: bytes) -> Callable[[bytes], list[bytes]]:
    """Values of the field, one for each of its lines."""
    expression = re.compile(rb"^%s:([^\r\n]*)" % name, re.I | re.M)
    return lambda data: [value.strip(b" \t") for value in expression.findall(_head(data))]


_hosts = _fields(b"Host")
_lengths = _fields(b"Content-Length")
_codings = _fields(b"Transfer-Encoding")
_HOST = re.compile(rb"(?:\[[\w:.!$&'()*+,;=~%-]*\]|[\w.!$&'()*+,;=~%-]*)(?::\d*)?\Z", re.A)
_LLHTTP_METHODS = re.compile(rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE) ")
_CHUNK = rb"\n[0-9a-f]+[ \t]*"

LOOSER: list[tuple[str, Told, set[str]]] = [
    ("an empty line before the request", _anywhere(rb"\A\r\n"), {"h11"}),
    (
        "white space before a chunk extension",
        _anywhere(_CHUNK.replace(b"*", b"+") + rb";"),
        {"h11", "llhttp"},
    ),
    ("the text of a chunk extension", _anywhere(_CHUNK + rb";"), {"h11", "llhttp"}),
    ("any method", lambda data: not _LLHTTP_METHODS.match(data.lstrip(b"\r\n")), {"llhttp"}),
    ("a minor version above 1", _in_head(rb"HTTP/1\.[2-9]\r\n"), {"llhttp"}),
    ("the form of the target", _in_head(rb"\A\S+ (?!/|\*|https?://[\w.:\[\]-]+[/? ])"), {"llhttp"}),
]
"""What we read and some others refuse: what, how it is told, who refuses it."""

STRICTER: list[tuple[str, Told]] = [
    ("a bare LF", _anywhere(rb"(?<!\r)\n")),
    ("a bare CR", _anywhere(rb"\r(?!\n)")),
    ("a folded field", _in_head(rb"\r\n[ \t]")),
    ("a version other than 1.x", _in_head(rb"\A[^\r\n]* HTTP/(?!1\.\d\r)")),
    ("no version", _in_head(rb"\A\S+ +\S+\r\n")),
    ("more than one space in the request line", _in_head(rb"\A[^\r\n]*  ")),
    ("a fragment in the target", _in_head(rb"\A\S+ [^\r\n]*#")),
    ("a control character", _in_head(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")),
    ("HTTP/1.1 without Host", lambda data: not _hosts(data)),
    ("two Hosts", lambda data: len(_hosts(data)) > 1),
    ("a Host that is none", lambda data: any(not _HOST.match(host) for host in _hosts(data))),
    ("two Content-Lengths", lambda data: len(_lengths(data)) > 1),
    ("a Content-Length that is no number", lambda data: any(not v.isdigit() for v in _lengths(data))),
    ("Content-Length beside Transfer-Encoding", lambda data: _lengths(data) and _codings(data)),
    ("two Transfer-Encodings", lambda data: len(_codings(data)) > 1),
    ("Transfer-Encoding in HTTP/1.0", lambda data: _codings(data) and b" HTTP/1.0" in data),
    ("a coding other than chunked", lambda data: any(v.lower() != b"chunked" for v in _codings(data))),
    ("white space behind a chunk size", _anywhere(rb"\n[0-9a-f]+[ \t]+\r")),
]
"""What we refuse and at least one other reads: what, how it is told."""
