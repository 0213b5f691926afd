"""Response heads and the pages that no file stands behind."""

from __future__ import annotations

import hashlib
import http.client
import io
import re
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import unquote_to_bytes, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass.site.errorpages import CLOSING, error_page, redirect
from bypass.site.heads import OWN_BYTES_MOST, encode_path, etag, make_front, make_own, own_size
from bypass.site.layout import (
    DATE_BYTES,
    ETAG_BYTES,
    MODIFIED_AT,
    TAG_AT,
    TAG_BYTES,
    ErrorSlot,
    own_length_at,
)

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


class OneResponse:
    """Enough of a socket for http.client to read a response from."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._octets)


def parsed(head: bytes, date_offset: int, body: bytes) -> http.client.HTTPResponse:
    """The response as http.client reads it once the engine has put in the date and the empty line."""
    dated = head[:date_offset] + DATE + head[date_offset + DATE_BYTES :]
    response = http.client.HTTPResponse(cast(Any, OneResponse(dated + b"\r\n" + body)))
    response.begin()
    assert response.read() == body
    return response


def test_a_head_has_the_fields_in_their_order_and_ends_before_the_empty_line() -> None:
    described = [("Accept-Ranges", "bytes")]
    front = make_front(200, "text/css; charset=utf-8", described, [("Cache-Control", "no-cache")])
    assert front.octets == (
        b"HTTP/1.1 200 OK\r\nServer: bypass\r\nDate: " + bytes(29) + b"\r\n"
        b"Content-Type: text/css; charset=utf-8\r\nAccept-Ranges: bytes\r\nCache-Control: no-cache\r\n"
    )
    assert front.octets[front.line_bytes :].startswith(b"Server: ")
    assert front.octets[front.meta_first :] == b"Cache-Control: no-cache\r\n"
    assert front.octets[front.date_offset :].startswith(bytes(29) + b"\r\n")


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("modified", [0, 784111777, 2**32 - 1])
@pytest.mark.parametrize("length", [None, 0, 12, 2**64 - 1])
def test_the_own_part_has_its_lines_where_the_layout_says(
    status: int, modified: int, length: int | None
) -> None:
    own = make_own(status, bytes(32), modified, length)
    assert len(own) == own_size(status, modified, length) <= OWN_BYTES_MOST
    lines = own.decode().split("\r\n")
    names = [line.split(": ")[0] for line in lines]
    assert names == [
        *["ETag"] * (status == 200),
        *["Last-Modified"] * (modified > 0),
        *["Content-Length"] * (length is not None),
        "",
    ]
    tag_end = TAG_BYTES * (status == 200)
    if status == 200:
        assert own[TAG_AT:].startswith(etag(bytes(32)).encode() + b"\r\n")
    if modified == 784111777:
        assert own[tag_end + MODIFIED_AT :].startswith(DATE + b"\r\n")
    last = b"" if length is None else b"Content-Length: %d\r\n" % length
    assert own[own_length_at(status, modified) :] == last


def test_an_entity_tag_is_128_bits_of_the_content_in_quotes() -> None:
    assert etag(bytes(range(32))) == '"AAECAwQFBgcICQoLDA0ODw"'
    tag = etag(hashlib.sha256(b"hello").digest())
    assert re.fullmatch(r'"[A-Za-z0-9_-]{22}"', tag)
    assert len(tag) == ETAG_BYTES
    assert tag != etag(hashlib.sha256(b"Hello").digest())


@pytest.mark.parametrize("slot", list(ErrorSlot))
def test_every_error_is_a_complete_response_for_an_independent_client(slot: ErrorSlot) -> None:
    page = error_page(slot)
    head = page.front.octets + make_own(page.status, b"", 0, page.length)
    response = parsed(head, page.front.date_offset, page.body)
    assert response.status == page.status == slot.status
    assert response.reason == http.HTTPStatus(page.status).phrase or page.status in (413, 414)
    assert response.getheader("Date") == DATE.decode()
    assert response.getheader("Server") == "bypass"
    assert response.getheader("Cache-Control") == ("no-store" if page.body else None)
    assert response.getheader("Connection") is None  # the engine says that
    assert response.getheader("Allow") == ("GET, HEAD, OPTIONS" if page.status in (204, 405) else None)
    assert (page.status == 204) == (page.body == b"") == (response.getheader("Content-Length") is None)
    assert page.status == 204 or str(page.status).encode() in page.body
    assert len(head) + len(page.body) + 80 <= 1460


def test_exactly_the_errors_that_leave_the_stream_in_doubt_close_it() -> None:
    closing = {slot.status for slot in ErrorSlot if error_page(slot).closes}
    assert closing == CLOSING == {400, 408, 413, 414, 431, 500, 501, 503, 505}


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets.append(dict(attrs)["href"])


FILE_NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: b"/" not in name and name not in (b".", b"..")
)


@given(st.lists(FILE_NAMES, min_size=1, max_size=3))
def test_a_redirect_leads_to_exactly_its_folder_whatever_the_name(names: list[bytes]) -> None:
    target = b"/" + b"/".join(names) + b"/"
    page = redirect(encode_path(target))
    body = page.representations[0].source
    assert isinstance(body, bytes)
    fields = [("Location", page.location)]
    front = make_front(page.status, page.content_type, fields)
    head = front.octets + make_own(page.status, b"", 0, len(body))
    response = parsed(head, front.date_offset, body)
    location = response.getheader("Location")
    assert location is not None
    assert response.status == 301
    assert unquote_to_bytes(location) == target
    assert urljoin("http://host/somewhere/else", location) == "http://host" + location
    links = Links()
    links.feed(body.decode())
    assert links.targets == [location]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/docs/", "/docs/"),
        (b"/a b/", "/a%20b/"),
        (b"/caf\xc3\xa9/", "/caf%C3%A9/"),
        (b"/100%?#/", "/100%25%3F%23/"),
        (b"/it's(1)@x:y&z=~/", "/it's(1)@x:y&z=~/"),
        (b"/\r\nX: y/", "/%0D%0AX:%20y/"),
    ],
)
def test_paths_are_percent_encoded_for_location(path: bytes, expected: str) -> None:
    assert encode_path(path) == expected
