"""Error pages of the site: by status, host and nearest folder."""

from __future__ import annotations

import pytest

from bypass.errors import SiteError
from bypass.site.resource import Host, Representation, Resource
from tests.engine_http.client import Net
from tests.engine_http.described import ask, image_of, net_of, page, site_of


def error(status: int, text: bytes) -> Resource:
    return page(text, status=status)


@pytest.fixture
def net() -> Net:
    return net_of(
        site_of(
            errors={
                (404, b"/"): error(404, b"root"),
                (404, b"/docs/"): error(404, b"docs"),
                (404, b"/docs/deep/er/"): error(404, b"deeper"),
                (400, b"/"): error(400, b"bad"),
                (405, b"/"): error(405, b"no method"),
                (412, b"/"): error(412, b"no match"),
                (501, b"/"): error(501, b"unknown"),
                (503, b"/"): error(503, b"busy"),
            }
        )
    )


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/x", b"root"),
        ("/x/y/z", b"root"),
        ("/docs", b"docs"),
        ("/docs/x", b"docs"),
        ("/docsx", b"root"),
        ("/docs/deep", b"docs"),
        ("/docs/deep/er", b"deeper"),
        ("/docs/deep/er/x/y/z", b"deeper"),
        ("/docs/deep/erx", b"docs"),
        ("/docs/" + "a/" * 3000, b"docs"),
        ("/docs/%2f", b"docs"),
    ],
)
def test_the_nearest_page_is_the_answer(net: Net, target: str, body: bytes) -> None:
    answer = ask(net, target)
    assert (answer.status, answer.body, answer.get("ETag")) == (404, body, None)
    assert ask(net, target, "HEAD").octets + body == answer.octets
    assert ask(net, target, Range="bytes=0-0", If_None_Match="*").octets == answer.octets


@pytest.mark.parametrize(
    ("request_", "status", "body", "closes"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"bad", True),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, b"bad", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405, b"no method", False),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501, b"unknown", True),
        (b'GET /a.txt HTTP/1.1\r\nHost: x\r\nIf-Match: "z"\r\n\r\n', 412, b"no match", False),
    ],
)
def test_every_status_has_its_page_and_closes_as_ever(
    net: Net, request_: bytes, status: int, body: bytes, closes: bool
) -> None:
    answer = net.connect().ask(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b"\r\n\r\n" + body)
    assert (b"Connection: close\r\n" in answer) == closes
    assert (b"Allow: GET, HEAD, OPTIONS\r\n" in answer) == (status == 405)


@pytest.mark.parametrize(
    "errors",
    [
        {(404, b"/"): error(410, b"")},
        {(302, b"/"): error(302, b"")},
        {(200, b"/"): page(b"")},
        {(204, b"/"): page(b"", status=204)},
        {(404, b"x"): error(404, b"")},
        {(404, b"/"): Resource((Representation(b"z", "gzip"),), "text/html", status=404)},
    ],
)
def test_a_page_that_does_not_fit_its_place_is_refused(errors: dict[tuple[int, bytes], Resource]) -> None:
    with pytest.raises(SiteError):
        image_of(Host(resources={b"/": page(b"x")}, errors=errors))
