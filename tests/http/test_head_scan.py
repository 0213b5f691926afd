"""The short scan that spares a growing head a parse: it may never overlook the head's end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bypass._probe import head_scan, request_parse
from tests.http.cases import ACCEPTED, Accepted, head

PARTS = [b"\r\n", b"\r", b"\n", b"a", b"GET / HTTP/1.0\r\n", b"X: y\r\n", b"\r\n\r\n"]
octets = st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.what)
def test_a_whole_head_is_never_overlooked_wherever_the_scan_began(case: Accepted) -> None:
    size = len(case.octets)
    for scanned in {*range(min(size, 40)), *range(max(size - 40, 0), size)}:
        assert head_scan(case.octets, scanned) < size


def test_a_head_without_its_last_octet_needs_no_parse() -> None:
    data = head(b"X: y")
    for size in range(len(data)):
        assert head_scan(data[:size]) == size


@pytest.mark.parametrize("data", [b"\n", b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: a\n", b"\r\n\n"])
def test_a_bare_line_feed_calls_for_a_parse_at_once(data: bytes) -> None:
    assert head_scan(data) < len(data)
    assert head_scan(data, len(data) - 1) < len(data)


def test_an_empty_line_before_the_request_calls_for_a_parse() -> None:
    assert head_scan(b"\r\n") == head_scan(b"\r\n", 1) == 1


@settings(max_examples=500, deadline=None)
@given(octets)
def test_what_the_scan_passes_is_no_complete_head(data: bytes) -> None:
    if head_scan(data) == len(data):
        assert request_parse(data).verdict != "DONE"


@settings(max_examples=500, deadline=None)
@given(octets, st.integers(min_value=0, max_value=1 << 30))
def test_a_scan_that_goes_on_finds_what_one_from_the_start_finds(data: bytes, seed: int) -> None:
    rng = random.Random(seed)
    scanned = 0
    while scanned < len(data):
        step = rng.randint(scanned + 1, len(data))
        if head_scan(data[:step], scanned) < step:
            break
        scanned = step
    assert (scanned == len(data)) == (head_scan(data) == len(data))
