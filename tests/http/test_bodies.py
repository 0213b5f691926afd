"""Request bodies are read past exactly, whatever their framing and however they are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bypass._probe import LIMITS, Body

MOST = LIMITS["body_bytes"]
NEXT = b"GET / HTTP/1.1\r\n"

SOUND = [
    b"0\r\n\r\n",
    b"000\r\n\r\n",
    b"1\r\nx\r\n0\r\n\r\n",
    b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\n\r\n",
    b"00000001\r\nx\r\n0\r\n\r\n",
    b"3\r\n\r\n\n\r\n0\r\n\r\n",
    b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
    b"1;a\r\nx\r\n0;b=c\r\n\r\n",
    b"1;\r\nx\r\n0\r\n\r\n",
    b'1 ;\ta = "b;\xff c"\r\nx\r\n0\r\n\r\n',
    b"1\t \t;a\r\nx\r\n0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"0\r\nA:\r\nB-c:\td\xff e \r\n\r\n",
    b"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
]
BAD = [
    b"\r\n",
    b" 1\r\n",
    b"g\r\n",
    b"-1\r\n",
    b"+1\r\n",
    b"0x1\r\n",
    b"1x\r\n",
    b"1\n",
    b"1\rx",
    b"1 \r\n",
    b"1 1\r\n",
    b"1 x\r\n",
    b"1\t\r\n",
    b";a\r\n",
    b"1;a\nb",
    b"1;a\0",
    b"1;a\rb",
    b"1;\x7f",
    b"1,1\r\n",
    b"1\r\nxx",
    b"1\r\nx\n",
    b"1\r\nx\rx",
    b"0\rx\r\n",
    b"1\r\nxy\n0\r\n\r\n",
    b"1\r\nx\rx0\r\n\r\n",
    b"1\r\nx\r\n\r\n",
    b"1\r\nx\r\n 0\r\n",
    b"0\r\n\n",
    b"0\r\n a: b\r\n",
    b"0\r\nA: b\r\n c\r\n",
    b"0\r\n: b\r\n",
    b"0\r\nA b: c\r\n",
    b"0\r\nA : b\r\n",
    b"0\r\nA\r\n",
    b"0\r\nA: b\n",
    b"0\r\nA: b\rc",
    b"0\r\nA: b\rx\r\n",
    b"0\r\n\rx",
    b"0\r\nA: \0\r\n",
]


def in_pieces(body: Body, data: bytes, sizes: list[int]) -> int:
    """Feeds pieces of these sizes, again and again, until the body takes no more; octets taken."""
    taken = number = 0
    while taken < len(data) and body.state == "READING":
        size = sizes[number % len(sizes)]
        number += 1
        used = body.skip(data[taken : taken + size])
        taken += used
        assert used == size or taken == len(data) or body.state != "READING"
    return taken


@pytest.mark.parametrize("octets", SOUND)
def test_a_chunked_body_ends_where_it_ends(octets: bytes) -> None:
    body = Body(chunked=True)
    assert body.state == "READING"
    assert body.skip(octets + NEXT) == len(octets)
    assert body.state == "OVER"
    assert body.skip(NEXT) == 0


@pytest.mark.parametrize("octets", SOUND)
def test_a_chunked_body_one_octet_at_a_time_is_over_at_its_last(octets: bytes) -> None:
    body = Body(chunked=True)
    for octet in octets[:-1]:
        assert body.skip(bytes([octet])) == 1
        assert body.state == "READING"
    assert body.skip(octets[-1:]) == 1
    assert body.state == "OVER"


@pytest.mark.parametrize("octets", BAD)
def test_malformed_chunk_framing_is_refused_whole_and_in_pieces(octets: bytes) -> None:
    whole = Body(chunked=True)
    whole.skip(octets + NEXT)
    assert whole.state == "BAD"
    single = Body(chunked=True)
    in_pieces(single, octets + NEXT, [1])
    assert single.state == "BAD"


@pytest.mark.parametrize("length", [0, 1, 2, 100, MOST])
def test_a_body_of_known_length_takes_just_that(length: int) -> None:
    body = Body(content_length=length)
    assert body.skip(b"x" * length + NEXT) == length
    assert body.state == "OVER"
    short = Body(content_length=length + 1)
    assert short.skip(b"x" * length) == length
    assert short.state == "READING"


def chunked(parts: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.lists(st.integers(min_value=1, max_value=90), min_size=1, max_size=9),
)
def test_pieces_take_what_the_whole_takes(parts: list[bytes], sizes: list[int]) -> None:
    octets = chunked(parts)
    body = Body(chunked=True)
    assert in_pieces(body, octets + NEXT, sizes) == len(octets)
    assert body.state == "OVER"


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"0", b"1", b"a", b"\r\n", b"\r", b"\n", b";", b" ", b":", b"x", b"\0"]), max_size=25
    ),
    st.lists(st.integers(min_value=1, max_value=5), min_size=1, max_size=5),
)
def test_pieces_end_as_the_whole_ends_on_any_octets(parts: list[bytes], sizes: list[int]) -> None:
    octets = b"".join(parts) + NEXT
    whole, single = Body(chunked=True), Body(chunked=True)
    taken = whole.skip(octets)
    assert in_pieces(single, octets, sizes) == taken
    assert single.state == whole.state


def test_a_chunked_body_too_large_is_told_from_a_malformed_one() -> None:
    for octets in (b"10001\r\n", b"fffffffff", b"8000\r\n" + b"x" * 0x8000 + b"\r\n8000\r\n"):
        body = Body(chunked=True)
        body.skip(octets)
        assert body.state == "TOO_LARGE"


def test_the_largest_single_chunk_is_read_past() -> None:
    size = MOST - 6
    octets = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
    body = Body(chunked=True)
    assert body.skip(octets) == len(octets)
    assert body.state == "OVER"


@pytest.mark.parametrize(
    ("start", "filler"),
    [
        (b"", b"0"),
        (b"1;", b"x"),
        (b"1 ", b" "),
        (b"0\r\n", b"A"),
        (b"0\r\nA:", b"x"),
        (b"0\r\n", b"A:b\r\n"),
        (b"", b"1;\r\nx\r\n"),
        (b"", b"1\r\nx\r\n"),
    ],
    ids=["zeros", "extension", "space", "trailer name", "trailer", "trailers", "extensions", "chunks"],
)
def test_nothing_in_a_chunked_body_goes_on_for_ever(start: bytes, filler: bytes) -> None:
    body = Body(chunked=True)
    body.skip(start)
    for _ in range(MOST + 1):
        if body.state != "READING":
            break
        body.skip(filler)
    assert body.state == "TOO_LARGE"


def test_random_cuts_of_a_long_stream_of_bodies_keep_its_boundaries() -> None:
    rng = random.Random(3)
    bodies = [
        chunked([rng.randbytes(rng.randrange(200)) for _ in range(rng.randrange(5))]) for _ in range(200)
    ]
    stream = b"".join(bodies)
    start = 0
    for octets in bodies:
        body = Body(chunked=True)
        while body.state == "READING":
            start += body.skip(stream[start : start + rng.randrange(1, 60)])
        assert body.state == "OVER"
        assert start == stream.find(octets, start - len(octets)) + len(octets)
