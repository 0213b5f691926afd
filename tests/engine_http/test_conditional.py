"""Preconditions in their order (RFC 9110 13.2.2): 200, 304 or 412, and what a 304 carries."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from tests.engine_http.client import Net
from tests.engine_http.reference import MODIFIED_S, WALL_S, Site
from tests.engine_http.requests import get

PATH = "/sizes/1000.bin"


def date(second: int) -> str:
    return formatdate(second, usegmt=True)


BEFORE, AT, AFTER = (date(MODIFIED_S + step) for step in (-1, 0, 1))


def tag_of(site: Site) -> str:
    stored = site.image.lookup(PATH.encode())
    assert stored is not None
    start = stored.record.etag_offset
    return stored.head[start : start + 24].decode()


def fields_of(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


CASES = [
    # If-Match: strong comparison (13.1.1)
    ("If-Match: TAG", 200),
    ('If-Match: "a", TAG', 200),
    ("If-Match: *", 200),
    ("If-Match: W/TAG", 412),
    ('If-Match: "a"', 412),
    ("If-Match:", 412),
    ("If-Match: TAG garbage", 200),
    ("If-Match: garbage TAG", 412),
    # If-Unmodified-Since (13.1.4)
    (f"If-Unmodified-Since: {AT}", 200),
    (f"If-Unmodified-Since: {AFTER}", 200),
    (f"If-Unmodified-Since: {BEFORE}", 412),
    ("If-Unmodified-Since: garbage", 200),
    (f"If-Unmodified-Since: {BEFORE}|If-Unmodified-Since: {BEFORE}", 200),
    # If-None-Match: weak comparison (13.1.2)
    ("If-None-Match: TAG", 304),
    ("If-None-Match: W/TAG", 304),
    ('If-None-Match: "a" , ,W/"b",TAG', 304),
    ('If-None-Match: "a"|If-None-Match: TAG', 304),
    ("If-None-Match: *", 304),
    ('If-None-Match: "a"', 200),
    ("If-None-Match:", 200),
    ("If-None-Match: garbage", 200),
    ('If-None-Match: "unclosed', 200),
    ('If-None-Match: "with space ", TAG', 200),
    # If-Modified-Since (13.1.3)
    (f"If-Modified-Since: {AT}", 304),
    (f"If-Modified-Since: {AFTER}", 304),
    (f"If-Modified-Since: {BEFORE}", 200),
    ("If-Modified-Since: garbage", 200),
    ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", 200),
    (f"if-modified-since:{AT}", 304),
    # the order (13.2.2)
    (f"If-Match: TAG|If-Unmodified-Since: {BEFORE}", 200),
    ('If-Match: "a"|If-None-Match: TAG', 412),
    ("If-Match: TAG|If-None-Match: TAG", 304),
    (f"If-Unmodified-Since: {BEFORE}|If-None-Match: TAG", 412),
    (f'If-None-Match: "a"|If-Modified-Since: {AT}', 200),
    (f"If-None-Match: TAG|If-Modified-Since: {BEFORE}", 304),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("fields", "status"), CASES)
def test_preconditions_decide(net: Net, site: Site, fields: str, status: int, method: str) -> None:
    lines = fields.replace("TAG", tag_of(site)).replace("|", "\r\n") + "\r\n"
    connection = net.connect()
    answer = connection.ask(get(PATH, method=method, fields=lines.encode()))
    head_only = method == "HEAD"
    if status == 200:
        assert answer == site.response(PATH.encode(), head_only=head_only)
    elif status == 412:
        assert answer == site.error(412, head_only=head_only)
    else:
        assert answer.startswith(b"HTTP/1.1 304 Not Modified\r\nServer: bypass\r\nDate: ")
        assert answer.endswith(b"\r\n\r\n")
        assert fields_of(answer) == {
            "Server": "bypass",
            "Date": date(WALL_S),
            "ETag": tag_of(site),
            "Last-Modified": AT,
        }
    assert connection.ask(get("/small.txt")) == site.response(b"/small.txt"), "the connection goes on"


@pytest.mark.parametrize(("path", "status"), [("/docs", 301), ("/nothing", 404)])
def test_what_is_no_200_has_no_preconditions(net: Net, site: Site, path: str, status: int) -> None:
    answer = net.connect().ask(get(path, fields=b'If-Match: "a"\r\nRange: bytes=0-1\r\n'))
    assert answer == (site.response(b"/docs") if status == 301 else site.error(404))


@pytest.mark.parametrize(
    ("version", "field", "says"),
    [("1.1", "Connection: close", "close"), ("1.0", "Connection: keep-alive", "keep-alive")],
)
def test_a_304_says_how_the_connection_goes_on(net: Net, version: str, field: str, says: str) -> None:
    connection = net.connect()
    answer = connection.ask(
        f"GET {PATH} HTTP/{version}\r\nHost: a\r\n{field}\r\nIf-None-Match: *\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 304 ")
    assert fields_of(answer)["Connection"] == says
    assert connection.peer_closed == (says == "close")


def test_preconditions_of_a_request_in_single_octets(net: Net, site: Site) -> None:
    connection = net.connect()
    for octet in get(PATH, fields=f"If-None-Match: {tag_of(site)}\r\n".encode()):
        answer = connection.ask(bytes([octet]))
    assert answer.startswith(b"HTTP/1.1 304 ")


def test_it_is_counted_as_what_it_is(net: Net) -> None:
    connection = net.connect()
    connection.ask(get(PATH, fields=b"If-None-Match: *\r\n") + get(PATH, fields=b"Range: bytes=5000-\r\n"))
    net.turn()
    assert (net.counter("responses_2xx"), net.counter("responses_3xx"), net.counter("responses_4xx")) == (
        0,
        1,
        1,
    )
