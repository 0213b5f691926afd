"""Requests with bodies: read past, answered once, behind the body; the next request is found."""

from __future__ import annotations

import pytest

from tests.engine_http.client import Net
from tests.engine_http.reference import Site
from tests.engine_http.requests import get

CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(body: bytes, fields: bytes, method: str = "POST") -> bytes:
    return get("/small.txt", method=method, fields=fields) + body


def test_the_response_comes_when_the_body_is_over(net: Net, site: Site) -> None:
    connection = net.connect()
    assert connection.ask(post(b"12345", b"Content-Length: 10\r\n")) == b""
    assert connection.ask(b"6789") == b""
    assert connection.ask(b"0") == site.error(405)
    assert connection.ask(post(b"3\r\nabc\r\n", CHUNKED, "GET")) == b""
    assert connection.ask(b"0\r\n\r\n" + get("/")) == site.response(b"/small.txt") + site.response(b"/")


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"x", 400),
        (b"5\r\nhelloworld", 400),
        (b"5 5\r\nhello\r\n0\r\n\r\n", 400),
        (b"1\nx", 400),
        (b"0\r\nbad trailer\r\n\r\n", 400),
        (b"fffff\r\n", 413),
        (b"0\r\n" + b"T: u\r\n" * 4000, 413),
        (b"1;" + b"x" * 70000, 413),
        (b"1\r\nx\r\n" * 40000, 413),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_body_that_cannot_be_followed_draws_one_response_and_the_end(
    net: Net, site: Site, bad: bytes, status: int, method: str
) -> None:
    connection = net.connect()
    answer = connection.ask(post(bad, CHUNKED, method) + get("/small.txt"))
    assert answer == site.error(status, head_only=method == "HEAD")
    assert connection.peer_closed
    assert net.counter("responses_2xx") + net.counter("responses_4xx") == 1
    assert net.counter("requests") == 1


def test_a_body_announced_too_large_is_refused_by_its_head(net: Net, site: Site) -> None:
    connection = net.connect()
    assert connection.ask(get("/small.txt", fields=b"Content-Length: 65537\r\n")) == site.error(413)
    assert connection.peer_closed


def test_the_largest_body_is_read_past_without_a_buffer(net: Net, site: Site) -> None:
    connection = net.connect()
    body = b"GET / HTTP/1.1\r\n\r\n" * 3640
    body += b"x" * (65536 - len(body))
    stream = post(body, b"Content-Length: 65536\r\n") + get("/small.txt")
    assert connection.ask(stream) == site.error(405) + site.response(b"/small.txt")
    assert min(connection.windows) > 14000


def test_responses_before_the_body_are_not_held_back(net: Net, site: Site) -> None:
    connection = net.connect()
    answer = connection.ask(get("/small.txt") * 3 + post(b"", b"Content-Length: 1\r\n"))
    assert answer == site.response(b"/small.txt") * 3
    assert connection.ask(b"x" + get("/small.txt")) == site.error(405) + site.response(b"/small.txt")


def test_a_connection_that_ends_within_a_body_draws_nothing_and_gives_back_what_it_held(
    net: Net, site: Site
) -> None:
    for _ in range(40):
        connection = net.connect()
        connection.ask(get("/small.txt") * 3 + post(b"ab", b"Content-Length: 3\r\n"))
        connection.finish()
        assert bytes(connection.received) == site.response(b"/small.txt") * 3
        assert connection.peer_closed
    assert net.counter("no_queue_block") == 0
