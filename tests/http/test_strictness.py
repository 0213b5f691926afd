"""Each case whole, in every prefix, and with more octets behind it; always against a forbidden page."""

from __future__ import annotations

import pytest

from bypass._probe import LIMITS, request_parse, request_prefixes
from tests.http.cases import ACCEPTED, REFUSED, Accepted, Refused, head, padded

DEFAULTS = {
    "verdict": "DONE",
    "status": None,
    "method": "GET",
    "target": b"/",
    "minor": 1,
    "close": False,
    "keep_alive": False,
    "chunked": False,
    "expects_continue": False,
    "expects_other": False,
    "content_length": 0,
}
TAILS = [b"\0", b"x", b"\r\n", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", b"\xff" * 3000]

refused = pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.what)
accepted = pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.what)


@refused
def test_a_malformed_head_is_refused_with_its_status(case: Refused) -> None:
    request = request_parse(case.octets)
    assert (request.verdict, request.status) == ("BAD", case.status)
    assert request_parse(case.octets, at_start=True) == request


@refused
def test_no_prefix_of_a_malformed_head_is_taken_for_a_request(case: Refused) -> None:
    verdicts = request_prefixes(case.octets)
    assert set(verdicts) <= {"N", "B"}
    assert "N" not in verdicts.lstrip("N"), "refused, then wanted more"


@refused
def test_the_status_is_the_same_from_the_first_prefix_that_is_refused(case: Refused) -> None:
    first = request_prefixes(case.octets).find("B")
    if first >= 0:
        assert request_parse(case.octets[:first]).status == case.status


@refused
def test_what_follows_a_malformed_head_does_not_heal_it(case: Refused) -> None:
    for tail in TAILS:
        assert request_parse(case.octets + tail).status == case.status


@accepted
def test_a_sound_head_is_read_whole(case: Accepted) -> None:
    request = request_parse(case.octets)
    assert request._asdict() == DEFAULTS | {"head_bytes": len(case.octets)} | case.fields
    assert request_parse(case.octets, at_start=True) == request


@accepted
def test_every_prefix_of_a_sound_head_wants_more(case: Accepted) -> None:
    assert set(request_prefixes(case.octets)) == {"N"}


@accepted
def test_what_follows_a_sound_head_is_left_alone(case: Accepted) -> None:
    for tail in TAILS:
        assert request_parse(case.octets + tail) == request_parse(case.octets)


def test_the_cases_cover_the_limits() -> None:
    assert len(padded(LIMITS["head_bytes"])) == LIMITS["head_bytes"] == 16000
    assert LIMITS["target_bytes"] == 8000
    assert LIMITS["method_bytes"] == 32
    assert LIMITS["fields"] == 128
    assert LIMITS["body_bytes"] == 65536


def test_empty_lines_do_not_count_as_head() -> None:
    request = request_parse(b"\r\n" * 10000 + padded(16000))
    assert (request.verdict, request.head_bytes) == ("DONE", 36000)
    assert request_parse(b"\r\n" * 10000).verdict == "NEED_MORE"
    assert request_parse(b"\r\n" * 10000 + padded(16001)).status == 431


def test_the_verdict_on_a_long_head_does_not_depend_on_how_much_of_it_came() -> None:
    late = head(b"X: " + b"x" * 15900, b"Y: " + b"y" * 500 + b"\0")
    assert request_parse(late).status == request_parse(late[:16000]).status == 431
    assert request_parse(late[:15999]).verdict == "NEED_MORE"


@pytest.mark.parametrize("octet", range(256))
def test_each_octet_is_judged_by_the_class_of_its_place(octet: int) -> None:
    token = (chr(octet).isalnum() and octet < 128) or octet in b"!#$%&'*+-.^_`|~"
    value = octet == 9 or 32 <= octet != 127
    target = 33 <= octet < 127 and octet != 35
    one = bytes([octet])
    assert (request_parse(head(b"X" + one + b"Y: a")).verdict == "DONE") == (token or octet == 58)
    assert (request_parse(head(b"X: a" + one + b"b")).verdict == "DONE") == value
    assert (request_parse(b"G" + one + b"T /" + one + b" HTTP/1.0\r\n\r\n").verdict == "DONE") == (
        token and target
    )
    assert (request_parse(b"GET /a" + one + b"b HTTP/1.0\r\n\r\n").verdict == "DONE") == target
