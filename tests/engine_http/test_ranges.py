"""Single ranges (RFC 9110 14): 206 with the right octets and fields, 416, If-Range, in any segmenting."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from tests.engine_http.client import Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import MODIFIED_S, WALL_S, Site, content
from tests.engine_http.requests import get
from tests.engine_http.test_conditional import fields_of

SIZE = 70001
PATH = f"/sizes/{SIZE}.bin"
EXTENTS = [(0, 1), (0, 64), (1, 63), (63, 2), (65, 1000), (4096, 20011), (69999, 2), (70000, 1), (0, SIZE)]


def ask_range(first: int, octets: int, path: str = PATH) -> bytes:
    return get(path, fields=f"Range: bytes={first}-{first + octets - 1}\r\n".encode())


def partial(site: Site, first: int, octets: int, size: int = SIZE) -> bytes:
    """The 206, made in Python of the 200."""
    whole = site.response(f"/sizes/{size}.bin".encode(), head_only=True)
    head = whole.replace(b"200 OK", b"206 Partial Content", 1)
    head = head.replace(b"Content-Length: %d" % size, b"Content-Length: %d" % octets)
    at = f"Content-Range: bytes {first}-{first + octets - 1}/{size}\r\n\r\n".encode()
    return head[:-2] + at + content(size)[first : first + octets]


@pytest.mark.parametrize("mss", [100, 536, 1460])
@pytest.mark.parametrize(("first", "octets"), EXTENTS)
def test_a_range_comes_back_as_it_lies_in_the_file(
    net: Net, site: Site, first: int, octets: int, mss: int
) -> None:
    assert net.connect(mss=mss).ask(ask_range(first, octets)) == partial(site, first, octets)


@pytest.mark.parametrize("first", range(130))
def test_every_alignment_has_its_checksum(net: Net, site: Site, first: int) -> None:
    """The client checks the sums: of odd heads before odd parts of bodies."""
    connection = net.connect(mss=537)
    for octets in (1, 2, 63, 64, 777):
        assert connection.ask(ask_range(first, octets)) == partial(site, first, octets)


def test_forms_of_the_field(net: Net, site: Site) -> None:
    connection = net.connect()
    for text, first, octets in (
        ("-500", SIZE - 500, 500),
        ("69000-", 69000, 1001),
        ("5-99999999", 5, SIZE - 5),
    ):
        answer = connection.ask(get(PATH, fields=f"range: Bytes={text}\r\n".encode()))
        assert answer == partial(site, first, octets)


def test_a_range_that_is_not_there_is_416_with_the_length(net: Net, site: Site) -> None:
    connection = net.connect()
    answer = connection.ask(get(PATH, fields=b"Range: bytes=70001-\r\n"))
    assert answer.startswith(b"HTTP/1.1 416 Range Not Satisfiable\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert fields_of(answer) == {
        "Server": "bypass",
        "Date": formatdate(WALL_S, usegmt=True),
        "Content-Length": "0",
        "Content-Range": "bytes */70001",
    }
    answer = connection.ask(get("/sizes/0.bin", fields=b"Range: bytes=0-\r\n"))
    assert fields_of(answer)["Content-Range"] == "bytes */0"
    assert connection.ask(get("/small.txt")) == site.response(b"/small.txt")


@pytest.mark.parametrize("field", ["bytes=5-1", "items=0-1", "bytes=x", "bytes=0-1\r\nRange: bytes=2-3"])
def test_what_is_not_followed_is_answered_whole(net: Net, site: Site, field: str) -> None:
    answer = net.connect().ask(get(PATH, fields=f"Range: {field}\r\n".encode()))
    assert answer == site.response(PATH.encode())


def test_head_and_other_methods_have_no_ranges(net: Net, site: Site) -> None:
    connection = net.connect()
    answer = connection.ask(get(PATH, method="HEAD", fields=b"Range: bytes=0-1\r\n"))
    assert answer == site.response(PATH.encode(), head_only=True)
    assert connection.ask(get(PATH, method="POST", fields=b"Range: bytes=0-1\r\n")) == site.error(405)


@pytest.mark.parametrize(
    ("validator", "applies"),
    [
        ("TAG", True),
        ("W/TAG", False),
        ('"other"', False),
        (formatdate(MODIFIED_S, usegmt=True), True),
        (formatdate(MODIFIED_S + 1, usegmt=True), False),
        ("TAG\r\nIf-Range: TAG", False),
        ("", False),
    ],
)
def test_if_range_asks_for_the_part_of_what_one_has(
    net: Net, site: Site, validator: str, applies: bool
) -> None:
    tag = fields_of(site.response(PATH.encode(), head_only=True))["ETag"]
    fields = f"Range: bytes=10-19\r\nIf-Range: {validator.replace('TAG', tag)}\r\n"
    answer = net.connect().ask(get(PATH, fields=fields.encode()))
    assert answer == (partial(site, 10, 10) if applies else site.response(PATH.encode()))


def test_a_file_of_this_second_has_no_strong_time(make_net: NetMaker, site: Site) -> None:
    net = make_net(wall_s=MODIFIED_S)
    fields = f"Range: bytes=10-19\r\nIf-Range: {formatdate(MODIFIED_S, usegmt=True)}\r\n"
    answer = net.connect().ask(get(PATH, fields=fields.encode()))
    assert answer == site.response(PATH.encode(), second=MODIFIED_S)


def test_a_precondition_comes_before_the_range(net: Net, site: Site) -> None:
    connection = net.connect()
    answer = connection.ask(get(PATH, fields=b"Range: bytes=0-1\r\nIf-None-Match: *\r\n"))
    assert answer.startswith(b"HTTP/1.1 304 ")
    answer = connection.ask(get(PATH, fields=b"Range: bytes=0-1\r\nIf-Match: *\r\n"))
    assert answer == partial(site, 0, 2)


def test_pipelined_among_others_in_their_order(net: Net, site: Site) -> None:
    kinds = [
        (get("/small.txt"), site.response(b"/small.txt")),
        (ask_range(3, 5), partial(site, 3, 5)),
        (get("/nothing"), site.error(404)),
        (ask_range(70, 3000), partial(site, 70, 3000)),
    ]
    stream = kinds * 30
    connection = net.connect(mss=999)
    answer = connection.ask(b"".join(request for request, _ in stream))
    assert answer == b"".join(response for _, response in stream)


def test_what_is_sent_again_is_what_was_sent(net: Net, site: Site) -> None:
    connection = net.connect(auto_ack=False)
    first = connection.ask(ask_range(7, 900))
    net.pass_time(5000)
    assert net.counter("retransmitted") > 0
    assert connection.received == first == partial(site, 7, 900)


def test_without_a_queue_block_the_whole_is_the_answer(make_net: NetMaker, site: Site) -> None:
    net = make_net(request_buffers=1)
    holder = net.connect(auto_ack=False)
    assert holder.ask(ask_range(0, 10)) == partial(site, 0, 10)
    other = net.connect()
    assert other.ask(ask_range(0, 10)) == site.response(PATH.encode())
    holder.ack()
    assert other.ask(ask_range(0, 10)) == partial(site, 0, 10)
