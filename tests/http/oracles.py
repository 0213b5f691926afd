"""Three readings of the same octets: ours, h11's, llhttp's (by httptools). No judgement here.

A reading is of the first message in the octets, body included; `end` is where it ends.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from dataclasses import dataclass, replace

import h11
import httptools

from bypass._probe import Body, request_parse, request_prefixes


@dataclass(frozen=True)
class Reading:
    """target None: refused, or not complete. minor: 0 for HTTP/1.0, else 1."""

    method: bytes | None = None
    target: bytes | None = None
    minor: int | None = None
    content_length: int = 0
    chunked: bool = False
    end: int = 0

    @property
    def accepted(self) -> bool:
        return self.target is not None


REFUSED = Reading()


def ours(data: bytes) -> Reading:
    request = request_parse(data)
    if request.verdict != "DONE":
        return REFUSED
    body = Body(content_length=request.content_length, chunked=request.chunked)
    end = request.head_bytes + body.skip(data[request.head_bytes :])
    if body.state != "OVER":
        return REFUSED
    method = data.lstrip(b"\r\n").split(b" ")[0]
    return Reading(method, request.target, request.minor, request.content_length, request.chunked, end)


def ours_octet_by_octet(data: bytes) -> Reading:
    """The same, when octets come one by one and each prefix is looked at."""
    verdicts = request_prefixes(data)
    first = len(verdicts) - len(verdicts.lstrip("N"))
    request = request_parse(data[:first])
    if request.verdict != "DONE":
        return REFUSED
    body = Body(content_length=request.content_length, chunked=request.chunked)
    end = first
    while body.state == "READING" and end < len(data):
        end += body.skip(data[end : end + 1])
    if body.state != "OVER":
        return REFUSED
    method = data.lstrip(b"\r\n").split(b" ")[0]
    return Reading(method, request.target, request.minor, request.content_length, request.chunked, end)


def h11_reads(data: bytes) -> Reading:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    try:
        request = connection.next_event()
        if not isinstance(request, h11.Request):
            return REFUSED
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return REFUSED
    except h11.RemoteProtocolError:
        return REFUSED
    fields = dict(request.headers)
    return Reading(
        bytes(request.method),
        bytes(request.target),
        min(int(request.http_version[-1:]), 1),
        int(fields.get(b"content-length", b"0")),
        b"transfer-encoding" in fields,
        len(data) - len(connection.trailing_data[0]),
    )


class _Events:
    """What httptools tells of; only complete messages count."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.url = b""
        self.fields: dict[bytes, bytes] = {}
        self.parser: httptools.HttpRequestParser | None = None
        self.head: tuple[bytes, bytes, int] | None = None

    def on_message_begin(self) -> None:
        self.url = b""
        self.fields = {}
        self.head = None

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self.parser is not None
        minor = min(int(self.parser.get_http_version()[-1]), 1)
        self.head = self.parser.get_method(), self.url, minor

    def on_message_complete(self) -> None:
        assert self.head is not None
        self.readings.append(
            Reading(
                *self.head,
                int(self.fields.get(b"content-length", b"").strip() or 0),
                b"transfer-encoding" in self.fields,
            )
        )


def _feed(data: bytes) -> list[Reading]:
    events = _Events()
    parser = events.parser = httptools.HttpRequestParser(events)
    with contextlib.suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(data)
    return events.readings


def httptools_reads(data: bytes) -> Reading:
    readings = _feed(data)
    if not readings:
        return REFUSED
    end = bisect_left(range(len(data)), True, key=lambda size: bool(_feed(data[:size])))
    return replace(readings[0], end=end)
