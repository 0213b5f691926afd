"""Content negotiation by Accept-Encoding, and what follows from it for validators, ranges and caches."""

from __future__ import annotations

import pytest

from bypass.site.resource import Host, Representation, Resource
from tests.engine_http.client import Net
from tests.engine_http.described import ask, net_of, page, site_of
from tests.engine_http.reference import MODIFIED_S

PLAIN, GZIP, BR, ZSTD = b"p" * 1000, b"g" * 400, b"b" * 300, b"z" * 300


def forms(*pairs: tuple[str, bytes], **more: object) -> Resource:
    made = tuple(Representation(octets, coding) for coding, octets in pairs)  # type: ignore[arg-type]
    return Resource(made, "text/css", modified=MODIFIED_S, **more)  # type: ignore[arg-type]


@pytest.fixture
def net() -> Net:
    return net_of(
        site_of(
            resources={
                b"/all.css": forms(("", PLAIN), ("gzip", GZIP), ("br", BR), ("zstd", ZSTD)),
                b"/two.css": forms(("", PLAIN), ("gzip", GZIP)),
                b"/sidecar.css": forms(("gzip", GZIP), ("br", BR)),
                b"/bigger.css": forms(("", BR), ("gzip", PLAIN)),
                b"/vary.css": forms(("", PLAIN), ("gzip", GZIP), fields=(("Vary", "Origin"),)),
            }
        )
    )


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("deflate", None),
        ("gzip, br", "br"),  # the smallest of equal weight; of equal size the first
        ("gzip, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("gzip;q=0.5,br;q=0.501", "br"),
        ("gzip ; q=0.1", "gzip"),
        ("gzip;Q=0.1", "gzip"),
        ("*", "br"),
        ("*;q=0.1, gzip", "gzip"),
        ("gzip;q=0, *", "br"),
        ("br;q=0, zstd;q=0, *;q=0.3", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
        ("identity;q=0.5, gzip;q=0.4", None),
        ("identity;q=0.4, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=1.5", None),  # broken items are skipped
        ("gzip;q=", None),
        ("gzip;level=9", None),
        ("gzip;q=0.1234", None),
        (";q=1, br", "br"),
        (",, , br,", "br"),
        ("gzip;q=0.000", None),
        ("gzip;q=1.", "gzip"),
    ],
)
def test_the_best_coding_is_chosen(net: Net, accept: str | None, coding: str | None) -> None:
    fields = {} if accept is None else {"Accept_Encoding": accept}
    answer = ask(net, "/all.css", **fields)
    assert answer.status == 200
    assert answer.get("Content-Encoding") == coding
    assert answer.body == {None: PLAIN, "gzip": GZIP, "br": BR, "zstd": ZSTD}[coding]
    assert answer.get("Vary") == "Accept-Encoding"
    assert answer.get("Content-Type") == "text/css"


def test_several_lines_are_one_list(net: Net) -> None:
    request = (
        b"GET /all.css HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0.3\r\naccept-encoding: zstd\r\n\r\n"
    )
    assert b"Content-Encoding: zstd\r\n" in net.connect().ask(request)


@pytest.mark.parametrize("accept", ["identity;q=0", "*;q=0", "deflate, *;q=0", "gzip;q=0, identity;q=0.0"])
def test_without_an_acceptable_form_the_answer_is_406(net: Net, accept: str) -> None:
    answer = ask(net, "/two.css", Accept_Encoding=accept + ", br;q=0")
    accepted = "gzip" not in accept and "*" not in accept
    assert answer.status == (200 if accepted and "*" in accept else 406)
    assert answer.get("Vary") == "Accept-Encoding"
    assert answer.get("Connection") is None


def test_what_has_one_form_is_not_negotiated(net: Net) -> None:
    answer = ask(net, "/a.txt", Accept_Encoding="identity;q=0")
    assert (answer.status, answer.body, answer.get("Vary")) == (200, b"a" * 500, None)


@pytest.mark.parametrize(
    ("accept", "status", "coding"),
    [
        (None, 200, "br"),
        ("gzip", 200, "gzip"),
        ("br, gzip", 200, "br"),
        ("identity", 406, None),
        ("", 406, None),
    ],
)
def test_a_site_may_have_the_compressed_forms_alone(
    net: Net, accept: str | None, status: int, coding: str | None
) -> None:
    fields = {} if accept is None else {"Accept_Encoding": accept}
    answer = ask(net, "/sidecar.css", **fields)
    assert (answer.status, answer.get("Content-Encoding")) == (status, coding)


def test_of_equal_weight_the_smallest_is_the_answer_be_it_identity(net: Net) -> None:
    assert ask(net, "/bigger.css", Accept_Encoding="gzip, identity").get("Content-Encoding") is None
    assert ask(net, "/bigger.css", Accept_Encoding="gzip").get("Content-Encoding") == "gzip"


def test_every_form_has_a_validator_of_its_own(net: Net) -> None:
    tags = {
        coding: ask(net, "/all.css", Accept_Encoding=coding).get("ETag") for coding in ("x", "gzip", "br")
    }
    assert len(set(tags.values())) == 3
    same = ask(net, "/all.css", Accept_Encoding="gzip", If_None_Match=str(tags["gzip"]))
    assert (same.status, same.get("ETag"), same.get("Vary")) == (304, tags["gzip"], "Accept-Encoding")
    assert same.get("Content-Encoding") is None
    other = ask(net, "/all.css", Accept_Encoding="gzip", If_None_Match=str(tags["x"]))
    assert (other.status, other.body) == (200, GZIP)
    assert ask(net, "/all.css", Accept_Encoding="br", If_Match=str(tags["gzip"])).status == 412


def test_a_range_is_one_of_the_form_chosen(net: Net) -> None:
    answer = ask(net, "/all.css", Accept_Encoding="gzip", Range="bytes=10-19")
    assert (answer.status, answer.body) == (206, GZIP[10:20])
    assert answer.get("Content-Range") == "bytes 10-19/400"
    assert answer.get("Content-Encoding") == "gzip"
    assert answer.get("Vary") == "Accept-Encoding"
    beyond = ask(net, "/all.css", Accept_Encoding="gzip", Range="bytes=400-")
    assert (beyond.status, beyond.get("Content-Range")) == (416, "bytes */400")


def test_head_says_what_get_says(net: Net) -> None:
    for accept in ("gzip", "identity", "*;q=0"):
        got = ask(net, "/all.css", Accept_Encoding=accept)
        head = ask(net, "/all.css", "HEAD", Accept_Encoding=accept)
        assert got.octets == head.octets + got.body


def test_a_vary_of_the_site_is_added_to(net: Net) -> None:
    assert ask(net, "/vary.css").get("Vary") == "Origin, Accept-Encoding"


def test_error_pages_are_negotiated_but_never_refused() -> None:
    missing = Resource((Representation(PLAIN), Representation(GZIP, "gzip")), "text/html", status=404)
    net = net_of(Host(resources={b"/": page(b"x")}, errors={(404, b"/"): missing}))
    assert ask(net, "/nothing", Accept_Encoding="gzip").body == GZIP
    assert ask(net, "/nothing").body == PLAIN
    answer = ask(net, "/nothing", Accept_Encoding="identity;q=0, gzip;q=0")
    assert (answer.status, answer.body) == (404, PLAIN)
