"""Several ranges in one request: multipart/byteranges, read by Python's own MIME parser."""

from __future__ import annotations

import random
import re
from email import message_from_bytes
from email.message import Message

import pytest

from bypass.site.resource import CorsPolicy
from tests.engine_http.client import Net
from tests.engine_http.described import Answer, ask, net_of, page, sent_again, site_of
from tests.engine_http.reference import MODIFIED_S, content

SIZE = 20011
BODY = content(SIZE)


@pytest.fixture
def net() -> Net:
    resources = {b"/r.bin": page(BODY, "application/octet-stream", modified=MODIFIED_S), b"/e": page(b"")}
    return net_of(site_of(resources=resources))


def parts_of(answer: Answer) -> list[tuple[str, str, bytes]]:
    """(Content-Range, Content-Type, octets) of each part."""
    assert answer.status == 206
    assert answer.get("Content-Range") is None
    media_type = answer.get("Content-Type")
    assert media_type is not None
    message = message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    assert not message.defects
    assert not (message.preamble or "").strip()
    assert not (message.epilogue or "").strip()
    boundary = message.get_boundary()
    assert boundary is not None
    assert answer.body.endswith(f"\r\n--{boundary}--\r\n".encode())
    found = []
    for part in raw_parts(answer.body, boundary.encode()):
        head, _, octets = part.partition(b"\r\n\r\n")
        fields = message_from_bytes(head + b"\r\n\r\n")
        found.append((str(fields["Content-Range"]), str(fields["Content-Type"]), octets))
    payload = message.get_payload()
    assert isinstance(payload, list)
    assert [str(each["Content-Range"]) for each in payload if isinstance(each, Message)] == [
        content_range for content_range, _, _ in found
    ]
    return found


def raw_parts(body: bytes, boundary: bytes) -> list[bytes]:
    pieces = body.split(b"\r\n--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    assert all(piece.startswith(b"\r\n") for piece in pieces[1:-1])
    return [piece[2:] for piece in pieces[1:-1]]


@pytest.mark.parametrize(
    ("asked", "extents"),
    [
        ("0-0,10-19", [(0, 1), (10, 10)]),
        ("10-19,0-0", [(10, 10), (0, 1)]),  # in the order asked for
        ("0-99, -100", [(0, 100), (SIZE - 100, 100)]),
        ("5-6,100-200,50000-", [(5, 2), (100, 101)]),  # what cannot be satisfied does not count
        ("0-9,5-20,100-101", [(0, 21), (100, 2)]),
        ("100-101,0-9,10-20", [(100, 2), (0, 21)]),
        ("1-2,4-5,3-3,9-9", [(1, 5), (9, 1)]),
        (",".join(f"{n * 100}-{n * 100 + 9}" for n in range(32)), [(n * 100, 10) for n in range(32)]),
    ],
)
def test_every_part_has_its_octets_and_says_which(
    net: Net, asked: str, extents: list[tuple[int, int]]
) -> None:
    answer = ask(net, "/r.bin", Range="bytes=" + asked)
    assert parts_of(answer) == [
        (f"bytes {first}-{first + size - 1}/{SIZE}", "application/octet-stream", BODY[first : first + size])
        for first, size in extents
    ]
    whole = ask(net, "/r.bin")
    for name in ("ETag", "Last-Modified", "Accept-Ranges"):
        assert answer.get(name) == whole.get(name) is not None


@pytest.mark.parametrize(
    "asked",
    [
        f"0-9999,10001-{SIZE - 1}",  # the parts with their heads are longer than the whole
        ",".join(f"{n * 100}-{n * 100 + 9}" for n in range(33)),  # one too many
        "1-2," * 65,
        "0-1,x",
        "0-1,5-4",
    ],
)
def test_what_is_too_much_is_answered_whole(net: Net, asked: str) -> None:
    answer = ask(net, "/r.bin", Range="bytes=" + asked)
    assert (answer.status, answer.body) == (200, BODY)


def test_ranges_that_become_one_are_a_plain_206(net: Net) -> None:
    answer = ask(net, "/r.bin", Range="bytes=0-9,10-19,5-30")
    assert (answer.status, answer.get("Content-Range")) == (206, f"bytes 0-30/{SIZE}")
    assert answer.body == BODY[:31]


def test_none_satisfiable_is_416_and_of_nothing_too(net: Net) -> None:
    answer = ask(net, "/r.bin", Range="bytes=50000-,-0,60000-70000")
    assert (answer.status, answer.get("Content-Range")) == (416, f"bytes */{SIZE}")
    assert ask(net, "/e", Range="bytes=0-,1-").status == 416


def test_head_ignores_ranges_and_if_range_decides(net: Net) -> None:
    assert ask(net, "/r.bin", "HEAD", Range="bytes=0-0,5-5").status == 200
    tag = str(ask(net, "/r.bin").get("ETag"))
    assert ask(net, "/r.bin", Range="bytes=0-0,5-5", If_Range=tag).status == 206
    assert ask(net, "/r.bin", Range="bytes=0-0,5-5", If_Range='"other"').status == 200
    assert ask(net, "/r.bin", Range="bytes=0-0,5-5", If_None_Match=tag).status == 304


@pytest.mark.parametrize("mss", [64, 100, 333, 536, 1460])
def test_segments_may_cut_it_anywhere(net: Net, mss: int) -> None:
    """The client checks both checksums of every segment."""
    dice = random.Random(mss)
    for _ in range(6):
        extents = [(dice.randrange(SIZE), dice.randrange(1, 900)) for _ in range(dice.randrange(2, 9))]
        asked = ",".join(f"{first}-{first + size - 1}" for first, size in extents)
        whole = ask(net, "/r.bin", Range="bytes=" + asked).octets
        request = f"GET /r.bin HTTP/1.1\r\nHost: x\r\nRange: bytes={asked}\r\n\r\n".encode()
        assert net.connect(mss=mss).ask(request) == whole


def test_parts_are_sent_again_as_they_were(net: Net) -> None:
    request = b"GET /r.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=1-700,1000-1900,5000-5100\r\n\r\n"
    first, again = sent_again(net, request)
    assert again.startswith(first)
    anew = net.connect().ask(request)
    assert undated(again) == undated(anew)


def undated(octets: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]+", b"", octets, count=1)


def test_many_in_a_pipeline_come_in_order() -> None:
    net = net_of(
        site_of(resources={b"/r.bin": page(BODY)}, cors=(CorsPolicy(b"/", ("*",)),)), request_buffers=64
    )
    request = b"GET /r.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d,-5\r\n\r\n"
    answers = net.connect().ask(b"".join(request % (n, n + 9) for n in range(30)))
    alone = [net.connect().ask(request % (n, n + 9)) for n in range(30)]
    assert answers == b"".join(alone)


def test_without_room_to_keep_them_the_whole_is_the_answer() -> None:
    net = net_of(site_of(resources={b"/r.bin": page(BODY)}), request_buffers=1)
    holding = net.connect(auto_ack=False)
    holding.ask(b"GET /r.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0,9-9\r\n\r\n")
    answer = ask(net, "/r.bin", Range="bytes=0-0,5-5")
    assert (answer.status, answer.body) == (200, BODY)
    assert net.counter("no_note") == 1
    holding.ack()
    assert ask(net, "/r.bin", Range="bytes=0-0,5-5").status == 206
